#include "sync.h"

#include "winsock.h"

#include <string.h>

/* ConnectEx wants a bound socket; one that is bound already says so and stays as it is. */
static int sync__bind(SOCKET socket, int family, uint32_t *system_code) {
  struct sockaddr_storage any;

  memset(&any, 0, sizeof any);
  ((struct sockaddr *)&any)->sa_family = (u_short)family;
  int length = family == AF_INET6 ? (int)sizeof(struct sockaddr_in6) : (int)sizeof(struct sockaddr_in);
  if (bind(socket, (const struct sockaddr *)&any, length) != 0) {
    uint32_t code = (uint32_t)WSAGetLastError();
    if (code != WSAEINVAL) {
      *system_code = code;
      return pier_error_from_system(code);
    }
  }
  return PIER_OK;
}

static int sync__connect(const struct sync_call *call, const pier_address *address, uint32_t *system_code) {
  const struct winsock_provider *provider;
  struct sockaddr_storage to;
  SOCKET socket = (SOCKET)call->file;
  OVERLAPPED overlapped;
  int to_length = winsock__sockaddr(address, &to);

  int status = winsock__provider(socket, &provider);
  if (status != PIER_OK) {
    return status;
  }
  if (provider->connect_ex == NULL) {
    return PIER_ENOTSUP;
  }
  if (provider->family != to.ss_family) {
    return PIER_EAFNOSUPPORT;
  }
  status = sync__bind(socket, provider->family, system_code);
  if (status != PIER_OK) {
    return status;
  }
  sync__prepare(call, &overlapped, 0);
  BOOL done = provider->connect_ex(socket, (const struct sockaddr *)&to, to_length, NULL, 0, NULL, &overlapped);
  struct sync_outcome outcome = sync__finish(call, &overlapped, done ? ERROR_SUCCESS : (DWORD)WSAGetLastError());
  *system_code = outcome.system_code;
  if (outcome.status == PIER_OK && setsockopt(socket, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0) != 0) {
    *system_code = (uint32_t)WSAGetLastError();
    return pier_error_from_system(*system_code);
  }
  return outcome.status;
}

int pier_sync_connect(pier_native socket, const pier_address *address, uint64_t timeout_ns, pier_sync_result *result) {
  struct sync_call call;
  uint32_t system_code = 0;

  if (address == NULL || (address->family != PIER_IPV4 && address->family != PIER_IPV6)) {
    return sync__result(result, PIER_EINVAL, 0, 0, false);
  }
  int status = sync__begin(socket, timeout_ns, &call);
  if (status == PIER_OK) {
    status = sync__connect(&call, address, &system_code);
  }
  return sync__result(result, status, system_code, 0, false);
}

/* One AcceptEx. The addresses that it writes, each with 16 bytes to spare as its documentation asks, are on this frame. */
static int sync__accept_once(const struct sync_call *call, const struct winsock_provider *provider, SOCKET *accepted, uint32_t *system_code) {
  enum { ADDRESS_BYTES = sizeof(struct sockaddr_storage) + 16 };
  char addresses[2 * ADDRESS_BYTES];
  SOCKET listener = (SOCKET)call->file;
  OVERLAPPED overlapped;
  DWORD received = 0;

  int status = winsock__open_like(provider, accepted, system_code);
  if (status != PIER_OK) {
    return status;
  }
  sync__prepare(call, &overlapped, 0);
  BOOL done = provider->accept_ex(listener, *accepted, addresses, 0, ADDRESS_BYTES, ADDRESS_BYTES, &received, &overlapped);
  struct sync_outcome outcome = sync__finish(call, &overlapped, done ? ERROR_SUCCESS : (DWORD)WSAGetLastError());
  *system_code = outcome.system_code;
  status = outcome.status;
  if (status == PIER_OK &&
      setsockopt(*accepted, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (const char *)&listener, (int)sizeof listener) != 0) {
    *system_code = (uint32_t)WSAGetLastError();
    status = pier_error_from_system(*system_code);
  }
  if (status != PIER_OK) {
    (void)closesocket(*accepted);
  }
  return status;
}

/* A client that went away while it waited in the backlog is none of the caller's business. Wine says "not connected" of one that was
   reset; so does a socket that does not listen, and would for ever. */
static bool sync__peer_went_away(SOCKET listener, int status, uint32_t system_code) {
  BOOL listens = FALSE;
  int length = sizeof listens;
  if (status == PIER_OK || system_code != WSAENOTCONN)
    return status == PIER_ECONNRESET;
  return getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, (char *)&listens, &length) == 0 && listens;
}

int pier_sync_accept(pier_native listener, uint64_t timeout_ns, pier_native *accepted, pier_sync_result *result) {
  const struct winsock_provider *provider = NULL;
  struct sync_call call;
  uint32_t system_code = 0;
  SOCKET socket = INVALID_SOCKET;

  if (accepted == NULL) {
    return sync__result(result, PIER_EINVAL, 0, 0, false);
  }
  *accepted = PIER_NATIVE_NONE;
  int status = sync__begin(listener, timeout_ns, &call);
  if (status == PIER_OK) {
    status = winsock__provider((SOCKET)call.file, &provider);
  }
  if (status == PIER_OK && provider->accept_ex == NULL) {
    status = PIER_ENOTSUP;
  }
  if (status == PIER_OK) {
    do {
      status = sync__accept_once(&call, provider, &socket, &system_code);
    } while (sync__peer_went_away((SOCKET)call.file, status, system_code));
  }
  if (status == PIER_OK) {
    *accepted = (pier_native)socket;
  }
  return sync__result(result, status, system_code, 0, false);
}
