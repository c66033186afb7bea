/* Readers that go on, in an epoll set: what the thread that drives a loop waits for beside its ring.

   A poll in the ring costs more than a place in a set each time that something comes: the kernel first has the thread run what the poll has
   put off, and polls once more there. With few streams that is most of what a turn costs the library; with many it is shared, and
   the ring is the cheaper one. So the first so many readers of a loop that somebody drives are in a set, which the ring is in as well, and while
   there are any the thread waits for the set.

   A host waits for the ring, which is what pier_loop_native() gives him, and he may put calls of his own into it. From then on no reader
   goes into the set, and the ring polls the set for those that are there. Not before: each would make the other ready for ever. */
#include "epoll.h"
#include "hook.h"
#include "uring.h"

#include <sys/epoll.h>
#include <unistd.h>

#define SET_READERS_MAX 16u
#define SET_EVENTS 64

/* No handle's id. */
#define SET_RING ((uint64_t)PORT_WAKE_KEY)

static bool set__is_hosted(struct uring *uring) { return atomic_load_explicit(&uring->hosted, memory_order_seq_cst); }

/* ---- Who is in it ---- */

/* Under the ring's lock. It is made when the first reader comes: a ring that is in a set has to tell it of everything. */
static bool set__make(struct uring *uring) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = SET_RING};
  if (uring->set >= 0)
    return true;
  int set = epoll_create1(EPOLL_CLOEXEC);
  if (set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, uring->rings[0].ring.ring_fd, &event) == 0) {
    uring->set = set;
    return true;
  }
  if (set >= 0)
    close(set);
  return false;
}

/* Counts one more. Under the ring's lock, as is the change to a host: either he finds it in the set, or it is refused. */
static bool set__admit(struct poller *poller) {
  struct uring *uring = uring__of(poller);
  struct uring_ring *ring = &uring->rings[0];
  mutex__lock(&ring->lock);
  uint32_t readers = atomic_load_explicit(&uring->readers, memory_order_relaxed);
  bool admitted = !poller->seats && !set__is_hosted(uring) && readers < SET_READERS_MAX && set__make(uring);
  if (admitted) {
    HOOK(set_admitting, poller); /* a loop that is driven has no thread that comes by here while a test sets it */
    atomic_fetch_add_explicit(&uring->readers, 1, memory_order_seq_cst); /* who leaves does not take the lock */
  }
  bool unseen = admitted && readers == 0 && ring->armed_by != thread__self();
  mutex__unlock(&ring->lock);
  if (admitted)
    HOOK(set_admitted, poller);
  if (unseen) /* by a thread that waits: it does so for the ring alone */
    poller__wake(poller);
  return admitted;
}

static void set__leave(struct uring *uring) { atomic_fetch_sub_explicit(&uring->readers, 1, memory_order_seq_cst); }

static bool set__control(struct op *op, int action) {
  struct poller *poller = op->handle->poller;
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLET, .data.u64 = handle__id(op->handle)};
  poller__count(poller, COUNTER_SYSTEM_CALLS, 1);
  return epoll_ctl(uring__of(poller)->set, action, (int)op->handle->native, &event) == 0;
}

/* A descriptor that is registered twice is in it once. */
bool set__add(struct op *op) {
  struct poller *poller = op->handle->poller;
  if (!set__admit(poller))
    return false;
  if (set__control(op, EPOLL_CTL_ADD))
    return true;
  set__leave(uring__of(poller));
  return false;
}

/* What is closed next goes out of it by that, unless it has duplicates, which Pier's own have not. */
void set__remove(struct op *op) {
  struct handle *handle = op->handle;
  if (!(handle->slot.flags & HANDLE_OURS && handle__is_closing(handle)))
    set__control(op, EPOLL_CTL_DEL);
  set__leave(uring__of(handle->poller));
}

/* ---- Waiting ---- */

bool set__is_awaited(struct uring *uring) {
  return atomic_load_explicit(&uring->readers, memory_order_relaxed) && !atomic_load_explicit(&uring->shown, memory_order_relaxed);
}

void set__wait(struct poller *poller, uint64_t timeout_ns) {
  struct epoll_event events[SET_EVENTS];
  int count;
  size_t told = 0;
  do {
    count = epoll__call(uring__of(poller)->set, events, SET_EVENTS, timeout_ns);
    timeout_ns = 0;
    for (int i = 0; i < count; i++) {
      if (events[i].data.u64 == SET_RING)
        continue;
      uring__told(poller, events[i].data.u64, events[i].events);
      told++;
    }
  } while (count == SET_EVENTS);
  poller__count_batch(poller, told);
}

/* ---- A host ---- */

void set__host(struct poller *poller) {
  struct uring *uring = uring__of(poller);
  struct uring_ring *ring = &uring->rings[0];
  mutex__lock(&ring->lock);
  bool first = !atomic_exchange_explicit(&uring->hosted, true, memory_order_seq_cst);
  bool unseen = first && atomic_load_explicit(&uring->readers, memory_order_seq_cst);
  mutex__unlock(&ring->lock);
  if (unseen) /* in the ring, until somebody comes */
    poller__wake(poller);
}

void set__show(struct poller *poller) {
  struct uring *uring = uring__of(poller);
  if (!set__is_hosted(uring) || !atomic_load_explicit(&uring->readers, memory_order_relaxed))
    return;
  if (!atomic_exchange_explicit(&uring->shown, true, memory_order_relaxed))
    epoll_ctl(uring->set, EPOLL_CTL_DEL, uring->rings[0].ring.ring_fd, NULL);
  uring__push_set(poller);
}

void set__shown_next(struct poller *poller) {
  struct uring *uring = uring__of(poller);
  if (set__is_hosted(uring) && set__is_awaited(uring))
    poller__wake(poller);
}

void set__close(struct uring *uring) {
  if (uring->set >= 0)
    close(uring->set);
}
