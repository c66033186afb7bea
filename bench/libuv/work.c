#include "twin.h"

struct plan {
  const struct bench_options *options;
  struct bench_result *result;
  uv_loop_t *loop;
  uint64_t started;
};

struct item {
  uv_work_t request; /* first: the request is the item */
  struct plan *plan;
  uint64_t number;
  uint64_t answer;
};

/* On a worker thread. */
static void item__work(uv_work_t *request) {
  struct item *item = (struct item *)request;

  item->answer = item->number * 3;
}

static void on_done(uv_work_t *request, int status);

static void item__start(struct item *item) {
  struct plan *plan = item->plan;

  item->number = plan->started++;
  twin_check(uv_queue_work(plan->loop, &item->request, item__work, on_done), "uv_queue_work");
}

static void on_done(uv_work_t *request, int status) {
  struct item *item = (struct item *)request;

  twin_check(status, "work");
  item->plan->result->operations++;
  item->plan->result->checksum += item->answer;
  if (item->plan->started < item->plan->options->operations) {
    item__start(item);
  }
}

int twin_work(const struct bench_options *options, struct bench_result *result) {
  struct plan plan = {.options = options, .result = result, .loop = uv_default_loop()};
  struct item *items = bench_allocate(options->depth, sizeof *items);

  bench_begin(result);
  for (uint64_t i = 0; i < options->depth; i++) {
    items[i].plan = &plan;
    item__start(&items[i]);
  }
  twin_check(uv_run(plan.loop, UV_RUN_DEFAULT), "uv_run");
  bench_end(result);
  bench_release(items);
  return uv_loop_close(plan.loop);
}
