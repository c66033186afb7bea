/* Operations on io_uring. A stream has one call of each direction in the kernel at a time, the others wait in its lane: the kernel
   keeps no order among several. Files have as many as there are. */
#include "datagram.h"
#include "gather.h"
#include "opening.h"
#include "piece.h"
#include "transfer.h"
#include "uring.h"

#include <errno.h>
#include <poll.h>

/* Whether its calls are made here, when a poll says that they can be: see transfer.h; and reads of nothing only ask for readiness. */
static bool uring__is_ours(const struct op *op) {
  return transfer__is_particular(op) || (op->slot.kind == OP_READ && uring__has_lanes(op) && !op__piece(op).bytes);
}

/* Its place in the lane goes to the next one. Writes that can go out at once and together do so before, and stand in `done`. */
static struct op *uring__leave_lane(struct op *op, struct ready_list *done) {
  struct mutex *lock = port_common__lock(op->handle);
  struct lane *lane = &op->handle->lanes[port__lane(op)];
  mutex__lock(lock);
  if (lane == &op->handle->lanes[0] && op->handle->slot.kind == PIER_KIND_UDP)
    uring__learn(op->handle, datagram__serve_ahead(op->handle) ? HINT_NONE : HINT_EMPTY);
  while (gather__write(op->handle, &lane->waiting, done) == GATHER_DONE)
    continue;
  struct ready *ready = ready_list__take(&lane->waiting);
  lane->current = ready ? op__of_ready(ready) : NULL;
  mutex__unlock(lock);
  return ready ? op__of_ready(ready) : NULL;
}

bool uring__ask(struct op *op) {
  struct piece piece = {uring__push(op), 0};
  if (piece.code)
    op__progress(op, &piece);
  return !piece.code;
}

/* The first call of an operation. False: it is settled. */
static bool uring__begin(struct op *op) {
  if (op__is(op, OP_SETTLED)) /* ahead of its turn */
    return false;
  if (op__is_multishot(op))
    return uring__begin_multishot(op);
  if (!uring__has_lanes(op)) { /* nothing before it, and no readiness to wait for */
    op->system[URING_PHASE] = URING_CALL;
    return uring__ask(op);
  }
  bool ours = uring__is_ours(op);
  op->system[URING_PHASE] = ours ? URING_POLL : URING_CALL;
  bool empty = op->slot.kind == OP_READ && op->handle->slot.kind == PIER_KIND_UDP && uring__hint(op->handle) == HINT_EMPTY;
  return !(ours && !empty && uring__try(op)) && uring__ask(op);
}

/* It is settled. The next one in its lane begins, and if that ends at once, the one behind it, and so on. */
void uring__finish(struct op *op) {
  if (!uring__has_lanes(op)) {
    op__complete(op, 0, 0);
    return;
  }
  while (op) {
    struct ready_list done = {NULL, NULL};
    struct op *next = uring__leave_lane(op, &done);
    op__complete(op, 0, 0);
    for (struct ready *ready; (ready = ready_list__take(&done));)
      op__complete(op__of_ready(ready), 0, 0);
    op = next && !uring__begin(next) ? next : NULL;
  }
}

void uring__launch(struct op *op) {
  if (!uring__begin(op))
    uring__finish(op);
}

/* ---- Submit, cancel, complete ---- */

/* What came of entering a lane. */
enum uring_lane { LANE_OURS, LANE_TAKEN, LANE_DONE };

/* From outside, what can be had at once is taken at once: it spares waking the loop for the launch, and what was there when the
   operation was submitted is what it gets. */
static enum uring_lane uring__enter_lane(struct op *op, bool inside) {
  struct mutex *lock = port_common__lock(op->handle);
  struct lane *lane = &op->handle->lanes[port__lane(op)];
  enum uring_lane entered = LANE_OURS;
  mutex__lock(lock);
  if (lane->current) {
    op__count(op);
    ready_list__append(&lane->waiting, &op->ready);
    entered = LANE_TAKEN;
  } else if (!op__is_multishot(op) && (!inside || uring__goes_at_once(op)) && uring__try(op)) {
    entered = LANE_DONE;
  } else {
    op__count(op);
    lane->current = op;
  }
  mutex__unlock(lock);
  return entered;
}

enum port_start uring__submit(struct op *op, struct piece *piece) {
  bool inside = uring__is_home(op->handle);
  (void)piece;
  switch (uring__has_lanes(op) ? uring__enter_lane(op, inside) : LANE_OURS) {
  case LANE_DONE:
    return PORT_DONE;
  case LANE_TAKEN:
    break;
  case LANE_OURS:
    if (inside)
      uring__launch(op);
    else
      uring__hand_launch(op);
  }
  return PORT_PENDING;
}

/* What ends, ends when this thread, or another one in its place, looks at the ring; and who wants its end has his cancel put in line behind it, or
   has left his mark before and is seen by uring__push(). */
bool uring__submit_away(struct op *op) {
  struct handle *handle = op->handle;
  if (op->slot.kind == OP_PIPE_ACCEPT || uring__has_lanes(op) || !uring__is_home(handle))
    return false;
  pier_state state = handle__standing(handle);
  if (state == PIER_STATE_BLOCKING) /* a worker's */
    return false;
  if (state == PIER_STATE_FRESH)
    handle__associate(handle);
  op__give_away(op);
  if (!uring__ask(op)) /* with nothing before it, and no readiness to wait for */
    uring__finish(op);
  return true;
}

void uring__cancel(struct op *op) {
  if (op->slot.kind == OP_LOAD) {
    uring__cancel_load(op);
    return;
  }
  if (uring__has_lanes(op)) {
    struct mutex *lock = port_common__lock(op->handle);
    mutex__lock(lock);
    bool waited = port_common__unlink(&op->handle->lanes[port__lane(op)], op);
    mutex__unlock(lock);
    if (waited) {
      op__complete(op, ECANCELED, 0);
      return;
    }
  }
  if (op__is_multishot(op)) {
    uring__cancel_multishot(op);
    return;
  }
  if (uring__is_home(op->handle))
    uring__push_cancel(op);
  else
    uring__hand_cancel(op);
}

bool uring__cancel_all(struct handle *handle) {
  port_common__cancel_waiting(handle);
  /* By descriptor: everything of it that the ring has. Of a borrowed one that may be another handle's too. */
  if (!(handle->slot.flags & HANDLE_OURS) || !uring__is_home(handle) || (handle->watch & PORT_HAS_IOCTLS))
    return false;
  uring__end_reader(handle);
  uring__push_cancel_all(handle);
  return true;
}

/* What a call or a poll has brought. False: there is nothing to take in, and the kernel is to be asked again. */
static bool uring__outcome(struct op *op, int32_t result, struct piece *piece) {
  bool polled = op->system[URING_PHASE] == URING_POLL;
  bool transfers = op->slot.kind == OP_READ || op->slot.kind == OP_WRITE;
  *piece = (struct piece){0, 0};
  if (transfers && !polled && result > 0) { /* the usual one */
    piece->bytes = (uint32_t)result;
    return true;
  }
  if (polled && result >= 0) {
    if (uring__is_ours(op))
      return transfer__try(op, piece) != TRANSFER_WAITS;
    op->system[URING_PHASE] = URING_CALL;
    return false;
  }
  if (result == -EAGAIN && !polled && op->slot.kind != OP_OPEN) {
    op->system[URING_PHASE] = URING_POLL; /* its owner has it non-blocking, and the kernel takes that for an order */
    return false;
  }
  if (result == -EINTR || result == -URING_RESTART)
    return false; /* asked again, and refused if that was for a cancel */
  if (result >= 0 && op->slot.kind == OP_ACCEPT)
    op->as.accept.socket = (uintptr_t)result;
  else if (result >= 0 && op->slot.kind == OP_PIPE_ACCEPT)
    op->as.pipe_accept.socket = (uintptr_t)result;
  else if (op->slot.kind == OP_OPEN)
    opening__took(op, result, piece);
  else if (transfers)
    transfer__read(op, result, op__piece(op).bytes, piece);
  else
    piece->code = result < 0 ? (uint32_t)-result : 0;
  return true;
}

static bool uring__somebody_waits(const struct handle *listener) {
  struct pollfd one = {.fd = (int)listener->native, .events = POLLIN};
  poller__count(listener->poller, COUNTER_SYSTEM_CALLS, 1);
  return poll(&one, 1, 0) > 0;
}

/* For a connection the kernel calls one accept of those that wait. If that one has been called and ended by a cancel before it took the connection,
   nobody tells the others. So their calls are broken off: nobody has asked for that, and they are made again (op__was_orphaned()). */
static COLD void uring__pass_on(struct op *op) {
  struct handle *listener = op->handle;
  bool alone = (atomic_load_explicit(&listener->slot.word, memory_order_relaxed) & HANDLE_FLIGHTS) == 1;
  if (alone || op__asked_to_end(op) == PIER_OK || handle__is_closing(listener) || !uring__somebody_waits(listener))
    return;
  op__each_alike(listener->poller, op, uring__push_cancel);
}

bool uring__completed(struct poller *poller, uint64_t id, int32_t result, uint32_t flags) {
  struct op *op = op__in_kernel(poller, id);
  struct piece piece;
  if (!op)
    return false;
  if (op__is_multishot(op)) {
    uring__polled(op, result, flags);
    return true;
  }
  if (op->slot.kind == OP_LOAD) {
    uring__load_closed(op, result);
    return true;
  }
  if (result == -ECANCELED && (op->slot.kind == OP_ACCEPT || op->slot.kind == OP_PIPE_ACCEPT))
    uring__pass_on(op);
  if (op->slot.kind == OP_READ && uring__has_lanes(op) && op->system[URING_PHASE] == URING_CALL)
    uring__received(op, result, flags);
  bool goes_on = !uring__outcome(op, result, &piece) ? uring__ask(op) : op__progress(op, &piece) && uring__begin(op);
  if (!goes_on)
    uring__finish(op);
  return true;
}
