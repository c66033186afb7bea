/* What a thread of the loop has for itself: its counts, and free operation slots at hand.

   Only that thread writes here, so that neither counting nor taking a slot needs an exchange; anybody may read. What is done outside a
   turn goes to the poller's shared counts, by exchanges. Who wants a number adds them all up. */
#ifndef PIER_LOCAL_H
#define PIER_LOCAL_H

#include "slab.h"

/* Counts since the loop was opened; relaxed, for metrics only, but for the first ones: they say whether operations, and handles
   that close, are alive. */
enum counter {
  COUNTER_ACQUIRED, /* operation slots taken */
  COUNTER_RELEASED, /* and given back */
  COUNTER_WORK_BEGUN, /* of those taken, for workers; nothing of these comes off a port */
  COUNTER_WORK_ENDED, /* and of those given back */
  COUNTER_CLOSING, /* handles that began to close */
  COUNTER_CLOSED,  /* and those whose end has run */
  COUNTER_TURNS,
  COUNTER_WAITS,
  COUNTER_PACKETS,
  COUNTER_FOREIGN,
  COUNTER_PASSED_ON, /* of the foreign ones, those that took a slot on their way to a callback */
  COUNTER_PASSED,    /* and have got there */
  COUNTER_DROPPED,
  COUNTER_WAKES,
  COUNTER_IMMEDIATE,
  COUNTER_SYSTEM_CALLS,
  COUNTER_CANCELS,
  COUNTER_HAND_OVERS,
  COUNTER_EVENTS,
  COUNTERS
};

#define LOCAL_SLOTS 32u
/* Twice what programs usually write at a time: a read that brings one such write whole is then a short one, and nobody has to ask
   whether there is more. */
#define LOCAL_CHUNK_BYTES 131072u

struct local {
  _Atomic uint64_t counts[COUNTERS];
  uint32_t slots_count; /* free slots at hand */
  uint32_t slots_max;   /* of them; 0: the slab is too small for any to be kept back */
  struct slot *slots[LOCAL_SLOTS];
  char *chunk;          /* a buffer of LOCAL_CHUNK_BYTES for what is received while it runs; null if there was no memory */
  void *batch;          /* what several datagrams are received into; made when it is first needed, by malloc() */
  _Atomic bool taken;   /* by a thread's turn */
};

/* By the thread that has it. The store releases: who reads of a slot's return also sees that it was taken. */
static inline void local__count(struct local *local, enum counter counter, uint64_t n) {
  uint64_t count = atomic_load_explicit(&local->counts[counter], memory_order_relaxed);
  atomic_store_explicit(&local->counts[counter], count + n, memory_order_release);
}

/* With none at hand: has some, if the slab has; and with as many as there may be: has fewer, and this one may come. */
COLD void local__fetch(struct local *local, struct slab *slab);
COLD void local__bring_back(struct local *local, struct slab *slab);

/* A free slot of the slab's, without a count; null as slab__acquire(). And back; its generation has ended. */
static inline struct slot *local__take(struct local *local, struct slab *slab) {
  if (!local->slots_count)
    local__fetch(local, slab);
  return local->slots_count ? local->slots[--local->slots_count] : NULL;
}

static inline void local__give(struct local *local, struct slab *slab, struct slot *slot) {
  if (local->slots_count == local->slots_max)
    local__bring_back(local, slab);
  if (local->slots_max)
    local->slots[local->slots_count++] = slot;
  else
    slab__give_one(slab, slot);
}

#endif
