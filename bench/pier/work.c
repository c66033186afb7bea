#include "side.h"

struct plan {
  const struct bench_options *options;
  struct bench_result *result;
  pier_loop *loop;
  uint64_t started;
};

struct item {
  struct plan *plan;
  uint64_t number;
  uint64_t answer;
};

/* On a worker thread. */
static int item__work(void *context) {
  struct item *item = context;

  item->answer = item->number * 3;
  return PIER_OK;
}

static void on_done(const pier_result *result);

static void item__start(struct item *item) {
  struct plan *plan = item->plan;

  item->number = plan->started++;
  pier_operation work = pier_work(plan->loop, item__work, PIER_NO_DEADLINE, on_done, item);
  bench_check(work != 0, "pier_work", 0);
}

static void on_done(const pier_result *result) {
  struct item *item = result->context;

  side_check(result->status, "work");
  item->plan->result->operations++;
  item->plan->result->checksum += item->answer;
  if (item->plan->started < item->plan->options->operations) {
    item__start(item);
  }
}

int side_work(const struct bench_options *options, struct bench_result *result) {
  struct plan plan = {.options = options, .result = result, .loop = side_loop_open()};
  struct item *items = bench_allocate(options->depth, sizeof *items);
  struct side_counts counts;

  side_counts_begin(&counts, plan.loop);
  bench_begin(result);
  for (uint64_t i = 0; i < options->depth; i++) {
    items[i].plan = &plan;
    item__start(&items[i]);
  }
  side_check(pier_loop_run(plan.loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  bench_end(result);
  side_counts_end(&counts, plan.loop, result, result->operations);
  side_loop_close(plan.loop);
  bench_release(items);
  return 0;
}
