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

/* A parallel slab: one entry per operation slot, with memory only where it was used. */
static struct event_slot *iocp__event_slot(struct op *op) {
  struct poller *poller = op->handle->poller;
  uint32_t index = slab__index(&poller->operations, &op->slot);
  size_t bytes = (size_t)poller->operations.slots_max * sizeof(struct event_slot);
  mutex__lock(&poller->associating);
  if (!poller->events)
    poller->events = memory__reserve(bytes);
  mutex__unlock(&poller->associating);
  struct event_slot *slots = poller->events;
  if (!slots || !memory__commit(&slots[index], sizeof slots[index]))
    return NULL;
  return &slots[index];
}

/* Runs on a wait thread of the system's, which must not be held up: it only delivers. */
static void CALLBACK iocp__signalled(void *context, BOOLEAN timed_out) {
  struct event_slot *slot = context;
  struct op *op = slot->op;
  (void)timed_out;
  if (!op__claim_event(op))
    return;
  struct piece piece;
  iocp__look(op, &piece);
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
  uint32_t made = atomic_load(&poller->operations.slots_made);
  if (!slots)
    return;
  for (uint32_t i = 0; i < made; i++) {
    MEMORY_BASIC_INFORMATION where;
    /* Only pages that were used have memory; the others are stepped over. */
    if (!VirtualQuery(&slots[i], &where, sizeof where) || where.State != MEM_COMMIT || !slots[i].event)
      continue;
    UnregisterWaitEx(slots[i].wait, INVALID_HANDLE_VALUE); /* waits for a callback that is running */
    CloseHandle(slots[i].event);
  }
  memory__release(slots, (size_t)poller->operations.slots_max * sizeof *slots);
  poller->events = NULL;
}
