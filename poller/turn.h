/* A turn: what one thread has in hand while it runs callbacks. What becomes due on that thread stays in the thread's own
   list; only other threads have to go through the inbox. */
#ifndef PIER_TURN_H
#define PIER_TURN_H

#include "ready.h"

struct poller;

struct turn {
  struct poller *poller;
  struct ready_list ready;
  struct turn *outer; /* a callback may drive another loop */
  uint32_t seat;      /* where the poller has several: whose port this thread looks at (runtime/seats.h) */
};

/* The turn that the calling thread is in, or null. */
struct turn *turn__here(void);
void turn__begin(struct turn *turn, struct poller *poller);
void turn__end(struct turn *turn);

#endif
