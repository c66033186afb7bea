/* Operations on epoll: each handle has a lane for what reads and one for what writes. The call is tried first; what would have to
   wait stands in its lane until the descriptor is ready, and is then served in the order of the submits.

   Readiness is edge-triggered, so that in the steady state a handle costs no call but its transfers: a handle is remembered as
   ready until a call says otherwise. A stream that gave less than it was asked for is empty, which saves the call that would
   say so; any byte that comes later is an edge of its own. */
#include "datagram.h"
#include "epoll.h"
#include "gather.h"
#include "multishot.h"
#include "piece.h"
#include "transfer.h"

#include <errno.h>
#include <sys/epoll.h>

static const uint32_t lane_ready[2] = {WATCH_READ, WATCH_WRITE};

/* Makes the calls of one operation until it is through (true, and settled) or would have to wait. Under the lock. */
static bool epoll__serve(struct handle *handle, struct op *op, unsigned lane) {
  struct piece piece = {0, 0};
  if (op__is(op, OP_SETTLED)) /* ahead of its turn */
    return true;
  for (;;) {
    enum transfer outcome = transfer__try(op, &piece);
    if (outcome == TRANSFER_WAITS) {
      handle->watch &= ~lane_ready[lane];
      return false;
    }
    if (outcome == TRANSFER_DRAINED && !(handle->watch & WATCH_TRUSTLESS) && trust__believes(handle))
      handle->watch &= ~lane_ready[lane];
    if (!op__progress(op, &piece))
      return true;
  }
}

static bool epoll__is_on_port(struct handle *handle) {
  return atomic_load_explicit(&handle->state, memory_order_acquire) == PIER_STATE_ASSOCIATED;
}

static bool epoll__is_idle(const struct handle *handle) {
  return !handle->lanes[0].waiting.first && !handle->lanes[1].waiting.first && !handle->lanes[0].current;
}

/* A handle that is not on the port is watched only while somebody waits. */
static void epoll__rest(struct handle *handle) {
  if ((handle->watch & WATCH_ADDED) && epoll__is_idle(handle) && !epoll__is_on_port(handle))
    epoll__unwatch(handle);
}

/* Room is watched for from the first write that found none: until then nobody is woken for it. */
static uint32_t epoll__await(struct handle *handle, unsigned lane) {
  bool room = lane == 1 || (handle->watch & WATCH_ROOM);
  if ((handle->watch & WATCH_ADDED) && room == ((handle->watch & WATCH_ROOM) != 0))
    return 0;
  return epoll__watch(handle, room);
}

/* ---- One that keeps reading: it is its lane's current one, as long as it lives ---- */

/* Takes it in hand, unless somebody has it. Under the lock. */
static bool epoll__seize(struct handle *handle, struct op *op) {
  if (op->system[MULTISHOT_STATE] & MULTISHOT_BUSY)
    return false;
  op->system[MULTISHOT_STATE] = MULTISHOT_BUSY;
  handle->watch &= ~(uint32_t)WATCH_READ;
  return true;
}

/* Under the lock: the one of a lane that keeps reading, if it is to be run now. One that waited for its turn begins. */
static struct op *epoll__take_due(struct handle *handle) {
  struct lane *lane = &handle->lanes[0];
  if (!lane->current && lane->waiting.first && op__is_multishot(op__of_ready(lane->waiting.first)))
    lane->current = op__of_ready(ready_list__take(&lane->waiting));
  return lane->current && (handle->watch & WATCH_READ) && epoll__seize(handle, lane->current) ? lane->current : NULL;
}

static enum port_start epoll__begin_multishot(struct op *op, bool ready, struct piece *piece) {
  struct lane *lane = &op->handle->lanes[0];
  piece->code = epoll__await(op->handle, 0);
  if (piece->code)
    return PORT_DONE;
  op__count(op);
  if (lane->current || lane->waiting.first) {
    ready_list__append(&lane->waiting, &op->ready);
    return PORT_PENDING;
  }
  lane->current = op;
  return ready && epoll__seize(op->handle, op) ? PORT_DUE : PORT_PENDING;
}

/* ---- Submit, serve, cancel ---- */

enum port_start epoll__submit(struct op *op, struct piece *piece) {
  struct handle *handle = op->handle;
  unsigned lane = port__lane(op);
  struct mutex *lock = port_common__lock(handle);
  mutex__lock(lock);
  struct ready_list *waiting = &handle->lanes[lane].waiting;
  /* Off the port nothing is remembered: what is there is asked for each time. */
  bool ready = (handle->watch & lane_ready[lane]) || !epoll__is_on_port(handle) || op->slot.kind == OP_CONNECT;
  if (op__is_multishot(op)) {
    enum port_start start = epoll__begin_multishot(op, ready, piece);
    mutex__unlock(lock);
    return start;
  }
  if (!waiting->first && !handle->lanes[lane].current && ready && epoll__serve(handle, op, lane)) {
    mutex__unlock(lock);
    return PORT_DONE;
  }
  piece->code = epoll__await(handle, lane);
  if (!piece->code) {
    op__count(op);
    ready_list__append(waiting, &op->ready);
  }
  mutex__unlock(lock);
  return piece->code ? PORT_DONE : PORT_PENDING;
}

/* Serves a lane as far as it goes. Who is through goes behind `done`. */
static void epoll__run_lane(struct handle *handle, unsigned lane, struct ready_list *done) {
  struct ready_list *waiting = &handle->lanes[lane].waiting;
  bool datagrams = lane == 0 && handle->slot.kind == PIER_KIND_UDP;
  while (waiting->first && !handle->lanes[lane].current && !op__is_multishot(op__of_ready(waiting->first)) && ((handle->watch & lane_ready[lane]) || op__is(op__of_ready(waiting->first), OP_SETTLED))) {
    enum gather together = lane == 1 && waiting->first->next ? gather__write(handle, waiting, done) : GATHER_NOTHING;
    if (together == GATHER_FULL)
      handle->watch &= ~lane_ready[lane];
    if (together != GATHER_NOTHING)
      continue;
    if (!epoll__serve(handle, op__of_ready(waiting->first), lane))
      return;
    ready_list__append(done, ready_list__take(waiting));
    if (datagrams && (handle->watch & WATCH_READ) && !datagram__serve_ahead(handle))
      handle->watch &= ~(uint32_t)WATCH_READ;
  }
}

static void epoll__take_in(struct handle *handle, uint32_t events) {
  const uint32_t over = EPOLLHUP | EPOLLERR;
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLPRI | over))
    handle->watch |= WATCH_READ;
  if (events & (EPOLLOUT | over))
    handle->watch |= WATCH_WRITE;
  if (events & (EPOLLRDHUP | EPOLLPRI | over))
    handle->watch |= WATCH_TRUSTLESS;
}

static void epoll__finish(struct ready_list *done, struct op *due) {
  struct ready *ready;
  while ((ready = ready_list__take(done)))
    op__complete(op__of_ready(ready), 0, 0);
  if (due)
    multishot__due(due);
}

/* Of one that is noted the system has said nothing: see trust.h. */
#define EVENT_NONE 0u

/* Not asked if something is known to be there, or a reader in somebody's hands, who looks by himself: whatever is there then has mostly just come. */
static bool epoll__is_behind(struct handle *handle) {
  const struct op *op = handle->lanes[0].current;
  bool in_hand = op && op__is_multishot(op) && (op->system[MULTISHOT_STATE] & MULTISHOT_BUSY);
  return !in_hand && !(handle->watch & WATCH_READ) && trust__is_behind(handle);
}

void epoll__event(struct poller *poller, pier_handle id, uint32_t events) {
  struct ready_list done = {NULL, NULL};
  struct op *due = NULL;
  struct mutex *lock = port_common__lock_at(poller, id__slot(id));
  mutex__lock(lock);
  /* Under the lock, which closing takes too: if it is the same handle now, its descriptor is open until we are through. */
  struct handle *handle = handle__find(poller, id);
  if (handle && (handle->watch & WATCH_ADDED) && (events != EVENT_NONE || epoll__is_behind(handle))) {
    epoll__take_in(handle, events != EVENT_NONE ? events : EPOLLIN);
    if (handle->lanes[0].waiting.first)
      epoll__run_lane(handle, 0, &done);
    if (handle->lanes[1].waiting.first)
      epoll__run_lane(handle, 1, &done);
    due = epoll__take_due(handle);
    if ((handle->watch & WATCH_ROOM) && !handle->lanes[1].waiting.first)
      epoll__watch(handle, false);
    epoll__rest(handle);
  }
  mutex__unlock(lock);
  epoll__finish(&done, due);
}

void epoll__look(struct poller *poller, pier_handle id) { epoll__event(poller, id, EVENT_NONE); }

/* All that there was is taken: its last call said so, or was short on a stream that is as it should be. */
static bool epoll__is_drained(struct handle *handle, const struct op *op) {
  uintptr_t drained = op->system[MULTISHOT_DRAINED];
  return !(handle->watch & WATCH_READ) && (drained == DRAINED_SURELY || (drained && !(handle->watch & WATCH_TRUSTLESS) && trust__believes(handle)));
}

void epoll__resume(struct op *op) {
  struct handle *handle = op->handle;
  struct mutex *lock = port_common__lock(handle);
  mutex__lock(lock);
  /* Who wants its end marks it and then looks, under this lock, whether it is in somebody's hands: he or we have it run. */
  bool waits = epoll__is_drained(handle, op) && op__asked_to_end(op) == PIER_OK && !handle__is_closing(handle);
  op->system[MULTISHOT_STATE] = waits ? 0 : MULTISHOT_BUSY;
  handle->watch &= ~(uint32_t)(waits ? 0 : WATCH_READ);
  mutex__unlock(lock);
  if (!waits)
    multishot__due(op);
}

void epoll__end(struct op *op) {
  struct handle *handle = op->handle;
  struct ready_list done = {NULL, NULL};
  struct mutex *lock = port_common__lock(handle);
  mutex__lock(lock);
  handle->lanes[0].current = NULL;
  handle->watch |= WATCH_READ; /* whatever there is, the next one asks for it */
  epoll__run_lane(handle, 0, &done);
  struct op *due = epoll__take_due(handle);
  epoll__rest(handle);
  mutex__unlock(lock);
  op__complete(op, 0, 0);
  epoll__finish(&done, due);
}

void epoll__cancel(struct op *op) {
  struct handle *handle = op->handle;
  struct mutex *lock = port_common__lock(handle);
  mutex__lock(lock);
  bool waited = port_common__unlink(&handle->lanes[port__lane(op)], op);
  bool due = !waited && handle->lanes[0].current == op && epoll__seize(handle, op);
  if (waited)
    epoll__rest(handle);
  mutex__unlock(lock);
  if (due)
    multishot__due(op); /* to find out that its end is asked for */
  /* One that did not wait is through, or in somebody's hands who will see the mark. */
  if (waited)
    op__complete(op, ECANCELED, 0);
}

bool epoll__cancel_all(struct handle *handle) {
  /* Counted before: what is ended here may be called back, and gone, at once. */
  uint64_t flights = atomic_load_explicit(&handle->slot.word, memory_order_acquire) & HANDLE_FLIGHTS;
  unsigned ended = port_common__cancel_waiting(handle);
  struct mutex *lock = port_common__lock(handle);
  mutex__lock(lock);
  epoll__rest(handle);
  mutex__unlock(lock);
  /* The closer's own flight is one of them. With more, somebody is on his way, or reads on, or is with the workers: he is looked for. */
  return flights <= (uint64_t)ended + 1;
}
