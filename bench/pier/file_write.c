#include "side.h"

#include "../common/blocks.h"

struct writer {
  const struct bench_options *options;
  struct bench_result *result;
  pier_loop *loop;
  pier_handle file;
  uint64_t started;
};

struct slot {
  struct writer *writer;
  char *block;
};

static void on_flushed(const pier_result *result) {
  side_check(result->status, "flush");
}

static void on_written(const pier_result *result);

static void slot__write(struct slot *slot) {
  struct writer *writer = slot->writer;
  size_t length = (size_t)writer->options->block_bytes;
  int64_t offset = (int64_t)(writer->started * length);

  bench_block_number(slot->block, writer->started++);
  pier_operation write = pier_write_at(writer->file, slot->block, length, offset, PIER_NO_DEADLINE, on_written, slot);
  bench_check(write != 0, "pier_write_at", 0);
}

static void on_written(const pier_result *result) {
  struct slot *slot = result->context;
  struct writer *writer = slot->writer;

  side_check(result->status, "write");
  writer->result->bytes += result->bytes;
  if (++writer->result->operations == writer->options->operations) {
    pier_operation flush = pier_file_flush(writer->file, PIER_NO_DEADLINE, on_flushed, NULL);
    bench_check(flush != 0, "pier_file_flush", 0);
  } else if (writer->started < writer->options->operations) {
    slot__write(slot);
  }
}

int side_file_write(const struct bench_options *options, struct bench_result *result) {
  struct writer writer = {.options = options, .result = result, .loop = side_loop_open()};
  struct slot *slots = bench_allocate(options->depth, sizeof *slots);
  unsigned flags = PIER_OPEN_WRITE | PIER_OPEN_CREATE | PIER_OPEN_TRUNCATE;
  struct side_counts counts;

  side_check(pier_file_open_sync(writer.loop, options->path, flags, &writer.file), "pier_file_open_sync");
  side_counts_begin(&counts, writer.loop);
  bench_begin(result);
  for (uint64_t i = 0; i < options->depth; i++) {
    slots[i] = (struct slot){.writer = &writer, .block = bench_block_make(options)};
    slot__write(&slots[i]);
  }
  side_check(pier_loop_run(writer.loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  bench_end(result);
  side_counts_end(&counts, writer.loop, result, result->operations);
  side_check(pier_close(writer.file, NULL, NULL), "pier_close");
  side_check(pier_loop_run(writer.loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  side_loop_close(writer.loop);
  bench_blocks_check(options, result);
  return 0;
}
