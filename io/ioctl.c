#include "pier_ioctl.h"
#include "loop.h"

pier_operation pier_ioctl(pier_handle id, uint32_t code, const void *input, size_t input_bytes, void *output, size_t output_bytes,
                          uint64_t deadline_ns, pier_callback callback, void *context) {
  pier_operation operation;
  struct op *op = loop__begin(id, OP_IOCTL, callback, context, &operation);
  if (!op)
    return operation;
  struct handle *handle = op->handle;
  if ((!input && input_bytes) || (!output && output_bytes) || input_bytes > OP_PIECE_BYTES_MAX || output_bytes > OP_PIECE_BYTES_MAX)
    return loop__refuse(op, PIER_EINVAL);
  if (handle->slot.kind == PIER_KIND_PIPE_LISTENER)
    return loop__refuse(op, PIER_EBADF);
  op->as.ioctl = (struct op_ioctl){.input = input, .output = output, .input_bytes = input_bytes, .output_bytes = output_bytes, .code = code};
  return loop__launch(handle->poller->loop, op, deadline_ns);
}
