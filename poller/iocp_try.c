/* A write that is made here and now, as far as that goes without waiting, and is no operation. */
#include "iocp.h"

/* Only a socket that Pier opened can be made one that does not wait: for any other that would change what its owner's calls do.
   Overlapped calls are the same on both. */
static bool try__fits(struct handle *handle) {
  u_long on = 1;
  if (!(handle->slot.flags & HANDLE_OURS) || handle->slot.kind != PIER_KIND_TCP)
    return false;
  if (atomic_load_explicit(&handle->learned, memory_order_relaxed) == IOCP_NON_BLOCKING)
    return true;
  if (ioctlsocket((SOCKET)handle->native, (long)FIONBIO, &on))
    return false;
  atomic_store_explicit(&handle->learned, IOCP_NON_BLOCKING, memory_order_relaxed);
  return true;
}

int port__try_write(struct handle *handle, const void *bytes, size_t length_bytes, size_t *written_bytes) {
  WSABUF buffer = {(ULONG)length_bytes, (char *)(uintptr_t)bytes};
  DWORD sent = 0;
  /* A write that is with the kernel goes first. */
  if (atomic_load_explicit(&handle->pending[1], memory_order_seq_cst) || !try__fits(handle))
    return PIER_EAGAIN;
  poller__count(handle->poller, COUNTER_SYSTEM_CALLS, 1);
  if (WSASend((SOCKET)handle->native, &buffer, 1, &sent, 0, NULL, NULL)) {
    int code = WSAGetLastError();
    return code == WSAEWOULDBLOCK ? PIER_EAGAIN : pier_error_from_system((uint32_t)code);
  }
  *written_bytes = sent;
  return PIER_OK;
}
