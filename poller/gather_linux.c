#include "gather.h"
#include "piece.h"
#include "transfer.h"

#include <errno.h>
#include <sys/socket.h>

/* More gain little: the call itself is by then a small part of what it does. */
#define GATHER_PARTS_MAX 256

struct gathered {
  struct iovec parts[GATHER_PARTS_MAX];
  unsigned count;
  size_t bytes;
};

bool gather__fits(const struct op *op) {
  const struct handle *handle = op->handle;
  bool stream = handle->slot.kind == PIER_KIND_TCP || handle->slot.kind == PIER_KIND_PIPE;
  const struct op_data *data = &op->as.data;
  return op->slot.kind == OP_WRITE && stream && (handle->slot.flags & HANDLE_SOCKET) && data->part + 1 == data->count && op__piece(op).bytes;
}

/* From the front, for as long as they fit. */
static void gathered__take(struct gathered *gathered, const struct ready_list *waiting) {
  gathered->count = 0;
  gathered->bytes = 0;
  for (struct ready *ready = waiting->first; ready && gathered->count < GATHER_PARTS_MAX; ready = ready->next) {
    const struct op *op = op__of_ready(ready);
    if (!gather__fits(op))
      return;
    struct op_piece piece = op__piece(op);
    if (gathered->bytes + piece.bytes > OP_PIECE_BYTES_MAX)
      return;
    gathered->parts[gathered->count++] = (struct iovec){piece.base, piece.bytes};
    gathered->bytes += piece.bytes;
  }
}

static ssize_t gathered__send(struct gathered *gathered, const struct handle *handle) {
  struct msghdr header = {.msg_iov = gathered->parts, .msg_iovlen = gathered->count};
  ssize_t sent;
  poller__count(handle->poller, COUNTER_SYSTEM_CALLS, 1);
  do
    sent = sendmsg((int)handle->native, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent;
}

/* Each has its share of what went out, in their order. The one in which it ended stays, and what is behind it. */
static void gathered__share(size_t sent_bytes, struct ready_list *waiting, struct ready_list *done) {
  while (sent_bytes) {
    struct op *op = op__of_ready(waiting->first);
    size_t wanted_bytes = op__piece(op).bytes;
    struct piece piece = {0, (uint32_t)(sent_bytes < wanted_bytes ? sent_bytes : wanted_bytes)};
    sent_bytes -= piece.bytes;
    if (op__progress(op, &piece))
      return;
    ready_list__append(done, ready_list__take(waiting));
  }
}

enum gather gather__write(const struct handle *handle, struct ready_list *waiting, struct ready_list *done) {
  struct gathered gathered;
  gathered__take(&gathered, waiting);
  if (gathered.count < 2)
    return GATHER_NOTHING;
  ssize_t sent = gathered__send(&gathered, handle);
  if (sent < 0)
    return errno == EAGAIN || errno == EWOULDBLOCK ? GATHER_FULL : GATHER_NOTHING; /* whose failure it is shows when they go one by one */
  gathered__share((size_t)sent, waiting, done);
  return (size_t)sent < gathered.bytes ? GATHER_FULL : GATHER_DONE;
}
