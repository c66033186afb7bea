#include "sleeper.h"
#include "waker.h"

#include "ring.h"

#include "../common/bench.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ENTRIES 8
#define NANOSECONDS UINT64_C(1000000000)

struct floor_sleeper {
  struct io_uring ring;
  int event;
};

/* A multishot poll that is edge-triggered sees every write, so the counter never has to be read. A message from ring to ring does the same
 * in a call less, but takes longer: it queues work for the other task, which the other task has to run. */
static void sleeper__watch(struct floor_sleeper *sleeper) {
  io_uring_prep_poll_multishot(floor_ring_entry(&sleeper->ring), sleeper->event, POLLIN | EPOLLET);
}

struct floor_sleeper *floor_sleeper_open(void) {
  struct floor_sleeper *sleeper = bench_allocate(1, sizeof *sleeper);

  floor_ring_open(&sleeper->ring, ENTRIES);
  sleeper->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  bench_check(sleeper->event >= 0, "eventfd", errno);
  sleeper__watch(sleeper);
  int submitted = io_uring_submit(&sleeper->ring);
  bench_check(submitted == 1, "io_uring_submit", submitted);
  return sleeper;
}

void floor_sleeper_close(struct floor_sleeper *sleeper) {
  io_uring_queue_exit(&sleeper->ring);
  close(sleeper->event);
  bench_release(sleeper);
}

void floor_sleeper_rouse(struct floor_sleeper *sleeper) {
  uint64_t one = 1;
  ssize_t written = write(sleeper->event, &one, sizeof one);
  bench_check(written == (ssize_t)sizeof one, "write to an eventfd", errno);
}

static void sleeper__reap(struct floor_sleeper *sleeper) {
  struct io_uring_cqe *completion;
  unsigned head;
  unsigned count = 0;
  bool watched = true;

  io_uring_for_each_cqe(&sleeper->ring, head, completion) {
    count++;
    bench_check(completion->res >= 0, "poll", completion->res);
    watched = watched && (completion->flags & IORING_CQE_F_MORE) != 0;
  }
  io_uring_cq_advance(&sleeper->ring, count);
  if (!watched) {
    sleeper__watch(sleeper);
  }
}

bool floor_sleeper_sleep(struct floor_sleeper *sleeper, uint64_t timeout_ns) {
  struct __kernel_timespec timeout = {.tv_sec = (long long)(timeout_ns / NANOSECONDS), .tv_nsec = (long long)(timeout_ns % NANOSECONDS)};
  struct io_uring_cqe *completion;
  int submitted = io_uring_submit_and_wait_timeout(&sleeper->ring, &completion, 1, timeout_ns == FLOOR_NO_TIMEOUT ? NULL : &timeout, NULL);

  /* A debugger that attaches ends the wait. */
  bench_check(submitted >= 0 || submitted == -ETIME || submitted == -EINTR, "io_uring_submit_and_wait_timeout", submitted);
  sleeper__reap(sleeper);
  return submitted != -ETIME;
}
