/* Where the thread that waits for a loop sleeps while nothing can come off the port: the loop has no handle, and nobody else has been given
   its port. What is left, posts, timers, work, an order to stop, comes from threads, and they can call it without the port: a lock
   and a condition are a fraction of what a packet costs and its taking, or an eventfd.

   An operation without a handle that the port has (a file that is loaded) is begun by the thread that waits, or would wait here.

   So it is about loops that are mailboxes, or wait for their workers. A handle that comes, from whichever thread, ends it, and so does
   whoever asks for the port. */
#ifndef PIER_DOZE_H
#define PIER_DOZE_H

#include "system.h"

struct poller;

struct doze {
  struct mutex lock;
  struct condition come;
  bool called;             /* under the lock */
  _Atomic uint32_t asleep; /* 0 or 1; changed under the lock */
  _Atomic bool never;      /* somebody else has the port */
};

void doze__open(struct doze *doze, bool never);
void doze__close(struct doze *doze);

/* Sleeps until it is called. False: that may not be, and the port has to be waited for. */
bool doze__wait(struct poller *poller);
/* By who wakes the loop. False: nobody sleeps here. */
bool doze__call(struct poller *poller);
/* A handle has been made: from now on the port has to be waited for. */
void doze__disturb(struct poller *poller);
/* The same for good: the port is given to somebody. */
void doze__forbid(struct poller *poller);

#endif
