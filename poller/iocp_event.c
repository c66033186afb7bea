/* The event path: operations on handles that are not on our port.

   Each operation's slot gets, when it first needs one, an event and a wait for it that stays registered. Both are kept for as long
   as the loop lives, so in the steady state no operation creates a kernel object. The event resets itself when the waiter takes
   it. A signal is only a hint to look: an operation that was seen to be final inside its own call leaves a stray one behind, and
   the claim tells the two apart. */
#include "iocp.h"

struct event_slot {
  HANDLE event;
  HANDLE wait;
  struct op *op;
};

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
static struct event_slot *iocp__event_slot(struct op *op) {
  struct poller *poller = op->handle->poller;
  uint32_t index = slab__index(&poller->operations, &op->slot);
  if (index >= atomic_load_explicit(&poller->events_made, memory_order_acquire)) {
    mutex__lock(&poller->associating);
    bool grown = iocp__grow_events(poller);
    mutex__unlock(&poller->associating);
    if (!grown)
      return NULL;
  }
  return (struct event_slot *)poller->events + index;
}

/* Runs on a wait thread of the system's, which must not be held up: it only delivers. */
static void CALLBACK iocp__signalled(void *context, BOOLEAN timed_out) {
  struct event_slot *slot = context;
  struct op *op = slot->op;
  (void)timed_out;
  if (op__claim_event(op) != OP_CLAIMED)
    return;
  struct piece piece = {0, 0};
  port__read_final(op, &piece);
  op__settle(op, piece.code, piece.bytes);
}

static bool iocp__create_event(struct event_slot *slot, struct op *op) {
  slot->op = op;
  HANDLE event = CreateEventExW(NULL, NULL, 0, SYNCHRONIZE | EVENT_MODIFY_STATE);
  if (!event)
    return false;
  if (!RegisterWaitForSingleObject(&slot->wait, event, iocp__signalled, slot, INFINITE, WT_EXECUTEINWAITTHREAD)) {
    CloseHandle(event);
    return false;
  }
  counter__add(&op->handle->poller->counters.events, 1);
  slot->event = event;
  return true;
}

HANDLE iocp__event(struct op *op) {
  struct event_slot *slot = iocp__event_slot(op);
  if (!slot) {
    SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    return NULL;
  }
  if (!slot->event && !iocp__create_event(slot, op))
    return NULL;
  return slot->event;
}

void iocp__close_events(struct poller *poller) {
  struct event_slot *slots = poller->events;
  uint32_t made = atomic_load(&poller->events_made);
  if (!slots)
    return;
  for (uint32_t i = 0; i < made; i++) {
    if (!slots[i].event)
      continue;
    UnregisterWaitEx(slots[i].wait, INVALID_HANDLE_VALUE); /* waits for a callback that is running */
    CloseHandle(slots[i].event);
  }
  memory__release(slots, (size_t)poller->operations.slots_max * sizeof *slots);
  poller->events = NULL;
}
