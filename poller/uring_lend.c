/* Rings that are lent: while there is little to do the threads of some seats sleep, and another one's comes by at their rings in each of its turns. Their
   sets are in its own. */
#include "uring.h"

static void uring__give_to(struct uring_ring *ring, uint32_t tender) {
  mutex__lock(&ring->lock);
  atomic_store_explicit(&ring->tender, tender, memory_order_release);
  mutex__unlock(&ring->lock);
}

static uint64_t uring__bit(uint32_t seat) { return (uint64_t)1 << seat; }

/* From here on who hands something over writes to the eventfd; who has done so just before, since it was looked last, has been told that somebody is
   awake here. And if somebody else's thread comes by here, it may be away for long: what it puts in line is not to wait for it. */
bool uring__settle(struct poller *poller) {
  const struct turn *turn = turn__here();
  struct uring_ring *ring = uring__here(poller);
  if (atomic_load_explicit(&ring->tender, memory_order_relaxed) != turn->home)
    uring__hurry(poller, turn->seat);
  return inbox__sleep(&ring->inbox) && !atomic_load_explicit(&ring->handed, memory_order_seq_cst);
}

/* Who tends a ring also looks whether something is in line there: it is among those first. */
bool uring__lend(struct poller *poller, uint32_t to_seat) {
  struct uring *uring = uring__of(poller);
  uint32_t seat = turn__here()->seat;
  struct uring_ring *ring = &uring->rings[seat], *to = &uring->rings[to_seat];
  uring__flush(poller);
  if (!uring__settle(poller))
    return false;
  atomic_fetch_or_explicit(&to->lent, uring__bit(seat), memory_order_seq_cst);
  uring__give_to(ring, to_seat);
  bool lent = set__put_in(to, ring, seat);
  if (lent)
    uring__nudge(poller, to_seat); /* who waits for his ring alone is to wait for the set */
  else
    uring__take_back(poller, to_seat);
  return lent;
}

void uring__take_back(struct poller *poller, uint32_t from_seat) {
  struct uring *uring = uring__of(poller);
  uint32_t seat = turn__here()->seat;
  struct uring_ring *ring = &uring->rings[seat], *from = &uring->rings[from_seat];
  set__take_out(from, ring);
  uring__give_to(ring, seat);
  atomic_fetch_and_explicit(&from->lent, ~uring__bit(seat), memory_order_seq_cst);
  uring__flush(poller); /* what was put in line there is nobody else's any more */
}
