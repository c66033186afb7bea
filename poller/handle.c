#include "poller.h"
#include <stdlib.h>

static struct handle *handle__of_slot(struct slot *slot) { return (struct handle *)(void *)slot; }

struct handle *handle__acquire(struct poller *poller, pier_kind kind, uintptr_t native) {
  struct handle *handle = handle__of_slot(slab__acquire(&poller->handles));
  if (!handle)
    return NULL;
  handle->slot.kind = (uint8_t)kind;
  handle->slot.flags = 0;
  handle->slot.detail = 0;
  strand__init(&handle->strand, kind == PIER_KIND_FILE && !poller->pooled);
  handle->closing.kind = READY_CLOSE;
  handle->poller = poller;
  handle->native = native;
  atomic_init(&handle->state, PIER_STATE_FRESH);
  atomic_init(&handle->pending[0], 0);
  atomic_init(&handle->pending[1], 0);
  atomic_init(&handle->parked, NULL);
  handle->on_foreign = NULL;
  handle->foreign_context = NULL;
  handle->on_close = NULL;
  handle->close_context = NULL;
  atomic_init(&handle->position, 0);
  handle->detail = NULL;
  port__init_handle(handle);
  doze__disturb(poller);
  return handle;
}

pier_handle handle__open(struct handle *handle) {
  pier_handle id = handle__id(handle);
  atomic_fetch_or_explicit(&handle->slot.word, HANDLE_LIVE, memory_order_release);
  return id;
}

void handle__open_with(struct handle *handle) {
  uint64_t word = atomic_load_explicit(&handle->slot.word, memory_order_relaxed);
  atomic_store_explicit(&handle->slot.word, word + HANDLE_LIVE + HANDLE_FLIGHT, memory_order_release);
}

int handle__stale(uint64_t word, pier_handle id) {
  int32_t age = (int32_t)(slot__generation(word) - id__generation(id));
  return age > 0 ? PIER_ECLOSED : PIER_EBADF;
}

/* Why an operation may not be counted in; PIER_OK: it may, when the handle has been moved. */
static int handle__refusal(uint64_t word, pier_handle id) {
  if (slot__generation(word) != id__generation(id))
    return handle__stale(word, id);
  if (!(word & HANDLE_LIVE))
    return PIER_EBADF;
  return word & HANDLE_CLOSING ? PIER_ECLOSED : PIER_OK;
}

HOT int handle__enter(struct poller *poller, pier_handle id, struct handle **handle) {
  struct slot *slot = slab__at(&poller->handles, id__slot(id));
  if (!slot)
    return PIER_EBADF;
  /* All but the count of one that is open and stays where it is. */
  const uint64_t open = (uint64_t)id__generation(id) << 32 | HANDLE_LIVE;
  uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);
  for (;;) {
    while ((word & ~HANDLE_FLIGHTS) == open) {
      CHECK((word & HANDLE_FLIGHTS) != HANDLE_FLIGHTS); /* more operations than there can be slots */
      if (atomic_compare_exchange_weak_explicit(&slot->word, &word, word + HANDLE_FLIGHT, memory_order_seq_cst, memory_order_acquire)) {
        *handle = handle__of_slot(slot);
        return PIER_OK;
      }
    }
    int status = handle__refusal(word, id);
    if (status != PIER_OK)
      return status;
    thread__yield(); /* one system call long */
    word = atomic_load_explicit(&slot->word, memory_order_acquire);
  }
}

void handle__leave(struct handle *handle) {
  uint64_t before = atomic_fetch_sub_explicit(&handle->slot.word, HANDLE_FLIGHT, memory_order_acq_rel);
  if ((before & HANDLE_FLIGHTS) == HANDLE_FLIGHT && (before & HANDLE_CLOSING))
    poller__deliver(handle->poller, handle, &handle->closing);
}

HOT struct handle *handle__find(struct poller *poller, pier_handle id) {
  struct slot *slot = slab__at(&poller->handles, id__slot(id));
  if (!slot || id__kind(id) != ID_HANDLE || id__loop(id) != poller->index ||
      slot__generation(atomic_load_explicit(&slot->word, memory_order_acquire)) != id__generation(id))
    return NULL;
  return handle__of_slot(slot);
}

void handle__stand(struct handle *handle, pier_state state) {
  uint32_t old = atomic_load_explicit(&handle->state, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(&handle->state, &old, (uint32_t)state | (old & HANDLE_GATE), memory_order_release, memory_order_relaxed)) {
  }
}

void handle__associate(struct handle *handle) {
  struct poller *poller = handle->poller;
  mutex__lock(&poller->associating);
  /* Whatever the refusal: this port cannot have the handle, tagged events can serve it. */
  if (handle__standing(handle) == PIER_STATE_FRESH)
    handle__stand(handle, port__associate(handle) == PIER_OK ? PIER_STATE_ASSOCIATED : PIER_STATE_FOREIGN);
  mutex__unlock(&poller->associating);
}

/* Marks it as closing, with a flight of the closer's own: the end cannot come before that one has left. */
static int handle__mark_closing(struct slot *slot, pier_handle id) {
  uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);
  for (;;) {
    int status = handle__refusal(word, id);
    if (status != PIER_OK)
      return status;
    if (word & HANDLE_MOVING) {
      thread__yield();
      word = atomic_load_explicit(&slot->word, memory_order_acquire);
      continue;
    }
    if (atomic_compare_exchange_weak_explicit(&slot->word, &word, (word | HANDLE_CLOSING) + HANDLE_FLIGHT, memory_order_seq_cst,
                                              memory_order_acquire))
      return PIER_OK;
  }
}

static int handle__close(struct poller *poller, pier_handle id, pier_callback callback, void *context) {
  struct slot *slot = slab__at(&poller->handles, id__slot(id));
  int status = slot ? handle__mark_closing(slot, id) : PIER_EBADF;
  if (status != PIER_OK)
    return status;
  struct handle *handle = handle__of_slot(slot);
  poller__count(poller, COUNTER_CLOSING, 1);
  handle->on_close = callback;
  handle->close_context = context;
  bool busy = (atomic_load_explicit(&slot->word, memory_order_acquire) & HANDLE_FLIGHTS) != HANDLE_FLIGHT;
  if (busy && (!port__cancel_all(handle) || atomic_load(&handle->parked)))
    op__cancel_each(poller, handle);
  if (busy)
    port__flush(poller); /* now: what is done to the peer after this is not to come first */
  handle__leave(handle);
  return PIER_OK;
}

int pier_close(pier_handle handle, pier_callback callback, void *context) {
  struct poller *poller = poller__of(handle, ID_HANDLE);
  return poller ? handle__close(poller, handle, callback, context) : PIER_EBADF;
}

void handle__discard(struct handle *handle) {
  if (atomic_load_explicit(&handle->slot.word, memory_order_relaxed) & HANDLE_LIVE) {
    handle__close(handle->poller, handle__id(handle), NULL, NULL);
    return;
  }
  port__shut(handle);
  free(handle->detail);
  slab__release(&handle->poller->handles, &handle->slot);
}

void handle__end(struct handle *handle, pier_callback *callback, pier_result *result) {
  struct poller *poller = handle->poller;
  *callback = handle->on_close;
  poller__begin_result(poller, result, handle->close_context);
  result->handle = handle__id(handle);
  port__shut(handle);
  free(handle->detail);
  slab__release(&poller->handles, &handle->slot);
  poller__count(poller, COUNTER_CLOSED, 1);
}

/* ---- What a handle says of itself ---- */

/* The handle of an id, closing ones included, and its word. It is not held: only what outlives the handle may be read. */
static struct handle *handle__peek(pier_handle id, uint64_t *word) {
  struct poller *poller = poller__of(id, ID_HANDLE);
  struct handle *handle = poller ? handle__find(poller, id) : NULL;
  if (!handle)
    return NULL;
  *word = atomic_load_explicit(&handle->slot.word, memory_order_acquire);
  return slot__generation(*word) == id__generation(id) && (*word & HANDLE_LIVE) ? handle : NULL;
}

pier_state pier_handle_state(pier_handle id) {
  uint64_t word;
  struct handle *handle = handle__peek(id, &word);
  if (!handle)
    return PIER_STATE_NONE;
  if (word & HANDLE_CLOSING)
    return PIER_STATE_CLOSING;
  return handle__standing(handle);
}

pier_kind pier_handle_kind(pier_handle id) {
  uint64_t word;
  struct handle *handle = handle__peek(id, &word);
  if (!handle)
    return PIER_KIND_UNKNOWN;
  if (!handle__is_gated(handle) || handle__enter(handle->poller, id, &handle) != PIER_OK)
    return (pier_kind)handle->slot.kind;
  port__know(handle);
  pier_kind kind = (pier_kind)handle->slot.kind;
  handle__leave(handle);
  return kind;
}

pier_native pier_handle_native(pier_handle id) {
  uint64_t word;
  struct handle *handle = handle__peek(id, &word);
  return handle ? handle->native : PIER_NATIVE_NONE;
}

pier_loop *pier_handle_loop(pier_handle id) {
  uint64_t word;
  struct handle *handle = handle__peek(id, &word);
  return handle ? handle->poller->loop : NULL;
}

unsigned pier_handle_in_flight(pier_handle id) {
  uint64_t word;
  return handle__peek(id, &word) ? (unsigned)(word & HANDLE_FLIGHTS) : 0;
}

const char *pier_state_name(pier_state state) {
  switch (state) {
  case PIER_STATE_NONE:
    return "none";
  case PIER_STATE_FRESH:
    return "fresh";
  case PIER_STATE_ASSOCIATED:
    return "associated";
  case PIER_STATE_FOREIGN:
    return "foreign";
  case PIER_STATE_DETACHED:
    return "detached";
  case PIER_STATE_KEPT:
    return "kept";
  case PIER_STATE_BLOCKING:
    return "blocking";
  case PIER_STATE_CLOSING:
    return "closing";
  }
  return "none";
}
