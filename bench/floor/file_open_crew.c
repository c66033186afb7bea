/* Where the system opens no file without blocking a thread does it; being there, it reads and closes too, whether as one operation or as three. */
#include "crew.h"
#include "floor.h"

#include "../common/blocks.h"

struct worker {
  const struct bench_options *options;
  struct bench_result *result;
  struct floor_crew *crew;
  uint64_t started;
};

struct slot {
  struct floor_job job; /* first: the job is the slot */
  struct worker *worker;
  char *block;
  uint64_t bytes;
  char path[BENCH_PATH_BYTES];
};

static void slot__work(struct floor_job *job) {
  struct slot *slot = (struct slot *)job;
  uintptr_t file = bench_file_open(slot->path);

  slot->bytes = bench_file_read(file, slot->block, (size_t)slot->worker->options->block_bytes);
  bench_file_close(file);
}

static void slot__start(struct slot *slot) {
  struct worker *worker = slot->worker;

  if (worker->started < worker->options->operations) {
    bench_small_path(worker->options, worker->started++, slot->path);
    floor_crew_start(worker->crew, &slot->job);
  }
}

static void slot__finished(struct floor_job *job) {
  struct slot *slot = (struct slot *)job;
  struct bench_result *result = slot->worker->result;

  result->operations++;
  result->bytes += slot->bytes;
  result->checksum += bench_block_number_of(slot->block);
  slot__start(slot);
}

int floor_file_open(const struct bench_options *options, struct bench_result *result) {
  struct worker worker = {.options = options, .result = result, .crew = floor_crew_open()};
  struct slot *slots = bench_allocate(options->depth, sizeof *slots);

  bench_begin(result);
  for (uint64_t i = 0; i < options->depth; i++) {
    slots[i].job = (struct floor_job){.work = slot__work, .finished = slot__finished};
    slots[i].worker = &worker;
    slots[i].block = bench_block_make(options);
    slot__start(&slots[i]);
  }
  floor_crew_run(worker.crew);
  bench_end(result);
  floor_crew_close(worker.crew);
  return 0;
}

int floor_file_load(const struct bench_options *options, struct bench_result *result) { return floor_file_open(options, result); }
