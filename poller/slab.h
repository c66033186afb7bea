/* A slab: slots of one type in one stretch of address space, reserved at once, given memory as they are used.

   Type-stable: a slot's memory is a slot for as long as the slab lives, so its first word may be read at any time, and
   whether a pointer is a slot is arithmetic. Every slot begins with struct slot. Lock-free but for growing. */
#ifndef PIER_SLAB_H
#define PIER_SLAB_H

#include "system.h"
#include <stdatomic.h>

/* The generation sits in the upper half of `word` and changes with every release; the lower half is its owner's,
   and 0 while the slot is free. */
struct slot {
  _Atomic uint64_t word;
  _Atomic uint32_t link;      /* while free: index + 1 of the next free slot; in use: of this one, so that its index takes no division */
  uint8_t kind;               /* these four bytes are the owner's; they fill what would be padding */
  uint8_t flags;
  uint16_t detail;
};

struct slab {
  char *base;
  size_t slot_bytes;
  uint32_t slots_max;
  _Atomic uint32_t slots_made;  /* slots with memory behind them: 0 .. made-1 */
  _Atomic uint32_t slots_used;
  _Atomic uint64_t free_head;   /* a count against ABA, then index + 1 */
  uint32_t first_generation;    /* of every slot: no two slabs begin alike, so an id of a closed loop names nothing in the next */
  struct mutex growth;
};

/* PIER_OK or PIER_ENOMEM. */
int slab__open(struct slab *slab, size_t slot_bytes, uint32_t slots_max);
void slab__close(struct slab *slab);

/* Has memory behind the first slots before one is asked for. PIER_OK or PIER_ENOMEM. */
int slab__begin(struct slab *slab);

/* A free slot, its generation unchanged and the lower half of its word 0; null when all are taken or there is no memory. */
struct slot *slab__acquire(struct slab *slab);

/* Gives a slot back and ends its generation: from here on no id matches it. */
void slab__release(struct slab *slab, struct slot *slot);

/* Up to `max` free slots at once, at least one if there is any, and so many back, whose generations have ended; without a count of those
   in use, which is the caller's affair. */
uint32_t slab__take(struct slab *slab, struct slot **slots, uint32_t max);
void slab__give(struct slab *slab, struct slot *const *slots, uint32_t count);
struct slot *slab__take_one(struct slab *slab);
void slab__give_one(struct slab *slab, struct slot *slot);

/* Ends a slot's generation: from here on no id matches it. */
static inline void slot__end(struct slot *slot) {
  uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
  atomic_store_explicit(&slot->word, ((word >> 32) + 1) << 32, memory_order_release);
}

/* The same for a slab that is always used under one lock of its owner's: without an exchange. */
struct slot *slab__acquire_locked(struct slab *slab);
void slab__release_locked(struct slab *slab, struct slot *slot);

/* The slot of an index, or null if there is none; and the reverse, for a slot in use. */
static inline struct slot *slab__at(struct slab *slab, uint32_t index) {
  if (index >= atomic_load_explicit(&slab->slots_made, memory_order_acquire))
    return NULL;
  return (struct slot *)(void *)(slab->base + (size_t)index * slab->slot_bytes);
}

static inline uint32_t slab__index(const struct slot *slot) {
  return atomic_load_explicit(&((struct slot *)slot)->link, memory_order_relaxed) - 1;
}

/* The slot that begins at `address`, or null if none does. Reads nothing at that address. */
struct slot *slab__find(struct slab *slab, uintptr_t address);

static inline uint32_t slot__generation(uint64_t word) { return (uint32_t)(word >> 32); }

#endif
