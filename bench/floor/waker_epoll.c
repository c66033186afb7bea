#include "waker.h"

#include "../common/bench.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS UINT64_C(1000000000)
#define NANOSECONDS_IN_MS UINT64_C(1000000)

struct floor_waker {
  int set;
  int event;
};

/* Edge-triggered: every write is an edge of its own, so the counter never has to be read. */
struct floor_waker *floor_waker_open(void) {
  struct floor_waker *waker = bench_allocate(1, sizeof *waker);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET};

  waker->set = epoll_create1(EPOLL_CLOEXEC);
  bench_check(waker->set >= 0, "epoll_create1", errno);
  waker->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  bench_check(waker->event >= 0, "eventfd", errno);
  int error = epoll_ctl(waker->set, EPOLL_CTL_ADD, waker->event, &event);
  bench_check(error == 0, "epoll_ctl", errno);
  return waker;
}

void floor_waker_close(struct floor_waker *waker) {
  close(waker->event);
  close(waker->set);
  bench_release(waker);
}

void floor_waker_wake(struct floor_waker *waker) {
  uint64_t one = 1;
  ssize_t written = write(waker->event, &one, sizeof one);
  bench_check(written == (ssize_t)sizeof one, "write to an eventfd", errno);
}

/* Without epoll_pwait2 (before Linux 5.11, and in valgrind) time goes by milliseconds. */
static int waker__wait_once(const struct floor_waker *waker, uint64_t timeout_ns) {
  struct epoll_event event;
  struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / NANOSECONDS), .tv_nsec = (long)(timeout_ns % NANOSECONDS)};

  if (timeout_ns == FLOOR_NO_TIMEOUT) {
    return epoll_wait(waker->set, &event, 1, -1);
  }
  int count = epoll_pwait2(waker->set, &event, 1, &timeout, NULL);
  if (count < 0 && errno == ENOSYS) {
    count = epoll_wait(waker->set, &event, 1, (int)((timeout_ns + NANOSECONDS_IN_MS - 1) / NANOSECONDS_IN_MS));
  }
  return count;
}

/* A debugger that attaches ends the system's wait, and not this one. */
void floor_waker_wait(struct floor_waker *waker, uint64_t timeout_ns) {
  int count;

  do {
    count = waker__wait_once(waker, timeout_ns);
    bench_check(count >= 0 || errno == EINTR, "epoll_wait", errno);
  } while (count < 0);
}

void floor_waker_exchange(struct floor_waker *mine, struct floor_waker *other) {
  floor_waker_wake(other);
  floor_waker_wait(mine, FLOOR_NO_TIMEOUT);
}
