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

struct floor_waker {
  struct io_uring ring;
  int event; /* for threads that have no ring to send a message from */
};

static void waker__watch(struct floor_waker *waker) {
  struct io_uring_sqe *entry = floor_ring_entry(&waker->ring);

  io_uring_prep_poll_multishot(entry, waker->event, POLLIN | EPOLLET);
  io_uring_sqe_set_data64(entry, 1);
}

/* A multishot poll that is edge-triggered sees every write, so the counter never has to be read. */
struct floor_waker *floor_waker_open(void) {
  struct floor_waker *waker = bench_allocate(1, sizeof *waker);

  floor_ring_open(&waker->ring, ENTRIES);
  waker->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  bench_check(waker->event >= 0, "eventfd", errno);
  waker__watch(waker);
  int submitted = io_uring_submit(&waker->ring);
  bench_check(submitted == 1, "io_uring_submit", submitted);
  return waker;
}

void floor_waker_close(struct floor_waker *waker) {
  io_uring_queue_exit(&waker->ring);
  close(waker->event);
  bench_release(waker);
}

void floor_waker_wake(struct floor_waker *waker) {
  uint64_t one = 1;
  ssize_t written = write(waker->event, &one, sizeof one);
  bench_check(written == (ssize_t)sizeof one, "write to an eventfd", errno);
}

static unsigned waker__reap(struct floor_waker *waker) {
  struct io_uring_cqe *completion;
  unsigned head;
  unsigned count = 0;
  bool watched = true;

  io_uring_for_each_cqe(&waker->ring, head, completion) {
    count++;
    bench_check(completion->res >= 0, "wake", completion->res);
    /* A message of another ring (0) stands alone; the poll (1) says when it needs to be started again. */
    watched = watched && (completion->user_data == 0 || (completion->flags & IORING_CQE_F_MORE) != 0);
  }
  io_uring_cq_advance(&waker->ring, count);
  if (!watched) {
    waker__watch(waker);
  }
  return count;
}

/* A debugger that attaches ends the system's wait, and not this one. */
void floor_waker_wait(struct floor_waker *waker, uint64_t timeout_ns) {
  struct __kernel_timespec timeout = {.tv_sec = (long long)(timeout_ns / NANOSECONDS), .tv_nsec = (long long)(timeout_ns % NANOSECONDS)};
  struct io_uring_cqe *completion;
  int submitted;

  do {
    submitted = io_uring_submit_and_wait_timeout(&waker->ring, &completion, 1, timeout_ns == FLOOR_NO_TIMEOUT ? NULL : &timeout, NULL);
    bench_check(submitted >= 0 || submitted == -ETIME || submitted == -EINTR, "io_uring_submit_and_wait_timeout", submitted);
  } while (waker__reap(waker) == 0 && submitted != -ETIME);
}

void floor_waker_exchange(struct floor_waker *mine, struct floor_waker *other) {
  struct io_uring_sqe *entry = floor_ring_entry(&mine->ring);

  io_uring_prep_msg_ring(entry, other->ring.ring_fd, 0, 0, 0);
  io_uring_sqe_set_flags(entry, IOSQE_CQE_SKIP_SUCCESS);
  floor_waker_wait(mine, FLOOR_NO_TIMEOUT);
}
