#include "udp_native.h"
#include "port.h"
#include "socket.h"

#include <netinet/in.h>
#include <unistd.h>

static int udp__bind(int descriptor, const pier_address *address) {
  struct sockaddr_storage storage;
  socklen_t length = socket__sockaddr(address, &storage);
  return bind(descriptor, (const struct sockaddr *)&storage, length) ? socket__last() : PIER_OK;
}

static int udp__prepare(int descriptor, const pier_address *address, const pier_udp_options *options) {
  if (address->family == PIER_IPV6)
    socket__set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, !options->dual_stack);
  if (options->share_address)
    socket__set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
  if (options->broadcast)
    socket__set(descriptor, SOL_SOCKET, SO_BROADCAST, 1);
  return udp__bind(descriptor, address);
}

int udp__open(struct poller *poller, const pier_address *address, const pier_udp_options *options, pier_handle *opened) {
  struct handle *handle = NULL;
  int descriptor;
  int status = socket__open(address->family, SOCK_DGRAM, poller->backend->non_blocking, &descriptor);
  if (status != PIER_OK)
    return status;
  status = udp__prepare(descriptor, address, options);
  if (status != PIER_OK) {
    close(descriptor);
    return status;
  }
  status = port__adopt(poller, descriptor, PIER_KIND_UDP, HANDLE_SOCKET, address->family, &handle);
  if (status == PIER_OK)
    *opened = handle__open(handle);
  return status;
}

/* Together with the peer the system forgets a port that it had chosen itself. */
static int udp__disconnect(int descriptor) {
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  pier_address before, after;
  int status = socket__name(descriptor, false, &before);
  if (connect(descriptor, &none, sizeof none))
    return socket__last();
  if (status == PIER_OK)
    status = socket__name(descriptor, false, &after);
  if (status != PIER_OK || after.port == before.port)
    return status;
  after.port = before.port;
  return udp__bind(descriptor, &after);
}

int udp__connect(const struct handle *handle, const pier_address *peer) {
  struct sockaddr_storage storage;
  int descriptor = (int)handle->native;
  if (!peer)
    return udp__disconnect(descriptor);
  socklen_t length = socket__sockaddr(peer, &storage);
  return connect(descriptor, (const struct sockaddr *)&storage, length) ? socket__last() : PIER_OK;
}

int udp__address(const struct handle *handle, bool peer, pier_address *address) { return socket__name((int)handle->native, peer, address); }

/* ---- Groups ---- */

static int udp__change_source(int descriptor, int level, int name, const struct udp_membership *membership) {
  struct group_source_req asked = {.gsr_interface = membership->interface_index};
  socket__sockaddr(membership->group, &asked.gsr_group);
  socket__sockaddr(membership->source, &asked.gsr_source);
  return setsockopt(descriptor, level, name, &asked, sizeof asked) ? socket__last() : PIER_OK;
}

static int udp__change_group(int descriptor, int level, int name, const struct udp_membership *membership) {
  struct group_req asked = {.gr_interface = membership->interface_index};
  socket__sockaddr(membership->group, &asked.gr_group);
  return setsockopt(descriptor, level, name, &asked, sizeof asked) ? socket__last() : PIER_OK;
}

static int udp__level(const struct handle *handle) { return handle->slot.detail == PIER_IPV6 ? IPPROTO_IPV6 : IPPROTO_IP; }

int udp__join(const struct handle *handle, const struct udp_membership *membership) {
  int descriptor = (int)handle->native;
  return membership->source ? udp__change_source(descriptor, udp__level(handle), MCAST_JOIN_SOURCE_GROUP, membership)
                            : udp__change_group(descriptor, udp__level(handle), MCAST_JOIN_GROUP, membership);
}

int udp__leave(const struct handle *handle, const struct udp_membership *membership) {
  int descriptor = (int)handle->native;
  return membership->source ? udp__change_source(descriptor, udp__level(handle), MCAST_LEAVE_SOURCE_GROUP, membership)
                            : udp__change_group(descriptor, udp__level(handle), MCAST_LEAVE_GROUP, membership);
}

/* ---- Options ---- */

static int udp__set_interface(const struct handle *handle, int index) {
  struct ip_mreqn asked = {.imr_ifindex = index};
  int descriptor = (int)handle->native;
  if (handle->slot.detail == PIER_IPV6)
    return socket__set(descriptor, IPPROTO_IPV6, IPV6_MULTICAST_IF, index);
  return setsockopt(descriptor, IPPROTO_IP, IP_MULTICAST_IF, &asked, sizeof asked) ? socket__last() : PIER_OK;
}

int udp__set(const struct handle *handle, pier_udp_option option, int value) {
  int descriptor = (int)handle->native;
  bool six = handle->slot.detail == PIER_IPV6;
  switch (option) {
  case PIER_UDP_BROADCAST:
    return socket__set(descriptor, SOL_SOCKET, SO_BROADCAST, value);
  case PIER_UDP_HOPS:
    return socket__set(descriptor, udp__level(handle), six ? IPV6_UNICAST_HOPS : IP_TTL, value);
  case PIER_UDP_GROUP_HOPS:
    return socket__set(descriptor, udp__level(handle), six ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL, value);
  case PIER_UDP_GROUP_LOOP:
    return socket__set(descriptor, udp__level(handle), six ? IPV6_MULTICAST_LOOP : IP_MULTICAST_LOOP, value);
  case PIER_UDP_GROUP_INTERFACE:
    return udp__set_interface(handle, value);
  case PIER_UDP_SEND_BUFFER_BYTES:
    return socket__set(descriptor, SOL_SOCKET, SO_SNDBUF, value);
  case PIER_UDP_RECEIVE_BUFFER_BYTES:
    return socket__set(descriptor, SOL_SOCKET, SO_RCVBUF, value);
  }
  return PIER_EINVAL;
}

int udp__get(const struct handle *handle, pier_udp_option option, int *value) {
  int descriptor = (int)handle->native;
  bool six = handle->slot.detail == PIER_IPV6;
  switch (option) {
  case PIER_UDP_BROADCAST:
    return socket__get(descriptor, SOL_SOCKET, SO_BROADCAST, value);
  case PIER_UDP_HOPS:
    return socket__get(descriptor, udp__level(handle), six ? IPV6_UNICAST_HOPS : IP_TTL, value);
  case PIER_UDP_GROUP_HOPS:
    return socket__get(descriptor, udp__level(handle), six ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL, value);
  case PIER_UDP_GROUP_LOOP:
    return socket__get(descriptor, udp__level(handle), six ? IPV6_MULTICAST_LOOP : IP_MULTICAST_LOOP, value);
  case PIER_UDP_SEND_BUFFER_BYTES:
    return socket__get_buffer(descriptor, SO_SNDBUF, value);
  case PIER_UDP_RECEIVE_BUFFER_BYTES:
    return socket__get_buffer(descriptor, SO_RCVBUF, value);
  case PIER_UDP_GROUP_INTERFACE:
    break; /* for IPv4 the system does not tell */
  }
  return PIER_EINVAL;
}
