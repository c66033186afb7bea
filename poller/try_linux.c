/* A write that is made here and now, as far as that goes without waiting, and is no operation. */
#include "call_linux.h"
#include "port.h"
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

static int try__send(const struct handle *handle, const void *bytes, size_t length_bytes, size_t *written_bytes) {
  ssize_t sent;
  poller__count(handle->poller, COUNTER_SYSTEM_CALLS, 1);
  do
    sent = call__send((int)handle->native, bytes, length_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent < 0)
    return errno == EAGAIN || errno == EWOULDBLOCK ? PIER_EAGAIN : pier_error_from_system((uint32_t)errno);
  *written_bytes = (size_t)sent;
  return PIER_OK;
}

/* So many in one call; more gain little. */
#define SEND_BATCH 32u

struct sends {
  struct mmsghdr headers[SEND_BATCH];
  struct iovec parts[SEND_BATCH];
  struct sockaddr_storage addresses[SEND_BATCH];
};

/* Many often go to one: its address is put into the system's form once. */
static unsigned sends__fill(struct sends *sends, const pier_datagram *datagrams, size_t count) {
  const pier_address *to = NULL;
  struct sockaddr_storage *name = NULL;
  socklen_t name_bytes = 0;
  unsigned filled = 0;
  for (; filled < SEND_BATCH && filled < count; filled++) {
    const pier_datagram *datagram = &datagrams[filled];
    if (datagram->to != to) {
      to = datagram->to;
      name = to ? &sends->addresses[filled] : NULL;
      name_bytes = to ? socket__sockaddr(to, name) : 0;
    }
    sends->parts[filled] = (struct iovec){(void *)(uintptr_t)datagram->base, datagram->length};
    sends->headers[filled].msg_hdr =
        (struct msghdr){.msg_iov = &sends->parts[filled], .msg_iovlen = 1, .msg_name = name, .msg_namelen = name_bytes};
  }
  return filled;
}

/* What went and what stopped it: a failure is told only if nothing went. */
static int try__send_all(const struct handle *handle, const pier_datagram *datagrams, size_t count, size_t *sent_count) {
  struct sends sends;
  while (*sent_count < count) {
    unsigned filled = sends__fill(&sends, datagrams + *sent_count, count - *sent_count);
    poller__count(handle->poller, COUNTER_SYSTEM_CALLS, 1);
    int sent = sendmmsg((int)handle->native, sends.headers, filled, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent < 0 && *sent_count == 0)
      return errno == EAGAIN || errno == EWOULDBLOCK ? PIER_EAGAIN : pier_error_from_system((uint32_t)errno);
    if (sent <= 0)
      break;
    *sent_count += (unsigned)sent;
  }
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
    return errno == EAGAIN || errno == EWOULDBLOCK ? PIER_EAGAIN : pier_error_from_system((uint32_t)errno);
  *sent_count = 1;
  return PIER_OK;
}

int port__try_send(struct handle *handle, const pier_datagram *datagrams, size_t count, size_t *sent_count) {
  struct mutex *lock = port_common__lock(handle);
  int status = PIER_EAGAIN;
  mutex__lock(lock);
  if (try__is_next(handle))
    status = count == 1 ? try__send_one(handle, datagrams, sent_count) : try__send_all(handle, datagrams, count, sent_count);
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
