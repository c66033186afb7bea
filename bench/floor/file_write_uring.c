#include "floor.h"
#include "ring.h"

#include "../common/blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define ENTRIES 64
#define FLUSHED UINT64_MAX

struct writer {
  struct io_uring ring;
  const struct bench_options *options;
  struct bench_result *result;
  char *blocks[ENTRIES];
  uint64_t started;
  bool flushed;
};

static void writer__start(struct writer *writer, uint64_t slot) {
  struct io_uring_sqe *entry = floor_ring_entry(&writer->ring);
  uint64_t offset = writer->started * writer->options->block_bytes;

  bench_block_number(writer->blocks[slot], writer->started++);
  io_uring_prep_write(entry, 0, writer->blocks[slot], (unsigned)writer->options->block_bytes, offset);
  io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
  io_uring_sqe_set_data64(entry, slot);
}

static void writer__completed(struct writer *writer, const struct io_uring_cqe *completion) {
  bench_check(completion->res >= 0, "write or fsync", completion->res);
  if (completion->user_data == FLUSHED) {
    writer->flushed = true;
    return;
  }
  bench_check((uint64_t)completion->res == writer->options->block_bytes, "a write was short", completion->res);
  writer->result->bytes += (uint64_t)completion->res;
  if (++writer->result->operations == writer->options->operations) {
    struct io_uring_sqe *entry = floor_ring_entry(&writer->ring);
    io_uring_prep_fsync(entry, 0, 0);
    io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
    io_uring_sqe_set_data64(entry, FLUSHED);
  } else if (writer->started < writer->options->operations) {
    writer__start(writer, completion->user_data);
  }
}

static void writer__run(struct writer *writer) {
  for (uint64_t i = 0; i < writer->options->depth; i++) {
    writer->blocks[i] = bench_block_make(writer->options);
    writer__start(writer, i);
  }
  while (!writer->flushed) {
    struct io_uring_cqe *completion;
    unsigned head;
    unsigned count = 0;
    floor_ring_wait(&writer->ring);
    io_uring_for_each_cqe(&writer->ring, head, completion) {
      writer__completed(writer, completion);
      count++;
    }
    io_uring_cq_advance(&writer->ring, count);
  }
}

int floor_file_write(const struct bench_options *options, struct bench_result *result) {
  struct writer writer = {.options = options, .result = result};
  int file = open(options->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

  bench_check(file >= 0, "open", errno);
  bench_check(options->depth >= 1 && options->depth <= ENTRIES, "--depth is at most", ENTRIES);
  floor_ring_open(&writer.ring, ENTRIES);
  int error = io_uring_register_files(&writer.ring, &file, 1);
  bench_check(error == 0, "io_uring_register_files", error);
  bench_begin(result);
  writer__run(&writer);
  bench_end(result);
  io_uring_queue_exit(&writer.ring);
  close(file);
  bench_blocks_check(options, result);
  return 0;
}
