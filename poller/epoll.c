/* The epoll backend: readiness, where io_uring is missing or forbidden. */
#include "epoll.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* No handle's id either. */
#define EPOLL_TICK_KEY ((uint64_t)2)

static int epoll__set(const struct poller *poller) { return (int)poller->port; }

static int epoll__open(struct poller *poller, uint32_t threads) {
  (void)threads; /* one set for all */
  struct port_common *common = calloc(1, sizeof *common);
  if (!common)
    return PIER_ENOMEM;
  port_common__open(common);
  common->tick = -1;
  common->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  /* Edge-triggered and never read: each write to it is an edge, and one call less. */
  struct epoll_event wake = {.events = EPOLLIN | EPOLLET, .data.u64 = PORT_WAKE_KEY};
  int set = epoll_create1(EPOLL_CLOEXEC);
  if (common->wake >= 0 && set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, common->wake, &wake) == 0) {
    poller->port = (uintptr_t)set;
    poller->system = common;
    return PIER_OK;
  }
  int status = pier_error_from_system((uint32_t)errno);
  if (set >= 0)
    close(set);
  if (common->wake >= 0)
    close(common->wake);
  port_common__close(common);
  free(common);
  return status;
}

static void epoll__close(struct poller *poller) {
  close(epoll__set(poller));
  close(port_common__of(poller)->wake);
  if (port_common__of(poller)->tick >= 0)
    close(port_common__of(poller)->tick);
  port_common__close(port_common__of(poller));
  free(poller->system);
}

static int epoll__control(struct handle *handle, int action, int descriptor, uint32_t events) {
  struct poller *poller = handle->poller;
  struct epoll_event event = {.events = events, .data.u64 = handle__id(handle)};
  poller__count(poller, COUNTER_SYSTEM_CALLS, 1);
  return epoll_ctl(epoll__set(poller), action, descriptor, &event) ? errno : 0;
}

uint32_t epoll__watch(struct handle *handle, bool room) {
  uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLET | (room ? EPOLLOUT : 0u);
  bool added = handle->watch & WATCH_ADDED;
  int code = epoll__control(handle, added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, handle->watched, events);
  if (code == EEXIST) {
    /* The same descriptor is registered twice: the set tells them apart only by another number for it. */
    int duplicate = dup(handle->watched);
    if (duplicate < 0)
      return (uint32_t)errno;
    code = epoll__control(handle, EPOLL_CTL_ADD, duplicate, events);
    if (code)
      close(duplicate);
    else
      handle->watched = duplicate;
  }
  if (!code)
    handle->watch = (handle->watch & ~(uint32_t)WATCH_ROOM) | WATCH_ADDED | (room ? WATCH_ROOM : 0u);
  return (uint32_t)code;
}

void epoll__unwatch(struct handle *handle) {
  if (handle->watch & WATCH_ADDED)
    epoll__control(handle, EPOLL_CTL_DEL, handle->watched, 0);
  if (handle->watched != (int32_t)handle->native)
    close(handle->watched);
  handle->watched = (int32_t)handle->native;
  handle->watch = 0;
}

static int epoll__associate(struct handle *handle) {
  struct mutex *lock = port_common__lock(handle);
  mutex__lock(lock);
  /* What Pier opened can be watched, and is from the first time that somebody waits for it: a connection that has its request with it and
     is closed after the answer never is. Of others it is found out now. */
  uint32_t code = handle->slot.flags & HANDLE_OURS ? 0 : epoll__watch(handle, false);
  if (!code)
    handle->watch |= WATCH_READ | WATCH_WRITE;
  mutex__unlock(lock);
  return pier_error_from_system(code);
}

static void epoll__disassociate(struct handle *handle) {
  struct mutex *lock = port_common__lock(handle);
  mutex__lock(lock);
  epoll__unwatch(handle);
  mutex__unlock(lock);
}

/* Closing takes a descriptor out of the set, unless it has duplicates, which Pier's own have not. */
static void epoll__forget(struct handle *handle) {
  if (!(handle->slot.flags & HANDLE_OURS)) {
    epoll__disassociate(handle);
    return;
  }
  if (handle->slot.kind == PIER_KIND_FILE)
    return; /* no set takes it */
  struct mutex *lock = port_common__lock(handle);
  mutex__lock(lock);
  handle->watch = 0; /* an event that was dequeued before finds nothing to do */
  mutex__unlock(lock);
}

static void epoll__wake(struct poller *poller) {
  eventfd_write(port_common__of(poller)->wake, 1); /* fails when it is full, and then it is readable all the same */
}

static void epoll__host(struct poller *poller) { (void)poller; /* all is in the set, for whoever waits */ }
static void epoll__flush(struct poller *poller) { (void)poller; /* each call is one of the system's */ }

/* ---- A tick ---- */

/* Made for the first one, under the lock of who is noted. Each expiry is an edge, so it is never read. */
static bool epoll__make_tick(struct poller *poller) {
  struct port_common *common = port_common__of(poller);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = EPOLL_TICK_KEY};
  if (common->tick >= 0)
    return true;
  int tick = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (tick >= 0 && epoll_ctl(epoll__set(poller), EPOLL_CTL_ADD, tick, &event) == 0) {
    common->tick = tick;
    return true;
  }
  if (tick >= 0)
    close(tick);
  return false;
}

static bool epoll__arm(struct poller *poller) {
  struct itimerspec in = {.it_value = {.tv_nsec = TRUST_TICK_NS}};
  return epoll__make_tick(poller) && timerfd_settime(port_common__of(poller)->tick, 0, &in, NULL) == 0;
}

/* ---- Waiting ---- */

int epoll__call(int set, struct epoll_event *events, int max, uint64_t timeout_ns) {
  static _Atomic bool coarse; /* before Linux 5.11 */
  if (timeout_ns == 0 || timeout_ns == UINT64_MAX)
    return epoll_wait(set, events, max, timeout_ns ? -1 : 0);
  if (!coarse) {
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000 & INT32_MAX), .tv_nsec = (long)(timeout_ns % 1000000000)};
    int count = epoll_pwait2(set, events, max, &timeout, NULL);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM))
      return count;
    coarse = true;
  }
  uint64_t rounded_up_ms = timeout_ns / 1000000 + 1;
  return epoll_wait(set, events, max, rounded_up_ms < INT32_MAX ? (int)rounded_up_ms : INT32_MAX);
}

static size_t epoll__wait(struct poller *poller, pier_packet *packets, size_t max, uint64_t timeout_ns) {
  struct epoll_event events[PORT_BATCH];
  (void)packets;
  (void)max;
  port_common__drain(poller);
  int count = epoll__call(epoll__set(poller), events, PORT_BATCH, port__has_due(poller) ? 0 : timeout_ns);
  if (count <= 0)
    return 0; /* the time was up, or a signal came: the caller looks at the clock */
  size_t wakes = 0;
  bool tick = false;
  for (int i = 0; i < count; i++) {
    if (events[i].data.u64 == PORT_WAKE_KEY) {
      atomic_store_explicit(&poller->wake_posted, 0, memory_order_seq_cst);
      wakes++;
    } else if (events[i].data.u64 == EPOLL_TICK_KEY) {
      tick = true;
      wakes++;
    } else {
      epoll__event(poller, events[i].data.u64, events[i].events);
    }
  }
  if (tick) /* last: what has just come is known then */
    trust__tick(poller);
  poller__count_batch(poller, (size_t)count - wakes);
  return 0;
}

const struct port_backend epoll_backend = {
    .name = "epoll",
    .blocking_files = true,
    .non_blocking = true,
    .open = epoll__open,
    .close = epoll__close,
    .associate = epoll__associate,
    .disassociate = epoll__disassociate,
    .submit = epoll__submit,
    .cancel = epoll__cancel,
    .cancel_all = epoll__cancel_all,
    .wait = epoll__wait,
    .wake = epoll__wake,
    .flush = epoll__flush,
    .host = epoll__host,
    .post = port_common__post,
    .resume = epoll__resume,
    .end = epoll__end,
    .arm = epoll__arm,
    .look = epoll__look,
    .forget = epoll__forget,
};
