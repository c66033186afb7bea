/* A turn: what one thread has in hand while it runs callbacks. What becomes due on that thread stays in the thread's own
   list; only other threads have to go through the inbox. */
#ifndef PIER_TURN_H
#define PIER_TURN_H

#include "own.h"
#include "ready.h"
#include "system.h"

struct handle;
struct local;
struct poller;

/* Of a turn whose list other threads may take (runtime/seats.h). */
struct turn_share {
  struct mutex lock; /* the list, while callbacks run */
  bool away;         /* somebody stands in: what becomes due is not for this thread */
};

struct turn {
  struct poller *poller;
  struct ready_list ready;
  struct turn *outer; /* a callback may drive another loop */
  struct local *local;      /* what its thread has for itself; null: nothing */
  struct handle *reading;   /* in the callback of a reader that goes on: its handle (visit.h); else null */
  struct turn_share *share; /* null: the list is this thread's alone */
  bool drives;        /* its thread comes back to wait on the port, and nobody else does */
  /* Where the poller has several seats (runtime/seats.h): */
  uint32_t seat;      /* whose port this thread looks at */
  uint32_t home;      /* its own */
  uint64_t shown;     /* those that are lent to where it has looked, and have something; a bit for each */
};

/* The turn that the calling thread is in, or null. */
static inline struct turn *turn__here(void) { return own__get(); }
void turn__begin(struct turn *turn, struct poller *poller);
void turn__end(struct turn *turn);
/* Puts something into the turn's list. False: it is not to go there. */
bool turn__keep_shared(struct turn *turn, struct ready *ready);
static inline bool turn__keep(struct turn *turn, struct ready *ready) {
  if (turn->share)
    return turn__keep_shared(turn, ready);
  ready_list__append(&turn->ready, ready);
  return true;
}

#endif
