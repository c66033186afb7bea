#include "tcp_native.h"
#include "port.h"
#include "socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

static void tcp__switch(int descriptor, int level, int name, int value) { setsockopt(descriptor, level, name, &value, sizeof value); }

static int tcp__bind(int descriptor, const pier_address *address) {
  struct sockaddr_storage storage;
  socklen_t length = socket__sockaddr(address, &storage);
  return bind(descriptor, (const struct sockaddr *)&storage, length) ? socket__last() : PIER_OK;
}

static int tcp__bind_and_listen(int descriptor, const pier_address *address, const pier_tcp_options *options) {
  if (address->family == PIER_IPV6)
    tcp__switch(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, !options->dual_stack);
  /* Here this only lets an address be listened on while old connections of it linger; two listeners need the other one. */
  tcp__switch(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
  if (options->share_address)
    tcp__switch(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
  if (!options->delay)
    tcp__switch(descriptor, IPPROTO_TCP, TCP_NODELAY, 1); /* its connections have it from their beginning */
  int status = tcp__bind(descriptor, address);
  if (status != PIER_OK)
    return status;
  return listen(descriptor, options->backlog ? options->backlog : INT32_MAX) ? socket__last() : PIER_OK;
}

int tcp__listen(struct poller *poller, const pier_address *address, const pier_tcp_options *options, pier_handle *listener) {
  struct handle *handle = NULL;
  int descriptor;
  int status = socket__open(address->family, SOCK_STREAM, poller->backend->non_blocking, &descriptor);
  if (status != PIER_OK)
    return status;
  status = tcp__bind_and_listen(descriptor, address, options);
  if (status != PIER_OK) {
    close(descriptor);
    return status;
  }
  status = port__adopt(poller, descriptor, PIER_KIND_TCP_LISTENER, HANDLE_SOCKET | (options->delay ? HANDLE_DELAYS : 0u), address->family, &handle);
  if (status == PIER_OK)
    *listener = handle__open(handle);
  return status;
}

int tcp__open(struct poller *poller, const pier_address *address, const pier_tcp_options *options, struct handle **handle) {
  int descriptor;
  int status = socket__open(address->family, SOCK_STREAM, poller->backend->non_blocking, &descriptor);
  if (status != PIER_OK)
    return status;
  if (options->local) {
    tcp__switch(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    status = tcp__bind(descriptor, options->local);
  }
  if (status != PIER_OK) {
    close(descriptor);
    return status;
  }
  return port__adopt(poller, descriptor, PIER_KIND_TCP, HANDLE_SOCKET | (options->delay ? HANDLE_DELAYS : 0u), address->family, handle);
}

/* ---- Options ---- */

static int tcp__set_keepalive(int descriptor, int seconds) {
  int status = socket__set(descriptor, SOL_SOCKET, SO_KEEPALIVE, seconds > 0);
  if (status == PIER_OK && seconds > 0)
    status = socket__set(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
  return status;
}

static int tcp__get_keepalive(int descriptor, int *seconds) {
  int on = 0;
  int status = socket__get(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on);
  if (status != PIER_OK || !on) {
    *seconds = 0;
    return status;
  }
  return socket__get(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
}

static int tcp__set_linger(int descriptor, int seconds) {
  struct linger linger = {.l_onoff = seconds >= 0, .l_linger = seconds > 0 ? seconds : 0};
  return setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) ? socket__last() : PIER_OK;
}

static int tcp__get_linger(int descriptor, int *seconds) {
  struct linger linger = {0, 0};
  socklen_t length = sizeof linger;
  if (getsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, &length))
    return socket__last();
  *seconds = linger.l_onoff ? linger.l_linger : -1;
  return PIER_OK;
}

int tcp__set(const struct handle *handle, pier_tcp_option option, int value) {
  int descriptor = (int)handle->native;
  switch (option) {
  case PIER_TCP_NODELAY:
    return value == 0 || value == 1 ? socket__set(descriptor, IPPROTO_TCP, TCP_NODELAY, value) : PIER_EINVAL;
  case PIER_TCP_KEEPALIVE_SECONDS:
    return value >= 0 && value <= 32767 ? tcp__set_keepalive(descriptor, value) : PIER_EINVAL;
  case PIER_TCP_LINGER_SECONDS:
    return value >= -1 && value <= 32767 ? tcp__set_linger(descriptor, value) : PIER_EINVAL;
  case PIER_TCP_SEND_BUFFER_BYTES:
    return value >= 0 ? socket__set(descriptor, SOL_SOCKET, SO_SNDBUF, value) : PIER_EINVAL;
  case PIER_TCP_RECEIVE_BUFFER_BYTES:
    return value >= 0 ? socket__set(descriptor, SOL_SOCKET, SO_RCVBUF, value) : PIER_EINVAL;
  }
  return PIER_EINVAL;
}

int tcp__get(const struct handle *handle, pier_tcp_option option, int *value) {
  int descriptor = (int)handle->native;
  switch (option) {
  case PIER_TCP_NODELAY:
    return socket__get(descriptor, IPPROTO_TCP, TCP_NODELAY, value);
  case PIER_TCP_KEEPALIVE_SECONDS:
    return tcp__get_keepalive(descriptor, value);
  case PIER_TCP_LINGER_SECONDS:
    return tcp__get_linger(descriptor, value);
  case PIER_TCP_SEND_BUFFER_BYTES:
    return socket__get_buffer(descriptor, SO_SNDBUF, value);
  case PIER_TCP_RECEIVE_BUFFER_BYTES:
    return socket__get_buffer(descriptor, SO_RCVBUF, value);
  }
  return PIER_EINVAL;
}

int tcp__address(const struct handle *handle, bool peer, pier_address *address) {
  return socket__name((int)handle->native, peer, address);
}
