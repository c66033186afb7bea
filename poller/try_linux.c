/* A write that is made here and now, as far as that goes without waiting, and is no operation. */
#include "call_linux.h"
#include "port.h"
#include "sends.h"
#include "socket.h"
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

static int try__status(int error) {
  return error == EAGAIN || error == EWOULDBLOCK ? PIER_EAGAIN : error ? pier_error_from_system((uint32_t)error) : PIER_OK;
}

static int try__send(const struct handle *handle, const void *bytes, size_t length_bytes, size_t *written_bytes) {
  ssize_t sent;
  poller__count(handle->poller, COUNTER_SYSTEM_CALLS, 1);
  do
    sent = call__send((int)handle->native, bytes, length_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent < 0)
    return try__status(errno);
  *written_bytes = (size_t)sent;
  return PIER_OK;
}

static int try__send_one(const struct handle *handle, const pier_datagram *datagram, size_t *sent_count) {
  struct sockaddr_storage address;
  socklen_t length = datagram->to ? socket__sockaddr(datagram->to, &address) : 0;
  ssize_t sent;
  poller__count(handle->poller, COUNTER_SYSTEM_CALLS, 1);
  do
    sent = sendto((int)handle->native, datagram->base, datagram->length, MSG_DONTWAIT | MSG_NOSIGNAL,
                  datagram->to ? (const struct sockaddr *)&address : NULL, length);
  while (sent < 0 && errno == EINTR);
  if (sent < 0)
    return try__status(errno);
  *sent_count = 1;
  return PIER_OK;
}

int port__try_send(struct handle *handle, const pier_datagram *datagrams, size_t count, size_t *sent_count) {
  struct mutex *lock = port_common__lock(handle);
  int status = PIER_EAGAIN;
  mutex__lock(lock);
  if (try__is_next(handle))
    status = count == 1 ? try__send_one(handle, datagrams, sent_count) : try__status(sends__all(handle, datagrams, count, sent_count));
  mutex__unlock(lock);
  return status;
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
