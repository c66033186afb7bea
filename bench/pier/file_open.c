#include "side.h"

#include "../common/blocks.h"

struct slot;

struct worker {
  void (*start)(struct slot *slot);
  const struct bench_options *options;
  struct bench_result *result;
  pier_loop *loop;
  uint64_t started;
};

struct slot {
  struct worker *worker;
  pier_handle file;
  char *block;
  char path[BENCH_PATH_BYTES];
};

static void slot__next(struct slot *slot) {
  struct worker *worker = slot->worker;

  if (worker->started < worker->options->operations) {
    bench_small_path(worker->options, worker->started++, slot->path);
    worker->start(slot);
  }
}

static void slot__read(struct slot *slot, const pier_result *result) {
  struct worker *worker = slot->worker;

  bench_check(result->status == PIER_OK && result->bytes == worker->options->block_bytes, "read", result->status);
  worker->result->bytes += result->bytes;
  worker->result->checksum += bench_block_number_of(slot->block);
}

/* ---- In three operations ---- */

static void on_closed(const pier_result *result) {
  struct slot *slot = result->context;

  slot->worker->result->operations++;
  slot__next(slot);
}

static void on_read(const pier_result *result) {
  struct slot *slot = result->context;

  slot__read(slot, result);
  side_check(pier_close(slot->file, on_closed, slot), "pier_close");
}

static void on_opened(const pier_result *result) {
  struct slot *slot = result->context;

  side_check(result->status, "open");
  slot->file = result->opened;
  pier_operation read = pier_read(slot->file, slot->block, (size_t)slot->worker->options->block_bytes, PIER_NO_DEADLINE, on_read, slot);
  bench_check(read != 0, "pier_read", 0);
}

static void slot__open(struct slot *slot) {
  pier_operation open = pier_file_open(slot->worker->loop, slot->path, PIER_OPEN_READ, PIER_NO_DEADLINE, on_opened, slot);
  bench_check(open != 0, "pier_file_open", 0);
}

/* ---- In one ---- */

static void on_loaded(const pier_result *result) {
  struct slot *slot = result->context;

  slot__read(slot, result);
  slot->worker->result->operations++;
  slot__next(slot);
}

static void slot__load(struct slot *slot) {
  struct worker *worker = slot->worker;
  pier_operation load =
      pier_file_load(worker->loop, slot->path, slot->block, (size_t)worker->options->block_bytes, PIER_NO_DEADLINE, on_loaded, slot);
  bench_check(load != 0, "pier_file_load", 0);
}

static int worker__run(const struct bench_options *options, struct bench_result *result, void (*start)(struct slot *slot)) {
  struct worker worker = {.start = start, .options = options, .result = result, .loop = side_loop_open()};
  struct slot *slots = bench_allocate(options->depth, sizeof *slots);
  struct side_counts counts;

  side_counts_begin(&counts, worker.loop);
  bench_begin(result);
  for (uint64_t i = 0; i < options->depth; i++) {
    slots[i].worker = &worker;
    slots[i].block = bench_block_make(options);
    slot__next(&slots[i]);
  }
  side_check(pier_loop_run(worker.loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  bench_end(result);
  side_counts_end(&counts, worker.loop, result, result->operations);
  side_loop_close(worker.loop);
  return 0;
}

int side_file_open(const struct bench_options *options, struct bench_result *result) {
  return worker__run(options, result, slot__open);
}

int side_file_load(const struct bench_options *options, struct bench_result *result) {
  return worker__run(options, result, slot__load);
}
