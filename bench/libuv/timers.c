#include "twin.h"

#include "../common/timers.h"

#include <uv.h>

static struct bench_timers plan;
static uv_timer_t *timers;
static uint64_t late_due_ns;
static int late_count;

static void on_timer(uv_timer_t *timer) {
  bench_timers_fired(&plan, (uint64_t)(timer - timers));
}

/* libuv counts from the time of its last turn, so a careful user has it look at the clock first. */
static void late__start(uv_timer_t *timer, uv_timer_cb callback) {
  uv_update_time(timer->loop);
  late_due_ns = bench_clock_ns() + 1000000;
  twin_check(uv_timer_start(timer, callback, 1, 0), "uv_timer_start");
}

static void on_late(uv_timer_t *timer) {
  bench_timers_late(&plan, late_due_ns, bench_clock_ns());
  if (++late_count < BENCH_TIMERS_LATE) {
    late__start(timer, on_late);
  }
}

int twin_timers(const struct bench_options *options, struct bench_result *result) {
  uv_loop_t *loop = uv_default_loop();

  bench_timers_plan(&plan, options, result);
  timers = bench_allocate(options->operations, sizeof *timers);
  bench_begin(result);
  for (uint64_t i = 0; i < options->operations; i++) {
    twin_check(uv_timer_init(loop, &timers[i]), "uv_timer_init");
    twin_check(uv_timer_start(&timers[i], on_timer, plan.timeouts_ms[i], 0), "uv_timer_start");
  }
  bench_timers_started(&plan);
  for (uint64_t i = 0; i < options->operations; i += 2) {
    twin_check(uv_timer_stop(&timers[i]), "uv_timer_stop");
  }
  bench_timers_stopped(&plan);
  uv_run(loop, UV_RUN_DEFAULT);
  bench_end(result);
  bench_timers_report(&plan);

  late__start(&timers[0], on_late);
  uv_run(loop, UV_RUN_DEFAULT);
  bench_timers_late_report(&plan);
  return 0;
}
