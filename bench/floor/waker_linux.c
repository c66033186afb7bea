#include "sleeper.h"
#include "waker.h"

#include "../common/bench.h"

#include <stdatomic.h>

enum state { AWAKE, ASLEEP, WOKEN };

/* The state spares the system calls of a wake that finds the other awake, and of a wait for a wake that is there already. */
struct floor_waker {
  _Atomic int state;
  struct floor_sleeper *sleeper;
};

struct floor_waker *floor_waker_open(void) {
  struct floor_waker *waker = bench_allocate(1, sizeof *waker);

  waker->sleeper = floor_sleeper_open();
  return waker;
}

void floor_waker_close(struct floor_waker *waker) {
  floor_sleeper_close(waker->sleeper);
  bench_release(waker);
}

void floor_waker_wake(struct floor_waker *waker) {
  if (atomic_exchange(&waker->state, WOKEN) == ASLEEP) {
    floor_sleeper_rouse(waker->sleeper);
  }
}

void floor_waker_wait(struct floor_waker *waker, uint64_t timeout_ns) {
  int awake = AWAKE;

  if (atomic_compare_exchange_strong(&waker->state, &awake, ASLEEP)) {
    bool in_time = true;
    while (in_time && atomic_load(&waker->state) == ASLEEP) {
      in_time = floor_sleeper_sleep(waker->sleeper, timeout_ns);
    }
  }
  atomic_store(&waker->state, AWAKE);
}
