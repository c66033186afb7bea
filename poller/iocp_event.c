/* The event path: operations on handles that are not on our port.

   Each operation's slot gets, when it first needs one, an event and something that waits for it: a wait-completion packet, which
   has the kernel itself put a packet on our port when the event is set, or, where the system has none, a wait registered with the
   thread pool; unless the thread that drives the loop waits for it itself (iocp_waitlist.c). They are kept for as long as the loop
   lives, so in the steady state no operation creates a kernel object. The event resets itself when the waiter takes it. A signal is
   only a hint to look: an operation that was seen to be final inside its own call leaves a stray one behind, and the claim tells the
   two apart. */
#include "iocp_event.h"

/* Puts memory behind the entries of all slots that there are. Under the lock. */
static bool iocp__grow_events(struct poller *poller) {
  uint32_t made = atomic_load_explicit(&poller->operations.slots_made, memory_order_acquire);
  if (!poller->events)
    poller->events = memory__reserve((size_t)poller->operations.slots_max * sizeof(struct event_slot));
  if (!poller->events || !memory__commit(poller->events, (size_t)made * sizeof(struct event_slot)))
    return false;
  atomic_store_explicit(&poller->events_made, made, memory_order_release);
  return true;
}

/* A parallel slab: one entry per operation slot. */
struct event_slot *event__slot(struct op *op) {
  struct poller *poller = op->handle->poller;
  uint32_t index = slab__index(&op->slot);
  if (index >= atomic_load_explicit(&poller->events_made, memory_order_acquire)) {
    mutex__lock(&poller->associating);
    bool grown = iocp__grow_events(poller);
    mutex__unlock(&poller->associating);
    if (!grown)
      return NULL;
  }
  return (struct event_slot *)poller->events + index;
}

enum op_claim event__settle(struct op *op) {
  enum op_claim claim = op__claim_event(op);
  if (claim == OP_CLAIMED) {
    struct piece piece = {0, 0};
    port__read_final(op, &piece);
    op__settle(op, piece.code, piece.bytes);
  }
  return claim;
}

/* ---- Where there are no wait-completion packets ---- */

/* Runs on a wait thread of the system's, which must not be held up: it only delivers. */
void CALLBACK event__signalled(void *context, BOOLEAN timed_out) {
  struct event_slot *slot = context;
  (void)timed_out;
  event__settle(slot->op);
}

/* ---- Where there are ---- */

/* The packet comes under the operation's id, which no handle has for a key. */
static bool iocp__associate_packet(const struct event_slot *slot, struct op *op) {
  struct poller *poller = op->handle->poller;
  return nt()->associate_wait_completion_packet(slot->packet, (HANDLE)poller->port, slot->event, (void *)op__id(poller, op),
                                                iocp__overlapped(op), 0, 0, NULL) == NT_STATUS_SUCCESS;
}

/* It is refused while the packet is in use. It is not, unless somebody has posted a packet like ours, and the operation that had the
   slot was over by then and settled with that: so ours may still be to come, and is called back. */
static bool iocp__associate_again(const struct event_slot *slot, struct op *op) {
  nt()->cancel_wait_completion_packet(slot->packet, TRUE);
  return iocp__associate_packet(slot, op);
}

void event__await(struct op *op) {
  op__mark(op, OP_AWAITED);
  op->handle->poller->offload(op->handle->poller, op);
}

void iocp__watch(struct op *op) {
  struct event_slot *slot = event__slot(op);
  if (slot->own && iocp__overlapped(op)->hEvent == (HANDLE)((uintptr_t)slot->own | 1))
    waitlist__add(slot, op);
  else if (slot->packet && !iocp__associate_packet(slot, op) && !iocp__associate_again(slot, op))
    event__await(op);
}

bool iocp__take_signal(struct poller *poller, const pier_packet *packet) {
  struct op *op = op__hold_in_kernel(poller, packet->key);
  if (!op)
    return false;
  bool ours = packet->overlapped == iocp__overlapped(op) && op__is(op, OP_EVENT);
  /* A stray signal has used the packet up: once more. Refused, it is in use, and the packet that we have was nobody's. */
  if (ours && event__settle(op) == OP_CLAIM_NONE && !op__is(op, OP_AWAITED) && iocp__still_pending(op))
    iocp__associate_packet(event__slot(op), op);
  op__let_go(op);
  return ours;
}

/* ---- Both ---- */

static bool iocp__create_waiter(struct event_slot *slot) {
  if (nt()->create_wait_completion_packet(&slot->packet, GENERIC_ALL, NULL) == NT_STATUS_SUCCESS)
    return true;
  slot->packet = NULL;
  return RegisterWaitForSingleObject(&slot->wait, slot->event, event__signalled, slot, INFINITE, WT_EXECUTEINWAITTHREAD);
}

static bool iocp__create_event(struct event_slot *slot, struct op *op) {
  slot->event = CreateEventExW(NULL, NULL, 0, SYNCHRONIZE | EVENT_MODIFY_STATE);
  if (slot->event && !iocp__create_waiter(slot)) {
    CloseHandle(slot->event);
    slot->event = NULL;
  }
  if (slot->event)
    poller__count(op->handle->poller, COUNTER_EVENTS, 1);
  return slot->event != NULL;
}

/* It stays set until the next operation begins with it: so it may be waited for by two, and be looked at late. */
static bool event__create_own(struct event_slot *slot, struct op *op) {
  slot->own = CreateEventExW(NULL, NULL, CREATE_EVENT_MANUAL_RESET, SYNCHRONIZE | EVENT_MODIFY_STATE);
  if (slot->own)
    poller__count(op->handle->poller, COUNTER_EVENTS, 1);
  return slot->own != NULL;
}

HANDLE iocp__event(struct op *op) {
  struct event_slot *slot = event__slot(op);
  if (!slot) {
    SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    return NULL;
  }
  if (!slot->op)
    slot->op = op;
  if (waitlist__takes(op->handle->poller) && (slot->own || event__create_own(slot, op)))
    return slot->own;
  if (!slot->event && !iocp__create_event(slot, op))
    return NULL;
  return slot->event;
}

static void iocp__close_event(struct event_slot *slot) {
  if (slot->packet)
    CloseHandle(slot->packet); /* it is not in use: nothing is in flight */
  if (slot->wait)
    UnregisterWaitEx(slot->wait, INVALID_HANDLE_VALUE); /* waits for a callback that is running */
  if (slot->own_wait)
    UnregisterWaitEx(slot->own_wait, INVALID_HANDLE_VALUE);
  if (slot->event)
    CloseHandle(slot->event);
  if (slot->own)
    CloseHandle(slot->own);
}

void iocp__close_events(struct poller *poller) {
  struct event_slot *slots = poller->events;
  uint32_t made = atomic_load(&poller->events_made);
  if (!slots)
    return;
  for (uint32_t i = 0; i < made; i++)
    iocp__close_event(&slots[i]);
  memory__release(slots, (size_t)poller->operations.slots_max * sizeof *slots);
  poller->events = NULL;
}
