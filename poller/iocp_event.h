/* The event path's things of each operation slot, and who waits for them. */
#ifndef PIER_IOCP_EVENT_H
#define PIER_IOCP_EVENT_H

#include "iocp.h"

struct event_slot {
  HANDLE event;
  HANDLE packet; /* is associated for each operation that goes pending, and free again when it was dequeued */
  HANDLE wait;   /* in its place: stays registered */
  HANDLE own;      /* another event, which the thread that drives the loop waits for itself (iocp_waitlist.c) */
  HANDLE own_wait; /* registered when that thread is not to be relied on any more */
  struct op *op;
};

struct event_slot *event__slot(struct op *op);
/* Settles an operation whose event was set, if it is over. */
enum op_claim event__settle(struct op *op);
/* For RegisterWaitForSingleObject(): the same for the operation of an event_slot, which is the context. */
void CALLBACK event__signalled(void *context, BOOLEAN timed_out);
/* Has a worker wait for the end of one that is pending: where nobody else can be had. */
void event__await(struct op *op);

/* iocp_waitlist.c. Whether an operation that is to be started now would be waited for by this thread; and puts one on the list that has
   gone pending with its slot's own event. */
bool waitlist__takes(const struct poller *poller);
void waitlist__add(struct event_slot *slot, struct op *op);

#endif
