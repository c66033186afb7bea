#include "strand.h"

bool strand__enter_busy(struct strand *strand, struct ready *ready) {
  uintptr_t word = atomic_load_explicit(&strand->word, memory_order_relaxed);
  for (;;) {
    uintptr_t next = 0; /* idle: running, with nothing waiting */
    if (word != STRAND_IDLE) {
      ready->next = (struct ready *)word;
      next = (uintptr_t)ready;
    }
    if (atomic_compare_exchange_weak_explicit(&strand->word, &word, next, memory_order_acq_rel, memory_order_relaxed))
      return word == STRAND_IDLE;
  }
}

struct ready *strand__next_of_several(struct strand *strand) {
  if (!strand->turned) {
    /* The stack has the latest on top: turn it, so that the order is that of the arrivals. */
    struct ready *latest = (struct ready *)atomic_exchange_explicit(&strand->word, 0, memory_order_acq_rel);
    while (latest) {
      struct ready *earlier = latest->next;
      latest->next = strand->turned;
      strand->turned = latest;
      latest = earlier;
    }
  }
  struct ready *ready = strand->turned;
  strand->turned = ready->next;
  return ready;
}
