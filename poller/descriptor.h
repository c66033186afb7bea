/* Descriptors that are not sockets and may be blocking, for that is shared with others: calls that do not wait all the same. */
#ifndef PIER_DESCRIPTOR_H
#define PIER_DESCRIPTOR_H

#include <stdbool.h>
#include <sys/uio.h>

/* As readv() and writev(); -1 with EAGAIN where they would have to wait. `parts` may be shortened. */
ssize_t descriptor__read(int descriptor, struct iovec *parts, int count);
ssize_t descriptor__write(int descriptor, struct iovec *parts, int count);

/* A write to a fifo that nobody reads raises a signal, which is the program's business only if the program wrote: this one
   brings EPIPE alone. `flags` as of pwritev2(), -1: none, and it may block. */
ssize_t descriptor__write_quietly(int descriptor, const struct iovec *parts, int count, int flags);

/* Whether it is ready now, by poll(). */
bool descriptor__is_ready(int descriptor, short events);

#endif
