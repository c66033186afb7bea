/* What a loop waits on when nothing but other threads and its timers can wake it: an empty completion port, ring or epoll set. */
#ifndef BENCH_FLOOR_WAKER_H
#define BENCH_FLOOR_WAKER_H

#include <stdbool.h>
#include <stdint.h>

#define FLOOR_NO_TIMEOUT UINT64_MAX

struct floor_waker;

/* By the thread that will wait on it: a ring knows its one submitter. Closed by any thread when nobody waits any more. */
struct floor_waker *floor_waker_open(void);
void floor_waker_close(struct floor_waker *waker);

/* From any thread. Several may be met by one return of floor_waker_wait. */
void floor_waker_wake(struct floor_waker *waker);

/* Until it is woken, or the time is over. */
void floor_waker_wait(struct floor_waker *waker, uint64_t timeout_ns);

#endif
