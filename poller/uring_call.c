/* The calls, as io_uring wants them. */
#include "opening.h"
#include "socket.h"
#include "transfer.h"
#include "uring.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

_Static_assert(sizeof(pier_buffer) == sizeof(struct iovec), "the user's parts are the kernel's");
_Static_assert(offsetof(pier_buffer, length) == offsetof(struct iovec, iov_len), "and in the same order");
_Static_assert(sizeof(struct sockaddr_in6) <= sizeof(((struct op_connect *)0)->system_address), "an address fits into the slot");

/* The parts from the current one on that one call may move, without a copy: 0 if it has to be the rest of one part. */
static unsigned uring__parts(const struct op *op) {
  const struct op_data *data = &op->as.data;
  size_t room_bytes = OP_PIECE_BYTES_MAX;
  unsigned count = 0;
  if (data->part_done)
    return 0;
  while (data->part + count < data->count && count < TRANSFER_PARTS_MAX && data->parts[data->part + count].length <= room_bytes)
    room_bytes -= data->parts[data->part + count++].length;
  return count > 1 ? count : 0;
}

static void uring__fill_data(struct io_uring_sqe *entry, struct op *op, struct msghdr *header) {
  const struct handle *handle = op->handle;
  struct op_piece piece = op__piece(op);
  int descriptor = (int)handle->native;
  unsigned count = op->as.data.count > 1 ? uring__parts(op) : 0;
  struct iovec *parts = (struct iovec *)(void *)(uintptr_t)&op->as.data.parts[op->as.data.part];
  bool writes = op->slot.kind == OP_WRITE;
  if (handle->slot.flags & HANDLE_SOCKET) {
    /* The kernel goes on with a short send by itself. */
    unsigned flags = writes ? MSG_NOSIGNAL | MSG_WAITALL : 0;
    *header = (struct msghdr){.msg_iov = parts, .msg_iovlen = count};
    if (count && writes)
      io_uring_prep_sendmsg(entry, descriptor, header, flags);
    else if (count)
      io_uring_prep_recvmsg(entry, descriptor, header, flags);
    else if (writes)
      io_uring_prep_send(entry, descriptor, piece.base, piece.bytes, (int)flags);
    else
      io_uring_prep_recv(entry, descriptor, piece.base, piece.bytes, (int)flags);
    /* A call that would find nothing is spared. */
    if (!writes && uring__hint(handle) == HINT_EMPTY)
      entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
    return;
  }
  uint64_t offset = handle->slot.kind == PIER_KIND_FILE ? piece.offset : UINT64_MAX;
  if (count && writes)
    io_uring_prep_writev(entry, descriptor, parts, count, offset);
  else if (count)
    io_uring_prep_readv(entry, descriptor, parts, count, offset);
  else if (writes)
    io_uring_prep_write(entry, descriptor, piece.base, piece.bytes, offset);
  else
    io_uring_prep_read(entry, descriptor, piece.base, piece.bytes, offset);
  if (handle->place) {
    entry->fd = handle->place - 1;
    entry->flags |= IOSQE_FIXED_FILE;
  }
}

static void uring__fill_connect(struct io_uring_sqe *entry, struct op *op) {
  struct sockaddr_storage address;
  socklen_t length = socket__sockaddr(&op->as.connect.address, &address);
  memcpy(op->as.connect.system_address, &address, length);
  io_uring_prep_connect(entry, (int)op->handle->native, (const struct sockaddr *)(const void *)op->as.connect.system_address, length);
}

/* An accept that finds nobody has made a socket and a file in vain, which is more than the rest of it. Where others wait already nobody is there,
   so it only begins when somebody comes. Kernels from 6.10 on can do that, and those say so (IORING_FEAT_RECVSEND_BUNDLE). */
#define ACCEPTS_CAN_WAIT_FIRST (1u << 14)
#define ACCEPT_POLL_FIRST (1u << 2)

static void uring__fill_accept(struct io_uring_sqe *entry, struct op *op) {
  const struct handle *listener = op->handle;
  bool others = (atomic_load_explicit(&((struct handle *)listener)->slot.word, memory_order_relaxed) & HANDLE_FLIGHTS) > 1;
  io_uring_prep_accept(entry, (int)listener->native, NULL, NULL, SOCK_CLOEXEC);
  if (others && op->slot.kind == OP_ACCEPT && (uring__home(listener)->ring.features & ACCEPTS_CAN_WAIT_FIRST))
    entry->ioprio |= ACCEPT_POLL_FIRST;
}

/* A file's read or write of one part: what comes most. */
static bool uring__is_plain(const struct op *op) {
  return op->slot.kind <= OP_WRITE && op->handle->slot.kind == PIER_KIND_FILE && op->as.data.count == 1 && op->system[URING_PHASE] == URING_CALL;
}

static void uring__fill_plain(struct io_uring_sqe *entry, const struct op *op) {
  const struct handle *file = op->handle;
  struct op_piece piece = op__piece(op);
  int descriptor = file->place ? file->place - 1 : (int)file->native;
  if (op->slot.kind == OP_WRITE)
    io_uring_prep_write(entry, descriptor, piece.base, piece.bytes, piece.offset);
  else
    io_uring_prep_read(entry, descriptor, piece.base, piece.bytes, piece.offset);
  if (file->place)
    entry->flags |= IOSQE_FIXED_FILE;
}

void uring__fill(struct io_uring_sqe *entry, struct op *op, struct msghdr *header) {
  if (uring__is_plain(op)) {
    uring__fill_plain(entry, op);
    return;
  }
  if (op__is_multishot(op)) {
    io_uring_prep_poll_multishot(entry, (int)op->handle->native, POLLIN | POLLRDHUP);
    return;
  }
  if (op->system[URING_PHASE] == URING_POLL) {
    io_uring_prep_poll_add(entry, (int)op->handle->native, port__lane(op) ? POLLOUT : POLLIN);
    return;
  }
  switch ((enum op_code)op->slot.kind) {
  case OP_READ:
  case OP_WRITE:
    uring__fill_data(entry, op, header);
    return;
  case OP_ACCEPT:
  case OP_PIPE_ACCEPT:
    uring__fill_accept(entry, op);
    return;
  case OP_CONNECT:
    uring__fill_connect(entry, op);
    return;
  case OP_OPEN:
    io_uring_prep_openat(entry, AT_FDCWD, op->as.open.path, op->as.open.flags, OPENING_MODE);
    return;
  case OP_LOAD:
  case OP_SHUTDOWN:
  case OP_IOCTL:
  case OP_WORK:
  case OP_FOREIGN:
    break; /* never come here */
  }
  io_uring_prep_nop(entry);
}
