#include "sleeper.h"
#include "waker.h"

#include "../common/bench.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS UINT64_C(1000000000)
#define NANOSECONDS_IN_MS UINT64_C(1000000)

struct floor_sleeper {
  int set;
  int event;
};

/* Edge-triggered: every write is an edge of its own, so the counter never has to be read. */
struct floor_sleeper *floor_sleeper_open(void) {
  struct floor_sleeper *sleeper = bench_allocate(1, sizeof *sleeper);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET};

  sleeper->set = epoll_create1(EPOLL_CLOEXEC);
  bench_check(sleeper->set >= 0, "epoll_create1", errno);
  sleeper->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  bench_check(sleeper->event >= 0, "eventfd", errno);
  int error = epoll_ctl(sleeper->set, EPOLL_CTL_ADD, sleeper->event, &event);
  bench_check(error == 0, "epoll_ctl", errno);
  return sleeper;
}

void floor_sleeper_close(struct floor_sleeper *sleeper) {
  close(sleeper->event);
  close(sleeper->set);
  bench_release(sleeper);
}

void floor_sleeper_rouse(struct floor_sleeper *sleeper) {
  uint64_t one = 1;
  ssize_t written = write(sleeper->event, &one, sizeof one);
  bench_check(written == (ssize_t)sizeof one, "write to an eventfd", errno);
}

/* Without epoll_pwait2 (before Linux 5.11, and in valgrind) time goes by milliseconds. */
static int sleeper__wait(const struct floor_sleeper *sleeper, uint64_t timeout_ns) {
  struct epoll_event event;
  struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / NANOSECONDS), .tv_nsec = (long)(timeout_ns % NANOSECONDS)};

  if (timeout_ns == FLOOR_NO_TIMEOUT) {
    return epoll_wait(sleeper->set, &event, 1, -1);
  }
  int count = epoll_pwait2(sleeper->set, &event, 1, &timeout, NULL);
  if (count < 0 && errno == ENOSYS) {
    count = epoll_wait(sleeper->set, &event, 1, (int)((timeout_ns + NANOSECONDS_IN_MS - 1) / NANOSECONDS_IN_MS));
  }
  return count;
}

bool floor_sleeper_sleep(struct floor_sleeper *sleeper, uint64_t timeout_ns) {
  int count = sleeper__wait(sleeper, timeout_ns);

  bench_check(count >= 0 || errno == EINTR, "epoll_wait", errno); /* a debugger that attaches ends the wait */
  return count != 0;
}
