/* A heap of moments: 16 bytes an entry, four children a node, nothing known of what the entries stand for.

   Entries are never taken out of the middle. What is stopped or finished leaves its entry behind, which is recognised as void
   when it comes up, or when the owner has the heap cleared of void ones. */
#ifndef PIER_HEAP_H
#define PIER_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of the same moment comes first what is ordered, and of that the lower order; orders count round. */
struct heap_entry {
  uint64_t due_ns;
  uint32_t order;
  uint32_t what; /* its owner's, but for HEAP_UNORDERED */
};

#define HEAP_UNORDERED ((uint32_t)1 << 31)

/* Whether an entry still means something. */
struct heap_rules {
  bool (*stands)(void *owner, const struct heap_entry *entry);
  void *owner;
};

struct heap {
  struct heap_entry *entries;
  size_t count;
  size_t room;
  struct heap_rules rules;
};

void heap__init(struct heap *heap, const struct heap_rules *rules);
void heap__free(struct heap *heap);
/* Sees to it that so many entries more can be added. False for want of memory. */
bool heap__make_room(struct heap *heap, size_t more);
/* There must be room for it. */
void heap__add(struct heap *heap, struct heap_entry entry);
/* The earliest; null if there is none. */
static inline const struct heap_entry *heap__first(const struct heap *heap) { return heap->count ? heap->entries : NULL; }
void heap__drop_first(struct heap *heap);
/* Clears it of entries that do not stand. */
void heap__sweep(struct heap *heap);

#endif
