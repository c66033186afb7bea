/* Readers that go on, in an epoll set: what the thread that tends a ring waits for beside it.

   A poll in the ring costs more than a place in a set each time that something comes: the kernel first has the thread run what the poll has
   put off, and polls once more there. So readers are in a set, which the ring is in as well, and while there are any the thread waits for
   the set.

   With many streams that is no less. Where their peers are on other processors, what each poll has put off is run at the end of whatever
   call the thread is in; a set is left to itself until it is waited for.

   A host waits for the ring, which is what pier_loop_native() gives him, and he may put calls of his own into it. From then on no reader
   goes into the set, and the ring polls the set for those that are there. Not before: each would make the other ready for ever. For the same
   reason who stands in for a seat has his ring poll the seat's set, once each time. A seat's set may be in another's (uring_lend.c), whose own is
   then in none. */
#include "epoll.h"
#include "hook.h"
#include "uring.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define SET_EVENTS 64

/* No handle's id; and behind it one for each seat whose set is in this one. */
#define SET_RING ((uint64_t)PORT_WAKE_KEY)
#define SET_LENT (SET_RING + 1)
#define SET_IDS (SET_LENT + 64)

static bool set__is_hosted(struct uring *uring) { return atomic_load_explicit(&uring->hosted, memory_order_seq_cst); }

/* ---- Who is in it ---- */

static bool set__make(struct uring_ring *ring) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = SET_RING};
  if (ring->set >= 0)
    return true;
  int set = epoll_create1(EPOLL_CLOEXEC);
  if (set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, ring->ring.ring_fd, &event) == 0) {
    ring->set = set;
    return true;
  }
  if (set >= 0)
    close(set);
  return false;
}

int set__open(struct uring_ring *ring) { return set__make(ring) ? PIER_OK : pier_error_from_system((uint32_t)errno); }

void set__close(struct uring_ring *ring) {
  if (ring->set >= 0)
    close(ring->set);
}

/* Of a loop that is driven the set is made when the first reader comes: a ring that is in one has to tell it of everything. Counts one more
   under the ring's lock, as is the change to a host: either he finds it in the set, or it is refused. */
static bool set__admit(struct poller *poller) {
  struct uring *uring = uring__of(poller);
  struct uring_ring *ring = &uring->rings[0];
  mutex__lock(&ring->lock);
  bool admitted = !set__is_hosted(uring) && set__make(ring), unseen = false;
  if (admitted) {
    HOOK(set_admitting, poller); /* a loop that is driven has no thread that comes by here while a test sets it */
    uint32_t readers = atomic_fetch_add_explicit(&ring->readers, 1, memory_order_seq_cst); /* who leaves does not take the lock */
    unseen = readers == 0 && ring->armed_by != thread__self();
  }
  mutex__unlock(&ring->lock);
  if (admitted)
    HOOK(set_admitted, poller);
  if (unseen) /* by a thread that waits: it does so for the ring alone */
    poller__wake(poller);
  return admitted;
}

/* A seat's reader is begun by who tends its ring: nobody waits there, and who stands in has the set polled. */
static bool set__enter(struct op *op) {
  struct poller *poller = op->handle->poller;
  if (!poller->seats)
    return set__admit(poller);
  atomic_fetch_add_explicit(&uring__home(op->handle)->readers, 1, memory_order_seq_cst);
  return true;
}

static void set__leave(struct op *op) { atomic_fetch_sub_explicit(&uring__home(op->handle)->readers, 1, memory_order_seq_cst); }

static bool set__control(struct op *op, int action) {
  struct poller *poller = op->handle->poller;
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLET, .data.u64 = handle__id(op->handle)};
  poller__count(poller, COUNTER_SYSTEM_CALLS, 1);
  return epoll_ctl(uring__home(op->handle)->set, action, (int)op->handle->native, &event) == 0;
}

/* A descriptor that is registered twice is in it once. */
bool set__add(struct op *op) {
  if (!set__enter(op))
    return false;
  if (set__control(op, EPOLL_CTL_ADD))
    return true;
  set__leave(op);
  return false;
}

/* What is closed next goes out of it by that, unless it has duplicates, which Pier's own have not. */
void set__remove(struct op *op) {
  struct handle *handle = op->handle;
  if (!(handle->slot.flags & HANDLE_OURS && handle__is_closing(handle)))
    set__control(op, EPOLL_CTL_DEL);
  set__leave(op);
}

/* ---- Waiting ---- */

bool set__is_awaited(struct uring *uring, const struct uring_ring *ring) {
  struct uring_ring *of = (struct uring_ring *)ring;
  bool awaited = atomic_load_explicit(&of->readers, memory_order_relaxed) || atomic_load_explicit(&of->lent, memory_order_relaxed);
  return awaited && !atomic_load_explicit(&uring->shown, memory_order_relaxed);
}

/* Gives whether the event is a reader's. */
static bool set__tell(struct poller *poller, const struct epoll_event *event, bool *completed) {
  uint64_t id = event->data.u64;
  if (id >= SET_IDS) {
    uring__told(poller, id, event->events);
    return true;
  }
  if (id == SET_RING)
    *completed = true;
  else
    turn__here()->shown |= (uint64_t)1 << (id - SET_LENT);
  return false;
}

bool set__wait(struct poller *poller, const struct uring_ring *ring, uint64_t timeout_ns) {
  struct epoll_event events[SET_EVENTS];
  int count;
  size_t told = 0, all = 0;
  bool completed = false;
  do {
    count = epoll__call(ring->set, events, SET_EVENTS, timeout_ns);
    timeout_ns = 0;
    for (int i = 0; i < count; i++, all++)
      told += set__tell(poller, &events[i], &completed);
  } while (count == SET_EVENTS);
  poller__count_batch(poller, told);
  return completed || !all;
}

/* ---- A set in another ---- */

bool set__put_in(struct uring_ring *ring, const struct uring_ring *lent, uint32_t seat) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = SET_LENT + seat};
  return epoll_ctl(ring->set, EPOLL_CTL_ADD, lent->set, &event) == 0;
}

void set__take_out(struct uring_ring *ring, const struct uring_ring *lent) { epoll_ctl(ring->set, EPOLL_CTL_DEL, lent->set, NULL); }

/* ---- A host ---- */

void set__host(struct poller *poller) {
  struct uring *uring = uring__of(poller);
  struct uring_ring *ring = &uring->rings[0];
  if (poller->seats) /* nobody but its threads can take anything from it */
    return;
  mutex__lock(&ring->lock);
  bool first = !atomic_exchange_explicit(&uring->hosted, true, memory_order_seq_cst);
  bool unseen = first && atomic_load_explicit(&ring->readers, memory_order_seq_cst);
  mutex__unlock(&ring->lock);
  if (unseen) /* in the ring, until somebody comes */
    poller__wake(poller);
}

void set__show(struct poller *poller) {
  struct uring *uring = uring__of(poller);
  struct uring_ring *ring = &uring->rings[0];
  if (!set__is_hosted(uring) || !atomic_load_explicit(&ring->readers, memory_order_relaxed))
    return;
  if (!atomic_exchange_explicit(&uring->shown, true, memory_order_relaxed))
    epoll_ctl(ring->set, EPOLL_CTL_DEL, ring->ring.ring_fd, NULL);
  uring__push_set(poller);
}

void set__shown_next(struct poller *poller) {
  struct uring *uring = uring__of(poller);
  if (set__is_hosted(uring) && set__is_awaited(uring, &uring->rings[0]))
    poller__wake(poller);
}
