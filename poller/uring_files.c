/* A ring's table of files. For a descriptor the kernel looks up its file and counts itself in and out with each call; one in the table it finds
   by its place there. */
#include "uring.h"

/* Kernels from 6.14 on say so (IORING_FEAT_RW_ATTR), and these let go of a file that is taken out. Older ones keep it open for up to a
   second, and for as long as calls last on what came into the table before it: a closed file would not be closed. */
#define FILES_ARE_LET_GO (1u << 16)

void files__open(struct uring_ring *ring) {
  bool made = (ring->ring.features & FILES_ARE_LET_GO) && io_uring_register_files_sparse(&ring->ring, FILES_PLACES + LOADS_PLACES) == 0;
  ring->places = made ? UINT64_MAX : 0;
  ring->load_all = ring->places;
  atomic_store_explicit(&ring->load_places, ring->load_all, memory_order_relaxed);
}

/* Not one that its owner may close himself, who would not know of this. */
static bool files__may_enter(const struct uring_ring *ring, const struct handle *handle) {
  return ring->places && (handle->slot.flags & HANDLE_OURS) && handle__standing(handle) == PIER_STATE_ASSOCIATED;
}

void files__enter(struct uring_ring *ring, struct handle *handle) {
  int descriptor = (int)handle->native;
  uint8_t place = 0;
  handle->together = 0; /* what comes to nothing now may do so later */
  if (!files__may_enter(ring, handle))
    return;
  while (!(ring->places >> place & 1))
    place++;
  poller__count(handle->poller, COUNTER_SYSTEM_CALLS, 1);
  if (io_uring_register_files_update(&ring->ring, place, &descriptor, 1) != 1)
    return;
  ring->places &= ~((uint64_t)1 << place);
  handle->place = (uint8_t)(place + 1);
}

void files__leave(struct handle *handle) {
  int none = -1;
  if (!handle->place)
    return;
  struct uring_ring *ring = uring__home(handle);
  unsigned place = handle->place - 1u;
  mutex__lock(&ring->lock);
  handle->place = 0;
  poller__count(handle->poller, COUNTER_SYSTEM_CALLS, 1);
  /* A place that was not given up is not given to another. */
  if (io_uring_register_files_update(&ring->ring, place, &none, 1) == 1)
    ring->places |= (uint64_t)1 << place;
  mutex__unlock(&ring->lock);
}
