#include "timers.h"

#include <string.h>

#define TIMEOUT_MS_MAX 50

void bench_timers_plan(struct bench_timers *plan, const struct bench_options *options, struct bench_result *result) {
  uint64_t random = options->seed;

  memset(plan, 0, sizeof *plan);
  plan->result = result;
  plan->timeouts_ms = bench_allocate(options->operations, sizeof *plan->timeouts_ms);
  for (uint64_t i = 0; i < options->operations; i++) {
    plan->timeouts_ms[i] = (uint32_t)(bench_random(&random) % TIMEOUT_MS_MAX) + 1;
  }
}

void bench_timers_started(struct bench_timers *plan) {
  plan->started_ns = bench_clock_ns();
}

void bench_timers_stopped(struct bench_timers *plan) {
  plan->stopped_ns = bench_clock_ns();
  plan->stopped = (plan->result->options->operations + 1) / 2;
}

void bench_timers_fired(struct bench_timers *plan, uint64_t number) {
  plan->fired++;
  plan->result->checksum += number;
}

void bench_timers_report(struct bench_timers *plan) {
  struct bench_result *result = plan->result;
  double timers = (double)result->options->operations;

  result->operations = plan->fired + plan->stopped;
  bench_extra(result, "start_ns", (double)(plan->started_ns - result->begin.clock_ns) / timers);
  bench_extra(result, "stop_ns", (double)(plan->stopped_ns - plan->started_ns) / (double)plan->stopped);
  bench_extra(result, "fire_ns", (double)(result->end.clock_ns - plan->stopped_ns) / (double)plan->fired);
  bench_release(plan->timeouts_ms);
}

void bench_timers_late(struct bench_timers *plan, uint64_t due_ns, uint64_t now_ns) {
  if (now_ns < due_ns) {
    plan->early++;
  }
  latency_add(&plan->late, now_ns < due_ns ? 0 : now_ns - due_ns);
}

void bench_timers_late_report(struct bench_timers *plan) {
  bench_extra(plan->result, "late_p50_ns", (double)latency_quantile(&plan->late, 0.5));
  bench_extra(plan->result, "late_p99_ns", (double)latency_quantile(&plan->late, 0.99));
  bench_extra(plan->result, "early", (double)plan->early);
}
