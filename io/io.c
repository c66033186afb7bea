#include "io_request.h"
#include "read_multishot.h"
#include <stdlib.h>
#include <string.h>

static bool io__sum(const pier_buffer *parts, size_t count, size_t *length_bytes) {
  size_t sum = 0;
  for (size_t i = 0; i < count; i++) {
    if (!parts[i].base && parts[i].length)
      return false;
    if (parts[i].length > SIZE_MAX / 2 - sum)
      return false;
    sum += parts[i].length;
  }
  *length_bytes = sum;
  return true;
}

/* An address that datagrams can go to. */
static int io__check_address(const pier_address *to) {
  return to && (to->family == PIER_IPV4 || to->family == PIER_IPV6) && to->port != 0 ? PIER_OK : PIER_EINVAL;
}

/* What can be said without the handle. */
static int io__check(const struct io_request *request, size_t *length_bytes) {
  const pier_buffer *parts = request->vectored ? request->parts : &request->one;
  if (request->count > PIER_PARTS_MAX || (!parts && request->count) || !io__sum(parts, request->count, length_bytes))
    return PIER_EINVAL;
  if (request->positioned && (request->offset < 0 || *length_bytes > (uint64_t)INT64_MAX - (uint64_t)request->offset))
    return PIER_EINVAL;
  return request->addressed && request->code == OP_WRITE ? io__check_address(request->to) : PIER_OK;
}

static inline int io__check_kind(const struct op *op) {
  pier_kind kind = (pier_kind)op->handle->slot.kind;
  if (kind == PIER_KIND_FILE) /* which takes all but datagrams, and is asked most */
    return op__is(op, OP_ADDRESSED) ? PIER_EBADF : PIER_OK;
  if (kind == PIER_KIND_TCP_LISTENER || kind == PIER_KIND_PIPE_LISTENER)
    return PIER_EBADF;
  if (op__is(op, OP_ADDRESSED) && (kind != PIER_KIND_UDP || !(op->handle->slot.flags & HANDLE_SOCKET)))
    return PIER_EBADF;
  return op__is(op, OP_POSITIONED) && kind != PIER_KIND_FILE ? PIER_ESPIPE : PIER_OK;
}

/* A datagram's length and address. */
static int io__check_datagram(const struct op *op, size_t length_bytes) {
  pier_address to;
  if (op->slot.kind != OP_WRITE || op->handle->slot.kind != PIER_KIND_UDP)
    return PIER_OK;
  if (length_bytes > OP_PIECE_BYTES_MAX)
    return PIER_EMSGSIZE; /* before it is split, as other long writes are */
  if (!op__is(op, OP_ADDRESSED))
    return PIER_OK;
  port__sender(op, &to);
  return to.family == op->handle->slot.detail ? PIER_OK : PIER_EAFNOSUPPORT;
}

/* Several parts as one copy, where the system takes one buffer a call and nothing may come in between: a message, or the end of
   a file that others append to, or a pipe that others write to. */
static bool io__gather(struct op *op, size_t length_bytes) {
  struct op_data *data = &op->as.data;
  char *copy = malloc(length_bytes ? length_bytes : 1);
  if (!copy)
    return false;
  data->one = (pier_buffer){copy, length_bytes};
  for (uint32_t part = 0; part < data->count; part++) {
    if (data->parts[part].length)
      memcpy(copy, data->parts[part].base, data->parts[part].length);
    copy += data->parts[part].length;
  }
  data->parts = &data->one;
  data->count = 1;
  op__mark(op, OP_GATHERED);
  return true;
}

static bool io__must_gather(const struct op *op) {
  const struct handle *handle = op->handle;
  if (op->slot.kind != OP_WRITE || op->as.data.count < 2 || (handle->slot.flags & HANDLE_SOCKET))
    return false;
  return handle->slot.kind != PIER_KIND_FILE || (handle->slot.flags & HANDLE_APPENDS);
}

/* Where a file is read or written. Its own position moves on at once, by the whole length, so that the next call goes on from there. */
static void io__place(struct op *op, size_t length_bytes) {
  struct handle *handle = op->handle;
  if (op__is(op, OP_POSITIONED) || handle->slot.kind != PIER_KIND_FILE || (op->slot.kind == OP_WRITE && (handle->slot.flags & HANDLE_APPENDS)))
    return;
  op__mark(op, OP_SEQUENTIAL);
  op->as.data.offset = atomic_fetch_add(&handle->position, length_bytes);
}

/* What depends on the handle's kind. */
static int io__prepare(struct op *op, size_t length_bytes) {
  int status = io__check_datagram(op, length_bytes);
  if (status != PIER_OK)
    return status;
  if (io__must_gather(op) && !io__gather(op, length_bytes))
    return PIER_ENOMEM;
  io__place(op, length_bytes);
  return PIER_OK;
}

static int io__admit_transfer(struct op *op) {
  size_t length_bytes = 0;
  if (op__is_multishot(op))
    return read_multishot__admit(op);
  int status = io__check_kind(op);
  if (status == PIER_OK && !io__sum(op->as.data.parts, op->as.data.count, &length_bytes))
    status = PIER_EINVAL;
  return status == PIER_OK ? io__prepare(op, length_bytes) : status;
}

int io__admit(struct op *op) {
  pier_kind kind = (pier_kind)op->handle->slot.kind;
  switch ((enum op_code)op->slot.kind) {
  case OP_READ:
  case OP_WRITE:
    return io__admit_transfer(op);
  case OP_ACCEPT:
    return kind == PIER_KIND_TCP_LISTENER ? PIER_OK : PIER_EBADF;
  case OP_SHUTDOWN:
    return kind == PIER_KIND_TCP ? PIER_OK : PIER_EBADF;
  case OP_WORK: /* of a handle: a file's */
    return kind == PIER_KIND_FILE ? PIER_OK : PIER_EBADF;
  case OP_IOCTL:
    return PIER_OK;
  case OP_CONNECT:
  case OP_PIPE_ACCEPT:
  case OP_OPEN:
  case OP_LOAD:
  case OP_FOREIGN:
    break; /* not on a registered handle */
  }
  return PIER_EBADF;
}

pier_operation io__submit(pier_handle id, const struct io_request *request, pier_callback callback, void *context) {
  pier_operation operation;
  size_t length_bytes = 0;
  struct op *op = loop__begin(id, request->code, callback, context, &operation);
  if (!op)
    return operation;
  struct op_data *data = &op->as.data;
  bool gated = op__is_gated(op); /* otherwise all is known, and said at once */
  *data = (struct op_data){.parts = request->parts, .one = request->one, .offset = (uint64_t)request->offset, .count = (uint32_t)request->count};
  if (!request->vectored)
    data->parts = &data->one;
  if (request->positioned)
    op__mark(op, OP_POSITIONED);
  if (request->addressed)
    port__set_address(op, NULL);
  int status = gated ? PIER_OK : io__check_kind(op);
  if (status == PIER_OK)
    status = io__check(request, &length_bytes);
  if (status == PIER_OK && request->to)
    port__set_address(op, request->to);
  if (status == PIER_OK && !gated)
    status = io__prepare(op, length_bytes);
  if (status != PIER_OK)
    return loop__refuse(op, status);
  return loop__launch(op->handle->poller->loop, op, request->deadline_ns);
}

/* One buffer, and no address: what is called most. The same as io__submit() without what the other forms need; `offset` counts if
   `marks` has OP_POSITIONED. */
static pier_operation io__submit_one(pier_handle id, enum op_code code, pier_buffer one, unsigned marks, int64_t offset, uint64_t deadline_ns,
                                     pier_callback callback, void *context) {
  pier_operation operation;
  struct op *op = loop__begin(id, code, callback, context, &operation);
  if (!op)
    return operation;
  struct op_data *data = &op->as.data;
  *data = (struct op_data){.parts = &data->one, .one = one, .offset = (uint64_t)offset, .count = 1};
  op__mark(op, marks);
  bool gated = op__is_gated(op);
  int status = gated ? PIER_OK : io__check_kind(op);
  if (status == PIER_OK && ((!one.base && one.length) || one.length > SIZE_MAX / 2))
    status = PIER_EINVAL;
  if (status == PIER_OK && marks && (offset < 0 || one.length > (uint64_t)INT64_MAX - (uint64_t)offset))
    status = PIER_EINVAL;
  if (status == PIER_OK && !gated && !marks) /* what is positioned is a file's, and has its place */
    status = io__prepare(op, one.length);
  if (status != PIER_OK)
    return loop__refuse(op, status);
  return loop__launch(op->handle->poller->loop, op, deadline_ns);
}

pier_operation pier_read(pier_handle handle, void *buffer, size_t length, uint64_t deadline_ns, pier_callback callback, void *context) {
  return io__submit_one(handle, OP_READ, (pier_buffer){buffer, length}, 0, 0, deadline_ns, callback, context);
}

pier_operation pier_write(pier_handle handle, const void *buffer, size_t length, uint64_t deadline_ns, pier_callback callback, void *context) {
  return io__submit_one(handle, OP_WRITE, (pier_buffer){(void *)buffer, length}, 0, 0, deadline_ns, callback, context);
}

pier_operation pier_read_at(pier_handle handle, void *buffer, size_t length, int64_t offset, uint64_t deadline_ns, pier_callback callback,
                            void *context) {
  return io__submit_one(handle, OP_READ, (pier_buffer){buffer, length}, OP_POSITIONED, offset, deadline_ns, callback, context);
}

pier_operation pier_write_at(pier_handle handle, const void *buffer, size_t length, int64_t offset, uint64_t deadline_ns, pier_callback callback,
                             void *context) {
  return io__submit_one(handle, OP_WRITE, (pier_buffer){(void *)buffer, length}, OP_POSITIONED, offset, deadline_ns, callback, context);
}

pier_operation pier_readv(pier_handle handle, const pier_buffer *parts, size_t count, uint64_t deadline_ns, pier_callback callback, void *context) {
  struct io_request request = {.code = OP_READ, .vectored = true, .parts = parts, .count = count, .deadline_ns = deadline_ns};
  return io__submit(handle, &request, callback, context);
}

pier_operation pier_writev(pier_handle handle, const pier_buffer *parts, size_t count, uint64_t deadline_ns, pier_callback callback, void *context) {
  struct io_request request = {.code = OP_WRITE, .vectored = true, .parts = parts, .count = count, .deadline_ns = deadline_ns};
  return io__submit(handle, &request, callback, context);
}

pier_operation pier_readv_at(pier_handle handle, const pier_buffer *parts, size_t count, int64_t offset, uint64_t deadline_ns, pier_callback callback,
                             void *context) {
  struct io_request request = {
      .code = OP_READ, .vectored = true, .parts = parts, .count = count, .offset = offset, .positioned = true, .deadline_ns = deadline_ns};
  return io__submit(handle, &request, callback, context);
}

pier_operation pier_writev_at(pier_handle handle, const pier_buffer *parts, size_t count, int64_t offset, uint64_t deadline_ns,
                              pier_callback callback, void *context) {
  struct io_request request = {
      .code = OP_WRITE, .vectored = true, .parts = parts, .count = count, .offset = offset, .positioned = true, .deadline_ns = deadline_ns};
  return io__submit(handle, &request, callback, context);
}
