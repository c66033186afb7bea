/* Events that the thread which drives the loop waits for itself, beside the port.

   Where the system has no wait-completion packets, as under Wine, a wait that is registered with the thread pool costs a thread's waking,
   a packet that it posts, and the taking of that packet. Who drives the loop has nothing else to do while it waits: so what it starts from
   its callbacks it waits for itself, in one call with the port, which the system counts as signalled while it holds a packet. That it does
   is tried out when the loop opens.

   It can be relied on only as long as it comes back to wait. A host that knows the port may wait there instead: from the moment that it asks
   for the port nothing is put on the list any more, and what is there is handed over to registered waits, by whoever comes to the loop next.
   A wake on the port sees to it that somebody comes. */
#include "iocp_event.h"

#include <stdlib.h>

#define WAITLIST_MAX (MAXIMUM_WAIT_OBJECTS - 1)

struct waitlist {
  struct mutex lock; /* the entries; held for a few instructions */
  _Atomic bool hosted;
  _Atomic uint32_t count;
  HANDLE objects[WAITLIST_MAX + 1]; /* the port, and then the entries' events */
  struct event_slot *slots[WAITLIST_MAX];
  pier_operation ids[WAITLIST_MAX];
};

static struct waitlist *waitlist__of(const struct poller *poller) { return poller->waitlist; }

/* ---- Whether there is one ---- */

static bool waitlist__has_packets(void) {
  HANDLE packet = NULL;
  bool has = nt()->create_wait_completion_packet(&packet, GENERIC_ALL, NULL) == NT_STATUS_SUCCESS;
  if (has)
    CloseHandle(packet);
  return has;
}

/* Signalled while it holds a packet, and only then. */
static bool waitlist__shows(HANDLE port, void *mark) {
  OVERLAPPED_ENTRY entry;
  ULONG count = 0;
  if (WaitForSingleObject(port, 0) != WAIT_TIMEOUT || !PostQueuedCompletionStatus(port, 0, 0, mark))
    return false;
  bool shows = WaitForSingleObject(port, 0) == WAIT_OBJECT_0;
  bool taken = GetQueuedCompletionStatusEx(port, &entry, 1, &count, 0, FALSE);
  return shows && taken && WaitForSingleObject(port, 0) == WAIT_TIMEOUT;
}

void waitlist__open(struct poller *poller) {
  HANDLE port = (HANDLE)poller->port;
  struct waitlist *list = NULL;
  poller->waitlist = NULL;
  if (poller->port_borrowed || poller->pooled || waitlist__has_packets())
    return;
  list = calloc(1, sizeof *list);
  if (!list || !waitlist__shows(port, list)) {
    free(list);
    return;
  }
  mutex__init(&list->lock);
  list->objects[0] = port;
  poller->waitlist = list;
}

void waitlist__close(struct poller *poller) {
  struct waitlist *list = waitlist__of(poller);
  if (!list)
    return;
  mutex__destroy(&list->lock);
  free(list);
  poller->waitlist = NULL;
}

/* ---- Entries ---- */

bool waitlist__takes(const struct poller *poller) {
  struct waitlist *list = waitlist__of(poller);
  const struct turn *turn = turn__here();
  return list && turn && turn->poller == poller && turn->drives && !atomic_load_explicit(&list->hosted, memory_order_relaxed) &&
         atomic_load_explicit(&list->count, memory_order_relaxed) < WAITLIST_MAX;
}

/* Under the lock. */
static void waitlist__put(struct waitlist *list, struct event_slot *slot, pier_operation id) {
  uint32_t count = atomic_load_explicit(&list->count, memory_order_relaxed);
  uint32_t at = 0;
  while (at < count && list->slots[at] != slot)
    at++;
  CHECK(at < WAITLIST_MAX);
  list->objects[at + 1] = slot->own;
  list->slots[at] = slot;
  list->ids[at] = id;
  if (at == count)
    atomic_store_explicit(&list->count, count + 1, memory_order_seq_cst);
}

/* Under the lock: the last one comes into its place. */
static void waitlist__remove(struct waitlist *list, uint32_t at) {
  uint32_t last = atomic_load_explicit(&list->count, memory_order_relaxed) - 1;
  list->objects[at + 1] = list->objects[last + 1];
  list->slots[at] = list->slots[last];
  list->ids[at] = list->ids[last];
  atomic_store_explicit(&list->count, last, memory_order_seq_cst);
}

/* Whether the kernel still has the operation that the entry is about, with the event that is waited for. */
static bool waitlist__stands(const struct poller *poller, const struct waitlist *list, uint32_t at) {
  struct op *op = list->slots[at]->op;
  return op__id(poller, op) == list->ids[at] && iocp__still_pending(op) && iocp__overlapped(op)->hEvent == (HANDLE)((uintptr_t)list->slots[at]->own | 1);
}

/* Takes the next entry, downwards from `*at`, whose operation is over or another's, or any; its id, or 0 when there is none left. */
static pier_operation waitlist__take(struct poller *poller, uint32_t *at, bool any, struct event_slot **slot) {
  struct waitlist *list = waitlist__of(poller);
  pier_operation id = 0;
  mutex__lock(&list->lock);
  uint32_t count = atomic_load_explicit(&list->count, memory_order_relaxed);
  if (*at > count)
    *at = count;
  while (*at > 0 && !id) {
    --*at;
    if (!any && waitlist__stands(poller, list, *at))
      continue;
    id = list->ids[*at];
    *slot = list->slots[*at];
    waitlist__remove(list, *at);
  }
  mutex__unlock(&list->lock);
  return id;
}

/* ---- Handing over ---- */

static void waitlist__hand_over_one(struct event_slot *slot, struct op *op) {
  /* What was signalled already is seen at once: the event stays set. */
  if (RegisterWaitForSingleObject(&slot->own_wait, slot->own, event__signalled, slot, INFINITE, WT_EXECUTEINWAITTHREAD | WT_EXECUTEONLYONCE))
    return;
  slot->own_wait = NULL;
  event__await(op);
}

static void waitlist__hand_over(struct poller *poller) {
  struct event_slot *slot = NULL;
  pier_operation id;
  uint32_t at = WAITLIST_MAX;
  while ((id = waitlist__take(poller, &at, true, &slot))) {
    struct op *op = op__hold_in_kernel(poller, id);
    if (!op)
      continue;
    waitlist__hand_over_one(slot, op);
    op__let_go(op);
  }
}

static bool waitlist__is_hosted(struct waitlist *list) { return atomic_load_explicit(&list->hosted, memory_order_seq_cst); }

void waitlist__visit(struct poller *poller) {
  struct waitlist *list = waitlist__of(poller);
  if (list && waitlist__is_hosted(list) && atomic_load_explicit(&list->count, memory_order_seq_cst))
    waitlist__hand_over(poller);
}

void waitlist__add(struct event_slot *slot, struct op *op) {
  struct poller *poller = op->handle->poller;
  struct waitlist *list = waitlist__of(poller);
  mutex__lock(&list->lock);
  waitlist__put(list, slot, op__id(poller, op));
  mutex__unlock(&list->lock);
  waitlist__visit(poller); /* the host may have come meanwhile, and found nothing on it */
}

void waitlist__host(struct poller *poller) {
  struct waitlist *list = waitlist__of(poller);
  if (list && !atomic_exchange_explicit(&list->hosted, true, memory_order_seq_cst) && atomic_load_explicit(&list->count, memory_order_seq_cst))
    poller__wake(poller);
}

/* ---- Waiting ---- */

static bool waitlist__sweep(struct poller *poller) {
  struct event_slot *slot = NULL;
  pier_operation id;
  uint32_t at = WAITLIST_MAX;
  bool any = false;
  while ((id = waitlist__take(poller, &at, false, &slot))) {
    struct op *op = op__hold_in_kernel(poller, id);
    if (!op)
      continue;
    event__settle(op);
    op__let_go(op);
    any = true;
  }
  return any;
}

bool waitlist__wait(struct poller *poller, DWORD *timeout_ms) {
  struct waitlist *list = waitlist__of(poller);
  HANDLE objects[WAITLIST_MAX + 1];
  if (!list || !atomic_load_explicit(&list->count, memory_order_relaxed))
    return true;
  bool swept = waitlist__sweep(poller);
  mutex__lock(&list->lock);
  uint32_t count = atomic_load_explicit(&list->count, memory_order_relaxed) + 1;
  for (uint32_t i = 0; i < count; i++)
    objects[i] = list->objects[i];
  mutex__unlock(&list->lock);
  DWORD result = WaitForMultipleObjects(count, objects, FALSE, swept ? 0 : *timeout_ms);
  *timeout_ms = 0;
  waitlist__sweep(poller);
  waitlist__visit(poller);
  /* The first of those that are signalled is told, and that is the port if it is one of them. */
  return result == WAIT_OBJECT_0 || result == WAIT_FAILED;
}
