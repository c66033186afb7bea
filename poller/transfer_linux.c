#include "transfer.h"
#include "call_linux.h"
#include "datagram.h"
#include "descriptor.h"
#include "message.h"
#include "socket.h"
#include "trust.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int transfer__descriptor(const struct op *op) { return (int)op->handle->native; }

unsigned transfer__parts(const struct op *op, struct iovec *parts, size_t *bytes) {
  const struct op_data *data = &op->as.data;
  unsigned count = 0;
  size_t done = data->part_done;
  size_t room_bytes = OP_PIECE_BYTES_MAX;
  for (uint32_t part = data->part; part < data->count && room_bytes && count < TRANSFER_PARTS_MAX; part++, done = 0) {
    size_t left = data->parts[part].length - done;
    if (left > room_bytes)
      left = room_bytes;
    parts[count++] = (struct iovec){(char *)data->parts[part].base + done, left};
    room_bytes -= left;
  }
  *bytes = OP_PIECE_BYTES_MAX - room_bytes;
  if (!count)
    parts[count++] = (struct iovec){NULL, 0};
  return count;
}

void transfer__read(struct op *op, int64_t result, size_t asked_bytes, struct piece *piece) {
  *piece = (struct piece){0, 0};
  bool reads = op->slot.kind == OP_READ;
  bool pipes = op->handle->slot.kind == PIER_KIND_PIPE || op->handle->slot.kind == PIER_KIND_MESSAGE_PIPE;
  bool datagrams = op->handle->slot.kind == PIER_KIND_UDP;
  if (result > 0)
    piece->bytes = (uint32_t)result;
  else if (result < 0)
    /* A pipe whose other end was closed before it had read everything has ended like any other. */
    piece->code = reads && pipes && result == -ECONNRESET ? TRANSFER_END
                  : result == -EBADF                      ? EACCES /* it is open, but not for this */
                                                          : (uint32_t)-result;
  else if (reads && asked_bytes && !datagrams)
    piece->code = TRANSFER_END;
}

/* ---- Streams ---- */

/* *flags: what recvmsg() says beside the count. */
static ssize_t transfer__socket(struct op *op, struct iovec *parts, unsigned count, int *flags) {
  struct msghdr header = {.msg_iov = parts, .msg_iovlen = count};
  int descriptor = transfer__descriptor(op);
  if (op->handle->slot.kind == PIER_KIND_UDP)
    return datagram__move(op, parts, count, flags);
  if (op->slot.kind == OP_WRITE)
    return count == 1 ? call__send(descriptor, parts->iov_base, parts->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
                      : sendmsg(descriptor, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count == 1 && op->handle->slot.kind == PIER_KIND_TCP)
    return call__recv(descriptor, parts->iov_base, parts->iov_len, MSG_DONTWAIT);
  ssize_t received = recvmsg(descriptor, &header, MSG_DONTWAIT);
  *flags = header.msg_flags;
  return received;
}

static ssize_t transfer__other(const struct op *op, struct iovec *parts, unsigned count) {
  int descriptor = transfer__descriptor(op);
  return op->slot.kind == OP_WRITE ? descriptor__write(descriptor, parts, (int)count) : descriptor__read(descriptor, parts, (int)count);
}

static enum transfer transfer__message(struct op *op, struct iovec *parts, unsigned count, size_t asked_bytes, struct piece *piece) {
  bool writes = op->slot.kind == OP_WRITE;
  int descriptor = transfer__descriptor(op);
  struct message message = writes ? message__send(descriptor, parts, count) : message__receive(descriptor, parts, count);
  if (message.code == EAGAIN)
    return TRANSFER_WAITS;
  *piece = (struct piece){message.end && asked_bytes ? TRANSFER_END : message.code, message.bytes};
  return TRANSFER_DONE;
}

/* Whether a read that was short has emptied it. A local socket's also ends where descriptors or another sender begin, which shows
   as control data without room; a fifo's at the end of a packet, which does not show. */
static bool transfer__is_emptied(const struct handle *handle, int flags) {
  bool local = handle->slot.kind == PIER_KIND_PIPE && (handle->slot.flags & HANDLE_SOCKET);
  return handle->slot.kind == PIER_KIND_TCP || (local && !(flags & MSG_CTRUNC));
}

/* Most operations have one part: the long array is kept off their stack frame. */
static enum transfer transfer__data_in(struct op *op, struct iovec *parts, struct piece *piece) {
  size_t asked_bytes;
  unsigned count = transfer__parts(op, parts, &asked_bytes);
  const struct handle *handle = op->handle;
  bool reads = op->slot.kind == OP_READ;
  ssize_t moved;
  int flags = 0;
  if (reads && !asked_bytes) {
    /* Nothing is taken; it says when there is something. */
    if (!descriptor__is_ready(transfer__descriptor(op), POLLIN))
      return TRANSFER_WAITS;
    *piece = (struct piece){0, 0};
    return TRANSFER_DONE;
  }
  if (handle->slot.kind == PIER_KIND_MESSAGE_PIPE)
    return transfer__message(op, parts, count, asked_bytes, piece);
  do
    moved = handle->slot.flags & HANDLE_SOCKET ? transfer__socket(op, parts, count, &flags) : transfer__other(op, parts, count);
  while (moved < 0 && errno == EINTR);
  if (moved < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return TRANSFER_WAITS;
  transfer__read(op, moved < 0 ? -errno : moved, asked_bytes, piece);
  if (handle->slot.kind == PIER_KIND_UDP && moved >= 0 && (flags & MSG_TRUNC))
    piece->code = EMSGSIZE;
  return reads && moved > 0 && (size_t)moved < asked_bytes && transfer__is_emptied(handle, flags) ? TRANSFER_DRAINED : TRANSFER_DONE;
}

static enum transfer transfer__vector(struct op *op, struct piece *piece) {
  struct iovec parts[TRANSFER_PARTS_MAX];
  return transfer__data_in(op, parts, piece);
}

/* A stream's single part, which is nearly all that is ever moved over one: without an array of parts. */
static bool transfer__is_plain(const struct op *op) {
  const struct handle *handle = op->handle;
  const struct op_data *data = &op->as.data;
  bool plain = handle->slot.kind == PIER_KIND_TCP || handle->slot.kind == PIER_KIND_PIPE;
  return plain && (handle->slot.flags & HANDLE_SOCKET) && data->count == 1 && data->part == 0 && data->parts->length - data->part_done - 1 < OP_PIECE_BYTES_MAX;
}

static enum transfer transfer__plain(struct op *op, struct piece *piece) {
  struct op_piece asked = op__piece(op);
  int descriptor = transfer__descriptor(op);
  bool reads = op->slot.kind == OP_READ;
  int flags = 0;
  ssize_t moved;
  do
    moved = !reads                                     ? call__send(descriptor, asked.base, asked.bytes, MSG_DONTWAIT | MSG_NOSIGNAL)
            : op->handle->slot.kind == PIER_KIND_PIPE ? trust__receive(op->handle, asked.base, asked.bytes, &flags)
                                                      : call__recv(descriptor, asked.base, asked.bytes, MSG_DONTWAIT);
  while (moved < 0 && errno == EINTR);
  if (moved > 0) {
    *piece = (struct piece){0, (uint32_t)moved};
    return reads && (size_t)moved < asked.bytes && !(flags & MSG_CTRUNC) ? TRANSFER_DRAINED : TRANSFER_DONE;
  }
  if (moved < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return TRANSFER_WAITS;
  transfer__read(op, moved < 0 ? -errno : moved, asked.bytes, piece);
  return TRANSFER_DONE;
}

static enum transfer transfer__data(struct op *op, struct piece *piece) {
  struct iovec one;
  if (transfer__is_plain(op))
    return transfer__plain(op, piece);
  return op->as.data.count <= 1 ? transfer__data_in(op, &one, piece) : transfer__vector(op, piece);
}

/* ---- Connections ---- */

static enum transfer transfer__accept(struct op *op, uintptr_t *accepted, struct piece *piece) {
  int listener = transfer__descriptor(op);
  /* One that its owner opened may block, whoever is to close it. */
  if (!(op->handle->slot.flags & HANDLE_OURS) && !descriptor__is_ready(listener, POLLIN))
    return TRANSFER_WAITS;
  int descriptor;
  do
    descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return TRANSFER_WAITS;
  *piece = (struct piece){descriptor < 0 ? (uint32_t)errno : 0, 0};
  *accepted = descriptor < 0 ? PIER_NATIVE_NONE : (uintptr_t)descriptor;
  return TRANSFER_DONE;
}

/* Asked again while it goes on, connect() says how far it is, and at its end how it went. */
static enum transfer transfer__connect(struct op *op, struct piece *piece) {
  struct sockaddr_storage address;
  socklen_t length = socket__sockaddr(&op->as.connect.address, &address);
  bool again = op->system[0] != 0;
  op->system[0] = 1;
  int result = connect(transfer__descriptor(op), (const struct sockaddr *)&address, length);
  int code = result ? errno : 0;
  if (code == EINPROGRESS || code == EALREADY || code == EINTR)
    return TRANSFER_WAITS;
  if (again && code == EISCONN)
    code = 0;
  *piece = (struct piece){(uint32_t)code, 0};
  return TRANSFER_DONE;
}

enum transfer transfer__try(struct op *op, struct piece *piece) {
  poller__count(op->handle->poller, COUNTER_SYSTEM_CALLS, 1);
  switch ((enum op_code)op->slot.kind) {
  case OP_READ:
  case OP_WRITE:
    return transfer__data(op, piece);
  case OP_ACCEPT:
    return transfer__accept(op, &op->as.accept.socket, piece);
  case OP_PIPE_ACCEPT:
    return transfer__accept(op, &op->as.pipe_accept.socket, piece);
  case OP_CONNECT:
    return transfer__connect(op, piece);
  case OP_SHUTDOWN:
    *piece = (struct piece){shutdown(transfer__descriptor(op), SHUT_WR) ? (uint32_t)errno : 0, 0};
    return TRANSFER_DONE;
  case OP_OPEN:
  case OP_LOAD:
  case OP_IOCTL:
  case OP_WORK:
  case OP_FOREIGN:
    break; /* never come here */
  }
  *piece = (struct piece){ENOSYS, 0};
  return TRANSFER_DONE;
}

bool transfer__is_particular(const struct op *op) {
  const struct handle *handle = op->handle;
  if (op->slot.kind != OP_READ && op->slot.kind != OP_WRITE)
    return false;
  if (handle->slot.kind == PIER_KIND_MESSAGE_PIPE || handle->slot.kind == PIER_KIND_UDP)
    return true;
  return handle->slot.kind == PIER_KIND_PIPE && !(handle->slot.flags & HANDLE_SOCKET) && op->slot.kind == OP_WRITE;
}

/* ---- On a worker ---- */

static void transfer__ioctl(struct op *op, struct piece *piece) {
  struct op_ioctl *control = &op->as.ioctl;
  /* One argument for both ways: what goes in is put where the answer is to come. */
  void *argument = control->output_bytes ? control->output : (void *)(uintptr_t)control->input;
  if (control->output_bytes && control->input_bytes)
    for (size_t i = 0; i < control->input_bytes && i < control->output_bytes; i++)
      ((char *)control->output)[i] = ((const char *)control->input)[i];
  int result;
  do
    result = ioctl(transfer__descriptor(op), control->code, argument);
  while (result < 0 && errno == EINTR);
  *piece = (struct piece){result < 0 ? (uint32_t)errno : 0, result < 0 ? 0 : (uint32_t)control->output_bytes};
}

static void transfer__block_data(struct op *op, struct iovec *parts, struct piece *piece) {
  size_t asked_bytes;
  int count = (int)transfer__parts(op, parts, &asked_bytes);
  int descriptor = transfer__descriptor(op);
  bool writes = op->slot.kind == OP_WRITE;
  off_t offset = (off_t)(op->as.data.offset + op->bytes);
  bool positions = op->handle->slot.kind == PIER_KIND_FILE;
  ssize_t moved;
  do {
    if (positions)
      moved = writes ? pwritev(descriptor, parts, count, offset) : preadv(descriptor, parts, count, offset);
    else
      moved = writes ? descriptor__write_quietly(descriptor, parts, count, -1) : readv(descriptor, parts, count);
  } while (moved < 0 && errno == EINTR);
  transfer__read(op, moved < 0 ? -errno : moved, asked_bytes, piece);
}

static void transfer__block_vector(struct op *op, struct piece *piece) {
  struct iovec parts[TRANSFER_PARTS_MAX];
  transfer__block_data(op, parts, piece);
}

void transfer__block(struct op *op, struct piece *piece) {
  poller__count(op->handle->poller, COUNTER_SYSTEM_CALLS, 1);
  struct iovec one;
  if (op->slot.kind == OP_IOCTL)
    transfer__ioctl(op, piece);
  else if (op->slot.kind != OP_READ && op->slot.kind != OP_WRITE)
    *piece = (struct piece){ENOSYS, 0};
  else if (op->as.data.count <= 1)
    transfer__block_data(op, &one, piece);
  else
    transfer__block_vector(op, piece);
}
