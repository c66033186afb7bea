#include "file_linux.h"
#include "ring.h"

#define ENTRIES 64

static void reader__start(struct reader *reader, struct io_uring *ring, size_t slot) {
  struct io_uring_sqe *entry = floor_ring_entry(ring);

  io_uring_prep_read(entry, 0, reader__buffer(reader, slot), (unsigned)reader->block_bytes, (uint64_t)reader__aim(reader));
  io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
  io_uring_sqe_set_data64(entry, slot);
}

/* All that has ended is started again before the ring is entered, so a whole batch is one system call. The file is registered. */
void reader__run(struct reader *reader) {
  struct io_uring ring;

  bench_check(reader->depth <= ENTRIES, "--depth is at most", ENTRIES);
  floor_ring_open(&ring, ENTRIES);
  int error = io_uring_register_files(&ring, &reader->file, 1);
  bench_check(error == 0, "io_uring_register_files", error);
  bench_begin(reader->result);
  for (size_t i = 0; i < reader->depth; i++) {
    reader__start(reader, &ring, i);
  }
  while (reader->result->operations < reader->operations) {
    struct io_uring_cqe *completion;
    unsigned head;
    unsigned count = 0;
    floor_ring_wait(&ring);
    io_uring_for_each_cqe(&ring, head, completion) {
      reader__count(reader, (size_t)completion->user_data, completion->res);
      if (reader->started < reader->operations) {
        reader__start(reader, &ring, (size_t)completion->user_data);
      }
      count++;
    }
    io_uring_cq_advance(&ring, count);
  }
  bench_end(reader->result);
  io_uring_queue_exit(&ring);
}
