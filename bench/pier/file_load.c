#include "side.h"

#include "../common/blocks.h"

struct worker {
  const struct bench_options *options;
  struct bench_result *result;
  pier_loop *loop;
  uint64_t started;
};

struct slot {
  struct worker *worker;
  char *block;
  char path[BENCH_PATH_BYTES];
};

static void slot__load(struct slot *slot);

static void on_loaded(const pier_result *result) {
  struct slot *slot = result->context;
  struct worker *worker = slot->worker;

  bench_check(result->status == PIER_OK && result->bytes == worker->options->block_bytes, "load", result->status);
  worker->result->bytes += result->bytes;
  worker->result->checksum += bench_block_number_of(slot->block);
  worker->result->operations++;
  slot__load(slot);
}

static void slot__load(struct slot *slot) {
  struct worker *worker = slot->worker;

  if (worker->started < worker->options->operations) {
    bench_small_path(worker->options, worker->started++, slot->path);
    pier_operation load =
        pier_file_load(worker->loop, slot->path, slot->block, (size_t)worker->options->block_bytes, PIER_NO_DEADLINE, on_loaded, slot);
    bench_check(load != 0, "pier_file_load", 0);
  }
}

int side_file_load(const struct bench_options *options, struct bench_result *result) {
  struct worker worker = {.options = options, .result = result, .loop = side_loop_open()};
  struct slot *slots = bench_allocate(options->depth, sizeof *slots);
  struct side_counts counts;

  side_counts_begin(&counts, worker.loop);
  bench_begin(result);
  for (uint64_t i = 0; i < options->depth; i++) {
    slots[i].worker = &worker;
    slots[i].block = bench_block_make(options);
    slot__load(&slots[i]);
  }
  side_check(pier_loop_run(worker.loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  bench_end(result);
  side_counts_end(&counts, worker.loop, result, result->operations);
  side_loop_close(worker.loop);
  return 0;
}
