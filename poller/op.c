#include "hook.h"
#include "multishot.h"
#include "piece.h"

#ifdef PIER_HOOKS
struct hooks pier_hooks;
void (*_Atomic pier_hook_dozing)(struct poller *poller);
void (*_Atomic pier_hook_rising)(struct poller *poller);
void (*_Atomic pier_hook_pushing)(struct poller *poller);
bool (*_Atomic pier_hook_noting)(struct handle *handle);
_Atomic uint32_t pier_hook_processors;
#endif

HOT struct op *op__acquire(struct poller *poller, enum op_code code, pier_callback callback, void *context) {
  struct local *local = poller__local(poller);
  struct slot *slot = local ? local__take(local, &poller->operations) : slab__take_one(&poller->operations);
  if (!slot)
    return NULL;
  poller__count_in(poller, local, COUNTER_ACQUIRED, 1);
  if (code == OP_WORK)
    poller__count_in(poller, local, COUNTER_WORK_BEGUN, 1);
  struct op *op = op__of_slot(slot);
  op->slot.kind = (uint8_t)code;
  op->slot.flags = 0;
  op->slot.detail = 0;
  op->ready.kind = READY_OPERATION;
  op->ready.code = 0;
  op->handle = NULL;
  op->callback = callback;
  op->context = context;
  op->bytes = 0;
  return op;
}

HOT void op__release(struct poller *poller, struct op *op) {
  struct local *local = poller__local(poller);
  struct slot *slot = &op->slot;
  if (op->slot.kind == OP_WORK)
    poller__count_in(poller, local, COUNTER_WORK_ENDED, 1);
  slot__end(slot);
  if (local)
    local__give(local, &poller->operations, slot);
  else
    slab__give_one(&poller->operations, slot);
  poller__count_in(poller, local, COUNTER_RELEASED, 1); /* last, so that who finds nothing alive finds all slots free */
}

void op__bind(struct op *op, struct handle *handle) {
  op->handle = handle;
  if (handle && handle__is_gated(handle))
    atomic_fetch_or_explicit(&op->slot.word, OP_GATED, memory_order_relaxed);
}

void op__publish(struct op *op) {
  port__prepare(op);
  uint64_t word = atomic_load_explicit(&op->slot.word, memory_order_relaxed);
  atomic_store_explicit(&op->slot.word, word + 2 * OP_PARTY + OP_KERNEL, memory_order_release);
}

/* Of its end whoever cancels may ask the port at once: there is no submitter who would. */
void op__give_away(struct op *op) {
  port__prepare(op);
  uint64_t word = atomic_load_explicit(&op->slot.word, memory_order_relaxed);
  atomic_store_explicit(&op->slot.word, word + OP_PARTY + OP_KERNEL + OP_STARTED, memory_order_release);
  HOOK(before_launch, op);
}

static void op__mark_refused(struct op *op, int status) {
  op__mark(op, OP_REFUSED);
  op->ready.code = (uint32_t)-status;
}

void op__refuse(struct poller *poller, struct op *op, pier_handle named, int status) {
  op__mark_refused(op, status);
  op->handle = NULL;
  op->as.refused = named;
  poller__deliver(poller, NULL, &op->ready);
}

void op__refuse_bound(struct op *op, int status) {
  op__mark_refused(op, status);
  poller__deliver(op__poller(op), op->handle, &op->ready);
}

/* Leaves, for so many of the parties. The last one out delivers. */
static void op__leave(struct op *op, uint64_t parties) {
  struct poller *poller = op__poller(op);
  struct handle *handle = op->handle;
  uint64_t before = atomic_fetch_sub_explicit(&op->slot.word, parties, memory_order_acq_rel);
  if (((before - parties) & OP_PARTIES) == 0)
    poller__deliver(poller, handle, &op->ready);
  /* Otherwise it belongs to those who are left and may be gone already. */
}

/* ---- Launch and settlement ---- */

static bool op__is_ordered(const struct op *op) {
  return op->slot.kind <= OP_WRITE && (op->handle->slot.flags & HANDLE_ORDERED);
}

void op__count(struct op *op) {
  if (!op__is_ordered(op) || op__is(op, OP_COUNTED))
    return;
  op__mark(op, OP_COUNTED);
  atomic_fetch_add_explicit(&op->handle->pending[op->slot.kind == OP_WRITE], 1, memory_order_seq_cst);
}

/* A shutdown waits until the writes before it have had their callbacks, or finished inside their calls. */
static COLD void op__end_parked(struct handle *handle) {
  if (atomic_load_explicit(&handle->pending[1], memory_order_seq_cst) != 0)
    return;
  struct op *op = atomic_exchange_explicit(&handle->parked, NULL, memory_order_seq_cst);
  struct piece piece = {0, 0};
  if (!op)
    return;
  CHECK(port__submit(op, &piece) == PORT_DONE);
  op__complete(op, piece.code, 0);
}

void op__uncount(struct op *op) {
  if (!op__is(op, OP_COUNTED))
    return;
  port__called_back(op);
  op->slot.detail = (uint16_t)(op->slot.detail & ~OP_COUNTED);
  bool writes = op->slot.kind == OP_WRITE;
  if (atomic_fetch_sub_explicit(&op->handle->pending[writes], 1, memory_order_seq_cst) == 1 && writes &&
      atomic_load_explicit(&op->handle->parked, memory_order_seq_cst))
    op__end_parked(op->handle);
}

/* True if an earlier operation in the same direction has not had its callback: this one's must not overtake it. On the event path there
   is none: one is served at a time. */
static bool op__would_overtake(const struct op *op) {
  int32_t own = op__is(op, OP_COUNTED);
  return op__is_ordered(op) && !op__is(op, OP_EVENT) &&
         atomic_load_explicit(&op->handle->pending[op->slot.kind == OP_WRITE], memory_order_seq_cst) > own;
}

void op__ask_system(struct op *op) {
  struct op *parked = op;
  /* The kind first: whoever completes an operation of the port's may be writing its flags just now. */
  if ((op->slot.kind != OP_WORK && op->slot.kind != OP_SHUTDOWN) || op__is_gated(op))
    port__cancel(op);
  else if (op->slot.kind == OP_WORK)
    op__poller(op)->cancel_work(op__poller(op), op);
  else if (atomic_compare_exchange_strong(&op->handle->parked, &parked, NULL))
    op__complete(op, port__cancelled(), 0);
}

/* Somebody has seen the packet while the submitting call was still at it: the submitter does what he would have done. */
static void op__settle_early(struct op *op) {
  struct piece piece = {0, 0};
  port__read_final(op, &piece);
  op__settle(op, piece.code, piece.bytes);
  op__leave(op, OP_PARTY);
}

/* The system call went pending: lets go of the operation, and asks for its end if somebody wanted that meanwhile. */
static void op__submitted(struct op *op) {
  HOOK(started, op);
  /* Whoever closes the handle marks it and then cancels; we made the call and now look. One of both sees the other. */
  bool asked = op->handle && handle__is_closing(op->handle);
  if (asked)
    op__ask_system(op);
  struct poller *poller = op__poller(op);
  struct handle *handle = op->handle;
  uint64_t word = atomic_load_explicit(&op->slot.word, memory_order_acquire);
  uint64_t next;
  do {
    if ((word & OP_CANCEL) && !asked) {
      asked = true;
      op__ask_system(op);
      word = atomic_load_explicit(&op->slot.word, memory_order_acquire);
    }
    next = word & OP_EARLY ? (word | OP_STARTED) & ~(OP_EARLY | OP_KERNEL) : ((word | OP_STARTED) & ~OP_DUE_EARLY) - OP_PARTY;
  } while (!atomic_compare_exchange_weak_explicit(&op->slot.word, &word, next, memory_order_seq_cst, memory_order_acquire));
  if (word & OP_EARLY)
    op__settle_early(op);
  else if ((next & OP_PARTIES) == 0 || (word & OP_DUE_EARLY))
    poller__deliver(poller, handle, &op->ready);
}

/* The kernel is no party any more, by the submitter's own word; whoever left word of a packet or an event need not have. */
static void op__claim_here(struct op *op) {
  atomic_fetch_and_explicit(&op->slot.word, ~(OP_KERNEL | OP_EARLY), memory_order_acq_rel);
}

/* The same, and submitter and kernel leave together: the usual end of a call that waits for nothing costs one exchange. */
static void op__leave_at_once(struct op *op) {
  struct poller *poller = op->handle->poller;
  struct handle *handle = op->handle;
  uint64_t word = atomic_load_explicit(&op->slot.word, memory_order_relaxed);
  uint64_t next;
  do
    next = (word & ~(OP_KERNEL | OP_EARLY)) - 2 * OP_PARTY;
  while (!atomic_compare_exchange_weak_explicit(&op->slot.word, &word, next, memory_order_acq_rel, memory_order_relaxed));
  if ((next & OP_PARTIES) == 0)
    poller__deliver(poller, handle, &op->ready);
}

/* The kernel becomes a party again. Its structure must say "pending" before, or a stray event would be believed. */
static void op__expect(struct op *op) { atomic_fetch_or_explicit(&op->slot.word, OP_KERNEL, memory_order_acq_rel); }

/* For so many of the parties, the kernel's among them. */
static void op__refuse_for(struct op *op, int status, uint64_t parties) {
  op__mark_refused(op, status);
  op__claim_here(op);
  op__leave(op, parties);
}

void op__refuse_published(struct op *op, int status) { op__refuse_for(op, status, 2 * OP_PARTY); }
void op__refuse_waiting(struct op *op, int status) { op__refuse_for(op, status, OP_PARTY); }

/* One shutdown may wait at a time. */
static COLD void op__park(struct op *op) {
  struct op *none = NULL;
  struct handle *handle = op->handle;
  if (!atomic_compare_exchange_strong(&handle->parked, &none, op)) {
    op__refuse_published(op, PIER_EBUSY);
    return;
  }
  op__end_parked(handle);
  op__submitted(op);
}

/* The call ended at once: its callback comes with the next turn, or behind those that the port still has. */
static void op__finished_at_once(struct op *op) {
  struct poller *poller = op->handle->poller;
  poller__count(poller, COUNTER_IMMEDIATE, 1);
  if (op__would_overtake(op)) {
    op__mark(op, OP_SETTLED);
    op__count(op);
    op__expect(op);
    if (port__post_settled(op)) {
      op__submitted(op);
      return;
    }
    op__claim_here(op);
  }
  if (!op__is(op, OP_EVENT)) /* there the next one is started when this one's callback is due */
    op__uncount(op);
  op__leave_at_once(op);
}

/* Sees to it that the handle stands where it should. False: a worker has to do it, unless it is done at once. */
static bool op__needs_port(struct op *op) {
  struct handle *handle = op->handle;
  if (op->slot.kind == OP_WORK)
    return false;
  if (op->slot.kind == OP_LOAD) /* the port knows who is to have it */
    return true;
  pier_state state = handle__standing(handle);
  if (state == PIER_STATE_FRESH)
    handle__associate(handle);
  return state != PIER_STATE_BLOCKING;
}

/* The system call, or a worker that will make it. */
static enum port_start op__start(struct op *op, bool on_port, struct piece *piece) {
  if (on_port)
    return port__submit(op, piece);
  op__count(op);
  if (op__is_multishot(op) && !multishot__lend(op)) {
    piece->code = port__no_memory();
    return PORT_DONE;
  }
  op__poller(op)->offload(op__poller(op), op);
  return PORT_PENDING;
}

/* A file's, or one that is loaded. */
static bool op__may_end_at_once(const struct op *op) {
  const struct handle *handle = op->handle;
  return handle ? handle->slot.kind == PIER_KIND_FILE && op->slot.kind <= OP_OPEN && !op__is_gated(op) : op->slot.kind == OP_LOAD;
}

HOT bool op__end_at_once(struct op *op) {
  struct poller *poller = op__poller(op);
  struct handle *handle = op->handle;
  if (!op__may_end_at_once(op))
    return false;
  if (handle && handle__standing(handle) == PIER_STATE_FRESH) /* it stands where it would after any other operation */
    handle__associate(handle);
  if (!port__at_once(op))
    return false;
  poller__count(poller, COUNTER_IMMEDIATE, 1);
  poller__deliver(poller, handle, &op->ready);
  return true;
}

bool op__launch_away(struct op *op) { return op->slot.kind <= OP_OPEN && !op__is_gated(op) && port__submit_away(op); }

void op__launch(struct op *op) {
  HOOK(before_launch, op);
  if (op__is_gated(op)) {
    op__submitted(op);
    port__hold_back(op); /* with nothing of it settled but that: so it is still there */
    return;
  }
  if (op->slot.kind == OP_SHUTDOWN) {
    op__park(op);
    return;
  }
  bool on_port = op__needs_port(op);
  for (;;) {
    struct piece piece = {0, 0};
    enum port_start start = op__start(op, on_port, &piece);
    if (start != PORT_DONE) {
      op__submitted(op);
      if (start == PORT_WAITS)
        port__queue(op); /* with nothing of it settled but that: so it is still there */
      if (start == PORT_DUE)
        multishot__due(op); /* so is this */
      return;
    }
    if (op__is(op, OP_SETTLED))
      break; /* by a port that sends no packets, so there is none to be believed */
    op__claim_here(op);
    if (multishot__is_chunk(op, piece.code, piece.bytes)) {
      op->bytes = piece.bytes;
      op__submitted(op);
      multishot__due(op);
      return;
    }
    if (!op__progress(op, &piece))
      break;
    port__prepare(op);
    op__expect(op);
  }
  op__finished_at_once(op);
}

/* Takes the kernel's mark off, if the operation is as the caller thinks. Everything is read while the word says that it stands; if
   the slot changes hands meanwhile the exchange fails. While the submitter is at it nobody else may go on with the operation: it
   could be launched again under his hands. He is left word. */
static enum op_claim op__claim_as(struct op *op, const struct handle *carrier, bool by_event) {
  uint64_t word = atomic_load_explicit(&op->slot.word, memory_order_seq_cst);
  uint64_t next;
  do {
    if (!(word & OP_KERNEL) || op__is(op, OP_EVENT) != by_event || !port__is_final(op))
      return OP_CLAIM_NONE;
    if (op__is(op, OP_AWAITED)) /* a worker's: the signal is a stray one of the operation that had the slot before */
      return OP_CLAIM_NONE;
    if (!by_event && carrier != (op->slot.kind == OP_PIPE_ACCEPT ? op->as.pipe_accept.instance : op->handle))
      return OP_CLAIM_NONE;
    next = word & OP_STARTED ? word & ~OP_KERNEL : word | OP_EARLY;
  } while (!atomic_compare_exchange_weak_explicit(&op->slot.word, &word, next, memory_order_seq_cst, memory_order_seq_cst));
  return word & OP_STARTED ? OP_CLAIMED : OP_CLAIM_EARLY;
}

enum op_claim op__claim(struct op *op, const struct handle *handle) { return op__claim_as(op, handle, false); }
enum op_claim op__claim_event(struct op *op) { return op__claim_as(op, NULL, true); }

/* The kernel's party stays or comes again, and we are the submitter now. A canceller who comes in between leaves its mark, and
   op__submitted() finds it. */
void op__launch_again(struct op *op) {
  op->slot.detail = (uint16_t)(op->slot.detail & ~OP_AWAITED); /* the next call is no worker's to await */
  port__prepare(op);
  uint64_t word = atomic_load_explicit(&op->slot.word, memory_order_acquire);
  while (!atomic_compare_exchange_weak_explicit(&op->slot.word, &word, ((word | OP_KERNEL) & ~(OP_STARTED | OP_GATED)) + OP_PARTY, memory_order_acq_rel,
                                                memory_order_acquire)) {
  }
  op__launch(op);
}

void op__relaunch(struct op *op) {
  if (op__asked_to_end(op) != PIER_OK || handle__is_closing(op->handle))
    op__complete(op, port__cancelled(), 0);
  else
    op__launch_again(op);
}

void op__settle(struct op *op, uint32_t code, uint32_t bytes) {
  struct piece piece = {code, bytes};
  if (multishot__is_chunk(op, code, bytes)) {
    op->bytes = bytes;
    multishot__due(op);
    return;
  }
  if (!op__is(op, OP_SETTLED) && op__progress(op, &piece))
    op__launch_again(op);
  else
    op__leave(op, OP_PARTY);
}

/* The same of one that is settled, with a party less in the same exchange. */
static void op__complete_settled(struct op *op) {
  struct poller *poller = op__poller(op);
  struct handle *handle = op->handle;
  uint64_t before = atomic_fetch_sub_explicit(&op->slot.word, OP_KERNEL + OP_PARTY, memory_order_acq_rel);
  CHECK(before & OP_KERNEL);
  if ((before & OP_PARTIES) == OP_PARTY)
    poller__deliver(poller, handle, &op->ready);
}

void op__complete(struct op *op, uint32_t code, uint32_t bytes) {
  if (!op->handle) /* what has none is made in one piece */
    op->ready.code = code;
  if (!op->handle || op__is(op, OP_SETTLED)) {
    op__complete_settled(op);
    return;
  }
  uint64_t before = atomic_fetch_and_explicit(&op->slot.word, ~OP_KERNEL, memory_order_acq_rel);
  CHECK(before & OP_KERNEL);
  op__settle(op, code, bytes);
}

struct op *op__hold_in_kernel(struct poller *poller, pier_operation id) {
  struct op *op = id__loop(id) == poller->index ? op__in_kernel(poller, id) : NULL;
  if (!op)
    return NULL;
  uint64_t word = atomic_load_explicit(&op->slot.word, memory_order_acquire);
  do {
    if (slot__generation(word) != id__generation(id) || !(word & OP_KERNEL))
      return NULL;
  } while (!atomic_compare_exchange_weak_explicit(&op->slot.word, &word, word + OP_PARTY, memory_order_acq_rel, memory_order_acquire));
  return op;
}

void op__hold_more(struct op *op) { atomic_fetch_add_explicit(&op->slot.word, OP_PARTY, memory_order_acq_rel); }
void op__let_go(struct op *op) { op__leave(op, OP_PARTY); }
