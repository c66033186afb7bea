#include "floor.h"
#include "waker.h"

#include "../common/timers.h"

struct timer {
  uint64_t due_ns;
  size_t place; /* in the heap, from 1; 0 when it is not running */
};

struct timers {
  struct timer *timers;
  uint32_t *heap; /* heap[1] is due first */
  size_t count;
};

static void timers__put(struct timers *timers, size_t place, uint32_t timer) {
  timers->heap[place] = timer;
  timers->timers[timer].place = place;
}

static void timers__up(struct timers *timers, size_t place, uint32_t timer) {
  uint64_t due_ns = timers->timers[timer].due_ns;

  while (place > 1 && timers->timers[timers->heap[place / 2]].due_ns > due_ns) {
    timers__put(timers, place, timers->heap[place / 2]);
    place /= 2;
  }
  timers__put(timers, place, timer);
}

static void timers__down(struct timers *timers, size_t place, uint32_t timer) {
  uint64_t due_ns = timers->timers[timer].due_ns;

  for (size_t child = place * 2; child <= timers->count; child = place * 2) {
    if (child < timers->count && timers->timers[timers->heap[child + 1]].due_ns < timers->timers[timers->heap[child]].due_ns) {
      child++;
    }
    if (timers->timers[timers->heap[child]].due_ns >= due_ns) {
      break;
    }
    timers__put(timers, place, timers->heap[child]);
    place = child;
  }
  timers__put(timers, place, timer);
}

static void timers__start(struct timers *timers, uint32_t timer, uint64_t due_ns) {
  timers->timers[timer].due_ns = due_ns;
  timers->count++;
  timers__up(timers, timers->count, timer);
}

static void timers__stop(struct timers *timers, uint32_t timer) {
  size_t place = timers->timers[timer].place;
  uint32_t last = timers->heap[timers->count];

  timers->count--;
  timers->timers[timer].place = 0;
  if (last == timer) {
    return;
  }
  if (place > 1 && timers->timers[timers->heap[place / 2]].due_ns > timers->timers[last].due_ns) {
    timers__up(timers, place, last);
  } else {
    timers__down(timers, place, last);
  }
}

/* Waits as a loop does: on what completes, for as long as the first timer says. */
static uint32_t timers__next(struct timers *timers, struct floor_waker *waker) {
  uint32_t first = timers->heap[1];
  uint64_t now_ns = bench_clock_ns();

  while (timers->timers[first].due_ns > now_ns) {
    floor_waker_wait(waker, timers->timers[first].due_ns - now_ns);
    now_ns = bench_clock_ns();
  }
  timers__stop(timers, first);
  return first;
}

int floor_timers(const struct bench_options *options, struct bench_result *result) {
  struct timers timers = {.count = 0};
  struct bench_timers plan;
  struct floor_waker *waker = floor_waker_open();

  bench_timers_plan(&plan, options, result);
  timers.timers = bench_allocate((size_t)options->operations, sizeof *timers.timers);
  timers.heap = bench_allocate((size_t)options->operations + 1, sizeof *timers.heap);
  bench_begin(result);
  for (uint32_t i = 0; i < options->operations; i++) {
    timers__start(&timers, i, bench_clock_ns() + plan.timeouts_ms[i] * UINT64_C(1000000));
  }
  bench_timers_started(&plan);
  for (uint32_t i = 0; i < options->operations; i += 2) {
    timers__stop(&timers, i);
  }
  bench_timers_stopped(&plan);
  while (timers.count > 0) {
    bench_timers_fired(&plan, timers__next(&timers, waker));
  }
  bench_end(result);
  bench_timers_report(&plan);

  for (int i = 0; i < BENCH_TIMERS_LATE; i++) {
    uint64_t due_ns = bench_clock_ns() + 1000000;
    timers__start(&timers, 0, due_ns);
    timers__next(&timers, waker);
    bench_timers_late(&plan, due_ns, bench_clock_ns());
  }
  bench_timers_late_report(&plan);
  floor_waker_close(waker);
  return 0;
}
