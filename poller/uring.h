/* What the files of the io_uring backend share. */
#ifndef PIER_URING_H
#define PIER_URING_H

#include "port.h"
#include <liburing.h>

#define URING_ENTRIES 256u
#define URING_COMPLETIONS 4096u

/* What a completion names that no operation stands behind; an operation's id has its kind in it. */
#define URING_WAKE ((uint64_t)PORT_WAKE_KEY)
#define URING_CANCEL ((uint64_t)2)

/* The ring is one thread's at a time: of who drives the loop, or of its own poller threads, which live as long as it does. What
   other threads submit and cancel is handed over, because the kernel ties a call to the thread that made it: it would end with
   the thread. */
struct uring {
  struct port_common common; /* first: see port_common__of() */
  struct io_uring ring;
  struct mutex lock;         /* both queues */
  struct msghdr headers[URING_ENTRIES]; /* one per entry of the queue: the kernel has copied it when it has taken the entry */
  uint64_t armed_by;         /* the thread whose poll of the eventfd wakes the ring; 0: none */
  struct mutex handing;
  struct ready_list launches; /* handed over to be launched */
  struct op *cancels;         /* handed over to be cancelled, linked by system[URING_LINK] */
  _Atomic uint32_t handed;
};

/* The words in op->system. */
enum { URING_PHASE = 1, URING_LINK = 2, URING_HANDED = 3 };
/* What the kernel has of an operation: its call, or a poll after which the call is made. */
enum { URING_CALL = 0, URING_POLL = 1 };

static inline struct uring *uring__of(struct poller *poller) { return poller->system; }

/* uring_queue.c: what goes to the kernel. */

/* Puts an operation in line. 0; ECANCELED if its end is wanted; EAGAIN if the ring takes nothing. */
uint32_t uring__push(struct op *op);
void uring__push_cancel(struct poller *poller, pier_operation id);
void uring__push_cancel_all(struct handle *handle);
void uring__push_wake(struct poller *poller);
/* Has the kernel take what is in line, and waits for a completion, at most so long; 0 is not at all. */
void uring__enter(struct poller *poller, uint64_t timeout_ns);
void uring__flush(struct poller *poller);

/* uring_operation.c: operations, from their submit to their end. */
enum port_start uring__submit(struct op *op, struct piece *piece);
void uring__cancel(struct op *op);
bool uring__cancel_all(struct handle *handle);
/* Launches and cancels what was handed over. */
void uring__take_over(struct poller *poller);
/* A completion of the kernel's; false if none of our operations stands behind it. */
bool uring__completed(struct poller *poller, uint64_t id, int32_t result, uint32_t flags);

/* uring_call.c: the calls, one per operation code. */
void uring__fill(struct io_uring_sqe *entry, struct op *op, struct msghdr *header);

/* Whether it is a handle whose operations go one at a time in each direction. */
static inline bool uring__has_lanes(const struct op *op) {
  return (op->slot.kind == OP_READ || op->slot.kind == OP_WRITE) && op->handle->slot.kind != PIER_KIND_FILE;
}

#endif
