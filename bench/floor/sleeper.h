/* What a Linux waker sleeps in: a ring, or an epoll set, with an eventfd that ends the sleep. */
#ifndef BENCH_FLOOR_SLEEPER_H
#define BENCH_FLOOR_SLEEPER_H

#include <stdbool.h>
#include <stdint.h>

struct floor_sleeper;

/* By the thread that will sleep in it: a ring knows its one submitter. */
struct floor_sleeper *floor_sleeper_open(void);
void floor_sleeper_close(struct floor_sleeper *sleeper);

/* Until it is roused or the time (FLOOR_NO_TIMEOUT: none) is over. May end early. False: the time is over. */
bool floor_sleeper_sleep(struct floor_sleeper *sleeper, uint64_t timeout_ns);

/* From any thread. */
void floor_sleeper_rouse(struct floor_sleeper *sleeper);

#endif
