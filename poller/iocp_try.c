/* A write that is made here and now, as far as that goes without waiting, and is no operation. */
#include "iocp.h"

/* Only a socket that Pier opened can be made one that does not wait: for any other that would change what its owner's calls do.
   Overlapped calls are the same on both. */
bool iocp__never_waits(struct handle *handle) {
  u_long on = 1;
  if (!(handle->slot.flags & HANDLE_OURS) || (handle->slot.kind != PIER_KIND_TCP && handle->slot.kind != PIER_KIND_UDP))
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
  if (atomic_load_explicit(&handle->pending[1], memory_order_seq_cst) || !iocp__never_waits(handle))
    return PIER_EAGAIN;
  poller__count(handle->poller, COUNTER_SYSTEM_CALLS, 1);
  if (WSASend((SOCKET)handle->native, &buffer, 1, &sent, 0, NULL, NULL)) {
    int code = WSAGetLastError();
    return code == WSAEWOULDBLOCK ? PIER_EAGAIN : pier_error_from_system((uint32_t)code);
  }
  *written_bytes = sent;
  return PIER_OK;
}

static int try__send(struct handle *handle, const pier_datagram *datagram) {
  WSABUF buffer = {(ULONG)datagram->length, (char *)(uintptr_t)datagram->base};
  struct sockaddr_storage address;
  int length = datagram->to ? winsock__sockaddr(datagram->to, &address) : 0;
  DWORD sent = 0;
  poller__count(handle->poller, COUNTER_SYSTEM_CALLS, 1);
  if (!WSASendTo((SOCKET)handle->native, &buffer, 1, &sent, 0, datagram->to ? (const struct sockaddr *)&address : NULL, length, NULL, NULL))
    return PIER_OK;
  int code = WSAGetLastError();
  return code == WSAEWOULDBLOCK ? PIER_EAGAIN : pier_error_from_system((uint32_t)code);
}

int port__try_send(struct handle *handle, const pier_datagram *datagrams, size_t count, size_t *sent_count) {
  int status = PIER_OK;
  if (!iocp__never_waits(handle))
    return PIER_EAGAIN;
  while (*sent_count < count && (status = try__send(handle, &datagrams[*sent_count])) == PIER_OK)
    ++*sent_count;
  return *sent_count ? PIER_OK : status;
}
