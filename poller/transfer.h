/* The system calls behind operations, one at a time and without waiting: what epoll makes when a descriptor is ready, io_uring where
   it has no call of its own that fits, and worker threads to the end. */
#ifndef PIER_TRANSFER_H
#define PIER_TRANSFER_H

#include "poller.h"
#include <sys/uio.h>

enum transfer {
  TRANSFER_WAITS,  /* nothing was done: it would have had to wait */
  TRANSFER_DONE,   /* see the piece */
  TRANSFER_DRAINED /* the same, and there is no more for now: a stream gave less than it was asked for */
};

/* The code of a piece that found the end of a file or stream: above all of the system's. */
#define TRANSFER_END 0x10000u

/* More parts than this are several calls (UIO_MAXIOV). */
#define TRANSFER_PARTS_MAX 1024

/* Makes the operation's next call. */
enum transfer transfer__try(struct op *op, struct piece *piece);

/* The same without that promise: the call may block. */
void transfer__block(struct op *op, struct piece *piece);

/* The parts that are left, at most 2^30 bytes of them. At least one, which may be empty. */
unsigned transfer__parts(const struct op *op, struct iovec *parts, size_t *bytes);

/* What a call's result means for the operation: a count, or a negated errno. */
void transfer__read(struct op *op, int64_t result, size_t asked_bytes, struct piece *piece);

/* Whether the operation's descriptor is only to be asked when it is ready, because the call has to be made in a way of its own:
   a message pipe, or a fifo that would raise SIGPIPE. */
bool transfer__is_particular(const struct op *op);

#endif
