/* What the timers workload does on every side: start a million, stop every second one, fire the rest; then one of 1 ms after the other. */
#ifndef BENCH_TIMERS_H
#define BENCH_TIMERS_H

#include "bench.h"
#include "latency.h"

#define BENCH_TIMERS_LATE 200

struct bench_timers {
  struct bench_result *result;
  uint32_t *timeouts_ms; /* 1 to 50: all are due when the last has been started, so nothing is waited for */
  uint64_t fired;
  uint64_t stopped;
  uint64_t started_ns;
  uint64_t stopped_ns;
  uint64_t early;
  struct latency late;
};

void bench_timers_plan(struct bench_timers *plan, const struct bench_options *options, struct bench_result *result);

/* The parts of the measured work, in this order; fired once for each timer that was not stopped. */
void bench_timers_started(struct bench_timers *plan);
void bench_timers_stopped(struct bench_timers *plan);
void bench_timers_fired(struct bench_timers *plan, uint64_t number);
void bench_timers_report(struct bench_timers *plan);

/* Beside it: how late a timer of 1 ms is. */
void bench_timers_late(struct bench_timers *plan, uint64_t due_ns, uint64_t now_ns);
void bench_timers_late_report(struct bench_timers *plan);

#endif
