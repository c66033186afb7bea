/* A strand: what is due on one handle, run by one thread at a time in the order in which it became due.

   One word. Idle, or running with a stack of what has come meanwhile. Whoever brings something to an idle strand runs
   it; whoever finds it running leaves it there and goes on. Nobody ever waits or spins.

   Where one thread runs everything there is nobody to be kept out, and the strand is there for the order alone: between what that thread
   brings and what others do. A handle that has none to keep, a file of a loop that is driven, has an open strand, which is never busy. */
#ifndef PIER_STRAND_H
#define PIER_STRAND_H

#include "ready.h"
#include <stdatomic.h>
#include <stdbool.h>

struct strand {
  _Atomic uintptr_t word;  /* STRAND_IDLE, STRAND_OPEN, or the latest of what waits (0: none) while a thread runs the strand */
  struct ready *turned;    /* what was taken off the stack and turned to its order; the running thread's */
};

#define STRAND_IDLE ((uintptr_t)1)
#define STRAND_OPEN ((uintptr_t)2) /* for good */

static inline void strand__init(struct strand *strand, bool open) {
  atomic_init(&strand->word, open ? STRAND_OPEN : STRAND_IDLE);
  strand->turned = NULL;
}

/* One that is so stays so. */
static inline bool strand__is_open(const struct strand *strand) {
  return atomic_load_explicit(&((struct strand *)strand)->word, memory_order_relaxed) == STRAND_OPEN;
}

/* True: the strand was idle, it is now the caller's, who has to see to it that `ready` is run and then calls strand__next().
   False: left to the thread that runs the strand. */
bool strand__enter_busy(struct strand *strand, struct ready *ready);
static inline bool strand__enter(struct strand *strand, struct ready *ready) {
  uintptr_t word = atomic_load_explicit(&strand->word, memory_order_relaxed); /* of a batch for one handle all but the first find it running */
  if (word == STRAND_OPEN)
    return true;
  bool idle = word == STRAND_IDLE && atomic_compare_exchange_strong_explicit(&strand->word, &word, 0, memory_order_acq_rel, memory_order_relaxed);
  return idle || strand__enter_busy(strand, ready);
}

/* Called when what was run is through: the next to run, or null, and the strand is idle again. */
struct ready *strand__next_of_several(struct strand *strand);
static inline struct ready *strand__next(struct strand *strand) {
  uintptr_t word = atomic_load_explicit(&strand->word, memory_order_relaxed); /* what was run has often brought the next */
  if (word == STRAND_OPEN)
    return NULL;
  bool last = !strand->turned && !word && atomic_compare_exchange_strong_explicit(&strand->word, &word, STRAND_IDLE, memory_order_acq_rel, memory_order_acquire);
  return last ? NULL : strand__next_of_several(strand);
}

#endif
