/* Writing here and now, without an operation. */
#include "pier_io.h"
#include "visit.h"

static int try_write__on(struct handle *handle, const void *buffer, size_t length, size_t *written) {
  pier_kind kind = (pier_kind)handle->slot.kind;
  if (kind == PIER_KIND_TCP_LISTENER || kind == PIER_KIND_PIPE_LISTENER)
    return PIER_EBADF;
  /* What nobody knows yet is asked by the first operation, and that waits for the answer. */
  if (handle__is_gated(handle))
    return PIER_EAGAIN;
  return port__try_write(handle, buffer, length < OP_PIECE_BYTES_MAX ? length : OP_PIECE_BYTES_MAX, written);
}

int pier_try_write(pier_handle id, const void *buffer, size_t length, size_t *written) {
  struct visit visit;
  if (!written || (!buffer && length))
    return PIER_EINVAL;
  *written = 0;
  int status = visit__begin(&visit, id);
  if (status != PIER_OK)
    return status;
  status = try_write__on(visit.handle, buffer, length, written);
  visit__end(&visit);
  return status;
}
