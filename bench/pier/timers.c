#include "side.h"

#include "../common/timers.h"

struct late {
  pier_loop *loop;
  uint64_t due_ns;
  int count;
};

static struct bench_timers plan;

static void on_timer(pier_loop *loop, pier_timer timer, void *context) {
  (void)loop;
  (void)timer;
  bench_timers_fired(&plan, (uint64_t)(uintptr_t)context);
}

static void on_late(pier_loop *loop, pier_timer timer, void *context);

static void late__start(struct late *late) {
  late->due_ns = bench_clock_ns() + PIER_MILLISECOND;
  pier_timer timer = pier_timer_start(late->loop, PIER_MILLISECOND, 0, on_late, late);
  bench_check(timer != 0, "pier_timer_start", 0);
}

static void on_late(pier_loop *loop, pier_timer timer, void *context) {
  struct late *late = context;

  (void)loop;
  (void)timer;
  bench_timers_late(&plan, late->due_ns, bench_clock_ns());
  if (++late->count < BENCH_TIMERS_LATE) {
    late__start(late);
  }
}

int side_timers(const struct bench_options *options, struct bench_result *result) {
  pier_loop *loop = side_loop_open();
  struct late late = {.loop = loop};
  pier_timer *timers = bench_allocate(options->operations, sizeof *timers);

  bench_timers_plan(&plan, options, result);
  bench_begin(result);
  for (uint64_t i = 0; i < options->operations; i++) {
    timers[i] = pier_timer_start(loop, plan.timeouts_ms[i] * PIER_MILLISECOND, 0, on_timer, (void *)(uintptr_t)i);
    bench_check(timers[i] != 0, "pier_timer_start", (long long)i);
  }
  bench_timers_started(&plan);
  for (uint64_t i = 0; i < options->operations; i += 2) {
    side_check(pier_timer_stop(timers[i]), "pier_timer_stop");
  }
  bench_timers_stopped(&plan);
  side_check(pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  bench_end(result);
  bench_timers_report(&plan);

  late__start(&late);
  side_check(pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  bench_timers_late_report(&plan);
  bench_release(timers);
  side_loop_close(loop);
  return 0;
}
