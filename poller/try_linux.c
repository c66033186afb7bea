/* A write that is made here and now, as far as that goes without waiting, and is no operation. */
#include "port.h"
#include "transfer.h"

#include <errno.h>
#include <sys/socket.h>

static bool try__fits(const struct handle *handle) {
  pier_kind kind = (pier_kind)handle->slot.kind;
  return (handle->slot.flags & HANDLE_SOCKET) && (kind == PIER_KIND_TCP || kind == PIER_KIND_PIPE || kind == PIER_KIND_UDP);
}

/* Under the lock, which also keeps a write that is just submitted from coming in between. */
static bool try__is_next(const struct handle *handle) {
  const struct lane *lane = &handle->lanes[1];
  return !lane->current && !lane->waiting.first && atomic_load_explicit(&((struct handle *)handle)->pending[1], memory_order_seq_cst) == 0;
}

static int try__send(const struct handle *handle, const void *bytes, size_t length_bytes, size_t *written_bytes) {
  ssize_t sent;
  poller__count(handle->poller, COUNTER_SYSTEM_CALLS, 1);
  do
    sent = send((int)handle->native, bytes, length_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent < 0)
    return errno == EAGAIN || errno == EWOULDBLOCK ? PIER_EAGAIN : pier_error_from_system((uint32_t)errno);
  *written_bytes = (size_t)sent;
  return PIER_OK;
}

int port__try_write(struct handle *handle, const void *bytes, size_t length_bytes, size_t *written_bytes) {
  if (!try__fits(handle))
    return PIER_EAGAIN;
  struct mutex *lock = port_common__lock(handle);
  mutex__lock(lock);
  int status = try__is_next(handle) ? try__send(handle, bytes, length_bytes, written_bytes) : PIER_EAGAIN;
  mutex__unlock(lock);
  return status;
}
