/* The loop's own poller threads, where each has a port of its own: a seat.

   A handle belongs to a seat by its slot. The seat's thread waits on the seat's port, and runs itself what comes from there: its
   completions reach their strands in their order, and in the usual case no thread hands anything to another. One of the threads, the
   keeper, also looks after the inbox and the timers.

   A callback may take long, or wait for another one. So there is a watchman: a thread that finds out, within milliseconds, that a seat's
   thread has not come back from its callbacks. It then has one that is free stand in: that one takes what is due there, and looks at that
   port as well as at its own until the thread is back. The watchman sleeps when there is nothing to watch. And where callbacks have lately taken
   long, whoever begins with some has somebody stand in from the start.

   Not all seats need have handles: see uring__homes(). */
#ifndef PIER_SEATS_H
#define PIER_SEATS_H

#include "loop.h"

#define SEATS_MAX 64u

struct seats;

struct seat {
  struct mutex tending;     /* who looks at the port, and for as long as he waits there */
  struct turn turn;         /* of its thread; what is due here who stands in may take */
  struct turn_share share;
  _Atomic uint64_t beat;    /* odd while its thread is in callbacks; it moves on with every turn that has some */
  _Atomic uint64_t begun_ns; /* when it was last odd first */
  _Atomic uint32_t stand_in; /* the seat whose thread stands in, + 1; 0: none */
  _Atomic uint64_t slow_until_ns; /* so long it calls somebody beforehand; its own thread's to write */
  uint64_t preemptions;     /* its thread's, when they were last asked for */
  bool slow;                /* its thread's: in the last turn callbacks took long */
  uint64_t stands_in;       /* its own thread's: for which seats, a bit for each */
  struct seats *seats;
  struct thread thread;
};

struct watch {
  struct mutex lock;
  struct condition changed;
  _Atomic bool active;
  uint64_t beats[SEATS_MAX]; /* at the last look */
  uint64_t found_ns;         /* when somebody was last found away; 0: never */
  struct thread thread;
};

struct seats {
  pier_loop *loop;
  _Atomic bool stopping;
  _Atomic uint64_t unattended; /* seats that somebody is to stand in for, a bit for each */
  struct watch watch;
  uint32_t count;
  struct seat seat[];
};

extern const struct pool_kind seats_kind;

/* runtime/watch.c */
int watch__open(struct seats *seats);
void watch__close(struct seats *seats);
/* Somebody begins with callbacks: from now on there is something to watch. */
void watch__rouse(struct watch *watch);

/* Has somebody who has nothing to do stand in for those seats. */
void seats__call(struct seats *seats, uint64_t unattended);

static inline bool seats__is_busy(uint64_t beat) { return beat & 1; }
static inline uint64_t seats__bit(uint32_t index) { return (uint64_t)1 << index; }

#endif
