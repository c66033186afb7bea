/* A handle: what Pier knows about one file, pipe or socket of the system.

   The lower half of the slot's word is what decides who may do what: the number of operations in flight, and whether the
   handle is closing or being moved off the port or on it. Generation, marks and count change together, so no operation slips in between a check and
   what follows from it, and an id of the past cannot touch what lives in the slot now. */
#ifndef PIER_HANDLE_INTERNAL_H
#define PIER_HANDLE_INTERNAL_H

#include "op.h"
#include "strand.h"

/* The word's lower half. */
#define HANDLE_FLIGHT ((uint64_t)1)
#define HANDLE_FLIGHTS ((uint64_t)0xffffff)
#define HANDLE_LIVE ((uint64_t)1 << 24)
#define HANDLE_CLOSING ((uint64_t)1 << 25)
#define HANDLE_MOVING ((uint64_t)1 << 26) /* off the port, or on it */

/* One direction of a stream: its operations one at a time, in the order of their submits. */
struct lane {
  struct op *current;        /* the one that is served: that the kernel has (io_uring, Windows' event path) */
  struct ready_list waiting; /* the others, linked by their `ready` */
};

/* The slot's flags, written before the id is given out. */
enum handle_flags {
  HANDLE_OURS = 1,    /* Pier opened it: nobody else starts I/O on it */
  HANDLE_BORROWED = 2, /* pier_close() leaves it open, and never cancels what others started */
  HANDLE_SOCKET = 4,
  HANDLE_SKIPS = 8,   /* a success inside the call queues no packet */
  HANDLE_ORDERED = 16, /* a stream: the order of completions means something */
  HANDLE_DELAYS = 32, /* Nagle's algorithm stays on for its connections */
  HANDLE_APPENDS = 64, /* writes go to the end */
  HANDLE_MODES_UNKNOWN = 128 /* nobody can say whether its successes queue packets */
};

/* In a handle's state, beside the pier_state: it has not been found out yet what the handle is, and operations wait for that. */
#define HANDLE_GATE 0x100u

struct handle {
  struct slot slot; /* kind: enum pier_kind; flags: enum handle_flags; detail: the address family */
  struct strand strand;
  struct ready closing;
  struct poller *poller;
  uintptr_t native;
  _Atomic uint32_t state;      /* enum pier_state, without closing; HANDLE_GATE */
  _Atomic int32_t pending[2];  /* ordered handles: reads and writes that the kernel has; for a moment off by those in hand */
#ifdef _WIN32
  _Atomic uint32_t learned;    /* files: how many calls in a row said "pending" and were over (iocp_inside.c); sockets: IOCP_NON_BLOCKING */
#else
  uint32_t watch;              /* under the lanes' lock: what the poller knows of its readiness */
  int32_t watched;             /* the descriptor in the poller's set: a duplicate where somebody has put it there himself */
  _Atomic uint8_t hint;        /* what the last calls have taught: of a stream enum uring_hint, of a file's reads at_once_linux.c */
  _Atomic uint8_t write_hint;  /* and of a file's writes; of a local stream socket whether it is believed (trust.h) */
  uint8_t together;            /* of a file, under its ring's lock: how many of its calls had many beside them (uring_files.c) */
  uint8_t place;               /* and where it stands in the ring's table, + 1 */
#endif
  _Atomic(struct op *) parked; /* a shutdown that waits for the writes before it */
  pier_packet_callback on_foreign;
  void *foreign_context;
  pier_callback on_close;
  void *close_context;
  union {
    _Atomic uint64_t position; /* a file's own */
    uint16_t run_below;        /* of a UDP socket, under the lanes' lock: shorter datagrams may go as a run (sends.h); 0: not known yet */
  };
  void *detail;                /* what its kind adds; freed with the handle */
  struct lane lanes[2];        /* reading and writing: who is served, and who waits */
};

_Static_assert(sizeof(struct handle) <= 192, "a handle's slot is at most 192 bytes");

static inline pier_state handle__standing(const struct handle *handle) {
  return (pier_state)(atomic_load_explicit(&((struct handle *)handle)->state, memory_order_acquire) & ~HANDLE_GATE);
}
static inline bool handle__is_gated(const struct handle *handle) {
  return atomic_load_explicit(&((struct handle *)handle)->state, memory_order_acquire) & HANDLE_GATE;
}
/* Whether it may be of that kind, for an operation: it is, or nobody knows yet and the gate will see. */
static inline bool handle__may_be(const struct handle *handle, pier_kind kind) {
  return handle__is_gated(handle) || handle->slot.kind == kind;
}

static inline struct handle *handle__of_closing(struct ready *ready) {
  return (struct handle *)(void *)((char *)ready - offsetof(struct handle, closing));
}

/* A slot for a handle of the system that is open already; null for want of one. The caller fills in the rest and then opens it. */
struct handle *handle__acquire(struct poller *poller, pier_kind kind, uintptr_t native);
/* Makes the id valid. */
pier_handle handle__open(struct handle *handle);

/* The same with an operation on it: the one that opens it, before anybody knows of it. */
void handle__open_with(struct handle *handle);

/* Counts an operation in: PIER_OK and the handle; PIER_ECLOSED for one that is closed or closing, PIER_EBADF for an id that
   never was one of this poller's. While the handle is being moved it waits for that. */
int handle__enter(struct poller *poller, pier_handle id, struct handle **handle);
/* Counts it out. The last one out of a closing handle has its end delivered. */
void handle__leave(struct handle *handle);

/* The handle that an id names now, if it does; for readers of things that never change while the slot lives. */
struct handle *handle__find(struct poller *poller, pier_handle id);

static inline bool handle__is_closing(const struct handle *handle) {
  return atomic_load_explicit(&((struct handle *)handle)->slot.word, memory_order_seq_cst) & HANDLE_CLOSING;
}

/* Why an id does not name what is in its slot. */
int handle__stale(uint64_t word, pier_handle id);

/* Puts a fresh handle on the port; the state says afterwards where it stands. */
COLD void handle__associate(struct handle *handle);
/* Notes where it stands now. Its gate stays as it is. */
void handle__stand(struct handle *handle, pier_state state);

/* Closes one that no user has seen yet, or needs to hear of again. */
void handle__discard(struct handle *handle);

/* The end: the system's handle is closed, the slot free. Gives what the close callback is called with. */
void handle__end(struct handle *handle, pier_callback *callback, pier_result *result);

#endif
