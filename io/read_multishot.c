#include "read_multishot.h"
#include "loop.h"
#include "pier_io.h"

int read_multishot__admit(struct op *op) {
  switch ((pier_kind)op->handle->slot.kind) {
  case PIER_KIND_TCP:
  case PIER_KIND_PIPE:
  case PIER_KIND_CONSOLE:
    return PIER_OK;
  case PIER_KIND_UDP:
    port__set_address(op, NULL); /* who sent it is told */
    return PIER_OK;
  case PIER_KIND_TCP_LISTENER:
  case PIER_KIND_PIPE_LISTENER:
    return PIER_EBADF;
  case PIER_KIND_UNKNOWN:
  case PIER_KIND_FILE:
  case PIER_KIND_MESSAGE_PIPE:
    break;
  }
  return PIER_ENOTSUP;
}

pier_operation pier_read_multishot(pier_handle id, uint64_t deadline_ns, pier_callback callback, void *context) {
  pier_operation operation;
  struct op *op = loop__begin(id, OP_READ, callback, context, &operation);
  if (!op)
    return operation;
  struct op_data *data = &op->as.data;
  *data = (struct op_data){.one = {NULL, LOCAL_CHUNK_BYTES}, .parts = &data->one, .count = 1};
  atomic_fetch_or_explicit(&op->slot.word, OP_MULTISHOT, memory_order_relaxed);
  int status = !callback ? PIER_EINVAL : op__is_gated(op) ? PIER_OK : read_multishot__admit(op);
  return status == PIER_OK ? loop__launch(op->handle->poller->loop, op, deadline_ns) : loop__refuse(op, status);
}
