/* The loop's own poller threads, where each has a port of its own: a seat.

   A handle belongs to a seat by its slot. The seat's thread waits on the seat's port, and runs itself what comes from there: its
   completions reach their strands in their order, and in the usual case no thread hands anything to another. One of the threads, the
   keeper, also looks after the inbox and the timers.

   A callback may take long, or wait for another one. So there is a watchman: a thread that finds out, within milliseconds, that a seat's
   thread has not come back from its callbacks. It then has one that is free stand in: that one takes what is due there, and looks at that
   port as well as at its own until the thread is back. The watchman sleeps when there is nothing to watch. And where callbacks have lately taken
   long, whoever begins with some has somebody stand in from the start.

   Not all seats need have handles: see uring__homes(). And while one thread is enough for several seats, the others sleep and lend it their ports
   (runtime/lend.c): it goes to sleep less often than they would together, and takes more at a time. */
#ifndef PIER_SEATS_H
#define PIER_SEATS_H

#include "loop.h"

#define SEATS_MAX 64u

struct seats;

/* How busy a seat's thread is, looked at now and then. */
struct load {
  uint64_t ran_ns; /* how long it had run then, */
  uint64_t sleeps; /* and how often slept */
  /* Others look at these too: when that was last, and how much of the time before that it ran; and of who tends others' ports, how long he does so
     even without time to sleep, and until when. */
  _Atomic uint64_t since_ns;
  _Atomic uint32_t permille;
  _Atomic uint64_t patience_ns;
  _Atomic uint64_t whole_until_ns;
};

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
  bool idle;                /* its thread's: another one could do its work as well */
  _Atomic bool lent;        /* its port is; changed by who tends it */
  bool wanted;              /* under the lock: its thread is to take it back */
  struct mutex lending;
  struct condition back;
  struct load load;
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

/* runtime/lend.c */
void lend__open(struct seat *seat);
void lend__close(struct seat *seat);
/* By its thread, before it does anything. */
void lend__begin(struct seat *seat);
/* Lends the seat's port, if there is little to do, until somebody wants it back. False: it is not to be, and the thread looks there itself. */
bool lend__rest(struct seat *seat);
/* Has a thread that has lent its port take it back, and look for what there is to do. False: it has it, or somebody has said so already. */
bool lend__want_back(struct seat *seat);
/* Looks at the ports that are lent to where the thread has looked, and have something. */
void lend__look(struct seat *seat);
/* Callbacks are about to run: now and then, looks how busy the thread is, and has another one take its port back if this one cannot do it all. */
void lend__weigh(struct seat *seat, uint64_t now_ns);

/* Has somebody who has nothing to do stand in for those seats. */
void seats__call(struct seats *seats, uint64_t unattended);

static inline uint32_t seat__index(const struct seat *seat) { return (uint32_t)(seat - seat->seats->seat); }

/* Who keeps changes only while his seat's lock is held, and he is in callbacks or lends his port. */
static inline bool seat__keeps(const struct seat *seat) {
  return atomic_load_explicit(&seat->seats->loop->poller.keeper, memory_order_relaxed) == seat__index(seat);
}

static inline bool seat__expects_slow(const struct seat *seat, uint64_t now_ns) {
  return atomic_load_explicit(&((struct seat *)seat)->slow_until_ns, memory_order_relaxed) > now_ns;
}

static inline bool seats__is_busy(uint64_t beat) { return beat & 1; }
static inline uint64_t seats__bit(uint32_t index) { return (uint64_t)1 << index; }

#endif
