/* Reading and writing files, pipes and devices. */
#include "iocp.h"

/* Where a call begins: a file has positions, and its end for appending; a pipe takes none. */
static uint64_t iocp__file_offset(const struct op *op, const struct op_piece *piece) {
  const struct handle *handle = op->handle;
  if (handle->slot.kind != PIER_KIND_FILE)
    return 0;
  if (op->slot.kind == OP_WRITE && (handle->slot.flags & HANDLE_APPENDS))
    return UINT64_MAX; /* the system looks for the end while it holds the file */
  return piece->offset;
}

enum port_start iocp__transfer_file(struct op *op, struct piece *piece) {
  struct op_piece asked = op__piece(op);
  uint64_t offset = iocp__file_offset(op, &asked);
  DWORD error = 0;
  if (inside__is_trusted(op->handle))
    return inside__transfer(op, &asked, offset, piece);
  if (!iocp__begin(op, offset, &error)) {
    piece->code = error;
    return PORT_DONE;
  }
  HANDLE native = iocp__native(op->handle);
  BOOL succeeded = op->slot.kind == OP_READ ? ReadFile(native, asked.base, asked.bytes, NULL, iocp__overlapped(op))
                                            : WriteFile(native, asked.base, asked.bytes, NULL, iocp__overlapped(op));
  if (!succeeded) {
    error = GetLastError();
    if (error == ERROR_IO_PENDING)
      inside__note(op); /* still ours to look at: the submitter is a party of it */
  }
  return iocp__outcome(op, succeeded, error, piece);
}

enum port_start iocp__ioctl(struct op *op, struct piece *piece) {
  struct op_ioctl *ioctl = &op->as.ioctl;
  DWORD error = 0;
  if (!iocp__begin(op, 0, &error)) {
    piece->code = error;
    return PORT_DONE;
  }
  bool succeeded;
  DWORD *returned = (DWORD *)&ioctl->returned;
  if (op->handle->slot.flags & HANDLE_SOCKET) {
    succeeded = WSAIoctl((SOCKET)op->handle->native, ioctl->code, (void *)ioctl->input, (DWORD)ioctl->input_bytes, ioctl->output,
                         (DWORD)ioctl->output_bytes, returned, iocp__overlapped(op), NULL) == 0;
    if (!succeeded)
      error = (DWORD)WSAGetLastError();
  } else {
    succeeded = DeviceIoControl(iocp__native(op->handle), ioctl->code, (void *)ioctl->input, (DWORD)ioctl->input_bytes, ioctl->output,
                                (DWORD)ioctl->output_bytes, returned, iocp__overlapped(op)) != 0;
    if (!succeeded)
      error = GetLastError();
  }
  return iocp__outcome(op, succeeded, error, piece);
}

int iocp__adopt_file(struct poller *poller, HANDLE native, pier_kind kind, struct handle **adopted) {
  struct handle *handle = handle__acquire(poller, kind, (uintptr_t)native);
  if (!handle) {
    CloseHandle(native);
    return PIER_ENOMEM;
  }
  handle->slot.flags = HANDLE_OURS;
  if (kind == PIER_KIND_PIPE || kind == PIER_KIND_MESSAGE_PIPE)
    handle->slot.flags |= HANDLE_ORDERED;
  int status = port__associate(handle);
  if (status != PIER_OK) {
    handle__discard(handle);
    return status;
  }
  atomic_store_explicit(&handle->state, PIER_STATE_ASSOCIATED, memory_order_release);
  /* It is ours alone, so the mode is ours to set. A message pipe stays without: its reads are tagged, and the rest is rare. */
  if (kind != PIER_KIND_MESSAGE_PIPE &&
      nt()->set_file_completion_notification_modes(native, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE))
    handle->slot.flags |= HANDLE_SKIPS;
  *adopted = handle;
  return PIER_OK;
}
