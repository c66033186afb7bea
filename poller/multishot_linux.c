/* What has come is received when the callback is due, into the buffer of the thread that runs it: a stream that waits has none. */
#include "multishot.h"
#include "call_linux.h"
#include "datagram.h"
#include "descriptor.h"
#include "port.h"
#include "transfer.h"
#include "trust.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static bool multishot__is_lent(const struct op *op) { return op->as.data.one.base != NULL; }

/* ---- Several datagrams in one call ---- */

enum { BATCH_DATAGRAMS = 16, BATCH_DATAGRAM_BYTES = 65536 };

/* Memory that is not used costs address space only: a datagram touches as much of its buffer as it is long. */
struct batch {
  struct mmsghdr headers[BATCH_DATAGRAMS];
  struct iovec parts[BATCH_DATAGRAMS];
  struct sockaddr_in6 from[BATCH_DATAGRAMS];
  unsigned next;
  char buffers[BATCH_DATAGRAMS][BATCH_DATAGRAM_BYTES];
};

static struct batch *batch__make(void) {
  struct batch *batch = malloc(sizeof *batch);
  for (unsigned i = 0; batch && i < BATCH_DATAGRAMS; i++) {
    batch->parts[i] = (struct iovec){batch->buffers[i], BATCH_DATAGRAM_BYTES};
    batch->headers[i].msg_hdr =
        (struct msghdr){.msg_iov = &batch->parts[i], .msg_iovlen = 1, .msg_name = &batch->from[i], .msg_namelen = sizeof batch->from[i]};
  }
  return batch;
}

static struct batch *batch__of(const struct chunk *chunk) {
  if (chunk->batch && !*chunk->batch)
    *chunk->batch = batch__make();
  return chunk->batch ? *chunk->batch : NULL;
}

static ssize_t batch__receive(struct op *op, struct batch *batch, struct chunk *chunk) {
  int received = recvmmsg((int)op->handle->native, batch->headers, BATCH_DATAGRAMS, MSG_DONTWAIT, NULL);
  if (received <= 0)
    return -1;
  for (int i = 0; i < received; i++) /* what else the call has written is read, or always the same */
    batch->headers[i].msg_hdr.msg_namelen = sizeof batch->from[i];
  batch->next = 0;
  chunk->left = (unsigned)received;
  port__receive_next(op, chunk);
  return (ssize_t)chunk->bytes;
}

void port__receive_next(struct op *op, struct chunk *chunk) {
  struct batch *batch = *chunk->batch;
  unsigned i = batch->next++;
  chunk->left--;
  chunk->data = batch->buffers[i];
  chunk->bytes = batch->headers[i].msg_len;
  memcpy(op->as.datagram.address, &batch->from[i], sizeof batch->from[i]);
}

/* ---- One call ---- */

static ssize_t multishot__move_datagrams(struct op *op, struct chunk *chunk, int *flags) {
  struct iovec part = {chunk->buffer, chunk->room_bytes};
  struct batch *batch = batch__of(chunk);
  return batch ? batch__receive(op, batch, chunk) : datagram__move(op, &part, 1, flags);
}

static ssize_t multishot__read(const struct handle *handle, const struct chunk *chunk, int *flags) {
  struct iovec part = {chunk->buffer, chunk->room_bytes};
  *flags = MSG_CTRUNC; /* a fifo's ends of packets do not show at all */
  return descriptor__read((int)handle->native, &part, 1);
}

static ssize_t multishot__move(struct op *op, struct chunk *chunk, int *flags) {
  struct handle *handle = op->handle;
  chunk->data = chunk->buffer;
  if (handle->slot.kind == PIER_KIND_TCP)
    return call__recv((int)handle->native, chunk->buffer, chunk->room_bytes, MSG_DONTWAIT);
  if (handle->slot.kind == PIER_KIND_UDP)
    return multishot__move_datagrams(op, chunk, flags);
  return handle->slot.flags & HANDLE_SOCKET ? trust__receive(handle, chunk->buffer, chunk->room_bytes, flags) : multishot__read(handle, chunk, flags);
}

/* Nothing of it goes on after an end or a failure, whatever that would mean to a single call. */
static enum receive multishot__over(struct op *op, const struct piece *piece) {
  bool end = port__is_end(piece->code);
  op->ready.code = end ? 0 : piece->code;
  op__mark(op, end ? OP_SETTLED | OP_END : OP_SETTLED);
  op->handle->poller->backend->end(op);
  return RECEIVE_OVER;
}

enum receive port__receive(struct op *op, struct chunk *chunk) {
  struct piece piece = {ECANCELED, 0};
  ssize_t moved;
  int flags = 0;
  if (multishot__is_lent(op))
    return multishot__received(op, chunk);
  if (op__asked_to_end(op) != PIER_OK || handle__is_closing(op->handle))
    return multishot__over(op, &piece);
  poller__count(op->handle->poller, COUNTER_SYSTEM_CALLS, 1);
  do
    moved = multishot__move(op, chunk, &flags);
  while (moved < 0 && errno == EINTR);
  bool waits = moved < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  bool datagrams = op->handle->slot.kind == PIER_KIND_UDP;
  bool is_short = !datagrams && (size_t)moved < chunk->room_bytes && !(flags & MSG_CTRUNC);
  op->system[MULTISHOT_DRAINED] = waits ? DRAINED_SURELY : is_short ? DRAINED_LIKELY : DRAINED_NOT;
  chunk->more = moved == (ssize_t)chunk->room_bytes && !datagrams;
  if (waits)
    return RECEIVE_NOTHING;
  if (moved > 0 || (moved == 0 && datagrams)) {
    chunk->bytes = (size_t)moved;
    return RECEIVE_CHUNK;
  }
  transfer__read(op, moved < 0 ? -errno : moved, chunk->room_bytes, &piece);
  return multishot__over(op, &piece);
}

void port__resume(struct op *op, const struct chunk *chunk) {
  (void)chunk;
  if (multishot__is_lent(op)) {
    if (op->bytes == op->as.data.one.length)
      multishot__grow(op);
    multishot__start_again(op);
  } else {
    op->handle->poller->backend->resume(op);
  }
}
