/* What threads that do not tend a ring have for it: it is handed over, and the ring's thread is woken for all of it once. */
#include "uring.h"

#include <sys/eventfd.h>

static void uring__tell(struct poller *poller, struct uring_ring *ring) {
  if (!poller->seats)
    poller__tell(poller);
  else if (inbox__tell(&ring->inbox))
    eventfd_write(ring->wake, 1);
}

static void uring__hand(struct op *op, struct ready_list *list) {
  struct poller *poller = op->handle->poller;
  struct uring_ring *ring = uring__home(op->handle);
  mutex__lock(&ring->handing);
  ready_list__append(list, &op->ready);
  atomic_fetch_add_explicit(&ring->handed, 1, memory_order_seq_cst);
  mutex__unlock(&ring->handing);
  uring__tell(poller, ring);
}

void uring__hand_launch(struct op *op) { uring__hand(op, &uring__home(op->handle)->launches); }
void uring__hand_settled(struct op *op) { uring__hand(op, &uring__home(op->handle)->settled); }

/* It is held until the cancel is in line. */
void uring__hand_cancel(struct op *op) {
  struct poller *poller = op__poller(op);
  struct uring_ring *ring = uring__ring_of(op);
  mutex__lock(&ring->handing);
  bool first = !op->system[URING_HANDED];
  if (first) {
    op->system[URING_HANDED] = 1;
    op->system[URING_LINK] = (uintptr_t)ring->cancels;
    ring->cancels = op;
    op__hold_more(op);
    atomic_fetch_add_explicit(&ring->handed, 1, memory_order_seq_cst);
  }
  mutex__unlock(&ring->handing);
  if (first)
    uring__tell(poller, ring);
}

void uring__take_over(struct poller *poller) {
  struct uring_ring *ring = uring__here(poller);
  mutex__lock(&ring->handing);
  struct ready_list launches = ring->launches, settled = ring->settled;
  struct op *cancels = ring->cancels;
  ring->launches = ring->settled = (struct ready_list){NULL, NULL};
  ring->cancels = NULL;
  atomic_store_explicit(&ring->handed, 0, memory_order_seq_cst);
  mutex__unlock(&ring->handing);
  struct ready *ready;
  while ((ready = ready_list__take(&settled)))
    op__complete(op__of_ready(ready), 0, 0);
  while ((ready = ready_list__take(&launches)))
    uring__launch(op__of_ready(ready));
  while (cancels) {
    struct op *op = cancels;
    cancels = (struct op *)op->system[URING_LINK];
    if (op->slot.kind == OP_LOAD)
      uring__cancel_load(op);
    else
      uring__push_cancel(op);
    op__let_go(op);
  }
}
