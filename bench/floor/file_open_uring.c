#include "floor.h"
#include "ring.h"

#include "../common/blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#define ENTRIES 64
#define DEPTH_MAX (ENTRIES / 3)
#define FAILED UINT64_MAX

struct slot {
  char *block;
  char path[BENCH_PATH_BYTES];
};

struct worker {
  struct io_uring ring;
  void (*start)(struct worker *worker, unsigned number);
  void (*completed)(struct worker *worker, const struct io_uring_cqe *completion);
  const struct bench_options *options;
  struct bench_result *result;
  struct slot slots[DEPTH_MAX];
  uint64_t started;
};

static const char *worker__next_path(struct worker *worker, unsigned number) {
  char *path = worker->slots[number].path;

  bench_small_path(worker->options, worker->started++, path);
  return path;
}

static void worker__count(struct worker *worker, unsigned number) {
  worker->result->operations++;
  worker->result->bytes += worker->options->block_bytes;
  worker->result->checksum += bench_block_number_of(worker->slots[number].block);
}

/* ---- Without descriptors: file_load ---- */

/* Open, read and close in one chain, with a number in the ring's table for a descriptor; only the close has a completion when all is well. */
static void chain__start(struct worker *worker, unsigned number) {
  unsigned char quiet = IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
  struct io_uring_sqe *entry = floor_ring_entry(&worker->ring);

  io_uring_prep_openat_direct(entry, AT_FDCWD, worker__next_path(worker, number), O_RDONLY, 0, number);
  io_uring_sqe_set_flags(entry, quiet);
  io_uring_sqe_set_data64(entry, FAILED);
  entry = floor_ring_entry(&worker->ring);
  io_uring_prep_read(entry, (int)number, worker->slots[number].block, (unsigned)worker->options->block_bytes, 0);
  io_uring_sqe_set_flags(entry, quiet | IOSQE_FIXED_FILE);
  io_uring_sqe_set_data64(entry, FAILED);
  entry = floor_ring_entry(&worker->ring);
  io_uring_prep_close_direct(entry, number);
  io_uring_sqe_set_data64(entry, number);
}

/* A read that was short would have broken the chain. */
static void chain__completed(struct worker *worker, const struct io_uring_cqe *completion) {
  bench_check(completion->res == 0 && completion->user_data != FAILED, "open, read or close", completion->res);
  worker__count(worker, (unsigned)completion->user_data);
}

/* ---- With descriptors, as who has to give them to others: file_open ---- */

/* As the floor of the reads with epoll (file_epoll.c): a loop must not wait for a disk. */
static ssize_t plain__read(int descriptor, char *block, size_t bytes) {
  struct iovec part = {.iov_base = block, .iov_len = bytes};
  ssize_t got = preadv2(descriptor, &part, 1, 0, RWF_NOWAIT);

  return got < 0 && (errno == EAGAIN || errno == EOPNOTSUPP) ? pread(descriptor, block, bytes, 0) : got;
}

static void plain__start(struct worker *worker, unsigned number) {
  struct io_uring_sqe *entry = floor_ring_entry(&worker->ring);

  io_uring_prep_openat(entry, AT_FDCWD, worker__next_path(worker, number), O_RDONLY | O_CLOEXEC, 0);
  io_uring_sqe_set_data64(entry, number);
}

static void plain__completed(struct worker *worker, const struct io_uring_cqe *completion) {
  unsigned number = (unsigned)completion->user_data;

  bench_check(completion->res >= 0, "open", completion->res);
  ssize_t got = plain__read(completion->res, worker->slots[number].block, worker->options->block_bytes);
  bench_check(got == (ssize_t)worker->options->block_bytes, "read", got);
  bench_check(close(completion->res) == 0, "close", completion->res);
  worker__count(worker, number);
}

/* ---- Both ---- */

static void worker__go_on(struct worker *worker, unsigned number) {
  if (worker->started < worker->options->operations) {
    worker->start(worker, number);
  }
}

static int worker__run(struct worker *worker, const struct bench_options *options, struct bench_result *result) {
  worker->options = options;
  worker->result = result;
  bench_check(options->depth >= 1 && options->depth <= DEPTH_MAX, "--depth is at most", DEPTH_MAX);
  floor_ring_open(&worker->ring, ENTRIES);
  int error = io_uring_register_files_sparse(&worker->ring, DEPTH_MAX);
  bench_check(error == 0, "io_uring_register_files_sparse", error);
  bench_begin(result);
  for (unsigned i = 0; i < options->depth; i++) {
    worker->slots[i].block = bench_block_make(options);
    worker__go_on(worker, i);
  }
  while (result->operations < options->operations) {
    struct io_uring_cqe *completion;
    unsigned head;
    unsigned count = 0;
    floor_ring_wait(&worker->ring);
    io_uring_for_each_cqe(&worker->ring, head, completion) {
      worker->completed(worker, completion);
      worker__go_on(worker, (unsigned)completion->user_data);
      count++;
    }
    io_uring_cq_advance(&worker->ring, count);
  }
  bench_end(result);
  io_uring_queue_exit(&worker->ring);
  bench_release(worker);
  return 0;
}

int floor_file_load(const struct bench_options *options, struct bench_result *result) {
  struct worker *worker = bench_allocate(1, sizeof *worker);

  worker->start = chain__start;
  worker->completed = chain__completed;
  return worker__run(worker, options, result);
}

int floor_file_open(const struct bench_options *options, struct bench_result *result) {
  struct worker *worker = bench_allocate(1, sizeof *worker);

  worker->start = plain__start;
  worker->completed = plain__completed;
  return worker__run(worker, options, result);
}
