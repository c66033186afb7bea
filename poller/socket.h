/* Sockets of the system, and descriptors in general; private to the library. */
#ifndef PIER_POLLER_SOCKET_H
#define PIER_POLLER_SOCKET_H

#include "pier_address.h"

#include <stdbool.h>
#include <sys/socket.h>

/* The system's form of an address and its length, of which nothing else is written; 0 for no family. And the reverse: PIER_OK or
   PIER_EAFNOSUPPORT. */
socklen_t socket__sockaddr(const pier_address *address, struct sockaddr_storage *storage);
int socket__address(const void *from, socklen_t length_bytes, pier_address *address);

/* AF_INET or AF_INET6; and the reverse, PIER_FAMILY_NONE for any other. */
int socket__family(uint8_t family);
uint8_t socket__family_of(int descriptor);

/* The type of a socket (SOCK_STREAM ...), 0 if it is none. */
int socket__type(int descriptor);

/* A new one, closed on exec, and non-blocking if asked for. PIER_OK or a status. */
int socket__open(uint8_t family, int type, bool non_blocking, int *opened);

/* Its own address, or its peer's. PIER_OK or a status. */
int socket__name(int descriptor, bool peer, pier_address *address);

/* An option that is an int. PIER_OK or a status. */
int socket__set(int descriptor, int level, int name, int value);
int socket__get(int descriptor, int level, int name, int *value);
/* The size of a buffer: the system doubles what it is given, for its own share, and tells the double. */
int socket__get_buffer(int descriptor, int name, int *value);

/* The status of errno. */
int socket__last(void);

#endif
