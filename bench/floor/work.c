#include "crew.h"
#include "floor.h"

struct plan {
  const struct bench_options *options;
  struct bench_result *result;
  struct floor_crew *crew;
  uint64_t started;
};

struct item {
  struct floor_job job; /* first: the job is the item */
  struct plan *plan;
  uint64_t number;
  uint64_t answer;
};

static void item__work(struct floor_job *job) {
  struct item *item = (struct item *)job;

  item->answer = item->number * 3;
}

static void item__start(struct item *item) {
  item->number = item->plan->started++;
  floor_crew_start(item->plan->crew, &item->job);
}

static void item__finished(struct floor_job *job) {
  struct item *item = (struct item *)job;
  struct plan *plan = item->plan;

  plan->result->operations++;
  plan->result->checksum += item->answer;
  if (plan->started < plan->options->operations) {
    item__start(item);
  }
}

int floor_work(const struct bench_options *options, struct bench_result *result) {
  struct plan plan = {.options = options, .result = result, .crew = floor_crew_open()};
  struct item *items = bench_allocate(options->depth, sizeof *items);

  bench_begin(result);
  for (uint64_t i = 0; i < options->depth; i++) {
    items[i] = (struct item){.job = {.work = item__work, .finished = item__finished}, .plan = &plan};
    item__start(&items[i]);
  }
  floor_crew_run(plan.crew);
  bench_end(result);
  floor_crew_close(plan.crew);
  bench_release(items);
  return 0;
}
