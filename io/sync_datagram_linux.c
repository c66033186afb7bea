/* The sync path's datagrams: one call, and where it would have to wait and may not, poll() first. */
#include "socket.h"
#include "sync_linux.h"

#include <errno.h>

/* Makes the call until it has an end that is one. `moved` is a count, or a negated errno. */
static int sync__datagram(const struct sync_call *call, enum sync_way way, struct msghdr *header, ssize_t *moved) {
  int flags = call->patient ? 0 : MSG_DONTWAIT;
  socklen_t name_length = header->msg_namelen;
  for (;;) {
    header->msg_namelen = name_length;
    *moved = way == SYNC_READ ? recvmsg(call->descriptor, header, flags) : sendmsg(call->descriptor, header, flags | MSG_NOSIGNAL);
    if (*moved >= 0)
      return PIER_OK;
    *moved = -errno;
    if (*moved == -EINTR)
      continue;
    if (*moved != -EAGAIN)
      return socket__last();
    int status = sync__await(call, way);
    if (status != PIER_OK) {
      *moved = status == PIER_ETIMEDOUT ? -ETIMEDOUT : -errno;
      return status;
    }
  }
}

static int sync__datagram_result(int status, ssize_t moved, pier_sync_result *result) {
  return sync__result(result, status, moved < 0 ? (uint32_t)-moved : 0, moved < 0 ? 0 : (size_t)moved, false);
}

static int sync__begin_datagram(pier_native native, uint64_t timeout_ns, struct sync_call *call) {
  int status = sync__begin(native, timeout_ns, call);
  return status == PIER_OK && call->kind != SYNC_DATAGRAM ? PIER_EBADF : status;
}

int pier_sync_receive_from(pier_native native, void *buffer, size_t length, uint64_t timeout_ns, pier_address *from, pier_sync_result *result) {
  struct sockaddr_storage sender = {0};
  struct sync_call call;
  struct iovec part = {buffer, length < SYNC_CALL_BYTES_MAX ? length : SYNC_CALL_BYTES_MAX};
  struct msghdr header = {.msg_name = &sender, .msg_namelen = sizeof sender, .msg_iov = &part, .msg_iovlen = 1};
  ssize_t received = 0;
  if (from)
    *from = (pier_address){0};
  int status = !buffer && length ? PIER_EINVAL : sync__begin_datagram(native, timeout_ns, &call);
  if (status != PIER_OK)
    return sync__result(result, status, 0, 0, false);
  if (!length)
    return sync__result(result, sync__await(&call, SYNC_READ), ETIMEDOUT, 0, false);
  status = sync__datagram(&call, SYNC_READ, &header, &received);
  if (status == PIER_OK && from)
    socket__address(&sender, header.msg_namelen, from);
  if (status == PIER_OK && (header.msg_flags & MSG_TRUNC))
    return sync__result(result, PIER_EMSGSIZE, EMSGSIZE, (size_t)received, false);
  return sync__datagram_result(status, received, result);
}

int pier_sync_send_to(pier_native native, const void *buffer, size_t length, const pier_address *to, uint64_t timeout_ns,
                      pier_sync_result *result) {
  struct sockaddr_storage address;
  struct sync_call call;
  struct iovec part = {(void *)(uintptr_t)buffer, length};
  struct msghdr header = {.msg_name = &address, .msg_iov = &part, .msg_iovlen = 1};
  ssize_t sent = 0;
  if ((!buffer && length) || !to || (to->family != PIER_IPV4 && to->family != PIER_IPV6) || !to->port)
    return sync__result(result, PIER_EINVAL, 0, 0, false);
  int status = sync__begin_datagram(native, timeout_ns, &call);
  if (status == PIER_OK && socket__family_of(call.descriptor) != to->family)
    status = PIER_EAFNOSUPPORT;
  if (status == PIER_OK && length > SYNC_CALL_BYTES_MAX)
    status = PIER_EMSGSIZE;
  if (status != PIER_OK)
    return sync__result(result, status, 0, 0, false);
  header.msg_namelen = socket__sockaddr(to, &address);
  status = sync__datagram(&call, SYNC_WRITE, &header, &sent);
  return sync__datagram_result(status, sent, result);
}
