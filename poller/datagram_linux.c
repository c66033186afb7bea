#include "datagram.h"
#include "piece.h"
#include "socket.h"

#include <errno.h>
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
  socket__address(op->as.datagram.address, sizeof(struct sockaddr_in6), from);
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

/* ---- Several at once ---- */

enum { DATAGRAM_BATCH = 32 };

/* What one call takes in. */
struct datagram_batch {
  struct op *ops[DATAGRAM_BATCH];
  struct mmsghdr headers[DATAGRAM_BATCH];
  struct iovec parts[DATAGRAM_BATCH];
};

/* One buffer, with room in it. Others are served alone when their turn comes. */
static bool datagram__is_plain(const struct op *op) {
  const struct op_data *data = &op->as.data;
  return !op__is(op, OP_SETTLED) && !op__is_multishot(op) && data->count == 1 && data->parts->length > 0 && data->parts->length <= OP_PIECE_BYTES_MAX;
}

static unsigned datagram__gather(const struct lane *lane, struct datagram_batch *batch) {
  unsigned count = 0;
  for (struct ready *ready = lane->waiting.first; ready && count < DATAGRAM_BATCH; ready = ready->next) {
    struct op *op = op__of_ready(ready);
    if (!datagram__is_plain(op))
      break;
    bool addressed = op__is(op, OP_ADDRESSED);
    batch->ops[count] = op;
    batch->parts[count] = (struct iovec){op->as.data.parts->base, op->as.data.parts->length};
    batch->headers[count].msg_hdr = (struct msghdr){.msg_iov = &batch->parts[count],
                                                    .msg_iovlen = 1,
                                                    .msg_name = addressed ? op->as.datagram.address : NULL,
                                                    .msg_namelen = addressed ? sizeof op->as.datagram.address : 0};
    count++;
  }
  return count;
}

static void datagram__settle(struct op *op, uint32_t code, uint32_t bytes) {
  struct piece piece = {code, bytes};
  CHECK(!op__progress(op, &piece)); /* a datagram is one call */
}

bool datagram__serve_ahead(struct handle *handle) {
  struct datagram_batch batch;
  unsigned count = datagram__gather(&handle->lanes[0], &batch);
  if (count < 2)
    return true;
  poller__count(handle->poller, COUNTER_SYSTEM_CALLS, 1);
  int received = recvmmsg((int)handle->native, batch.headers, count, MSG_DONTWAIT, NULL);
  for (int i = 0; i < received; i++)
    datagram__settle(batch.ops[i], batch.headers[i].msg_hdr.msg_flags & MSG_TRUNC ? EMSGSIZE : 0, batch.headers[i].msg_len);
  if (received >= 0)
    return received == (int)count;
  if (errno == EAGAIN)
    return false;
  if (errno != EINTR) /* the answer of a closed port, which is told once: to the next in line */
    datagram__settle(batch.ops[0], (uint32_t)errno, 0);
  return true;
}
