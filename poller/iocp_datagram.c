/* Datagrams. Address, its length and flags are in the slot: the kernel writes to them when one has come, which may be long after
   the call. */
#include "iocp.h"

_Static_assert(sizeof(struct sockaddr_in6) <= sizeof(((struct op_datagram *)0)->address), "an address fits into the slot");
_Static_assert(sizeof(DWORD) == sizeof(((struct op_datagram *)0)->flags), "the flags are Winsock's");

void port__set_address(struct op *op, const pier_address *to) {
  struct op_datagram *datagram = &op->as.datagram;
  struct sockaddr_storage address;
  memset(datagram->address, 0, sizeof datagram->address);
  op__mark(op, OP_ADDRESSED);
  if (!to)
    return;
  datagram->address_bytes = winsock__sockaddr(to, &address);
  memcpy(datagram->address, &address, (size_t)datagram->address_bytes);
}

void port__sender(const struct op *op, pier_address *from) {
  const struct op_datagram *datagram = &op->as.datagram;
  winsock__address((const struct sockaddr *)(const void *)datagram->address, sizeof datagram->address, from);
}

static int datagram__receive(struct op *op, WSABUF *buffers, DWORD count, OVERLAPPED *overlapped, DWORD *received) {
  struct op_datagram *datagram = &op->as.datagram;
  /* A read of nothing says that there is one, and takes nothing. */
  bool asks_only = op__piece(op).bytes == 0;
  bool addressed = op__is(op, OP_ADDRESSED) && !asks_only;
  datagram->flags = asks_only ? MSG_PEEK : 0;
  datagram->address_bytes = sizeof datagram->address;
  return WSARecvFrom((SOCKET)op->handle->native, buffers, count, received, (DWORD *)&datagram->flags,
                     addressed ? (struct sockaddr *)(void *)datagram->address : NULL, addressed ? (INT *)&datagram->address_bytes : NULL,
                     overlapped, NULL);
}

static int datagram__send(struct op *op, WSABUF *buffers, DWORD count, OVERLAPPED *overlapped, DWORD *sent) {
  const struct op_datagram *datagram = &op->as.datagram;
  bool addressed = op__is(op, OP_ADDRESSED);
  return WSASendTo((SOCKET)op->handle->native, buffers, count, sent, 0, addressed ? (const struct sockaddr *)(const void *)datagram->address : NULL,
                   addressed ? datagram->address_bytes : 0, overlapped, NULL);
}

static int datagram__call(struct op *op, WSABUF *buffers, DWORD count, OVERLAPPED *overlapped, DWORD *bytes) {
  return op->slot.kind == OP_READ ? datagram__receive(op, buffers, count, overlapped, bytes) : datagram__send(op, buffers, count, overlapped, bytes);
}

int iocp__call_datagram(struct op *op, WSABUF *buffers, DWORD count) {
  return datagram__call(op, buffers, count, iocp__overlapped(op), NULL);
}

void iocp__block_datagram(struct op *op, struct piece *piece) {
  WSABUF buffers[1024];
  DWORD bytes = 0;
  DWORD count = iocp__wsabufs(op, buffers);
  int failed = datagram__call(op, buffers, count, NULL, &bytes);
  piece->code = failed ? (uint32_t)WSAGetLastError() : 0;
  piece->bytes = !failed || piece->code == WSAEMSGSIZE ? bytes : 0;
}
