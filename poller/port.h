/* The backends of a system that has several, and what their files share. Which one a loop has is decided when it opens. */
#ifndef PIER_PORT_H
#define PIER_PORT_H

#include "poller.h"
#include "trust.h"

/* What differs between them; see the functions port__... of the same names. */
struct port_backend {
  const char *name;
  bool blocking_files; /* files have no readiness: worker threads serve them */
  bool non_blocking;   /* its own descriptors are opened O_NONBLOCK */
  int (*open)(struct poller *poller, uint32_t threads);
  void (*close)(struct poller *poller);
  int (*associate)(struct handle *handle);
  void (*disassociate)(struct handle *handle);
  enum port_start (*submit)(struct op *op, struct piece *piece);
  bool (*submit_away)(struct op *op); /* null: never */
  void (*cancel)(struct op *op);
  /* Of a file that is loaded, where one call of the system's can do that: takes what it needs, before anybody knows of the operation; false:
     it is to be loaded in another way. And gives that back, instead of beginning it; begins it; false: likewise. Null: there is no such call. */
  bool (*claim_load)(struct op *op);
  void (*disclaim_load)(struct op *op);
  bool (*begin_load)(struct op *op);
  bool (*has_loads)(struct poller *poller); /* of a loop that is driven */
  bool (*cancel_all)(struct handle *handle);
  /* Whether what this thread submits for the handle goes to the system together with what else it submits; null: never. */
  bool (*gathers)(const struct handle *handle);
  size_t (*wait)(struct poller *poller, pier_packet *packets, size_t max, uint64_t timeout_ns);
  void (*wake)(struct poller *poller);
  void (*flush)(struct poller *poller);
  void (*host)(struct poller *poller); /* somebody is given its descriptor, to wait for it */
  void (*post)(struct op *op);
  /* Of one that keeps reading: it waits for more; it is settled, and gives its place in the lane to the next. */
  void (*resume)(struct op *op);
  void (*end)(struct op *op);
  /* Of a backend with seats. */
  void (*hurry)(struct poller *poller, uint32_t seat);
  bool (*nudge)(struct poller *poller, uint32_t seat);
  bool (*watch)(struct poller *poller, uint32_t own_seat);
  bool (*lend)(struct poller *poller, uint32_t to_seat);
  void (*take_back)(struct poller *poller, uint32_t from_seat);
  bool (*settle)(struct poller *poller);
  /* Has trust__tick() called in TRUST_TICK_NS; false: that cannot be. And for a handle that is noted: if it is behind, its reader goes on. */
  bool (*arm)(struct poller *poller);
  void (*look)(struct poller *poller, pier_handle id);
  /* Before the descriptor is closed. */
  void (*forget)(struct handle *handle);
};

extern const struct port_backend epoll_backend;
extern const struct port_backend uring_backend;

/* What a wake comes under; no handle's and no operation's id, for those have their kind in them. */
#define PORT_WAKE_KEY ((uint64_t)1)

/* What both have: locks for the handles' lanes; and what epoll has once, io_uring for each ring: operations that have ended and only keep
   their place in the order, and what wakes the loop. */
#define PORT_LOCKS 64u

/* Of so many operations of a file in flight a ring makes the calls together. */
#define PORT_TOGETHER 8u

/* In handle->watch, above the backend's own: some of its operations may be with the workers. */
#define PORT_HAS_IOCTLS 0x10000u

struct port_common {
  struct mutex locks[PORT_LOCKS];
  struct mutex posted_lock;
  struct ready_list posted;
  _Atomic uint32_t posted_count;
  struct trust trust;
  int wake; /* an eventfd */
  int tick; /* epoll's: a timerfd; -1: not made */
};

void port_common__open(struct port_common *common);
void port_common__close(struct port_common *common);
void port_common__post(struct op *op);
/* Ends what was posted. */
void port_common__drain(struct poller *poller);
static inline bool port_common__has_posted(struct port_common *common) {
  return atomic_load_explicit(&common->posted_count, memory_order_seq_cst) != 0;
}

static inline struct port_common *port_common__of(struct poller *poller) { return poller->system; }

/* By the slot's index: who only has an id may not look into the handle before. */
static inline struct mutex *port_common__lock_at(struct poller *poller, uint32_t index) { return &port_common__of(poller)->locks[index % PORT_LOCKS]; }
static inline struct mutex *port_common__lock(struct handle *handle) {
  return port_common__lock_at(handle->poller, slab__index(&handle->slot));
}

/* The lane of an operation: 0 what waits for something to come, 1 what waits for room. */
static inline unsigned port__lane(const struct op *op) { return op->slot.kind == OP_WRITE || op->slot.kind == OP_CONNECT; }

/* Takes an operation out of the ones that wait. Under the lock. */
bool port_common__unlink(struct lane *lane, struct op *op);
/* Takes all that wait on a handle, and ends them as cancelled. Gives their number. */
unsigned port_common__cancel_waiting(struct handle *handle);

/* The words in op->system of one that keeps reading: what is known of it, under the lock, and by who runs it whether it has taken all that
   there was. */
enum { MULTISHOT_STATE = 0, MULTISHOT_DRAINED = 1 };
enum multishot_drained { DRAINED_NOT, DRAINED_LIKELY /* it was short */, DRAINED_SURELY /* it would have waited */ };
enum multishot_state {
  MULTISHOT_BUSY = 1,  /* it is due, or run: nobody else may have it run */
  MULTISHOT_EDGE = 2,  /* something has come meanwhile */
  MULTISHOT_ARMED = 4, /* io_uring: the kernel has a poll for it */
  MULTISHOT_ENDING = 8, /* io_uring: it is settled, and waits for the end of that */
  MULTISHOT_IN_SET = 32, /* io_uring: it is armed, and that is in the set (uring_set.c) */
  MULTISHOT_TRUSTLESS = 16 /* io_uring: it has ended or failed, or has urgent data: a short read says nothing about the next one */
};

/* Whether this thread is in a turn of the poller's. */
static inline bool port__is_inside(const struct poller *poller) {
  struct turn *turn = turn__here();
  return turn && turn->poller == poller;
}

/* Whether this thread has something in hand that must not wait. */
static inline bool port__has_due(const struct poller *poller) { return port__is_inside(poller) && turn__here()->ready.first; }

/* A handle for a descriptor that Pier opened; takes the descriptor, also when it fails. `flags` beside HANDLE_OURS. */
int port__adopt(struct poller *poller, int descriptor, pier_kind kind, unsigned flags, uint8_t family, struct handle **adopted);

/* The same for what is to be opened by an operation: null for want of a slot. It is where it will stand, without a descriptor yet. */
struct handle *port__reserve(struct poller *poller, pier_kind kind, unsigned flags, uint8_t family);

/* poller/pipe_linux.c */
int pipe__begin_accept(struct op *op);
int pipe__opened(struct op *op, pier_handle *opened);
void pipe__abandon(struct op *op);
void pipe__shut(struct handle *handle);

#endif
