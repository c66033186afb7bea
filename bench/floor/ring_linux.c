#include "ring.h"

#include "../common/bench.h"

#include <errno.h>

#define COMPLETIONS_FOR_ENTRY 4

void floor_ring_open(struct io_uring *ring, unsigned entries) {
  struct io_uring_params parameters = {
      .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
      .cq_entries = entries * COMPLETIONS_FOR_ENTRY,
  };
  int error = io_uring_queue_init_params(entries, ring, &parameters);
  bench_check(error == 0, "io_uring_queue_init (6.1 or later is needed)", error);
  error = io_uring_register_ring_fd(ring);
  bench_check(error == 1, "io_uring_register_ring_fd", error);
}

struct io_uring_sqe *floor_ring_entry(struct io_uring *ring) {
  struct io_uring_sqe *entry = io_uring_get_sqe(ring);

  if (entry == NULL) {
    int submitted = io_uring_submit(ring);
    bench_check(submitted > 0, "io_uring_submit", submitted);
    entry = io_uring_get_sqe(ring);
    bench_check(entry != NULL, "no room in the ring", submitted);
  }
  return entry;
}

void floor_ring_wait(struct io_uring *ring) {
  int submitted = io_uring_submit_and_wait(ring, 1);
  bench_check(submitted >= 0 || submitted == -EINTR, "io_uring_submit_and_wait", submitted);
}
