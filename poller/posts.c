#include "posts.h"
#include "pier_error.h"
#include <stdlib.h>

/* Segments are allocated so many at a time: the first at open, for a loop that is never a thousand posts behind. */
#define BLOCK_SEGMENTS_MIN 4u
#define BLOCK_SEGMENTS_MAX 64u

/* Opens a segment for claims. What is written before is seen by all who claim there, for their additions continue the release. */
static void segment__open(struct posts_segment *segment, uint64_t base, uint64_t claims) {
  segment->base = base;
  segment->next = NULL;
  atomic_store_explicit(&segment->claims, claims, memory_order_release);
}

/* Behind those that have come back since one was fetched. So what a flood has filled is filled again in the order of the addresses,
   in which the processor fetches ahead; and where the queue is short, what was used last is used next. */
static void posts__put_aside(struct posts *posts, struct posts_segment *segment) {
  segment->next = *posts->back;
  *posts->back = segment;
  posts->back = &segment->next;
}

/* One more block of segments, as many as there are but not too many; they lie side by side, and are used in that order. */
static bool posts__extend(struct posts *posts) {
  uint32_t more = posts->segments < BLOCK_SEGMENTS_MIN ? BLOCK_SEGMENTS_MIN : posts->segments;
  if (more > BLOCK_SEGMENTS_MAX)
    more = BLOCK_SEGMENTS_MAX;
  struct posts_segment *block = calloc(more, sizeof *block);
  if (!block)
    return false;
  block->block = posts->blocks;
  posts->blocks = block;
  posts->segments += more;
  for (uint32_t i = 0; i < more; i++)
    posts__put_aside(posts, &block[i]);
  return true;
}

/* Null for want of memory. */
static struct posts_segment *posts__fetch(struct posts *posts) {
  if (!posts->aside && !posts__extend(posts))
    return NULL;
  struct posts_segment *segment = posts->aside;
  posts->aside = segment->next;
  posts->back = &posts->aside;
  return segment;
}

int posts__open(struct posts *posts) {
  posts->blocks = posts->aside = NULL;
  posts->back = &posts->aside;
  posts->segments = 0;
  struct posts_segment *segment = posts__fetch(posts);
  if (!segment)
    return PIER_ENOMEM;
  segment__open(segment, 1, CLAIMS_AWAITED(0));
  atomic_init(&posts->last, segment);
  atomic_init(&posts->taken, 0);
  mutex__init(&posts->lock);
  posts->ready.kind = READY_POSTS;
  posts->first = segment;
  posts->place = 0;
  posts->looks = 0;
  return PIER_OK;
}

void posts__close(struct posts *posts) {
  while (posts->blocks) {
    struct posts_segment *block = posts->blocks;
    posts->blocks = block->block;
    free(block);
  }
  mutex__destroy(&posts->lock);
}

/* Of its places. */
static uint32_t segment__claimed(struct posts_segment *segment) {
  uint32_t distance = (uint32_t)atomic_load_explicit(&segment->claims, memory_order_acquire);
  return distance < CLAIMS_MAX ? distance / CLAIM : SEGMENT_POSTS;
}

bool posts__grow(struct posts *posts) {
  mutex__lock(&posts->lock);
  struct posts_segment *last = atomic_load_explicit(&posts->last, memory_order_relaxed);
  bool room = segment__claimed(last) < SEGMENT_POSTS; /* somebody was here before us */
  if (!room) {
    struct posts_segment *next = posts__fetch(posts);
    if (next) {
      segment__open(next, last->base + SEGMENT_POSTS, 0);
      last->next = next;
      atomic_store_explicit(&posts->last, next, memory_order_release);
      room = true;
    }
  }
  mutex__unlock(&posts->lock);
  return room;
}

bool posts__turn_over(struct posts *posts) {
  mutex__lock(&posts->lock);
  struct posts_segment *done = posts->first;
  struct posts_segment *next = done->next;
  posts->place = 0;
  if (next) {
    posts->first = next;
    posts__put_aside(posts, done);
  } else {
    segment__open(done, done->base + SEGMENT_POSTS, CLAIMS_AWAITED(0)); /* from here on the next post may come, and the next runner */
  }
  mutex__unlock(&posts->lock);
  return next != NULL;
}

enum posts_front posts__leave(struct posts *posts) {
  struct posts_segment *first = posts->first;
  uint32_t front = posts->place * CLAIM;
  uint64_t claims = atomic_load_explicit(&first->claims, memory_order_relaxed);
  /* Released with it: all that the next runner has to know of this one. */
  bool left = (uint32_t)claims == front &&
              atomic_compare_exchange_strong_explicit(&first->claims, &claims, CLAIMS_AWAITED(front), memory_order_release, memory_order_relaxed);
  return left ? POSTS_NONE : POSTS_LATE;
}

/* Under the lock `last` and its base stay as they are. */
uint64_t posts__added(struct posts *posts) {
  mutex__lock(&posts->lock);
  struct posts_segment *last = atomic_load_explicit(&posts->last, memory_order_relaxed);
  uint64_t added = last->base - 1 + segment__claimed(last);
  mutex__unlock(&posts->lock);
  return added;
}

uint64_t posts__waiting(struct posts *posts) {
  uint64_t taken = atomic_load_explicit(&posts->taken, memory_order_acquire); /* first: so it is never the larger one */
  return posts__added(posts) - taken;
}
