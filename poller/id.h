/* Ids: what users hold instead of pointers.

   63........32  generation of the slot: a stale id never matches what lives there now
   31..30        what it names, so that a timer's id cannot cancel an operation
   29..24        the loop
   23..0         the slot */
#ifndef PIER_ID_H
#define PIER_ID_H

#include <stdint.h>

_Static_assert(sizeof(void *) == 8, "an id is a completion key: Pier is for 64-bit systems");

#define ID_LOOPS_MAX 64u
#define ID_SLOTS_MAX 0xffffffu
#define ID_SLOT_NONE 0xffffffu /* the one that no slab is large enough to have */

enum id_kind { ID_OPERATION = 1, ID_HANDLE = 2, ID_TIMER = 3 };

static inline uint64_t id__make(enum id_kind kind, uint32_t loop, uint32_t slot, uint32_t generation) {
  return (uint64_t)generation << 32 | (uint32_t)kind << 30 | loop << 24 | slot;
}
static inline uint32_t id__slot(uint64_t id) { return (uint32_t)id & ID_SLOTS_MAX; }
static inline uint32_t id__loop(uint64_t id) { return (uint32_t)id >> 24 & (ID_LOOPS_MAX - 1); }
static inline unsigned id__kind(uint64_t id) { return (uint32_t)id >> 30; }
static inline uint32_t id__generation(uint64_t id) { return (uint32_t)(id >> 32); }

#endif
