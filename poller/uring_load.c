/* Files that are loaded in the ring: opened, read and closed by one chain of entries, with a place in the ring's table for a descriptor. Only
   the close has a completion when the read was full; when a step fails, that is told and the rest is not made, and the kernel says nothing of
   it. A read that was short is such a failure too: it may be the end, and what follows says whether it was. */
#include "load.h"
#include "opening.h"
#include "uring.h"

#include <errno.h>
#include <fcntl.h>

/* Where the operation is. */
enum load_step {
  LOAD_AWAY,  /* in no ring */
  LOAD_CHAIN, /* its three entries are in line, or with the kernel */
  LOAD_REST   /* its first read was short: another one, and then the close whatever that brings */
};

/* A step's completions name the operation, and the step by an id's kind; the close's are the operation's own. */
enum { LOAD_OPENS = ID_HANDLE, LOAD_READS = ID_TIMER };

/* After so many refusals in a row this kernel is not asked again. One may be a file's. */
#define LOAD_REFUSALS_MAX 8u

/* When it is looked again at those that are to end: the kernel may just have gone from one step to the next. */
#define LOAD_AGAIN_NS (2 * 1000000)

static uint64_t load__step_id(uint64_t id, unsigned step) { return id ^ (uint64_t)(ID_OPERATION ^ step) << 30; }

/* ---- Places ---- */

/* Where it stands in the table, behind the files that are read much. */
static unsigned load__place(const struct op *op) { return FILES_PLACES + op->as.load.place - 1u; }

void uring__disclaim_load(struct op *op) {
  atomic_fetch_or_explicit(&uring__ring_of(op)->load_places, (uint64_t)1 << (op->as.load.place - 1), memory_order_release);
}

/* What stands there is closed by a call: seldom, for there was nothing to read, or that failed. A place that is not given up is not given to
   another. */
static COLD void load__vacate(struct op *op) {
  int none = -1;
  poller__count(op__poller(op), COUNTER_SYSTEM_CALLS, 1);
  if (io_uring_register_files_update(&uring__ring_of(op)->ring, load__place(op), &none, 1) == 1)
    uring__disclaim_load(op);
}

bool uring__claim_load(struct op *op) {
  struct op_load *load = &op->as.load;
  struct poller *poller = load->poller;
  if (load->length_bytes - 1 >= OP_PIECE_BYTES_MAX || !port__is_inside(poller)) /* of nothing the chain would not say whether it can be read */
    return false;
  struct uring_ring *ring = uring__here(poller);
  uint64_t places = atomic_load_explicit(&ring->load_places, memory_order_relaxed);
  if (atomic_load_explicit(&ring->load_refusals, memory_order_relaxed) >= LOAD_REFUSALS_MAX)
    return false;
  do {
    if (!places)
      return false;
  } while (!atomic_compare_exchange_weak_explicit(&ring->load_places, &places, places & (places - 1), memory_order_acquire, memory_order_relaxed));
  unsigned place = (unsigned)__builtin_ctzll(places);
  load->place = (uint8_t)(place + 1);
  load->seat = turn__here()->seat;
  load->step = LOAD_AWAY;
  atomic_store_explicit(&ring->loads[place], op__id(poller, op), memory_order_relaxed);
  return true;
}

bool uring__has_loads(struct poller *poller) {
  struct uring_ring *ring = &uring__of(poller)->rings[0];
  return atomic_load_explicit(&ring->load_places, memory_order_acquire) != ring->load_all;
}

/* ---- Entries, under the lock ---- */

static void load__push_open(struct uring_ring *ring, struct op *op, uint64_t id) {
  struct io_uring_sqe *entry = uring__next_entry(ring);
  io_uring_prep_openat_direct(entry, AT_FDCWD, op->as.load.path, O_RDONLY, 0, load__place(op));
  entry->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
  entry->user_data = load__step_id(id, LOAD_OPENS);
}

static void load__push_read(struct uring_ring *ring, struct op *op, uint64_t id, unsigned flags) {
  struct op_load *load = &op->as.load;
  struct io_uring_sqe *entry = uring__next_entry(ring);
  io_uring_prep_read(entry, (int)load__place(op), load->buffer + op->bytes, (unsigned)(load->length_bytes - op->bytes), op->bytes);
  entry->flags |= (uint8_t)(flags | IOSQE_FIXED_FILE);
  entry->user_data = load__step_id(id, LOAD_READS);
}

static void load__push_close(struct uring_ring *ring, struct op *op, uint64_t id) {
  struct io_uring_sqe *entry = uring__next_entry(ring);
  io_uring_prep_close_direct(entry, load__place(op));
  entry->user_data = id;
}

static void load__push_step(struct uring_ring *ring, struct op *op, enum load_step step) {
  uint64_t id = op__id(op->as.load.poller, op);
  op->as.load.step = (uint8_t)step;
  atomic_store_explicit(&op->as.load.left, step == LOAD_CHAIN ? 1 : 2, memory_order_relaxed);
  if (step == LOAD_CHAIN) {
    load__push_open(ring, op, id);
    load__push_read(ring, op, id, IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS);
  } else {
    load__push_read(ring, op, id, IOSQE_IO_HARDLINK); /* both say how they ended, for they may be taken by two threads */
  }
  load__push_close(ring, op, id);
}

/* A chain has to go to the kernel as a whole. False: its end is asked for, which is marked before a cancel is put in line, or the ring takes
   nothing. */
static bool load__push(struct op *op, enum load_step step) {
  struct poller *poller = op->as.load.poller;
  struct uring_ring *ring = uring__ring_of(op);
  mutex__lock(&ring->lock);
  bool pushes = op__asked_to_end(op) == PIER_OK && uring__make_room(poller, ring, step == LOAD_CHAIN ? 3 : 2);
  if (pushes) {
    load__push_step(ring, op, step);
    uring__pushed(poller, ring);
  }
  mutex__unlock(&ring->lock);
  return pushes;
}

bool uring__begin_load(struct op *op) {
  if (load__push(op, LOAD_CHAIN))
    return true;
  uring__disclaim_load(op);
  return false;
}

/* ---- What came of it ---- */

/* A worker has it from here on; if its end is asked for, that is found there. Under the lock, so that who asks for it goes to the one or the other. */
static COLD void load__leave(struct op *op) {
  struct uring_ring *ring = uring__ring_of(op);
  mutex__lock(&ring->lock);
  op->as.load.step = LOAD_AWAY;
  mutex__unlock(&ring->lock);
  load__start_over(op);
}

/* Whether a worker's call might say something else: this one was called off, which may have been for a thread that ended; or it is the way that
   is refused, and not the file. */
static bool load__is_refused(int code) { return code == EINVAL || code == ENFILE || code == EBADF || code == EOPNOTSUPP || code == ENOSYS; }
static bool load__is_final(int code) {
  return !load__is_refused(code) && opening__is_final(code) && code != ECANCELED && code != URING_RESTART;
}

static COLD void load__failed(struct op *op, int code) {
  if (load__is_final(code))
    op__complete(op, (uint32_t)code, 0);
  else
    load__leave(op);
}

static void load__opened(struct op *op, int32_t result) {
  if (result >= 0)
    return; /* the next step is told of */
  if (load__is_refused(-result))
    atomic_fetch_add_explicit(&uring__ring_of(op)->load_refusals, 1, memory_order_relaxed);
  uring__disclaim_load(op);
  load__failed(op, -result);
}

/* The chain has ended with a read that was not full, and the file is still open. */
static void load__read(struct op *op, int32_t result) {
  if (result > 0 && (size_t)result >= op->as.load.length_bytes)
    return;
  if (result > 0) {
    op->bytes = (size_t)result;
    if (load__push(op, LOAD_REST))
      return;
  }
  load__vacate(op);
  if (result > 0) {
    load__leave(op);
  } else if (result == 0) {
    op__mark(op, OP_END);
    op__complete(op, 0, 0);
  } else {
    load__failed(op, -result);
  }
}

/* Both of the second way have said how they ended. */
static void load__rest_came(struct op *op) {
  int32_t last = op->as.load.last;
  size_t rest_bytes = op->as.load.length_bytes - op->bytes;
  if (last < 0) {
    load__failed(op, -last);
  } else if (last > 0 && (size_t)last < rest_bytes) {
    load__leave(op); /* it gives a bit at a time: that is for who can ask more often */
  } else {
    op->bytes += (size_t)last;
    if (!last)
      op__mark(op, OP_END);
    op__complete(op, 0, 0);
  }
}

static void load__one_less(struct op *op) {
  if (atomic_fetch_sub_explicit(&op->as.load.left, 1, memory_order_acq_rel) == 1)
    load__rest_came(op);
}

void uring__load_closed(struct op *op, int32_t result) {
  struct op_load *load = &op->as.load;
  struct uring_ring *ring = uring__ring_of(op);
  bool whole = load->step == LOAD_CHAIN;
  if (result < 0)
    load__vacate(op); /* it was called off */
  else
    uring__disclaim_load(op);
  if (atomic_load_explicit(&ring->load_refusals, memory_order_relaxed))
    atomic_store_explicit(&ring->load_refusals, 0, memory_order_relaxed);
  if (whole) {
    op->bytes = load->length_bytes;
    op__complete(op, 0, 0);
  } else {
    load__one_less(op);
  }
}

bool uring__load_told(struct poller *poller, uint64_t id, int32_t result) {
  unsigned step = id__kind(id);
  struct op *op = step == LOAD_OPENS || step == LOAD_READS ? op__in_kernel(poller, load__step_id(id, step)) : NULL;
  if (!op || op->slot.kind != OP_LOAD || op->as.load.step == LOAD_AWAY)
    return false;
  if (step == LOAD_OPENS) {
    load__opened(op, result);
  } else if (op->as.load.step == LOAD_CHAIN) {
    load__read(op, result);
  } else {
    op->as.load.last = result;
    load__one_less(op);
  }
  return true;
}

/* ---- Its end is asked for ---- */

/* Each step may be the one that the kernel is at, or none, if it is between two of them: so it is looked again. False: no ring has it. */
static bool load__push_cancels(struct op *op) {
  static const struct __kernel_timespec in = {.tv_nsec = LOAD_AGAIN_NS};
  const unsigned steps[] = {LOAD_OPENS, LOAD_READS};
  struct poller *poller = op->as.load.poller;
  struct uring_ring *ring = uring__ring_of(op);
  mutex__lock(&ring->lock);
  bool here = op->as.load.step != LOAD_AWAY;
  if (here) {
    CHECK(uring__make_room(poller, ring, 3)); /* an operation that nobody can end any more */
    for (int i = 0; i < 2; i++) {
      struct io_uring_sqe *entry = uring__next_entry(ring);
      io_uring_prep_cancel64(entry, load__step_id(op__id(poller, op), steps[i]), 0);
      uring__mark_cancel(poller, entry);
    }
    if (!ring->load_again) {
      struct io_uring_sqe *entry = uring__next_entry(ring);
      io_uring_prep_timeout(entry, (struct __kernel_timespec *)(uintptr_t)&in, 0, 0); /* which is only read */
      entry->user_data = uring__key(poller, URING_AGAIN);
      ring->load_again = true;
    }
    uring__pushed(poller, ring);
  }
  mutex__unlock(&ring->lock);
  return here;
}

void uring__cancel_load(struct op *op) {
  struct poller *poller = op->as.load.poller;
  if (!port__is_inside(poller) || turn__here()->seat != op->as.load.seat)
    uring__hand_cancel(op);
  else if (!load__push_cancels(op))
    poller->cancel_work(poller, op);
}

void uring__load_again(struct poller *poller) {
  struct uring_ring *ring = uring__here(poller);
  mutex__lock(&ring->lock);
  ring->load_again = false;
  mutex__unlock(&ring->lock);
  uint64_t places = ~atomic_load_explicit(&ring->load_places, memory_order_relaxed);
  for (unsigned place = 0; place < LOADS_PLACES; place++) {
    uint64_t id = atomic_load_explicit(&ring->loads[place], memory_order_relaxed);
    struct op *op = places >> place & 1 ? op__hold_in_kernel(poller, id) : NULL;
    if (!op)
      continue;
    if (op__asked_to_end(op) != PIER_OK)
      load__push_cancels(op);
    op__let_go(op);
  }
}
