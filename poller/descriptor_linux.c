#include "descriptor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

/* What a fifo that is ready takes without waiting: PIPE_BUF. */
enum { DESCRIPTOR_READY_BYTES = 4096 };

bool descriptor__is_ready(int descriptor, short events) {
  struct pollfd asked = {.fd = descriptor, .events = events};
  return poll(&asked, 1, 0) > 0;
}

ssize_t descriptor__write_quietly(int descriptor, const struct iovec *parts, int count, int flags) {
  sigset_t pipe_signal, before, pending;
  const struct timespec at_once = {0, 0};
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  ssize_t written = flags < 0 ? writev(descriptor, parts, count) : pwritev2(descriptor, parts, count, -1, flags);
  int code = errno;
  if (written < 0 && code == EPIPE && !sigismember(&pending, SIGPIPE))
    while (sigtimedwait(&pipe_signal, NULL, &at_once) < 0 && errno == EINTR) {
    }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = code;
  return written;
}

/* Not every driver knows how to say that it would wait. */
static bool descriptor__knows(ssize_t moved) { return moved >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL); }

static bool descriptor__would_wait(int descriptor, short events) {
  if (descriptor__is_ready(descriptor, events))
    return false;
  errno = EAGAIN;
  return true;
}

ssize_t descriptor__read(int descriptor, struct iovec *parts, int count) {
  ssize_t moved = preadv2(descriptor, parts, count, -1, RWF_NOWAIT);
  if (descriptor__knows(moved))
    return moved;
  return descriptor__would_wait(descriptor, POLLIN) ? -1 : readv(descriptor, parts, count);
}

ssize_t descriptor__write(int descriptor, struct iovec *parts, int count) {
  ssize_t moved = descriptor__write_quietly(descriptor, parts, count, RWF_NOWAIT);
  if (descriptor__knows(moved))
    return moved;
  if (descriptor__would_wait(descriptor, POLLOUT))
    return -1;
  /* The first part alone, and as much as surely goes. */
  struct iovec first = *parts;
  if (first.iov_len > DESCRIPTOR_READY_BYTES)
    first.iov_len = DESCRIPTOR_READY_BYTES;
  return descriptor__write_quietly(descriptor, &first, 1, -1);
}
