/* The loop's timers, and the deadlines of its operations: one heap. */
#ifndef PIER_TIMERS_H
#define PIER_TIMERS_H

#include "heap.h"
#include "pier_timer.h"
#include "poller.h"

struct timers {
  struct mutex lock;
  struct heap heap;
  struct slab slab;
  struct poller *poller;
  int64_t void_entries;           /* of the heap: stopped timers, finished operations; for a moment less than 0 */
  uint32_t away;                  /* timers on their way to their callbacks, or in them: the heap keeps their places */
  uint32_t started;               /* a count, for the order of timers that are due together */
  _Atomic uint64_t next_due_ns;   /* UINT64_MAX: none. Read without the lock. */
  _Atomic uint64_t fired;
};

int timers__open(struct timers *timers, struct poller *poller, uint32_t timers_max);
void timers__close(struct timers *timers);

/* Has the operation cancelled at its deadline. False for want of memory. */
bool timers__add_deadline(struct timers *timers, uint64_t due_ns, pier_operation operation);
/* An operation with a deadline has finished: its entry is void. */
void timers__forget_deadline(struct timers *timers);

/* Has the posts looked at at that moment. False for want of memory. */
bool timers__add_look(struct timers *timers, uint64_t due_ns);

/* How long until the next one: 0 if it is due, UINT64_MAX if there is none. */
uint64_t timers__due_in_ns(struct timers *timers);

/* Delivers the timers that are due and cancels the operations whose time is up. */
void timers__expire_due(struct timers *timers);
static inline void timers__expire(struct timers *timers) {
  if (atomic_load_explicit(&timers->next_due_ns, memory_order_relaxed) != UINT64_MAX)
    timers__expire_due(timers);
}

/* Runs the callback of a timer that was delivered. */
void timers__run(struct timers *timers, struct ready *ready, pier_loop *loop);

/* How many are running. */
static inline uint32_t timers__running(struct timers *timers) {
  return atomic_load_explicit(&timers->slab.slots_used, memory_order_acquire);
}

#endif
