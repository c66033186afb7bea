/* Winsock: its start, the extension functions of each provider, and addresses; private to the library. */
#ifndef PIER_POLLER_WINSOCK_H
#define PIER_POLLER_WINSOCK_H

#include "pier_address.h"

#include <stdbool.h>
#include <winsock2.h>
#include <ws2tcpip.h>
#include <mswsock.h>
#include <windows.h>

/* What is known of one entry of the Winsock catalog. It is never freed. A function that the provider lacks is null. */
struct winsock_provider {
  DWORD catalog_entry;
  int family;       /* AF_... */
  int type;         /* SOCK_... */
  int protocol;     /* IPPROTO_... */
  bool ifs_handles; /* XP1_IFS_HANDLES: its sockets are true file handles, so the skip modes and ReadFile may be used on them */
  LPFN_ACCEPTEX accept_ex;
  LPFN_CONNECTEX connect_ex;
  LPFN_GETACCEPTEXSOCKADDRS get_accept_ex_sockaddrs;
  LPFN_DISCONNECTEX disconnect_ex;
  LPFN_WSARECVMSG recv_msg;
  LPFN_TRANSMITFILE transmit_file;
};

/* Has Winsock started, once for the process. A status of pier_error.h. Any thread; costs one atomic read after the first call. */
int winsock__start(void);

/* The provider of a socket. One system call (SO_PROTOCOL_INFOW); the functions are fetched with the first socket of each provider.
 * PIER_EBADF if it is no socket, PIER_ENOMEM past WINSOCK_PROVIDERS_MAX of them. Any thread. */
int winsock__provider(SOCKET socket, const struct winsock_provider **provider);
#define WINSOCK_PROVIDERS_MAX 32

/* The provider that sockets of this kind get when the library opens them itself (AF_INET or AF_INET6, SOCK_STREAM or SOCK_DGRAM): no
 * system call after the first time. Any thread. */
int winsock__provider_of(int family, int type, const struct winsock_provider **provider);

/* Whether the socket's provider gives true file handles; false if that cannot be found out. Only then may
 * FILE_SKIP_COMPLETION_PORT_ON_SUCCESS be set: another layer may queue a packet of its own. */
bool winsock__ifs_handles(SOCKET socket);

/* A new socket for overlapped I/O that child processes do not inherit. `family` is one of pier_family. */
int winsock__open(uint8_t family, int type, SOCKET *opened);

/* Another socket of the same provider, opened like that: what AcceptEx wants. `system_code`, if not null, gets Winsock's own code. */
int winsock__open_like(const struct winsock_provider *provider, SOCKET *opened, uint32_t *system_code);

/* To a sockaddr, which is cleared first; gives its length, 0 if the address has no family. */
int winsock__sockaddr(const pier_address *address, struct sockaddr_storage *storage);

/* From a sockaddr of this length. PIER_EAFNOSUPPORT, with a cleared address, for any family but IPv4 and IPv6. */
int winsock__address(const struct sockaddr *from, int length_bytes, pier_address *address);

/* A socket's own address, or its peer's. A status. */
int winsock__name(SOCKET socket, bool peer, pier_address *address);

/* An option that is an int (a BOOL, a DWORD). A status. */
int winsock__set(SOCKET socket, int level, int name, int value);
int winsock__get(SOCKET socket, int level, int name, int *value);

/* The status of WSAGetLastError(). */
int winsock__last(void);

/* AF_... for pier_family; AF_UNSPEC for none. */
int winsock__family(uint8_t family);

#endif
