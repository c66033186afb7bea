/* Accepts with plain calls of the system, for programs that have all their connections before the first byte. */
#ifndef BENCH_LISTENER_H
#define BENCH_LISTENER_H

#include "bench.h"

/* A listening socket on a port of 127.0.0.1, and tells the harness which port. */
uintptr_t bench_listener_open(void);

/* Waits for a connection; TCP_NODELAY is set. On Windows it is made for overlapped I/O and is on no port. */
uintptr_t bench_listener_accept(uintptr_t listener);
void bench_listener_close(uintptr_t listener);

#endif
