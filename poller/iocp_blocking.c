/* Handles that were not opened for overlapped I/O: plain calls, on worker threads. */
#include "iocp.h"

static BOOL iocp__block_transfer(struct op *op, DWORD *bytes) {
  struct op_piece asked = op__piece(op);
  const struct handle *handle = op->handle;
  OVERLAPPED position = {0};
  OVERLAPPED *overlapped = NULL;
  if (handle->slot.kind == PIER_KIND_FILE) {
    /* On a handle that blocks this is a position and nothing else: the call returns when it is done. */
    uint64_t offset = op->slot.kind == OP_WRITE && (handle->slot.flags & HANDLE_APPENDS) ? UINT64_MAX : asked.offset;
    position.Offset = (DWORD)offset;
    position.OffsetHigh = (DWORD)(offset >> 32);
    overlapped = &position;
  }
  return op->slot.kind == OP_READ ? ReadFile(iocp__native(handle), asked.base, asked.bytes, bytes, overlapped)
                                  : WriteFile(iocp__native(handle), asked.base, asked.bytes, bytes, overlapped);
}

static BOOL iocp__block_ioctl(struct op *op, DWORD *bytes) {
  const struct op_ioctl *ioctl = &op->as.ioctl;
  return DeviceIoControl(iocp__native(op->handle), ioctl->code, (void *)ioctl->input, (DWORD)ioctl->input_bytes, ioctl->output,
                         (DWORD)ioctl->output_bytes, bytes, NULL);
}

/* No call here promises not to wait. */
bool port__at_once(struct op *op) {
  (void)op;
  return false;
}

void port__block(struct op *op, struct piece *piece) {
  DWORD bytes = 0;
  BOOL succeeded = FALSE;
  if (op__is(op, OP_AWAITED)) {
    inside__await(op, piece);
    return;
  }
  if (op->handle->slot.kind == PIER_KIND_UDP && op->slot.kind <= OP_WRITE) {
    iocp__block_datagram(op, piece);
    return;
  }
  if (op->slot.kind == OP_READ || op->slot.kind == OP_WRITE)
    succeeded = iocp__block_transfer(op, &bytes);
  else if (op->slot.kind == OP_IOCTL)
    succeeded = iocp__block_ioctl(op, &bytes);
  else
    SetLastError(ERROR_INVALID_FUNCTION);
  piece->code = succeeded ? 0 : GetLastError();
  piece->bytes = bytes;
}

void port__interrupt(struct op *op, struct thread *thread) {
  (void)op;
  CancelSynchronousIo((HANDLE)thread->native);
}
