#include "iocp.h"
#include "tcp_native.h"

#include <mstcpip.h>

#ifndef TCP_KEEPALIVE
#define TCP_KEEPALIVE 3 /* as in the system's ws2ipdef.h; mingw-w64's has not got it */
#endif

static int tcp__bind(SOCKET socket, const pier_address *address) {
  struct sockaddr_storage storage;
  int length = winsock__sockaddr(address, &storage);
  return bind(socket, (const struct sockaddr *)&storage, length) ? winsock__last() : PIER_OK;
}

static void tcp__switch(SOCKET socket, int level, int name, BOOL on) {
  setsockopt(socket, level, name, (const char *)&on, sizeof on);
}

static int tcp__bind_and_listen(SOCKET socket, const pier_address *address, const pier_tcp_options *options) {
  if (address->family == PIER_IPV6)
    tcp__switch(socket, IPPROTO_IPV6, IPV6_V6ONLY, !options->dual_stack);
  /* On Windows SO_REUSEADDR lets anybody take over the port of anybody: so nobody may, unless it was asked for. */
  tcp__switch(socket, SOL_SOCKET, options->share_address ? SO_REUSEADDR : SO_EXCLUSIVEADDRUSE, TRUE);
  int status = tcp__bind(socket, address);
  if (status != PIER_OK)
    return status;
  return listen(socket, options->backlog ? options->backlog : SOMAXCONN) ? winsock__last() : PIER_OK;
}

int tcp__listen(struct poller *poller, const pier_address *address, const pier_tcp_options *options, pier_handle *listener) {
  SOCKET socket = INVALID_SOCKET;
  struct handle *handle = NULL;
  int status = winsock__open(address->family, SOCK_STREAM, &socket);
  if (status != PIER_OK)
    return status;
  status = tcp__bind_and_listen(socket, address, options);
  if (status != PIER_OK) {
    closesocket(socket);
    return status;
  }
  status = iocp__adopt_socket(poller, socket, PIER_KIND_TCP_LISTENER, address->family, &handle);
  if (status != PIER_OK)
    return status;
  if (options->delay)
    handle->slot.flags |= HANDLE_DELAYS;
  *listener = handle__open(handle);
  return PIER_OK;
}

int tcp__open(struct poller *poller, const pier_address *address, const pier_tcp_options *options, struct handle **handle) {
  SOCKET socket = INVALID_SOCKET;
  pier_address any = {.family = address->family};
  int status = winsock__open(address->family, SOCK_STREAM, &socket);
  if (status != PIER_OK)
    return status;
  status = tcp__bind(socket, options->local ? options->local : &any); /* ConnectEx wants a bound socket */
  if (status != PIER_OK) {
    closesocket(socket);
    return status;
  }
  status = iocp__adopt_socket(poller, socket, PIER_KIND_TCP, address->family, handle);
  if (status == PIER_OK && options->delay)
    (*handle)->slot.flags |= HANDLE_DELAYS;
  return status;
}

/* ---- Options ---- */

/* The older form, for a system without TCP_KEEPALIVE (before Windows 10, version 1709; Wine 8). */
static int tcp__set_keepalive_values(SOCKET socket, int seconds) {
  struct tcp_keepalive values = {.onoff = 1, .keepalivetime = (u_long)seconds * 1000, .keepaliveinterval = 1000 /* the system's own */};
  DWORD bytes = 0;
  if (WSAIoctl(socket, SIO_KEEPALIVE_VALS, &values, sizeof values, NULL, 0, &bytes, NULL, NULL))
    return pier_error_from_system((uint32_t)WSAGetLastError());
  return PIER_OK;
}

static int tcp__set_keepalive(SOCKET socket, int seconds) {
  int status = winsock__set(socket, SOL_SOCKET, SO_KEEPALIVE, seconds > 0);
  if (status == PIER_OK && seconds > 0)
    status = winsock__set(socket, IPPROTO_TCP, TCP_KEEPALIVE, seconds);
  return status == PIER_ENOTSUP ? tcp__set_keepalive_values(socket, seconds) : status;
}

static int tcp__get_keepalive(SOCKET socket, int *seconds) {
  int on = 0;
  int status = winsock__get(socket, SOL_SOCKET, SO_KEEPALIVE, &on);
  if (status != PIER_OK || !on) {
    *seconds = 0;
    return status;
  }
  return winsock__get(socket, IPPROTO_TCP, TCP_KEEPALIVE, seconds);
}

static int tcp__set_linger(SOCKET socket, int seconds) {
  struct linger linger = {.l_onoff = seconds >= 0, .l_linger = (u_short)(seconds > 0 ? seconds : 0)};
  return setsockopt(socket, SOL_SOCKET, SO_LINGER, (const char *)&linger, sizeof linger) ? winsock__last() : PIER_OK;
}

static int tcp__get_linger(SOCKET socket, int *seconds) {
  struct linger linger = {0, 0};
  int length = sizeof linger;
  if (getsockopt(socket, SOL_SOCKET, SO_LINGER, (char *)&linger, &length))
    return winsock__last();
  *seconds = linger.l_onoff ? linger.l_linger : -1;
  return PIER_OK;
}

int tcp__set(const struct handle *handle, pier_tcp_option option, int value) {
  SOCKET socket = (SOCKET)handle->native;
  switch (option) {
  case PIER_TCP_NODELAY:
    return value == 0 || value == 1 ? winsock__set(socket, IPPROTO_TCP, TCP_NODELAY, value) : PIER_EINVAL;
  case PIER_TCP_KEEPALIVE_SECONDS:
    return value >= 0 && value <= 32767 ? tcp__set_keepalive(socket, value) : PIER_EINVAL;
  case PIER_TCP_LINGER_SECONDS:
    return value >= -1 && value <= 32767 ? tcp__set_linger(socket, value) : PIER_EINVAL;
  case PIER_TCP_SEND_BUFFER_BYTES:
    return value >= 0 ? winsock__set(socket, SOL_SOCKET, SO_SNDBUF, value) : PIER_EINVAL;
  case PIER_TCP_RECEIVE_BUFFER_BYTES:
    return value >= 0 ? winsock__set(socket, SOL_SOCKET, SO_RCVBUF, value) : PIER_EINVAL;
  }
  return PIER_EINVAL;
}

int tcp__get(const struct handle *handle, pier_tcp_option option, int *value) {
  SOCKET socket = (SOCKET)handle->native;
  switch (option) {
  case PIER_TCP_NODELAY:
    return winsock__get(socket, IPPROTO_TCP, TCP_NODELAY, value);
  case PIER_TCP_KEEPALIVE_SECONDS:
    return tcp__get_keepalive(socket, value);
  case PIER_TCP_LINGER_SECONDS:
    return tcp__get_linger(socket, value);
  case PIER_TCP_SEND_BUFFER_BYTES:
    return winsock__get(socket, SOL_SOCKET, SO_SNDBUF, value);
  case PIER_TCP_RECEIVE_BUFFER_BYTES:
    return winsock__get(socket, SOL_SOCKET, SO_RCVBUF, value);
  }
  return PIER_EINVAL;
}

int tcp__address(const struct handle *handle, bool peer, pier_address *address) {
  return winsock__name((SOCKET)handle->native, peer, address);
}
