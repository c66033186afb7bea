/* Datagrams, one call at a time and without waiting. */
#ifndef PIER_DATAGRAM_H
#define PIER_DATAGRAM_H

#include "port.h"
#include <sys/uio.h>

/* Sends one, or takes one with the address that it came from if that is asked for. As sendmsg() and recvmsg();
   *flags says of one that was taken whether it was cut (MSG_TRUNC). */
ssize_t datagram__move(struct op *op, struct iovec *parts, unsigned count, int *flags);

/* Receives for those that wait in a UDP handle's lane, with one call for several of them. They stay where they are, settled: their turn
   only has them called back. Under the lanes' lock. False: it came to where there are no more for now. */
bool datagram__serve_ahead(struct handle *handle);

#endif
