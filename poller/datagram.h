/* Datagrams, one call at a time and without waiting. */
#ifndef PIER_DATAGRAM_H
#define PIER_DATAGRAM_H

#include "poller.h"
#include <sys/uio.h>

/* Sends one, or takes one with the address that it came from if that is asked for. As sendmsg() and recvmsg();
   *flags says of one that was taken whether it was cut (MSG_TRUNC). */
ssize_t datagram__move(struct op *op, struct iovec *parts, unsigned count, int *flags);

#endif
