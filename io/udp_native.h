/* What UDP needs of the system besides operations: one body per system. Addresses are of the handle's family. */
#ifndef PIER_UDP_NATIVE_H
#define PIER_UDP_NATIVE_H

#include "pier_udp.h"

struct handle;
struct poller;

int udp__open(struct poller *poller, const pier_address *address, const pier_udp_options *options, pier_handle *handle);
/* Null: no peer any more. */
int udp__connect(const struct handle *handle, const pier_address *peer);
int udp__set(const struct handle *handle, pier_udp_option option, int value);
int udp__get(const struct handle *handle, pier_udp_option option, int *value);
int udp__address(const struct handle *handle, bool peer, pier_address *address);

/* A place in a group. */
struct udp_membership {
  const pier_address *group;
  const pier_address *source; /* null: anybody */
  uint32_t interface_index;
};
int udp__join(const struct handle *handle, const struct udp_membership *membership);
int udp__leave(const struct handle *handle, const struct udp_membership *membership);

#endif
