/* An operation that keeps reading: each time something has come its callback gets a chunk, until the stream ends, its end is asked for or
   the system reports a failure; that is told by its last callback.

   Between two chunks it waits like any read. When one can be had it is *due*: it goes to its strand with the kernel's party still in it,
   is run, and goes back to wait. So a cancel, a deadline and a close find it as they find any other. */
#ifndef PIER_MULTISHOT_H
#define PIER_MULTISHOT_H

#include "poller.h"

/* What it is lent at most where it has to have a buffer while it waits. No smaller, or a datagram would be cut. */
#define MULTISHOT_BYTES 65536u

/* And what a stream is lent at first: a record of TLS goes in with all that is around it. */
#define LENT_STREAM_BYTES 17408u

/* There is a chunk, or its end is asked for, and the caller is the one who has it in hand: has it run. Not before its submitter has let go
   of it, who is left word. */
void multishot__due(struct op *op);

/* Whether this, said of one call, is a chunk and not the end. */
bool multishot__is_chunk(const struct op *op, uint32_t code, uint32_t bytes);

/* Where the system or a worker wants the buffer beforehand, as for any read: gives the operation one of its own. False: there is no
   memory. What has come lies in it, and port__resume() starts the next call. */
bool multishot__lend(struct op *op);
enum receive multishot__received(struct op *op, struct chunk *chunk);
void multishot__start_again(struct op *op);
/* A larger one, unless it is large already. Without memory it goes on as it was. */
void multishot__grow(struct op *op);

#endif
