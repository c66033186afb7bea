#include "io_request.h"
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

/* An address that datagrams of this handle can go to. */
static int io__check_address(const struct handle *handle, const pier_address *to) {
  if (!to || (to->family != PIER_IPV4 && to->family != PIER_IPV6) || to->port == 0)
    return PIER_EINVAL;
  return to->family == handle->slot.detail ? PIER_OK : PIER_EAFNOSUPPORT;
}

static int io__check(const struct handle *handle, const struct io_request *request, size_t *length_bytes) {
  const pier_buffer *parts = request->vectored ? request->parts : &request->one;
  pier_kind kind = (pier_kind)handle->slot.kind;
  if (kind == PIER_KIND_TCP_LISTENER || kind == PIER_KIND_PIPE_LISTENER)
    return PIER_EBADF;
  if (request->addressed && (kind != PIER_KIND_UDP || !(handle->slot.flags & HANDLE_SOCKET)))
    return PIER_EBADF;
  if (request->positioned && kind != PIER_KIND_FILE)
    return PIER_ESPIPE;
  if (request->count > PIER_PARTS_MAX || (!parts && request->count) || !io__sum(parts, request->count, length_bytes))
    return PIER_EINVAL;
  if (request->positioned && (request->offset < 0 || *length_bytes > (uint64_t)INT64_MAX - (uint64_t)request->offset))
    return PIER_EINVAL;
  if (request->code == OP_WRITE && kind == PIER_KIND_UDP && *length_bytes > OP_PIECE_BYTES_MAX)
    return PIER_EMSGSIZE; /* before it is split, as other long writes are */
  return request->addressed && request->code == OP_WRITE ? io__check_address(handle, request->to) : PIER_OK;
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

static bool io__must_gather(const struct handle *handle, const struct io_request *request) {
  if (request->code != OP_WRITE || request->count < 2 || (handle->slot.flags & HANDLE_SOCKET))
    return false;
  return handle->slot.kind != PIER_KIND_FILE || (handle->slot.flags & HANDLE_APPENDS);
}

/* Where a file is read or written. Its own position moves on at once, by the whole length, so that the next call goes on from there. */
static void io__place(struct op *op, const struct io_request *request, size_t length_bytes) {
  struct handle *handle = op->handle;
  if (request->positioned) {
    op__mark(op, OP_POSITIONED);
    op->as.data.offset = (uint64_t)request->offset;
  } else if (handle->slot.kind == PIER_KIND_FILE && !(request->code == OP_WRITE && (handle->slot.flags & HANDLE_APPENDS))) {
    op__mark(op, OP_SEQUENTIAL);
    op->as.data.offset = atomic_fetch_add(&handle->position, length_bytes);
  }
}

pier_operation io__submit(pier_handle id, const struct io_request *request, pier_callback callback, void *context) {
  pier_operation operation;
  size_t length_bytes = 0;
  struct op *op = loop__begin(id, request->code, callback, context, &operation);
  if (!op)
    return operation;
  struct handle *handle = op->handle;
  struct op_data *data = &op->as.data;
  *data = (struct op_data){.parts = request->parts, .one = request->one, .count = (uint32_t)request->count};
  if (!request->vectored)
    data->parts = &data->one;
  int status = io__check(handle, request, &length_bytes);
  if (status == PIER_OK && io__must_gather(handle, request) && !io__gather(op, length_bytes))
    status = PIER_ENOMEM;
  if (status != PIER_OK)
    return loop__refuse(op, status);
  if (request->addressed)
    port__set_address(op, request->to);
  io__place(op, request, length_bytes);
  return loop__launch(handle->poller->loop, op, request->deadline_ns);
}

pier_operation pier_read(pier_handle handle, void *buffer, size_t length, uint64_t deadline_ns, pier_callback callback, void *context) {
  struct io_request request = {.code = OP_READ, .count = 1, .one = {buffer, length}, .deadline_ns = deadline_ns};
  return io__submit(handle, &request, callback, context);
}

pier_operation pier_write(pier_handle handle, const void *buffer, size_t length, uint64_t deadline_ns, pier_callback callback, void *context) {
  struct io_request request = {.code = OP_WRITE, .count = 1, .one = {(void *)buffer, length}, .deadline_ns = deadline_ns};
  return io__submit(handle, &request, callback, context);
}

pier_operation pier_read_at(pier_handle handle, void *buffer, size_t length, int64_t offset, uint64_t deadline_ns, pier_callback callback,
                            void *context) {
  struct io_request request = {
      .code = OP_READ, .count = 1, .one = {buffer, length}, .offset = offset, .positioned = true, .deadline_ns = deadline_ns};
  return io__submit(handle, &request, callback, context);
}

pier_operation pier_write_at(pier_handle handle, const void *buffer, size_t length, int64_t offset, uint64_t deadline_ns, pier_callback callback,
                             void *context) {
  struct io_request request = {
      .code = OP_WRITE, .count = 1, .one = {(void *)buffer, length}, .offset = offset, .positioned = true, .deadline_ns = deadline_ns};
  return io__submit(handle, &request, callback, context);
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
