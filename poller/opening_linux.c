#include "opening.h"
#include "at_once.h"
#include "piece.h"
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

void opening__took(struct op *op, int64_t result, struct piece *piece) {
  *piece = (struct piece){result < 0 ? (uint32_t)-result : 0, 0};
  if (result >= 0)
    op->as.open.descriptor = (int32_t)result;
}

pier_handle opening__finish(struct op *op) {
  struct handle *handle = op->handle;
  handle->native = (uintptr_t)op->as.open.descriptor;
  handle->watched = op->as.open.descriptor;
  at_once__opened(handle, op->as.open.flags);
  return handle__id(handle);
}

/* ---- Calls ---- */

/* Whether a worker's call would say the same. It may be that a sandbox forbids this one, that the system is too old for it (before Linux
   5.12), or that the file has to be asked for. */
bool opening__is_final(int code) {
  return code != EAGAIN && code != EINTR && code != ENOSYS && code != EPERM && code != EINVAL && code != E2BIG;
}

int opening__try(struct poller *poller, const char *path, int flags) {
  static _Atomic bool unknown; /* before Linux 5.6 */
  /* Not to wait for a fifo's other end, or for a device. */
  struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_NONBLOCK), .resolve = RESOLVE_CACHED};
  errno = ENOSYS;
  if (atomic_load_explicit(&unknown, memory_order_relaxed))
    return -1;
  poller__count(poller, COUNTER_SYSTEM_CALLS, 1);
  int descriptor = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
  if (descriptor < 0 && errno == ENOSYS)
    atomic_store_explicit(&unknown, true, memory_order_relaxed);
  return descriptor;
}

bool opening__at_once(struct op *op) {
  struct piece piece;
  const struct port_backend *backend = op->handle->poller->backend;
  int flags = op->as.open.flags;
  if (backend->gathers && backend->gathers(op->handle))
    return false; /* openings go to a ring together, but not if another thread would have to be woken for that */
  if (flags & (O_CREAT | O_TRUNC))
    return false;
  int descriptor = opening__try(op->handle->poller, op->as.open.path, flags);
  if (descriptor < 0 && !opening__is_final(errno))
    return false;
  if (descriptor >= 0)
    fcntl(descriptor, F_SETFL, flags); /* nobody has asked for it to stay so */
  opening__took(op, descriptor < 0 ? -errno : descriptor, &piece);
  return !op__progress(op, &piece);
}

int opening__wait(struct poller *poller, const char *path, int flags) {
  int descriptor;
  poller__count(poller, COUNTER_SYSTEM_CALLS, 1);
  do
    descriptor = open(path, flags, OPENING_MODE);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

void opening__block(struct op *op, struct piece *piece) {
  int descriptor = opening__wait(op->handle->poller, op->as.open.path, op->as.open.flags);
  opening__took(op, descriptor < 0 ? -errno : descriptor, piece);
}
