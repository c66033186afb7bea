#include "local.h"

/* Half of what fits is fetched and brought back at a time, so that a thread that takes and gives in turn goes to the slab for neither. */

struct slot *local__take(struct local *local, struct slab *slab) {
  if (!local->slots_count)
    local->slots_count = slab__take(slab, local->slots, local->slots_max > 1 ? local->slots_max / 2 : 1);
  return local->slots_count ? local->slots[--local->slots_count] : NULL;
}

void local__give(struct local *local, struct slab *slab, struct slot *slot) {
  if (!local->slots_max) {
    slab__give(slab, &slot, 1);
    return;
  }
  if (local->slots_count == local->slots_max) {
    uint32_t half = local->slots_max - local->slots_max / 2;
    local->slots_count -= half;
    slab__give(slab, &local->slots[local->slots_count], half);
  }
  local->slots[local->slots_count++] = slot;
}
