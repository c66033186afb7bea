/* Order on the event path: one operation at a time in each direction of a stream.

   Each operation has an event of its own, and nothing tells which of two events came first. So on a stream the next operation is
   started when the callback of the one before is due. The others wait in the handle. */
#include "iocp.h"

/* The lanes of all handles share a few locks; they are held for a few instructions. */
static struct mutex *order__lock(const struct handle *handle) {
  return &handle->poller->order_locks[slab__index(&handle->slot) % POLLER_ORDER_LOCKS];
}

static struct lane *order__lane(const struct op *op) { return &op->handle->lanes[op->slot.kind == OP_WRITE]; }

void port__init_handle(struct handle *handle) {
  handle->lanes[0] = handle->lanes[1] = (struct lane){NULL, {NULL, NULL}};
  atomic_init(&handle->learned, 0);
}

/* Under the lock: true if it is served now. */
static bool order__admit(struct op *op) {
  struct lane *lane = order__lane(op);
  if (lane->current)
    return false;
  lane->current = op;
  op__mark(op, OP_ADMITTED);
  return true;
}

bool order__enter(struct op *op) {
  if (!(op->handle->slot.flags & HANDLE_ORDERED) || op->slot.kind > OP_WRITE || op__is(op, OP_ADMITTED))
    return true;
  struct mutex *lock = order__lock(op->handle);
  mutex__lock(lock);
  bool admitted = order__admit(op);
  mutex__unlock(lock);
  return admitted;
}

/* Only now, when the submitter has let go: nobody may start it under his hands. Who cancels or closes marks that first and then looks
   for it under the lock; so he finds it there, or we find the mark. */
void port__queue(struct op *op) {
  struct mutex *lock = order__lock(op->handle);
  mutex__lock(lock);
  bool ended = op__asked_to_end(op) != PIER_OK || handle__is_closing(op->handle);
  bool admitted = !ended && order__admit(op);
  if (!ended && !admitted)
    ready_list__append(&order__lane(op)->waiting, &op->ready);
  mutex__unlock(lock);
  if (ended || admitted)
    op__relaunch(op);
}

bool order__give_up(struct op *op) {
  if (op->slot.kind > OP_WRITE)
    return false;
  struct lane *lane = order__lane(op);
  struct mutex *lock = order__lock(op->handle);
  mutex__lock(lock);
  bool found = ready_list__remove(&lane->waiting, &op->ready);
  mutex__unlock(lock);
  return found;
}

void port__called_back(struct op *op) {
  if (!op__is(op, OP_ADMITTED))
    return;
  struct lane *lane = order__lane(op);
  struct mutex *lock = order__lock(op->handle);
  mutex__lock(lock);
  struct ready *ready = ready_list__take(&lane->waiting);
  struct op *next = ready ? op__of_ready(ready) : NULL;
  lane->current = next;
  if (next)
    op__mark(next, OP_ADMITTED);
  mutex__unlock(lock);
  if (next)
    op__relaunch(next);
}
