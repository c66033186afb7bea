#include "winsock.h"

#include <stdatomic.h>
#include <string.h>

static INIT_ONCE winsock_once = INIT_ONCE_STATIC_INIT;
static int winsock_started; /* the status of WSAStartup */

/* Entries are only added, and the count is raised after the entry is whole: readers take no lock. */
static struct winsock_provider winsock_providers[WINSOCK_PROVIDERS_MAX];
static atomic_uint winsock_providers_count;
static SRWLOCK winsock_providers_lock = SRWLOCK_INIT;

/* For sockets of the library's own: by family (0: IPv4, 1: IPv6) and type (0: stream, 1: datagram). */
static _Atomic(const struct winsock_provider *) winsock_own[2][2];

static BOOL CALLBACK winsock__start_once(INIT_ONCE *once, void *parameter, void **context) {
  WSADATA data;

  (void)once;
  (void)parameter;
  (void)context;
  winsock_started = pier_error_from_system((uint32_t)WSAStartup(MAKEWORD(2, 2), &data));
  return TRUE;
}

int winsock__start(void) {
  (void)InitOnceExecuteOnce(&winsock_once, winsock__start_once, NULL, NULL);
  return winsock_started;
}

/* `function` is the address of a function pointer, which is left null if the provider has no such function. */
static void winsock__extension(SOCKET socket, GUID id, void *function, DWORD function_bytes) {
  DWORD bytes = 0;

  if (WSAIoctl(socket, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, function, function_bytes, &bytes, NULL, NULL) != 0) {
    memset(function, 0, function_bytes);
  }
}

static void winsock__fill(SOCKET socket, const WSAPROTOCOL_INFOW *info, struct winsock_provider *provider) {
  const GUID accept_ex = WSAID_ACCEPTEX;
  const GUID connect_ex = WSAID_CONNECTEX;
  const GUID get_accept_ex_sockaddrs = WSAID_GETACCEPTEXSOCKADDRS;
  const GUID disconnect_ex = WSAID_DISCONNECTEX;
  const GUID recv_msg = WSAID_WSARECVMSG;
  const GUID transmit_file = WSAID_TRANSMITFILE;

  provider->catalog_entry = info->dwCatalogEntryId;
  provider->family = info->iAddressFamily;
  provider->type = info->iSocketType;
  provider->protocol = info->iProtocol;
  provider->ifs_handles = (info->dwServiceFlags1 & XP1_IFS_HANDLES) != 0;
  winsock__extension(socket, accept_ex, &provider->accept_ex, sizeof provider->accept_ex);
  winsock__extension(socket, connect_ex, &provider->connect_ex, sizeof provider->connect_ex);
  winsock__extension(socket, get_accept_ex_sockaddrs, &provider->get_accept_ex_sockaddrs, sizeof provider->get_accept_ex_sockaddrs);
  winsock__extension(socket, disconnect_ex, &provider->disconnect_ex, sizeof provider->disconnect_ex);
  winsock__extension(socket, recv_msg, &provider->recv_msg, sizeof provider->recv_msg);
  winsock__extension(socket, transmit_file, &provider->transmit_file, sizeof provider->transmit_file);
}

static const struct winsock_provider *winsock__find(const WSAPROTOCOL_INFOW *info) {
  unsigned count = atomic_load_explicit(&winsock_providers_count, memory_order_acquire);

  for (unsigned i = 0; i < count; i++) {
    const struct winsock_provider *known = &winsock_providers[i];
    if (known->catalog_entry == info->dwCatalogEntryId && known->family == info->iAddressFamily && known->type == info->iSocketType) {
      return known;
    }
  }
  return NULL;
}

int winsock__provider(SOCKET socket, const struct winsock_provider **provider) {
  WSAPROTOCOL_INFOW info;
  int info_bytes = sizeof info;
  int status = winsock__start();

  if (status != PIER_OK) {
    return status;
  }
  if (getsockopt(socket, SOL_SOCKET, SO_PROTOCOL_INFOW, (char *)&info, &info_bytes) != 0) {
    return pier_error_from_system((uint32_t)WSAGetLastError());
  }
  *provider = winsock__find(&info);
  if (*provider != NULL) {
    return PIER_OK;
  }
  AcquireSRWLockExclusive(&winsock_providers_lock);
  *provider = winsock__find(&info);
  unsigned count = atomic_load(&winsock_providers_count);
  if (*provider == NULL && count < WINSOCK_PROVIDERS_MAX) {
    winsock__fill(socket, &info, &winsock_providers[count]);
    *provider = &winsock_providers[count];
    atomic_store_explicit(&winsock_providers_count, count + 1, memory_order_release);
  }
  ReleaseSRWLockExclusive(&winsock_providers_lock);
  return *provider != NULL ? PIER_OK : PIER_ENOMEM;
}

int winsock__provider_of(int family, int type, const struct winsock_provider **provider) {
  if ((family != AF_INET && family != AF_INET6) || (type != SOCK_STREAM && type != SOCK_DGRAM)) {
    return PIER_EAFNOSUPPORT;
  }
  _Atomic(const struct winsock_provider *) *own = &winsock_own[family == AF_INET6][type == SOCK_DGRAM];
  *provider = atomic_load_explicit(own, memory_order_acquire);
  if (*provider != NULL) {
    return PIER_OK;
  }
  SOCKET probe;
  int status = winsock__open(family == AF_INET6 ? PIER_IPV6 : PIER_IPV4, type, &probe);
  if (status != PIER_OK) {
    return status;
  }
  status = winsock__provider(probe, provider);
  (void)closesocket(probe);
  if (status == PIER_OK) {
    atomic_store_explicit(own, *provider, memory_order_release);
  }
  return status;
}

bool winsock__ifs_handles(SOCKET socket) {
  const struct winsock_provider *provider;

  return winsock__provider(socket, &provider) == PIER_OK && provider->ifs_handles;
}

int winsock__open(uint8_t family, int type, SOCKET *opened) {
  int status = winsock__start();
  int protocol = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;

  *opened = INVALID_SOCKET;
  if (status != PIER_OK) {
    return status;
  }
  if (family != PIER_IPV4 && family != PIER_IPV6) {
    return PIER_EAFNOSUPPORT;
  }
  *opened = WSASocketW(winsock__family(family), type, protocol, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
  if (*opened == INVALID_SOCKET) {
    return pier_error_from_system((uint32_t)WSAGetLastError());
  }
  return PIER_OK;
}

int winsock__open_like(const struct winsock_provider *provider, SOCKET *opened, uint32_t *system_code) {
  uint32_t code = 0;

  *opened = WSASocketW(provider->family, provider->type, provider->protocol, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
  if (*opened == INVALID_SOCKET) {
    code = (uint32_t)WSAGetLastError();
  }
  if (system_code != NULL) {
    *system_code = code;
  }
  return pier_error_from_system(code);
}

int winsock__sockaddr(const pier_address *address, struct sockaddr_storage *storage) {
  memset(storage, 0, sizeof *storage);
  if (address->family == PIER_IPV4) {
    struct sockaddr_in *in = (struct sockaddr_in *)storage;
    in->sin_family = AF_INET;
    in->sin_port = htons(address->port);
    memcpy(&in->sin_addr, address->bytes, 4);
    return sizeof *in;
  }
  if (address->family == PIER_IPV6) {
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)storage;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(address->port);
    in6->sin6_scope_id = address->scope;
    memcpy(&in6->sin6_addr, address->bytes, 16);
    return sizeof *in6;
  }
  return 0;
}

int winsock__address(const struct sockaddr *from, int length_bytes, pier_address *address) {
  memset(address, 0, sizeof *address);
  if (from->sa_family == AF_INET && length_bytes >= (int)sizeof(struct sockaddr_in)) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)from;
    address->family = PIER_IPV4;
    address->port = ntohs(in->sin_port);
    memcpy(address->bytes, &in->sin_addr, 4);
    return PIER_OK;
  }
  if (from->sa_family == AF_INET6 && length_bytes >= (int)sizeof(struct sockaddr_in6)) {
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
    address->family = PIER_IPV6;
    address->port = ntohs(in6->sin6_port);
    address->scope = in6->sin6_scope_id;
    memcpy(address->bytes, &in6->sin6_addr, 16);
    return PIER_OK;
  }
  return PIER_EAFNOSUPPORT;
}

int winsock__family(uint8_t family) {
  switch (family) {
  case PIER_IPV4:
    return AF_INET;
  case PIER_IPV6:
    return AF_INET6;
  default:
    return AF_UNSPEC;
  }
}

int winsock__last(void) { return pier_error_from_system((uint32_t)WSAGetLastError()); }

int winsock__name(SOCKET socket, bool peer, pier_address *address) {
  struct sockaddr_storage storage;
  struct sockaddr *any = (struct sockaddr *)&storage;
  int length = sizeof storage;
  int failed = peer ? getpeername(socket, any, &length) : getsockname(socket, any, &length);

  return failed ? winsock__last() : winsock__address(any, length, address);
}

int winsock__set(SOCKET socket, int level, int name, int value) {
  return setsockopt(socket, level, name, (const char *)&value, sizeof value) ? winsock__last() : PIER_OK;
}

int winsock__get(SOCKET socket, int level, int name, int *value) {
  int length = sizeof *value;

  *value = 0; /* some of them are written in part */
  return getsockopt(socket, level, name, (char *)value, &length) ? winsock__last() : PIER_OK;
}
