#include "posts.h"
#include "hook.h"
#include "pier_error.h"
#include <stdlib.h>

/* Opens a segment for claims. What is written before is seen by all who claim there, for their additions continue the release. */
static void segment__open(struct posts_segment *segment, uint64_t base) {
  segment->base = base;
  segment->next = NULL;
  atomic_store_explicit(&segment->claimed, 0, memory_order_release);
}

int posts__open(struct posts *posts) {
  struct posts_segment *segment = calloc(1, sizeof *segment);
  if (!segment)
    return PIER_ENOMEM;
  atomic_init(&segment->places[0].word, POST_AWAITED);
  segment__open(segment, 1);
  atomic_init(&posts->last, segment);
  atomic_init(&posts->taken, 0);
  mutex__init(&posts->lock);
  posts->ready.kind = READY_POSTS;
  posts->first = segment;
  posts->place = 0;
  posts->spare = NULL;
  return PIER_OK;
}

static void segments__free(struct posts_segment *segment) {
  while (segment) {
    struct posts_segment *next = segment->next;
    free(segment);
    segment = next;
  }
}

void posts__close(struct posts *posts) {
  segments__free(posts->first);
  segments__free(posts->spare);
  mutex__destroy(&posts->lock);
}

/* Puts a segment behind the last one, if that is full. False for want of memory. */
static bool posts__grow(struct posts *posts) {
  mutex__lock(&posts->lock);
  struct posts_segment *last = atomic_load_explicit(&posts->last, memory_order_relaxed);
  bool room = atomic_load_explicit(&last->claimed, memory_order_relaxed) < SEGMENT_POSTS; /* somebody was here before us */
  if (!room) {
    struct posts_segment *next = posts->spare;
    if (next)
      posts->spare = next->next;
    else
      next = calloc(1, sizeof *next);
    if (next) {
      segment__open(next, last->base + SEGMENT_POSTS);
      last->next = next;
      atomic_store_explicit(&posts->last, next, memory_order_release);
      room = true;
    }
  }
  mutex__unlock(&posts->lock);
  return room;
}

uint64_t posts__add(struct posts *posts, pier_callback callback, void *context, bool *awaited) {
  do {
    struct posts_segment *segment = atomic_load_explicit(&posts->last, memory_order_acquire);
    HOOK(post_coming, posts);
    /* Here the segment may be filled, run through, put aside and opened again. Aside it stays full, so nothing can be claimed;
       opened it is the last one again, and a claim is as good as any. */
    uint64_t place = atomic_fetch_add_explicit(&segment->claimed, 1, memory_order_acquire);
    if (place < SEGMENT_POSTS) {
      uint64_t number = segment->base + place;
      segment->places[place].context = context;
      HOOK(post_claimed, posts);
      *awaited = atomic_exchange_explicit(&segment->places[place].word, (uintptr_t)callback, memory_order_acq_rel) == POST_AWAITED;
      return number;
    }
  } while (posts__grow(posts));
  return 0;
}

bool posts__turn_over(struct posts *posts) {
  mutex__lock(&posts->lock);
  struct posts_segment *done = posts->first;
  struct posts_segment *next = done->next;
  posts->place = 0;
  if (next) {
    posts->first = next;
    done->next = posts->spare;
    posts->spare = done;
  } else {
    atomic_store_explicit(&done->places[0].word, POST_AWAITED, memory_order_relaxed);
    segment__open(done, done->base + SEGMENT_POSTS); /* from here on the next post may come, and the next runner */
  }
  mutex__unlock(&posts->lock);
  return next != NULL;
}

/* Under the lock `last` and its base stay as they are. */
uint64_t posts__added(struct posts *posts) {
  mutex__lock(&posts->lock);
  struct posts_segment *last = atomic_load_explicit(&posts->last, memory_order_relaxed);
  uint64_t claimed = atomic_load_explicit(&last->claimed, memory_order_acquire);
  uint64_t added = last->base - 1 + (claimed < SEGMENT_POSTS ? claimed : SEGMENT_POSTS);
  mutex__unlock(&posts->lock);
  return added;
}

uint64_t posts__waiting(struct posts *posts) {
  uint64_t taken = atomic_load_explicit(&posts->taken, memory_order_acquire); /* first: so it is never the larger one */
  return posts__added(posts) - taken;
}
