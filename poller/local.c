#include "local.h"

/* Half of what fits is fetched and brought back at a time, so that a thread that takes and gives in turn goes to the slab for neither. */

void local__fetch(struct local *local, struct slab *slab) {
  local->slots_count = slab__take(slab, local->slots, local->slots_max > 1 ? local->slots_max / 2 : 1);
}

void local__bring_back(struct local *local, struct slab *slab) {
  uint32_t count = local->slots_max - local->slots_max / 2;
  if (!count)
    return; /* none is kept back */
  local->slots_count -= count;
  slab__give(slab, &local->slots[local->slots_count], count);
}
