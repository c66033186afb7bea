/* The sync path's datagrams. Address, length and flags are on the frame of the call, which does not end before the kernel is done. */
#include "sync.h"

#include "winsock.h"

#include <string.h>

static struct sync_outcome sync__receive_from(const struct sync_call *call, WSABUF *buffer, struct sockaddr_storage *sender) {
  OVERLAPPED overlapped;
  int sender_length = sizeof *sender;
  DWORD flags = buffer->len > 0 ? 0 : MSG_PEEK; /* a receive of nothing takes nothing */

  sync__prepare(call, &overlapped, 0);
  int failed = WSARecvFrom((SOCKET)call->file, buffer, 1, NULL, &flags, (struct sockaddr *)sender, &sender_length, &overlapped, NULL);
  return sync__finish(call, &overlapped, failed != 0 ? (DWORD)WSAGetLastError() : ERROR_SUCCESS);
}

static int sync__begin_datagram(pier_native native, uint64_t timeout_ns, struct sync_call *call) {
  int status = winsock__start();

  return status == PIER_OK ? sync__begin(native, timeout_ns, call) : status;
}

int pier_sync_receive_from(pier_native native, void *buffer, size_t length, uint64_t timeout_ns, pier_address *from, pier_sync_result *result) {
  struct sync_call call;
  struct sockaddr_storage sender = {0};
  WSABUF part = {.len = length < SYNC_CALL_BYTES_MAX ? (ULONG)length : SYNC_CALL_BYTES_MAX, .buf = buffer};

  if (from != NULL) {
    memset(from, 0, sizeof *from);
  }
  int status = buffer == NULL && length > 0 ? PIER_EINVAL : sync__begin_datagram(native, timeout_ns, &call);
  if (status != PIER_OK) {
    return sync__result(result, status, 0, 0, false);
  }
  struct sync_outcome outcome = sync__receive_from(&call, &part, &sender);
  if (length == 0) {
    return sync__result(result, outcome.status == PIER_EMSGSIZE ? PIER_OK : outcome.status, outcome.system_code, 0, false);
  }
  if (from != NULL && (outcome.status == PIER_OK || outcome.status == PIER_EMSGSIZE)) {
    (void)winsock__address((const struct sockaddr *)&sender, (int)sizeof sender, from);
  }
  return sync__result(result, outcome.status, outcome.system_code, outcome.bytes, false);
}

/* Winsock has several codes for an address of another family; asked only when a call has failed, so that the others pay nothing. */
static bool sync__is_of_family(SOCKET socket, int family) {
  const struct winsock_provider *provider = NULL;

  return winsock__provider(socket, &provider) != PIER_OK || provider->family == family;
}

int pier_sync_send_to(pier_native native, const void *buffer, size_t length, const pier_address *to, uint64_t timeout_ns,
                      pier_sync_result *result) {
  struct sync_call call;
  struct sockaddr_storage address;
  OVERLAPPED overlapped;
  WSABUF part = {.len = (ULONG)length, .buf = (char *)(uintptr_t)buffer};

  if ((buffer == NULL && length > 0) || to == NULL || (to->family != PIER_IPV4 && to->family != PIER_IPV6) || to->port == 0) {
    return sync__result(result, PIER_EINVAL, 0, 0, false);
  }
  int status = sync__begin_datagram(native, timeout_ns, &call);
  if (status == PIER_OK && length > SYNC_CALL_BYTES_MAX) {
    status = PIER_EMSGSIZE;
  }
  if (status != PIER_OK) {
    return sync__result(result, status, 0, 0, false);
  }
  int address_length = winsock__sockaddr(to, &address);
  sync__prepare(&call, &overlapped, 0);
  int failed = WSASendTo((SOCKET)call.file, &part, 1, NULL, 0, (const struct sockaddr *)&address, address_length, &overlapped, NULL);
  struct sync_outcome outcome = sync__finish(&call, &overlapped, failed != 0 ? (DWORD)WSAGetLastError() : ERROR_SUCCESS);
  if (outcome.status != PIER_OK && !sync__is_of_family((SOCKET)call.file, address.ss_family)) {
    outcome.status = PIER_EAFNOSUPPORT;
  }
  return sync__result(result, outcome.status, outcome.system_code, outcome.bytes, false);
}
