#include "udp_native.h"
#include "hook.h"
#include "iocp.h"

#ifndef SIO_UDP_CONNRESET
#define SIO_UDP_CONNRESET _WSAIOW(IOC_VENDOR, 12)
#endif
#ifndef SIO_UDP_NETRESET
#define SIO_UDP_NETRESET _WSAIOW(IOC_VENDOR, 15) /* the same for a datagram that came to the end of its hops */
#endif

static int udp__bind(SOCKET socket, const pier_address *address) {
  struct sockaddr_storage storage;
  int length = winsock__sockaddr(address, &storage);
  return bind(socket, (const struct sockaddr *)&storage, length) ? winsock__last() : PIER_OK;
}

static void udp__control(SOCKET socket, DWORD code, BOOL on) {
  DWORD bytes = 0;
  if (HOOK_REFUSES(control, code, on))
    return;
  /* A system that does not know the code has nothing to be switched off, or is no worse than it was: no reason to do without the
     socket. */
  WSAIoctl(socket, code, &on, sizeof on, NULL, 0, &bytes, NULL, NULL);
}

/* Whether what came back for an earlier datagram fails a later receive. */
static void udp__tell_resets(SOCKET socket, bool on) {
  udp__control(socket, SIO_UDP_CONNRESET, on);
  udp__control(socket, SIO_UDP_NETRESET, on);
}

static int udp__prepare(SOCKET socket, const pier_address *address, const pier_udp_options *options) {
  if (address->family == PIER_IPV6)
    winsock__set(socket, IPPROTO_IPV6, IPV6_V6ONLY, !options->dual_stack);
  /* On Windows SO_REUSEADDR lets anybody take over the port of anybody: so nobody may, unless it was asked for. */
  winsock__set(socket, SOL_SOCKET, options->share_address ? SO_REUSEADDR : SO_EXCLUSIVEADDRUSE, TRUE);
  if (options->broadcast)
    winsock__set(socket, SOL_SOCKET, SO_BROADCAST, TRUE);
  udp__tell_resets(socket, false);
  return udp__bind(socket, address);
}

int udp__open(struct poller *poller, const pier_address *address, const pier_udp_options *options, pier_handle *opened) {
  SOCKET socket = INVALID_SOCKET;
  struct handle *handle = NULL;
  int status = winsock__open(address->family, SOCK_DGRAM, &socket);
  if (status != PIER_OK)
    return status;
  status = udp__prepare(socket, address, options);
  if (status != PIER_OK) {
    closesocket(socket);
    return status;
  }
  status = iocp__adopt_socket(poller, socket, PIER_KIND_UDP, address->family, &handle);
  if (status == PIER_OK)
    *opened = handle__open(handle);
  return status;
}

int udp__connect(const struct handle *handle, const pier_address *peer) {
  pier_address none = {.family = (uint8_t)handle->slot.detail};
  struct sockaddr_storage storage;
  SOCKET socket = (SOCKET)handle->native;
  int length = winsock__sockaddr(peer ? peer : &none, &storage);
  if (connect(socket, (const struct sockaddr *)&storage, length))
    return winsock__last();
  if (handle->slot.flags & HANDLE_OURS) /* of a registered one this is its owner's affair */
    udp__tell_resets(socket, peer != NULL);
  return PIER_OK;
}

int udp__address(const struct handle *handle, bool peer, pier_address *address) { return winsock__name((SOCKET)handle->native, peer, address); }

/* ---- Groups ---- */

/* An interface of IPv4 is named by an address of its own, or by its index in the form 0.0.0.x. */
static DWORD udp__interface(uint32_t index) { return htonl(index); }

static int udp__change_source(SOCKET socket, int level, int name, const struct udp_membership *membership) {
  struct group_source_req asked = {.gsr_interface = membership->interface_index};
  winsock__sockaddr(membership->group, (struct sockaddr_storage *)&asked.gsr_group);
  winsock__sockaddr(membership->source, (struct sockaddr_storage *)&asked.gsr_source);
  return setsockopt(socket, level, name, (const char *)&asked, sizeof asked) ? winsock__last() : PIER_OK;
}

static int udp__change_group4(SOCKET socket, int name, const struct udp_membership *membership) {
  struct ip_mreq asked;
  memcpy(&asked.imr_multiaddr, membership->group->bytes, 4);
  asked.imr_interface.s_addr = udp__interface(membership->interface_index);
  return setsockopt(socket, IPPROTO_IP, name, (const char *)&asked, sizeof asked) ? winsock__last() : PIER_OK;
}

static int udp__change_group6(SOCKET socket, int name, const struct udp_membership *membership) {
  struct ipv6_mreq asked = {.ipv6mr_interface = membership->interface_index};
  memcpy(&asked.ipv6mr_multiaddr, membership->group->bytes, 16);
  return setsockopt(socket, IPPROTO_IPV6, name, (const char *)&asked, sizeof asked) ? winsock__last() : PIER_OK;
}

static int udp__level(const struct handle *handle) { return handle->slot.detail == PIER_IPV6 ? IPPROTO_IPV6 : IPPROTO_IP; }

int udp__join(const struct handle *handle, const struct udp_membership *membership) {
  SOCKET socket = (SOCKET)handle->native;
  if (membership->source)
    return udp__change_source(socket, udp__level(handle), MCAST_JOIN_SOURCE_GROUP, membership);
  return handle->slot.detail == PIER_IPV6 ? udp__change_group6(socket, IPV6_ADD_MEMBERSHIP, membership)
                                          : udp__change_group4(socket, IP_ADD_MEMBERSHIP, membership);
}

int udp__leave(const struct handle *handle, const struct udp_membership *membership) {
  SOCKET socket = (SOCKET)handle->native;
  if (membership->source)
    return udp__change_source(socket, udp__level(handle), MCAST_LEAVE_SOURCE_GROUP, membership);
  return handle->slot.detail == PIER_IPV6 ? udp__change_group6(socket, IPV6_DROP_MEMBERSHIP, membership)
                                          : udp__change_group4(socket, IP_DROP_MEMBERSHIP, membership);
}

/* ---- Options ---- */

int udp__set(const struct handle *handle, pier_udp_option option, int value) {
  SOCKET socket = (SOCKET)handle->native;
  bool six = handle->slot.detail == PIER_IPV6;
  switch (option) {
  case PIER_UDP_BROADCAST:
    return winsock__set(socket, SOL_SOCKET, SO_BROADCAST, value);
  case PIER_UDP_HOPS:
    return winsock__set(socket, udp__level(handle), six ? IPV6_UNICAST_HOPS : IP_TTL, value);
  case PIER_UDP_GROUP_HOPS:
    return winsock__set(socket, udp__level(handle), six ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL, value);
  case PIER_UDP_GROUP_LOOP:
    return winsock__set(socket, udp__level(handle), six ? IPV6_MULTICAST_LOOP : IP_MULTICAST_LOOP, value);
  case PIER_UDP_GROUP_INTERFACE:
    return winsock__set(socket, udp__level(handle), six ? IPV6_MULTICAST_IF : IP_MULTICAST_IF, six ? value : (int)udp__interface((uint32_t)value));
  case PIER_UDP_SEND_BUFFER_BYTES:
    return winsock__set(socket, SOL_SOCKET, SO_SNDBUF, value);
  case PIER_UDP_RECEIVE_BUFFER_BYTES:
    return winsock__set(socket, SOL_SOCKET, SO_RCVBUF, value);
  }
  return PIER_EINVAL;
}

int udp__get(const struct handle *handle, pier_udp_option option, int *value) {
  SOCKET socket = (SOCKET)handle->native;
  bool six = handle->slot.detail == PIER_IPV6;
  switch (option) {
  case PIER_UDP_BROADCAST:
    return winsock__get(socket, SOL_SOCKET, SO_BROADCAST, value);
  case PIER_UDP_HOPS:
    return winsock__get(socket, udp__level(handle), six ? IPV6_UNICAST_HOPS : IP_TTL, value);
  case PIER_UDP_GROUP_HOPS:
    return winsock__get(socket, udp__level(handle), six ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL, value);
  case PIER_UDP_GROUP_LOOP:
    return winsock__get(socket, udp__level(handle), six ? IPV6_MULTICAST_LOOP : IP_MULTICAST_LOOP, value);
  case PIER_UDP_SEND_BUFFER_BYTES:
    return winsock__get(socket, SOL_SOCKET, SO_SNDBUF, value);
  case PIER_UDP_RECEIVE_BUFFER_BYTES:
    return winsock__get(socket, SOL_SOCKET, SO_RCVBUF, value);
  case PIER_UDP_GROUP_INTERFACE:
    break; /* elsewhere the system does not tell */
  }
  return PIER_EINVAL;
}
