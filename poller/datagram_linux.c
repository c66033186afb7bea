#include "datagram.h"
#include "socket.h"

#include <netinet/in.h>
#include <string.h>

_Static_assert(sizeof(struct sockaddr_in6) <= sizeof(((struct op_datagram *)0)->address), "an address fits into the slot");

void port__set_address(struct op *op, const pier_address *to) {
  struct op_datagram *datagram = &op->as.datagram;
  struct sockaddr_storage address;
  memset(datagram->address, 0, sizeof datagram->address);
  op__mark(op, OP_ADDRESSED);
  if (!to)
    return;
  datagram->address_bytes = (int32_t)socket__sockaddr(to, &address);
  memcpy(datagram->address, &address, (size_t)datagram->address_bytes);
}

void port__sender(const struct op *op, pier_address *from) {
  struct sockaddr_storage address = {0};
  memcpy(&address, op->as.datagram.address, sizeof op->as.datagram.address);
  socket__address(&address, sizeof(struct sockaddr_in6), from);
}

ssize_t datagram__move(struct op *op, struct iovec *parts, unsigned count, int *flags) {
  struct op_datagram *datagram = &op->as.datagram;
  struct msghdr header = {.msg_iov = parts, .msg_iovlen = count};
  bool sends = op->slot.kind == OP_WRITE;
  if (op__is(op, OP_ADDRESSED)) {
    header.msg_name = datagram->address;
    header.msg_namelen = sends ? (socklen_t)datagram->address_bytes : sizeof datagram->address;
  }
  int descriptor = (int)op->handle->native;
  if (sends)
    return sendmsg(descriptor, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
  ssize_t received = recvmsg(descriptor, &header, MSG_DONTWAIT);
  *flags = header.msg_flags;
  return received;
}
