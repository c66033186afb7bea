/* One that keeps reading: a poll tells of each time that something comes, and stays in the ring. The bytes are received when the callback is
   due: a stream that waits has no buffer, and nothing is taken that its user has not been told of. */
#include "multishot.h"
#include "uring.h"

#include <poll.h>
#include <sys/epoll.h>

/* Under the lock: takes it in hand, unless somebody has it. */
static bool uring__seize(struct op *op) {
  uintptr_t *state = &op->system[MULTISHOT_STATE];
  if (*state & MULTISHOT_BUSY)
    return false;
  *state = (*state | MULTISHOT_BUSY) & ~(uintptr_t)MULTISHOT_EDGE;
  return true;
}

/* Whether there is a reason to run it. Under the lock, and in the caller's hands: otherwise it is out of them afterwards. */
static HOT bool uring__goes_on(struct op *op) {
  uintptr_t *state = &op->system[MULTISHOT_STATE];
  bool more = (*state & MULTISHOT_EDGE) || op__asked_to_end(op) != PIER_OK || handle__is_closing(op->handle);
  *state &= ~(uintptr_t)(more ? MULTISHOT_EDGE : MULTISHOT_BUSY);
  return more;
}

static void uring__mark(struct op *op, uintptr_t more, uintptr_t less) {
  struct mutex *lock = port_common__lock(op->handle);
  mutex__lock(lock);
  op->system[MULTISHOT_STATE] = (op->system[MULTISHOT_STATE] | more) & ~less;
  mutex__unlock(lock);
}

/* It stays in our hands until it is armed: nobody can find it half-way. What is there already is an edge at once. */
bool uring__begin_multishot(struct op *op) {
  struct mutex *lock = port_common__lock(op->handle);
  uring__mark(op, MULTISHOT_BUSY | MULTISHOT_ARMED | MULTISHOT_IN_SET, 0); /* before it is: it may be told of from then on */
  if (!set__add(op)) {
    uring__mark(op, 0, MULTISHOT_IN_SET);
    if (!uring__ask(op))
      return false;
  }
  mutex__lock(lock);
  bool due = uring__goes_on(op);
  mutex__unlock(lock);
  if (due)
    multishot__due(op);
  return true;
}

void uring__polled(struct op *op, int32_t result, uint32_t flags) {
  struct mutex *lock = port_common__lock(op->handle);
  uintptr_t *state = &op->system[MULTISHOT_STATE];
  mutex__lock(lock);
  if (!(flags & IORING_CQE_F_MORE))
    *state &= ~(uintptr_t)MULTISHOT_ARMED;
  *state |= MULTISHOT_EDGE;
  if (result < 0 || (result & (POLLRDHUP | POLLHUP | POLLERR | POLLPRI))) /* a poll that failed: the call will say why */
    *state |= MULTISHOT_TRUSTLESS;
  bool ended = (*state & MULTISHOT_ENDING) && !(*state & MULTISHOT_ARMED);
  bool due = !(*state & MULTISHOT_ENDING) && uring__seize(op);
  mutex__unlock(lock);
  if (ended)
    uring__finish(op);
  else if (due)
    multishot__due(op);
}

/* Of a reader that is noted nobody says anything: see trust.h. */
#define TOLD_NOTHING 0u

/* Under the lock: the handle's reader, if it is one that waits in that way. It is in flight as long as it is there, and so the descriptor
   open. One that does not wait looks by itself. */
static struct op *uring__reader(struct handle *handle, uintptr_t way) {
  struct op *op = handle->lanes[0].current;
  return op && op__is_multishot(op) && (op->system[MULTISHOT_STATE] & (way | MULTISHOT_ENDING)) == way ? op : NULL;
}

/* Of who is in somebody's hands it is not asked: he looks by himself, and whatever is there has mostly just come. */
static bool uring__is_behind(const struct op *op) { return !(op->system[MULTISHOT_STATE] & MULTISHOT_BUSY) && trust__is_behind(op->handle); }

void uring__told(struct poller *poller, pier_handle id, uint32_t events) {
  uintptr_t trustless = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI) ? MULTISHOT_TRUSTLESS : 0u;
  struct mutex *lock = port_common__lock_at(poller, id__slot(id));
  bool due = false;
  mutex__lock(lock);
  struct handle *handle = handle__find(poller, id);
  struct op *op = handle ? uring__reader(handle, events != TOLD_NOTHING ? MULTISHOT_IN_SET : MULTISHOT_ARMED) : NULL;
  if (op && (events != TOLD_NOTHING || uring__is_behind(op))) {
    op->system[MULTISHOT_STATE] |= MULTISHOT_EDGE | trustless;
    due = uring__seize(op);
  }
  mutex__unlock(lock);
  if (due)
    multishot__due(op);
}

void uring__look(struct poller *poller, pier_handle id) { uring__told(poller, id, TOLD_NOTHING); }

void uring__end_reader(struct handle *handle) {
  struct mutex *lock = port_common__lock(handle);
  mutex__lock(lock);
  struct op *op = handle->lanes[0].current;
  bool due = op && op__is_multishot(op) && (op->system[MULTISHOT_STATE] & MULTISHOT_IN_SET) && uring__seize(op);
  mutex__unlock(lock);
  if (due)
    multishot__due(op);
}

void uring__cancel_multishot(struct op *op) {
  struct mutex *lock = port_common__lock(op->handle);
  mutex__lock(lock);
  bool due = (op->system[MULTISHOT_STATE] & MULTISHOT_ARMED) && uring__seize(op); /* otherwise it has not begun, and finds out when it does */
  mutex__unlock(lock);
  if (due)
    multishot__due(op);
}

/* A ring is its thread's. One that is settled goes on from there to its end. */
static void uring__go_home(struct op *op) {
  if (uring__is_home(op->handle))
    uring__launch(op);
  else
    uring__hand_launch(op);
}

void uring__resume(struct op *op) {
  struct mutex *lock = port_common__lock(op->handle);
  uintptr_t *state = &op->system[MULTISHOT_STATE];
  mutex__lock(lock);
  uintptr_t drained = op->system[MULTISHOT_DRAINED];
  bool believed = drained == DRAINED_SURELY || (drained == DRAINED_LIKELY && !(*state & MULTISHOT_TRUSTLESS) && trust__believes(op->handle));
  if (!believed)
    *state |= MULTISHOT_EDGE;
  bool armed = *state & MULTISHOT_ARMED;
  bool due = armed && uring__goes_on(op);
  mutex__unlock(lock);
  if (due)
    multishot__due(op);
  else if (!armed)
    uring__go_home(op); /* to be armed again, in our hands until then */
}

/* It is settled. The ring's last word on the poll comes before its last callback: its slot is named there. A set has no last word. */
void uring__end(struct op *op) {
  struct mutex *lock = port_common__lock(op->handle);
  uintptr_t *state = &op->system[MULTISHOT_STATE];
  mutex__lock(lock);
  bool in_set = *state & MULTISHOT_IN_SET, armed = (*state & MULTISHOT_ARMED) && !in_set;
  *state = (*state | MULTISHOT_ENDING) & ~(uintptr_t)MULTISHOT_IN_SET;
  mutex__unlock(lock);
  if (in_set)
    set__remove(op);
  if (!armed)
    uring__go_home(op);
  else if (uring__is_home(op->handle))
    uring__push_cancel(op);
  else
    uring__hand_cancel(op);
}
