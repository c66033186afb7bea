/* What TCP needs of the system besides operations: one body per system. */
#ifndef PIER_TCP_NATIVE_H
#define PIER_TCP_NATIVE_H

#include "pier_tcp.h"

struct handle;
struct poller;

int tcp__listen(struct poller *poller, const pier_address *address, const pier_tcp_options *options, pier_handle *listener);
/* A bound socket that can be connected; its handle is not open yet. */
int tcp__open(struct poller *poller, const pier_address *address, const pier_tcp_options *options, struct handle **handle);
int tcp__set(const struct handle *handle, pier_tcp_option option, int value);
int tcp__get(const struct handle *handle, pier_tcp_option option, int *value);
int tcp__address(const struct handle *handle, bool peer, pier_address *address);

#endif
