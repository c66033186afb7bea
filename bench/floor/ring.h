/* A ring set up for one thread that submits and reaps: completion work runs when that thread asks for completions and at no other time. */
#ifndef BENCH_FLOOR_RING_H
#define BENCH_FLOOR_RING_H

#include <liburing.h>

void floor_ring_open(struct io_uring *ring, unsigned entries);

/* An entry to fill in; when the queue is full, what it holds is submitted first. */
struct io_uring_sqe *floor_ring_entry(struct io_uring *ring);

/* Submits what is queued and waits for a completion, in one system call. A debugger that attaches ends the wait without one. */
void floor_ring_wait(struct io_uring *ring);

#endif
