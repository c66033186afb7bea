#include "heap.h"
#include "system.h"
#include <stdlib.h>

void heap__init(struct heap *heap, const struct heap_rules *rules) {
  *heap = (struct heap){.rules = *rules};
}

void heap__free(struct heap *heap) {
  free(heap->entries);
  heap->entries = NULL;
  heap->count = heap->room = 0;
}

static bool heap__less(const struct heap_entry *a, const struct heap_entry *b) {
  if (a->due_ns != b->due_ns)
    return a->due_ns < b->due_ns;
  if ((a->what ^ b->what) & HEAP_UNORDERED)
    return b->what & HEAP_UNORDERED;
  return (int32_t)(a->order - b->order) < 0;
}

static void heap__sift_up(struct heap *heap, size_t at, struct heap_entry entry) {
  while (at > 0) {
    size_t parent = (at - 1) / 4;
    if (!heap__less(&entry, &heap->entries[parent]))
      break;
    heap->entries[at] = heap->entries[parent];
    at = parent;
  }
  heap->entries[at] = entry;
}

static void heap__sift_down(struct heap *heap, size_t at, struct heap_entry entry) {
  for (;;) {
    size_t child = at * 4 + 1;
    if (child >= heap->count)
      break;
    size_t end = child + 4 < heap->count ? child + 4 : heap->count;
    size_t least = child;
    for (size_t i = child + 1; i < end; i++)
      if (heap__less(&heap->entries[i], &heap->entries[least]))
        least = i;
    if (!heap__less(&heap->entries[least], &entry))
      break;
    heap->entries[at] = heap->entries[least];
    at = least;
  }
  heap->entries[at] = entry;
}

bool heap__make_room(struct heap *heap, size_t more) {
  if (heap->count + more <= heap->room)
    return true;
  size_t room = heap->room ? heap->room * 2 : 256;
  while (room < heap->count + more)
    room *= 2;
  struct heap_entry *entries = realloc(heap->entries, room * sizeof *entries);
  if (!entries)
    return false;
  heap->entries = entries;
  heap->room = room;
  return true;
}

void heap__add(struct heap *heap, struct heap_entry entry) {
  CHECK(heap->count < heap->room);
  heap__sift_up(heap, heap->count++, entry);
}

void heap__drop_first(struct heap *heap) {
  heap->count--;
  if (heap->count)
    heap__sift_down(heap, 0, heap->entries[heap->count]);
}

void heap__sweep(struct heap *heap) {
  size_t kept = 0;
  for (size_t i = 0; i < heap->count; i++) {
    struct heap_entry entry = heap->entries[i];
    heap->entries[kept] = entry; /* without a branch, which nobody could predict */
    kept += heap->rules.stands(heap->rules.owner, &entry);
  }
  heap->count = kept;
  if (kept < 2)
    return;
  for (size_t at = (kept - 2) / 4 + 1; at-- > 0;)
    heap__sift_down(heap, at, heap->entries[at]);
}
