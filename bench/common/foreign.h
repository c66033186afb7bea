/* A server's end of a pipe that somebody else has opened and connected, as a library is handed it. */
#ifndef BENCH_FOREIGN_H
#define BENCH_FOREIGN_H

#include "bench.h"

/* Listens on the path, says that it does, and waits for one client. The connection is then put on a completion port (Windows) or into an epoll
 * set (Linux) that nobody ever asks, unless the form is "free". */
uintptr_t bench_foreign_pipe(const struct bench_options *options);

#endif
