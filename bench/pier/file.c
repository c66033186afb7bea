#include "side.h"

#include <string.h>

struct reader {
  struct bench_result *result;
  pier_loop *loop;
  pier_handle file;
  uint64_t blocks;
  size_t block_bytes;
  uint64_t random;
  uint64_t started;
  uint64_t operations;
};

struct slot {
  struct reader *reader;
  char *buffer;
};

static void reader__open(struct reader *reader, const struct bench_options *options, struct bench_result *result) {
  uint64_t size_bytes = 0;

  reader->result = result;
  reader->random = options->seed;
  reader->block_bytes = (size_t)options->block_bytes;
  reader->operations = options->operations;
  reader->started = 0;
  reader->loop = side_loop_open();
  side_check(pier_file_open_sync(reader->loop, options->path, PIER_OPEN_READ, &reader->file), "pier_file_open_sync");
  side_check(pier_file_size(reader->file, &size_bytes), "pier_file_size");
  reader->blocks = size_bytes / options->block_bytes;
  bench_check(reader->blocks > 0, "the file is too small", 0);
}

static void reader__close(struct reader *reader) {
  side_check(pier_close(reader->file, NULL, NULL), "pier_close");
  side_check(pier_loop_run(reader->loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  side_loop_close(reader->loop);
}

static int64_t reader__aim(struct reader *reader) {
  reader->started++;
  return (int64_t)(bench_random(&reader->random) % reader->blocks * reader->block_bytes);
}

static void reader__count(struct reader *reader, const char *buffer, int status, size_t bytes) {
  uint64_t first;

  bench_check(status == PIER_OK && bytes == reader->block_bytes, "read", status);
  memcpy(&first, buffer, sizeof first);
  reader->result->checksum += first;
  reader->result->bytes += bytes;
  reader->result->operations++;
}

static void on_read(const pier_result *result);

static void slot__read(struct slot *slot) {
  struct reader *reader = slot->reader;
  pier_operation read = pier_read_at(reader->file, slot->buffer, reader->block_bytes, reader__aim(reader), PIER_NO_DEADLINE, on_read, slot);
  bench_check(read != 0, "pier_read_at", 0);
}

static void on_read(const pier_result *result) {
  struct slot *slot = result->context;

  reader__count(slot->reader, slot->buffer, result->status, result->bytes);
  if (slot->reader->started < slot->reader->operations) {
    slot__read(slot);
  }
}

static void read_by_loop(struct reader *reader, size_t depth) {
  struct slot *slots = bench_allocate(depth, sizeof *slots);
  struct side_counts counts;

  for (size_t i = 0; i < depth; i++) {
    slots[i].reader = reader;
    slots[i].buffer = bench_allocate(1, reader->block_bytes);
  }
  side_counts_begin(&counts, reader->loop);
  bench_begin(reader->result);
  for (size_t i = 0; i < depth; i++) {
    slot__read(&slots[i]);
  }
  side_check(pier_loop_run(reader->loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  bench_end(reader->result);
  side_counts_end(&counts, reader->loop, reader->result, reader->result->operations);
}

int side_file_read(const struct bench_options *options, struct bench_result *result) {
  struct reader reader;

  reader__open(&reader, options, result);
  read_by_loop(&reader, (size_t)options->depth);
  reader__close(&reader);
  return 0;
}

/* The handle is Pier's own one, on Pier's port, which sees nothing of these calls. */
static void read_by_sync_path(struct reader *reader, pier_native file) {
  char *buffer = bench_allocate(1, reader->block_bytes);

  bench_begin(reader->result);
  for (uint64_t i = 0; i < reader->operations; i++) {
    pier_sync_result result;
    int status = pier_sync_read_at(file, buffer, reader->block_bytes, reader__aim(reader), PIER_NO_TIMEOUT, &result);
    reader__count(reader, buffer, status, result.bytes);
  }
  bench_end(reader->result);
}

int side_sync_read(const struct bench_options *options, struct bench_result *result) {
  struct reader reader;

  reader__open(&reader, options, result);
  if (strcmp(options->form, "port") == 0) {
    read_by_loop(&reader, 1);
  } else if (strcmp(options->form, "blocking") == 0) {
    pier_native file = bench_file_open(options->path);
    read_by_sync_path(&reader, file);
    bench_file_close(file);
  } else {
    read_by_sync_path(&reader, pier_handle_native(reader.file));
  }
  reader__close(&reader);
  return 0;
}
