/* The loop's own poller threads.

   One of them at a time waits on the port (the leader); what it dequeues goes into one line, in the order of the port, and any
   thread that is free takes from its front. So the completions of one handle reach its strand in their order, which no number
   of threads that wait on a port side by side could promise; nobody is held up by a long callback, because whoever takes
   something sees to it that another one leads; and timers have one thread to wait for them.

   What a callback finds done at once is run by its own thread next, unless that does not come back: then who leads notices, within two
   ticks, and puts it into the line; what comes after that goes there by way of the inbox. So a callback may wait for what it has
   submitted, as long as a thread is left. */
#ifndef PIER_POOL_H
#define PIER_POOL_H

#include "ready.h"
#include "system.h"
#include "turn.h"

struct pier_loop;
struct pool;
struct seats;

/* Another kind of pool, whose threads have a port of their own each. Of what follows it has no more than `lock` and `quiet`. */
struct pool_kind {
  int (*open)(struct pool *pool, struct pier_loop *loop, uint32_t count);
  void (*close)(struct pool *pool);
  bool (*is_quiet)(const struct pool *pool); /* nothing is alive, and no callback runs */
};

/* The one that a loop's poller is made for; null: a leader, as above. One body per system: pool_linux.c, pool_win.c. */
const struct pool_kind *pool__kind(const struct pier_loop *loop);

struct pool_thread {
  struct pool *pool;
  struct thread thread;
  struct turn turn;
  struct turn_share share; /* of its list, while it is in a callback */
  uint32_t beat;           /* these are under the pool's lock: it moves on with every callback */
  uint32_t beat_seen;      /* at the last look */
  bool inside;             /* it is in a callback */
};

struct pool {
  struct pier_loop *loop;
  const struct pool_kind *kind;
  struct seats *seats;      /* of that kind */
  struct mutex lock;
  struct condition changed;
  struct condition quiet;   /* for those who wait until nothing is alive */
  struct ready_list line;
  struct pool_thread *threads;
  uint32_t count;
  uint32_t free;    /* threads that wait for something to do */
  uint32_t running; /* threads in callbacks */
  uint32_t away;    /* of these, those that have been in the same one for long */
  uint64_t watched_ns; /* when somebody looked for such */
  uint32_t since_look; /* callbacks run since somebody began to lead */
  bool led;
  bool stopping;
};

int pool__open(struct pool *pool, struct pier_loop *loop, uint32_t count);
void pool__close(struct pool *pool, struct pier_loop *loop);
/* Waits until nothing is alive, the loop is stopped, or the time is up (false). */
bool pool__wait(struct pool *pool, struct pier_loop *loop, uint64_t timeout_ns);
/* Has those who wait look again. */
void pool__look(struct pool *pool);

#endif
