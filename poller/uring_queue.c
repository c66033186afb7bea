/* The submission queue: entries are put in line under the lock, and the kernel takes them with the call that also waits. */
#include "hook.h"
#include "uring.h"

#include <errno.h>
#include <poll.h>

/* A queue that is full is handed to the kernel. If that cannot take it either, it has run out of memory: it is asked this often. */
#define URING_TRIES 1000

static unsigned uring__look_up_taken(struct uring_ring *ring) {
  unsigned taken = io_uring_smp_load_acquire(ring->ring.sq.khead);
  atomic_store_explicit(&ring->taken, taken, memory_order_relaxed);
  return taken;
}

/* Publishes what is in line and gives its number. Under the lock. */
static unsigned uring__publish(struct uring_ring *ring) {
  struct io_uring_sq *queue = &ring->ring.sq;
  queue->sqe_head = queue->sqe_tail;
  io_uring_smp_store_release(queue->ktail, queue->sqe_tail);
  return queue->sqe_tail - uring__look_up_taken(ring);
}

static inline bool uring__has_room(const struct uring_ring *ring, unsigned count) {
  return ring->ring.sq.sqe_tail - io_uring_smp_load_acquire(ring->ring.sq.khead) <= URING_ENTRIES - count;
}

static int uring__call(struct poller *poller, struct uring_ring *ring, unsigned count, unsigned wait, unsigned flags,
                       struct io_uring_getevents_arg *argument) {
  poller__count(poller, COUNTER_SYSTEM_CALLS, 1);
  int result = io_uring_enter2((unsigned)ring->ring.ring_fd, count, wait, flags, (sigset_t *)(void *)argument, argument ? sizeof *argument : _NSIG / 8);
  uring__look_up_taken(ring);
  return result;
}

/* Has the kernel take what is in line; false if it takes nothing. */
bool uring__make_room(struct poller *poller, struct uring_ring *ring, unsigned count) {
  for (int i = 0; !uring__has_room(ring, count); i++) {
    if (i == URING_TRIES)
      return false;
    if (uring__call(poller, ring, uring__publish(ring), 0, 0, NULL) < 0)
      thread__yield();
  }
  return true;
}

/* A free entry, cleared of its past by the prep functions; null if the kernel takes none. Under the lock. */
static inline struct io_uring_sqe *uring__entry(struct poller *poller, struct uring_ring *ring, unsigned *index) {
  if (!uring__has_room(ring, 1) && !uring__make_room(poller, ring, 1))
    return NULL;
  *index = ring->ring.sq.sqe_tail++ & (URING_ENTRIES - 1);
  atomic_store_explicit(&ring->tail, ring->ring.sq.sqe_tail, memory_order_relaxed);
  return &ring->ring.sq.sqes[*index];
}

struct io_uring_sqe *uring__next_entry(struct uring_ring *ring) {
  unsigned index = ring->ring.sq.sqe_tail++ & (URING_ENTRIES - 1);
  atomic_store_explicit(&ring->tail, ring->ring.sq.sqe_tail, memory_order_relaxed);
  return &ring->ring.sq.sqes[index];
}

/* Under the lock, so that nobody comes upon a queue that the kernel is just emptying and takes it for full. */
static void uring__hand_in(struct poller *poller, struct uring_ring *ring) {
  unsigned count = uring__publish(ring);
  if (count)
    uring__call(poller, ring, count, 0, 0, NULL);
}

/* Whether nobody else's thread comes by there before it waits. */
static bool uring__is_tended_here(const struct poller *poller, struct uring_ring *ring) {
  return !poller->seats || atomic_load_explicit(&ring->tender, memory_order_relaxed) == turn__here()->home;
}

/* What is in line goes to the kernel when the callbacks that are due have run. Not if the one that runs takes long: it may itself wait
   for what it has just submitted. Nor if the ring has just been taken back: its thread may sleep already. */
void uring__pushed(struct poller *poller, struct uring_ring *ring) {
  if (atomic_load_explicit(&ring->hurried, memory_order_relaxed) || !uring__is_tended_here(poller, ring))
    uring__hand_in(poller, ring);
}

uint32_t uring__push(struct op *op) {
  struct poller *poller = op->handle->poller;
  struct uring_ring *ring = uring__home(op->handle);
  uint32_t code = 0;
  unsigned index = 0;
  HOOK_PUSHING(poller);
  mutex__lock(&ring->lock);
  /* Who wants its end marks it and then puts a cancel in line, under this lock: either the mark is seen here, or the cancel comes
     behind the operation. */
  if (op__asked_to_end(op) != PIER_OK || handle__is_closing(op->handle)) {
    code = ECANCELED;
  } else {
    struct io_uring_sqe *entry = uring__entry(poller, ring, &index);
    code = entry ? 0 : EAGAIN;
    if (entry) {
      files__count(ring, op->handle);
      uring__fill(entry, op, &ring->headers[index]);
      entry->user_data = op__id(poller, op);
      uring__pushed(poller, ring);
    }
  }
  mutex__unlock(&ring->lock);
  return code;
}

void uring__mark_cancel(struct poller *poller, struct io_uring_sqe *entry) {
  entry->user_data = uring__key(poller, URING_CANCEL);
  entry->flags |= IOSQE_CQE_SKIP_SUCCESS; /* the operation itself says how it ended */
}

void uring__push_cancel(struct op *op) {
  struct poller *poller = op->handle->poller;
  struct uring_ring *ring = uring__home(op->handle);
  unsigned index;
  mutex__lock(&ring->lock);
  struct io_uring_sqe *entry = uring__entry(poller, ring, &index);
  CHECK(entry); /* an operation that nobody can end any more */
  io_uring_prep_cancel64(entry, op__id(poller, op), 0);
  uring__mark_cancel(poller, entry);
  uring__pushed(poller, ring);
  mutex__unlock(&ring->lock);
}

void uring__push_cancel_all(struct handle *handle) {
  struct uring_ring *ring = uring__home(handle);
  unsigned index;
  mutex__lock(&ring->lock);
  struct io_uring_sqe *entry = uring__entry(handle->poller, ring, &index);
  CHECK(entry);
  io_uring_prep_cancel_fd(entry, (int)handle->native, IORING_ASYNC_CANCEL_ALL);
  uring__mark_cancel(handle->poller, entry);
  uring__pushed(handle->poller, ring);
  mutex__unlock(&ring->lock);
}

/* A poll that stays, of a descriptor that nobody has to read for it. That of a thread which may have ended is taken back: it would tell late. */
static void uring__push_poll(struct poller *poller, int descriptor, uint64_t key, uint64_t *armed_by) {
  struct uring_ring *ring = uring__here(poller);
  unsigned index;
  mutex__lock(&ring->lock);
  struct io_uring_sqe *entry = *armed_by ? uring__entry(poller, ring, &index) : NULL;
  if (entry) {
    io_uring_prep_poll_remove(entry, key);
    uring__mark_cancel(poller, entry);
  }
  entry = uring__entry(poller, ring, &index);
  *armed_by = 0;
  if (entry) {
    io_uring_prep_poll_multishot(entry, descriptor, POLLIN);
    entry->user_data = key;
    *armed_by = thread__self();
  }
  mutex__unlock(&ring->lock);
}

void uring__push_wake(struct poller *poller) {
  struct uring_ring *ring = uring__here(poller);
  uring__push_poll(poller, ring->wake, uring__key(poller, URING_WAKE), &ring->armed_by);
}

void uring__push_set(struct poller *poller) {
  struct uring *uring = uring__of(poller);
  if (uring->set_armed_by != thread__self())
    uring__push_poll(poller, uring__here(poller)->set, uring__key(poller, URING_SET), &uring->set_armed_by);
}

bool uring__push_tick(struct poller *poller) {
  static const struct __kernel_timespec in = {.tv_nsec = TRUST_TICK_NS};
  struct uring_ring *ring = uring__here(poller);
  unsigned index;
  mutex__lock(&ring->lock);
  struct io_uring_sqe *entry = uring__entry(poller, ring, &index);
  if (entry) {
    io_uring_prep_timeout(entry, (struct __kernel_timespec *)(uintptr_t)&in, 0, 0); /* which is only read */
    entry->user_data = uring__key(poller, URING_TICK);
    uring__pushed(poller, ring);
  }
  mutex__unlock(&ring->lock);
  return entry != NULL;
}

void uring__push_watch(struct poller *poller, uint32_t own_seat, uint32_t seat) {
  struct uring *uring = uring__of(poller);
  struct uring_ring *own = &uring->rings[own_seat];
  unsigned index;
  if (atomic_exchange_explicit(&uring->rings[seat].watched_by, own_seat + 1, memory_order_acq_rel) == own_seat + 1)
    return; /* it does already */
  mutex__lock(&own->lock);
  struct io_uring_sqe *entry = uring__entry(poller, own, &index);
  CHECK(entry); /* a seat that nobody would look after */
  io_uring_prep_poll_add(entry, uring->rings[seat].set, POLLIN);
  entry->user_data = uring__key(poller, URING_WATCH + seat);
  mutex__unlock(&own->lock);
}

static void uring__hand_in_now(struct poller *poller, struct uring_ring *ring) {
  mutex__lock(&ring->lock);
  uring__hand_in(poller, ring);
  mutex__unlock(&ring->lock);
}

/* And has whatever is put in line from now on handed in by who does so; or not any more. */
static void uring__hurry_ring(struct poller *poller, struct uring_ring *ring, bool hurried) {
  mutex__lock(&ring->lock);
  atomic_store_explicit(&ring->hurried, hurried, memory_order_relaxed);
  uring__hand_in(poller, ring);
  mutex__unlock(&ring->lock);
}

/* Those that are lent to a ring's seat, one after the other; LENT_ALL: that was the last one. */
#define LENT_ALL 64u
static uint32_t uring__next_lent(struct uring_ring *ring, uint32_t from) {
  uint64_t lent = from < LENT_ALL ? atomic_load_explicit(&ring->lent, memory_order_acquire) >> from : 0;
  return lent ? from + (uint32_t)__builtin_ctzll(lent) : LENT_ALL;
}

void uring__flush(struct poller *poller) {
  if (!port__is_inside(poller))
    return; /* what is in line is not another thread's to submit */
  struct uring_ring *rings = uring__of(poller)->rings, *here = uring__here(poller);
  uring__hand_in_now(poller, here);
  for (uint32_t i = uring__next_lent(here, 0); i < LENT_ALL; i = uring__next_lent(here, i + 1))
    uring__hand_in_now(poller, &rings[i]);
}

void uring__hurry(struct poller *poller, uint32_t seat) {
  struct uring_ring *rings = uring__of(poller)->rings;
  uring__hurry_ring(poller, &rings[seat], true);
  for (uint32_t i = uring__next_lent(&rings[seat], 0); i < LENT_ALL; i = uring__next_lent(&rings[seat], i + 1))
    uring__hurry_ring(poller, &rings[i], true);
}

static void uring__enter_now(struct poller *poller, struct uring_ring *here, uint64_t timeout_ns) {
  struct io_uring *ring = &here->ring;
  struct __kernel_timespec timeout = {.tv_sec = (int64_t)(timeout_ns / 1000000000), .tv_nsec = (int64_t)(timeout_ns % 1000000000)};
  struct io_uring_getevents_arg argument = {.sigmask_sz = _NSIG / 8, .ts = (uint64_t)(uintptr_t)&timeout};
  mutex__lock(&here->lock);
  atomic_store_explicit(&here->hurried, false, memory_order_relaxed);
  unsigned count = uring__publish(here);
  bool wait = timeout_ns && !io_uring_cq_ready(ring);
  mutex__unlock(&here->lock);
  /* Work that the kernel has put off until we come, and completions that had no room. */
  unsigned due = IO_URING_READ_ONCE(*ring->sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
  if (!count && !wait && !due)
    return;
  bool ends = wait && timeout_ns != UINT64_MAX; /* without an end there is nothing for the kernel to copy */
  unsigned flags = (wait || due ? IORING_ENTER_GETEVENTS : 0u) | (ends ? IORING_ENTER_EXT_ARG : 0u);
  uring__call(poller, here, count, wait ? 1 : 0, flags, ends ? &argument : NULL);
}

/* Whether the kernel has all that was put in line: what another thread puts there meanwhile is that thread's to hand in. */
static bool uring__has_all(struct uring_ring *ring) {
  return atomic_load_explicit(&ring->tail, memory_order_relaxed) == atomic_load_explicit(&ring->taken, memory_order_relaxed);
}

/* And nothing for us. */
static bool uring__is_even(struct uring_ring *ring) {
  return uring__has_all(ring) && !(IO_URING_READ_ONCE(*ring->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}

HOT void uring__enter(struct poller *poller, struct uring_ring *here, uint64_t timeout_ns) {
  if (timeout_ns || atomic_load_explicit(&here->hurried, memory_order_relaxed) || !uring__is_even(here))
    uring__enter_now(poller, here, timeout_ns);
}

static bool uring__hand_in_lent(struct poller *poller, struct uring_ring *here) {
  struct uring_ring *rings = uring__of(poller)->rings;
  bool all = true;
  for (uint32_t i = uring__next_lent(here, 0); i < LENT_ALL; i = uring__next_lent(here, i + 1)) {
    if (atomic_load_explicit(&rings[i].hurried, memory_order_relaxed) || !uring__has_all(&rings[i]))
      uring__hurry_ring(poller, &rings[i], false);
    all = all && uring__has_all(&rings[i]);
  }
  return all;
}

HOT bool uring__hand_in_all(struct poller *poller, struct uring_ring *here) {
  uring__enter(poller, here, 0);
  bool all = uring__has_all(here);
  return atomic_load_explicit(&here->lent, memory_order_relaxed) ? uring__hand_in_lent(poller, here) && all : all;
}
