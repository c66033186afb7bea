/* Handles that were not opened for overlapped I/O: plain calls, on worker threads. */
#include "iocp.h"

void port__block(struct op *op, struct piece *piece) {
  if (op__is(op, OP_AWAITED)) {
    inside__await(op, piece);
    return;
  }
  struct op_piece asked = op__piece(op);
  const struct handle *handle = op->handle;
  HANDLE native = iocp__native(handle);
  OVERLAPPED position = {0};
  OVERLAPPED *overlapped = NULL;
  DWORD bytes = 0;
  if (handle->slot.kind == PIER_KIND_FILE) {
    /* On a handle that blocks this is a position and nothing else: the call returns when it is done. */
    uint64_t offset = op->slot.kind == OP_WRITE && (handle->slot.flags & HANDLE_APPENDS) ? UINT64_MAX : asked.offset;
    position.Offset = (DWORD)offset;
    position.OffsetHigh = (DWORD)(offset >> 32);
    overlapped = &position;
  }
  BOOL succeeded = FALSE;
  if (op->slot.kind == OP_READ)
    succeeded = ReadFile(native, asked.base, asked.bytes, &bytes, overlapped);
  else if (op->slot.kind == OP_WRITE)
    succeeded = WriteFile(native, asked.base, asked.bytes, &bytes, overlapped);
  else if (op->slot.kind == OP_IOCTL)
    succeeded = DeviceIoControl(native, op->as.ioctl.code, (void *)op->as.ioctl.input, (DWORD)op->as.ioctl.input_bytes, op->as.ioctl.output,
                                (DWORD)op->as.ioctl.output_bytes, &bytes, NULL);
  else
    SetLastError(ERROR_INVALID_FUNCTION);
  piece->code = succeeded ? 0 : GetLastError();
  piece->bytes = bytes;
}

void port__interrupt(struct op *op, struct thread *thread) {
  (void)op;
  CancelSynchronousIo((HANDLE)thread->native);
}
