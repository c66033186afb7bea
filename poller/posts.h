/* Posts: the queue of callbacks that threads hand to the loop, 16 bytes each.

   It is made of segments. Whoever posts claims the next place by one addition, so the claims have one order for all
   threads, writes the context there, and publishes by writing the callback. Whoever runs them walks the places. At the
   front he finds one of three:

     a callback        it is due
     nothing, claimed  somebody is between his claim and his publishing, and may have lost the processor there. The runner
                       looks again, at once some times, then by a timer: nobody waits for the late one, and he need not
                       look whether anybody does
     nothing           the runner marks the place as awaited, and leaves. Mark and claims are one word: either the runner
                       comes first, and whoever then claims the place is told by what he gets back that he has to see to it
                       that somebody runs the posts; or he is too late, and goes on

   One claimer gets an awaited place, so one runner is called, and posts do not overlap. */
#ifndef PIER_POSTS_H
#define PIER_POSTS_H

#include "hook.h"
#include "id.h"
#include "pier_operation.h"
#include "ready.h"
#include "system.h"
#include <stdatomic.h>

/* With these a segment is a page. */
#define SEGMENT_POSTS 254u

struct place {
  _Atomic uintptr_t callback; /* 0: not published */
  void *context;
};

struct posts_segment {
  _Atomic uint64_t claims; /* lower half: how far they reach, those included who came too late; upper half: the awaited one */
  uint64_t base;            /* the number of its first post */
  struct posts_segment *next;
  struct posts_segment *block; /* of the first of a block: the block before it */
  struct place places[SEGMENT_POSTS];
};

_Static_assert(sizeof(struct posts_segment) == 4096, "a segment is a page");

/* Claims are counted in bytes: what comes back from the addition is the place's distance from the first. A thread that posts again
   waits for that address and hardly for anything else. */
#define CLAIM ((uint32_t)sizeof(struct place))
#define CLAIMS_MAX (SEGMENT_POSTS * CLAIM)

/* The claims of a segment when they reach so far and the next one is awaited; it is marked by its distance and 1, for 0 is none. */
#define CLAIMS_AWAITED(distance) (((uint64_t)(distance) + 1) << 32 | (distance))

struct post {
  pier_callback callback;
  void *context;
};

struct posts {
  _Atomic(struct posts_segment *) last; /* where places are claimed */
  struct mutex lock;                    /* of the chain of segments, once in a segment's length */
  struct posts_segment *aside;          /* run through; kept until the end, for a late claimer may still look at `claims` */
  struct posts_segment **back;          /* where in them the next one that comes back is linked */
  struct posts_segment *blocks;         /* what was allocated */
  uint32_t segments;
  /* A cache line further, the runner's own: */
  struct ready ready; /* stands in line for the posts while somebody is to run them */
  struct posts_segment *first;
  uint32_t place; /* the front, in `first` */
  uint32_t looks; /* at a front that was claimed and is not published */
  _Atomic uint64_t taken;
};

/* PIER_OK or PIER_ENOMEM. */
int posts__open(struct posts *posts);
void posts__close(struct posts *posts);

/* Puts a segment behind the last one, if that is full. False for want of memory. */
bool posts__grow(struct posts *posts);

/* A place that somebody has claimed, or came too late for. */
struct claim {
  struct posts_segment *segment;
  uint64_t claims; /* the segment's, before this one */
};

static inline struct claim posts__claim(struct posts *posts) {
  struct posts_segment *segment = atomic_load_explicit(&posts->last, memory_order_acquire);
  HOOK(post_coming, posts);
  /* Here the segment may be filled, run through, put aside and opened again. Aside it stays full, so nothing can be claimed;
     opened it is the last one again, and a claim is as good as any. */
  return (struct claim){segment, atomic_fetch_add_explicit(&segment->claims, CLAIM, memory_order_acquire)};
}

/* False: the segment was full. Whoever comes so late calls posts__grow(), and claims again if that is true. */
static inline bool claim__has_place(struct claim claim) { return (uint32_t)claim.claims < CLAIMS_MAX; }

/* True: who publishes there has to put `ready` in line. That is behind the publishing, so without it the post may have run and everything be
   gone. */
static inline bool claim__is_awaited(struct claim claim) { return claim.claims >> 32 == (uint64_t)(uint32_t)claim.claims + 1; }

/* Gives the post's number, which begins with 1. */
static inline uint64_t posts__publish(struct posts *posts, struct claim claim, pier_callback callback, void *context) {
  uint32_t distance = (uint32_t)claim.claims;
  uint64_t number = claim.segment->base + distance / CLAIM;
  struct place *place = (struct place *)(void *)((char *)claim.segment->places + distance);
  (void)posts; /* the hook's */
  place->context = context;
  HOOK(post_claimed, posts);
  atomic_store_explicit(&place->callback, (uintptr_t)callback, memory_order_release);
  return number;
}

/* How many there have been, and how many of them have not been taken. Exact when nobody is at it. */
uint64_t posts__added(struct posts *posts);
uint64_t posts__waiting(struct posts *posts);

/* The number of the post that was taken last. */
static inline uint64_t posts__taken(const struct posts *posts) {
  return atomic_load_explicit(&((struct posts *)posts)->taken, memory_order_relaxed);
}

/* What the runner finds at the front. */
enum posts_front {
  POSTS_NONE, /* the next to come is awaited, and nothing here is the caller's any more */
  POSTS_LATE, /* one that is not published yet */
  POSTS_DUE
};

/* The runner is through with a segment. False: there is none behind it; it is opened again, and its first place is awaited. */
bool posts__turn_over(struct posts *posts);
/* There is nothing at the front. */
enum posts_front posts__leave(struct posts *posts);

/* For whoever has `ready` in hand. */
static inline enum posts_front posts__look(struct posts *posts) {
  if (posts->place == SEGMENT_POSTS && !posts__turn_over(posts))
    return POSTS_NONE;
  struct place *front = &posts->first->places[posts->place];
  return atomic_load_explicit(&front->callback, memory_order_acquire) ? POSTS_DUE : posts__leave(posts);
}

/* A walk along the places at the front, as far as they lie side by side: what it has passed is told to the queue at its end. */
struct posts_row {
  struct place *next, *end;
  uint64_t taken; /* the number of the one that was taken last */
};

static inline struct posts_row posts__row(struct posts *posts, uint32_t posts_max) {
  struct place *front = &posts->first->places[posts->place];
  uint32_t left = SEGMENT_POSTS - posts->place;
  posts->looks = 0;
  return (struct posts_row){front, front + (posts_max < left ? posts_max : left), posts__taken(posts)};
}

/* Takes the next, in the order of the claims. False: the row is at its end. */
static inline bool posts__take(struct posts *posts, struct posts_row *row, struct post *post) {
  if (row->next == row->end)
    return false;
  uintptr_t callback = atomic_load_explicit(&row->next->callback, memory_order_acquire);
  if (!callback)
    return false;
  *post = (struct post){(pier_callback)callback, row->next->context};
  atomic_store_explicit(&row->next->callback, 0, memory_order_relaxed);
  row->next++;
  atomic_store_explicit(&posts->taken, ++row->taken, memory_order_release);
  return true;
}

/* Gives how many were taken. */
static inline uint32_t posts__pass(struct posts *posts, const struct posts_row *row) {
  uint32_t place = (uint32_t)(row->next - posts->first->places), passed = place - posts->place;
  posts->place = place;
  return passed;
}

/* The id of a post, which nobody ever finds: there is nothing to be done to a post. */
static inline pier_operation posts__id(uint32_t loop, uint64_t number) {
  return id__make(ID_OPERATION, loop, ID_SLOT_NONE, (uint32_t)number);
}

#endif
