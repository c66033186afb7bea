/* Writing here and now, without an operation. */
#include "loop.h"
#include "pier_io.h"

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
  struct poller *poller = poller__of(id, ID_HANDLE);
  struct handle *handle = NULL;
  if (!written || (!buffer && length))
    return PIER_EINVAL;
  *written = 0;
  int status = poller ? handle__enter(poller, id, &handle) : PIER_EBADF;
  if (status != PIER_OK)
    return status;
  status = try_write__on(handle, buffer, length, written);
  handle__leave(handle);
  return status;
}
