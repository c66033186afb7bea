#include "slab.h"
#include "pier_error.h"

/* Memory is put behind the slots in steps of this size: small enough for a small program, large enough that a busy one
   does not notice. */
#define STEP_BYTES ((size_t)256 * 1024)

/* Far from those of the slabs before it: a multiplicative step through all 32-bit numbers. */
static uint32_t slab__generation(void) {
  static _Atomic uint32_t slabs;
  return (atomic_fetch_add_explicit(&slabs, 1, memory_order_relaxed) + 1) * 2654435769u;
}

int slab__open(struct slab *slab, size_t slot_bytes, uint32_t slots_max) {
  slab->slot_bytes = slot_bytes;
  slab->slots_max = slots_max;
  atomic_init(&slab->slots_made, 0);
  atomic_init(&slab->slots_used, 0);
  atomic_init(&slab->free_head, 0);
  slab->first_generation = slab__generation();
  mutex__init(&slab->growth);
  slab->base = memory__reserve(slot_bytes * slots_max);
  return slab->base ? PIER_OK : PIER_ENOMEM;
}

void slab__close(struct slab *slab) {
  memory__release(slab->base, slab->slot_bytes * slab->slots_max);
  slab->base = NULL;
  mutex__destroy(&slab->growth);
}

static struct slot *slab__slot(struct slab *slab, uint32_t index) {
  return (struct slot *)(void *)(slab->base + (size_t)index * slab->slot_bytes);
}

/* Links a chain of free slots, of which `first` is the index of the first, before the present head. */
static void slab__push(struct slab *slab, uint32_t first, struct slot *last) {
  uint64_t head = atomic_load_explicit(&slab->free_head, memory_order_relaxed);
  uint64_t next;
  do {
    atomic_store_explicit(&last->link, (uint32_t)head, memory_order_relaxed);
    next = ((head >> 32) + 1) << 32 | (first + 1);
  } while (!atomic_compare_exchange_weak_explicit(&slab->free_head, &head, next, memory_order_release, memory_order_relaxed));
}

static struct slot *slab__pop(struct slab *slab) {
  uint64_t head = atomic_load_explicit(&slab->free_head, memory_order_acquire);
  for (;;) {
    if (!(uint32_t)head)
      return NULL;
    struct slot *slot = slab__slot(slab, (uint32_t)head - 1);
    /* Another thread may have taken this slot meanwhile: then the link is stale, but it is memory, and the count in the
       head has moved on, so the exchange fails. */
    uint32_t link = atomic_load_explicit(&slot->link, memory_order_relaxed);
    uint64_t next = ((head >> 32) + 1) << 32 | link;
    uint32_t own = (uint32_t)head;
    if (!atomic_compare_exchange_weak_explicit(&slab->free_head, &head, next, memory_order_acquire, memory_order_acquire))
      continue;
    atomic_store_explicit(&slot->link, own, memory_order_relaxed);
    return slot;
  }
}

/* Puts memory behind some more slots and keeps the first of them for the caller. */
static struct slot *slab__grow(struct slab *slab) {
  mutex__lock(&slab->growth);
  struct slot *slot = slab__pop(slab); /* somebody may have grown it, or released one, while we waited */
  uint32_t made = atomic_load_explicit(&slab->slots_made, memory_order_relaxed);
  if (!slot && made < slab->slots_max) {
    size_t have_bytes = ((size_t)made * slab->slot_bytes + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
    size_t all_bytes = (size_t)slab->slots_max * slab->slot_bytes;
    size_t want_bytes = have_bytes + STEP_BYTES < all_bytes ? have_bytes + STEP_BYTES : all_bytes;
    if (want_bytes == have_bytes || memory__commit(slab->base + have_bytes, want_bytes - have_bytes)) {
      uint32_t end = (uint32_t)(want_bytes / slab->slot_bytes);
      for (uint32_t i = made; i < end; i++) {
        atomic_store_explicit(&slab__slot(slab, i)->word, (uint64_t)slab->first_generation << 32, memory_order_relaxed);
        atomic_store_explicit(&slab__slot(slab, i)->link, i + 2, memory_order_relaxed); /* the last one's is set by the push */
      }
      atomic_store_explicit(&slab->slots_made, end, memory_order_release);
      if (end > made + 1)
        slab__push(slab, made + 1, slab__slot(slab, end - 1));
      slot = slab__slot(slab, made);
      atomic_store_explicit(&slot->link, made + 1, memory_order_relaxed);
    }
  }
  mutex__unlock(&slab->growth);
  return slot;
}

/* A chain is read before it is taken. Its links may be stale by then, but they are memory, and then the exchange fails. */
uint32_t slab__take(struct slab *slab, struct slot **slots, uint32_t max) {
  uint64_t head = atomic_load_explicit(&slab->free_head, memory_order_acquire);
  uint32_t count;
  uint64_t next;
  do {
    uint32_t index = (uint32_t)head;
    for (count = 0; count < max && index && index <= slab->slots_max; count++) {
      slots[count] = slab__slot(slab, index - 1);
      index = atomic_load_explicit(&slots[count]->link, memory_order_relaxed);
    }
    next = ((head >> 32) + 1) << 32 | index;
  } while (count && !atomic_compare_exchange_weak_explicit(&slab->free_head, &head, next, memory_order_acquire, memory_order_acquire));
  if (!count) {
    slots[0] = slab__grow(slab);
    return slots[0] != NULL;
  }
  for (uint32_t i = count, own = 0; i-- > 0;) { /* the first one's was in the head, each other's in the one before */
    own = i ? atomic_load_explicit(&slots[i - 1]->link, memory_order_relaxed) : (uint32_t)head;
    atomic_store_explicit(&slots[i]->link, own, memory_order_relaxed);
  }
  return count;
}

void slab__give(struct slab *slab, struct slot *const *slots, uint32_t count) {
  uint32_t first = slab__index(slots[0]);
  for (uint32_t i = 0; i + 1 < count; i++)
    atomic_store_explicit(&slots[i]->link, atomic_load_explicit(&slots[i + 1]->link, memory_order_relaxed), memory_order_relaxed);
  slab__push(slab, first, slots[count - 1]);
}

struct slot *slab__take_one(struct slab *slab) {
  struct slot *slot = NULL;
  slab__take(slab, &slot, 1);
  return slot;
}

void slab__give_one(struct slab *slab, struct slot *slot) { slab__push(slab, slab__index(slot), slot); }

struct slot *slab__acquire(struct slab *slab) {
  struct slot *slot = slab__pop(slab);
  if (!slot)
    slot = slab__grow(slab);
  if (slot)
    atomic_fetch_add_explicit(&slab->slots_used, 1, memory_order_relaxed);
  return slot;
}

int slab__begin(struct slab *slab) {
  struct slot *slot = slab__acquire(slab);
  if (!slot)
    return PIER_ENOMEM;
  slab__release(slab, slot);
  return PIER_OK;
}

void slab__release(struct slab *slab, struct slot *slot) {
  slot__end(slot);
  slab__push(slab, slab__index(slot), slot);
  /* Last, so that a count of 0 says that all slots are back. */
  atomic_fetch_sub_explicit(&slab->slots_used, 1, memory_order_release);
}

static void slab__count_locked(struct slab *slab, uint32_t more) {
  uint32_t used = atomic_load_explicit(&slab->slots_used, memory_order_relaxed);
  atomic_store_explicit(&slab->slots_used, used + more, memory_order_release);
}

struct slot *slab__acquire_locked(struct slab *slab) {
  uint64_t head = atomic_load_explicit(&slab->free_head, memory_order_relaxed);
  struct slot *slot = (uint32_t)head ? slab__slot(slab, (uint32_t)head - 1) : slab__grow(slab);
  if (!slot)
    return NULL;
  if ((uint32_t)head) { /* who grows it has taken the first already */
    atomic_store_explicit(&slab->free_head, atomic_load_explicit(&slot->link, memory_order_relaxed), memory_order_relaxed);
    atomic_store_explicit(&slot->link, (uint32_t)head, memory_order_relaxed);
  }
  slab__count_locked(slab, 1);
  return slot;
}

void slab__release_locked(struct slab *slab, struct slot *slot) {
  uint32_t own = atomic_load_explicit(&slot->link, memory_order_relaxed);
  slot__end(slot);
  atomic_store_explicit(&slot->link, (uint32_t)atomic_load_explicit(&slab->free_head, memory_order_relaxed), memory_order_relaxed);
  atomic_store_explicit(&slab->free_head, own, memory_order_relaxed);
  slab__count_locked(slab, UINT32_MAX); /* one less */
}

struct slot *slab__find(struct slab *slab, uintptr_t address) {
  uintptr_t base = (uintptr_t)slab->base;
  if (address < base)
    return NULL;
  uintptr_t distance = address - base;
  if (distance % slab->slot_bytes != 0 || distance / slab->slot_bytes >= slab->slots_max)
    return NULL;
  return slab__at(slab, (uint32_t)(distance / slab->slot_bytes));
}
