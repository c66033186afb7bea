/* What the files of the io_uring backend share. */
#ifndef PIER_URING_H
#define PIER_URING_H

#include "port.h"
#include <liburing.h>

#define URING_ENTRIES 256u
/* For files that are loaded: so many in a ring at a time. */
#define LOADS_PLACES 64u
#define URING_COMPLETIONS 4096u

/* What a completion stands for that is no operation's. */
enum uring_own {
  URING_WAKE,
  URING_CANCEL,
  URING_SET,   /* uring_set.c */
  URING_TICK,  /* trust.h */
  URING_AGAIN, /* uring_load.c */
  URING_WATCH  /* and behind it one for each seat that may be watched */
};

/* One ring, tended by one thread at a time: by who drives the loop, or by the poller thread whose seat it is, or who stands in for
   that. What other threads submit and cancel is handed over, because the kernel ties a call to the thread that made it: it would
   end with the thread. */
struct uring_ring {
  struct io_uring ring;
  /* What each turn looks at, beside each other. */
  uint64_t armed_by;         /* the thread whose poll of the eventfd wakes the ring; 0: none */
  _Atomic uint32_t tail;     /* as the submission queue's, for who does not have the lock */
  _Atomic uint32_t taken;    /* how far the kernel had come there when it was last looked */
  int set;                   /* uring_set.c; -1: not made */
  _Atomic uint32_t readers;  /* in it */
  _Atomic uint32_t handed;   /* how much is: see below */
  _Atomic bool hurried;      /* entries are not to wait in line; changed under the lock */
  struct mutex lock;         /* both queues */
  int wake;                  /* an eventfd */
  uint64_t places;           /* under the lock: those that are free in the table of files (uring_files.c) */
  _Atomic uint64_t load_places; /* likewise, of those for files that are loaded (uring_load.c), which stand behind them */
  uint64_t load_all;           /* and what that is when none is taken: 0 if there is no table */
  _Atomic uint32_t load_refusals; /* so many in a row of the kernel's: it cannot do it */
  bool load_again;             /* under the lock: a look is due at those whose end is asked for */
  _Atomic uint64_t loads[LOADS_PLACES]; /* who has such a place, or had it: operations' ids */
  _Atomic uint32_t watched_by; /* the seat whose ring polls this one's set, + 1 */
  _Atomic uint32_t tender;   /* the seat whose thread comes by here in each of its turns (uring_lend.c); changed under the lock */
  _Atomic uint64_t lent;     /* the other ones where this one's thread comes by as well, a bit for each */
  struct inbox inbox;        /* with seats: whether the thread sleeps; nothing lies in it */
  struct mutex handing;
  struct ready_list launches; /* handed over to be launched */
  struct ready_list settled;  /* ended already: they only keep their place in the order */
  struct op *cancels;         /* handed over to be cancelled, linked by system[URING_LINK] */
  struct msghdr headers[URING_ENTRIES]; /* one per entry of the queue: the kernel has copied it when it has taken the entry */
};

/* A loop that is driven has one ring; one with poller threads has one for each of them. A handle belongs to one of the first poller->homes of
   these, by its slot. */
struct uring {
  struct port_common common; /* first: see port_common__of() */
  _Atomic bool hosted;       /* somebody has been given the ring, of a loop that is driven */
  _Atomic bool shown;        /* so the ring polls the set, and not the set the ring */
  uint64_t set_armed_by;     /* as armed_by, of that poll */
  uint32_t count;
  struct uring_ring rings[];
};

/* ERESTARTSYS, which has no name outside the kernel, and which a call brings that was interrupted in one of its threads. */
#define URING_RESTART 512

/* The words in op->system. */
enum { URING_PHASE = 1, URING_LINK = 2, URING_HANDED = 3 };
/* What the kernel has of an operation: its call, or a poll after which the call is made. */
enum { URING_CALL = 0, URING_POLL = 1 };
/* One that keeps reading has the words of port.h instead of the first two; URING_LINK and URING_HANDED are its own too. */

/* In a stream's handle->hint: what is to be expected of the next receive. */
enum uring_hint { HINT_NONE = 0, HINT_EMPTY = 1, HINT_MORE = 2 };

static inline unsigned uring__hint(const struct handle *handle) {
  return atomic_load_explicit(&((struct handle *)handle)->hint, memory_order_relaxed);
}
static inline void uring__learn(struct handle *handle, unsigned hint) { atomic_store_explicit(&handle->hint, (uint8_t)hint, memory_order_relaxed); }

static inline struct uring *uring__of(struct poller *poller) { return poller->system; }

/* What such a completion names: an address within the backend's own memory. A host's packets may come to the ring too, with numbers of their own,
   and none of those is that. */
static inline uint64_t uring__key(struct poller *poller, unsigned own) { return (uint64_t)(uintptr_t)poller->system + own; }

static inline uint32_t uring__seat(const struct handle *handle) {
  uint32_t homes = handle->poller->homes;
  return homes == 1 ? 0 : slab__index(&handle->slot) % homes; /* a loop that is driven has better things to do than divide */
}
static inline struct uring_ring *uring__home(const struct handle *handle) { return &uring__of(handle->poller)->rings[uring__seat(handle)]; }

/* The same of an operation. */
static inline uint32_t uring__seat_of(const struct op *op) { return op->slot.kind == OP_LOAD ? op->as.load.seat : uring__seat(op->handle); }
static inline struct uring_ring *uring__ring_of(const struct op *op) { return &uring__of(op__poller(op))->rings[uring__seat_of(op)]; }

/* The ring that this thread tends, which is in a turn of the poller's. */
static inline struct uring_ring *uring__here(struct poller *poller) { return &uring__of(poller)->rings[turn__here()->seat]; }

/* Whether this thread tends the handle's ring. */
static inline bool uring__is_home(const struct handle *handle) {
  if (!port__is_inside(handle->poller))
    return false;
  const struct turn *turn = turn__here();
  uint32_t seat = uring__seat(handle);
  return seat == turn->seat || atomic_load_explicit(&uring__of(handle->poller)->rings[seat].tender, memory_order_acquire) == turn->home;
}

/* uring_queue.c: what goes to the kernel. */

/* Room for so many entries that the kernel takes them together; false: it takes nothing. Then each of them. And when they are filled in. Under
   the lock. */
bool uring__make_room(struct poller *poller, struct uring_ring *ring, unsigned count);
struct io_uring_sqe *uring__next_entry(struct uring_ring *ring);
void uring__pushed(struct poller *poller, struct uring_ring *ring);
/* Of an entry that ends others. */
void uring__mark_cancel(struct poller *poller, struct io_uring_sqe *entry);

/* Puts an operation in line. 0; ECANCELED if its end is wanted; EAGAIN if the ring takes nothing. */
uint32_t uring__push(struct op *op);
void uring__push_cancel(struct op *op);
void uring__push_cancel_all(struct handle *handle);
/* Polls, in the ring of this thread: the eventfd that wakes it, for good; another seat's set, once; the set, for good. Those for good are
   put in line again for another thread. */
void uring__push_wake(struct poller *poller);
void uring__push_watch(struct poller *poller, uint32_t own_seat, uint32_t seat);
void uring__push_set(struct poller *poller);
/* A tick in TRUST_TICK_NS, or when its thread ends; false: the ring takes nothing. */
bool uring__push_tick(struct poller *poller);
/* Has the kernel take what is in line in this thread's ring, and waits for a completion, at most so long; 0 is not at all. */
void uring__enter(struct poller *poller, struct uring_ring *here, uint64_t timeout_ns);
void uring__flush(struct poller *poller);
void uring__hurry(struct poller *poller, uint32_t seat);
/* Before this thread waits for its set: has the kernel take what is in line, in those that are lent to it as well. False: it has not taken all. */
bool uring__hand_in_all(struct poller *poller, struct uring_ring *here);
bool uring__nudge(struct poller *poller, uint32_t seat);

/* uring_files.c: files with many calls in flight stand in a table of the ring's, where the kernel finds them sooner. */

#define FILES_PLACES 64u
/* So many calls that had as many beside them are worth the two that put a file there and take it out. */
#define FILES_PATIENCE 64u

void files__open(struct uring_ring *ring);
/* Under the lock. */
void files__enter(struct uring_ring *ring, struct handle *handle);
/* Before its descriptor is closed, or the handle leaves the port; nothing of it is in flight. */
void files__leave(struct handle *handle);

/* A call of the handle's is put in line. Under the lock. */
static inline void files__count(struct uring_ring *ring, struct handle *handle) {
  bool counts = handle->slot.kind == PIER_KIND_FILE && !handle->place;
  if (counts && (atomic_load_explicit(&handle->slot.word, memory_order_relaxed) & HANDLE_FLIGHTS) >= PORT_TOGETHER &&
      ++handle->together == FILES_PATIENCE)
    files__enter(ring, handle);
}

/* uring_load.c: files that are opened, read and closed by one chain of entries. */

/* See port_backend's. */
bool uring__claim_load(struct op *op);
void uring__disclaim_load(struct op *op);
bool uring__begin_load(struct op *op);
bool uring__has_loads(struct poller *poller);
void uring__cancel_load(struct op *op);
/* Its last entry has completed; and another one: false if that is none of a load's. */
void uring__load_closed(struct op *op, int32_t result);
bool uring__load_told(struct poller *poller, uint64_t id, int32_t result);
/* Those whose end is asked for are looked at again. */
void uring__load_again(struct poller *poller);

/* uring_hand.c: what other threads have for a ring. */
void uring__hand_launch(struct op *op);
void uring__hand_cancel(struct op *op);
void uring__hand_settled(struct op *op);
/* Launches, cancels and ends what was handed over. */
void uring__take_over(struct poller *poller);

/* uring_operation.c: operations, from their submit to their end. */
enum port_start uring__submit(struct op *op, struct piece *piece);
bool uring__submit_away(struct op *op);
void uring__launch(struct op *op);
void uring__cancel(struct op *op);
bool uring__cancel_all(struct handle *handle);
void uring__finish(struct op *op);
/* Has the kernel have it. False: that cannot be, and it is settled. */
bool uring__ask(struct op *op);

/* uring_multishot.c: the kernel has a poll for it that stays, and tells of what comes. */

/* The poll is put in line; false: it is settled. */
bool uring__begin_multishot(struct op *op);
void uring__polled(struct op *op, int32_t result, uint32_t flags);
/* The same of a handle's that is in the set; stale ids do nothing. */
void uring__told(struct poller *poller, pier_handle id, uint32_t events);
/* See port_backend's. */
void uring__look(struct poller *poller, pier_handle id);
/* Of a handle that closes: has its reader run, if that is in the set. What the kernel ends by descriptor does not know it. */
void uring__end_reader(struct handle *handle);
/* Its end is asked for: whoever has it in hand sees that, or it is run. */
void uring__cancel_multishot(struct op *op);
void uring__resume(struct op *op);
void uring__end(struct op *op);
/* A completion of the kernel's; false if none of our operations stands behind it. */
bool uring__completed(struct poller *poller, uint64_t id, int32_t result, uint32_t flags);

/* uring_set.c: readers that go on, in an epoll set. */

/* A seat's: from the start, for who stands in polls it. */
int set__open(struct uring_ring *ring);
void set__close(struct uring_ring *ring);
/* False: there is no place for it there, and the ring has to poll for it. */
bool set__add(struct op *op);
void set__remove(struct op *op);
/* Whether this is what the thread that tends the ring has to wait for; and does so. False: nothing but readers had something. */
bool set__is_awaited(struct uring *uring, const struct uring_ring *ring);
bool set__wait(struct poller *poller, const struct uring_ring *ring, uint64_t timeout_ns);
/* Another seat's set, in a seat's. */
bool set__put_in(struct uring_ring *ring, const struct uring_ring *lent, uint32_t seat);
void set__take_out(struct uring_ring *ring, const struct uring_ring *lent);
/* Somebody is given the ring, to wait for it. And by whoever comes to the loop: has the ring show what is in the set. */
void set__host(struct poller *poller);
void set__show(struct poller *poller);
/* At the end of a wait: a host that came during it has woken a thread that was past that, so the next one is called again. */
void set__shown_next(struct poller *poller);

/* uring_at_once.c: calls of a stream that are made inside the submit, because they are likely to end there and cost less than by way of the ring. */

/* Whether a stream's operation is worth it. */
bool uring__goes_at_once(const struct op *op);
/* Makes the operation's calls here and now, as far as that goes without waiting. True: it is settled. */
bool uring__try(struct op *op);
/* What a receive from the ring has taught. */
void uring__received(struct op *op, int32_t result, uint32_t flags);

/* uring_lend.c: rings whose thread sleeps while another one's comes by. See port_backend's. */
bool uring__lend(struct poller *poller, uint32_t to_seat);
void uring__take_back(struct poller *poller, uint32_t from_seat);
bool uring__settle(struct poller *poller);

/* uring_call.c: the calls, one per operation code. */
void uring__fill(struct io_uring_sqe *entry, struct op *op, struct msghdr *header);

/* Whether it is a handle whose operations go one at a time in each direction. */
static inline bool uring__has_lanes(const struct op *op) {
  return (op->slot.kind == OP_READ || op->slot.kind == OP_WRITE) && op->handle->slot.kind != PIER_KIND_FILE;
}

#endif
