/* Posts: the queue of callbacks that threads hand to the loop, 16 bytes each.

   It is made of segments. Whoever posts claims the next place by one addition, so the claims have one order for all
   threads, writes the context there, and publishes by exchanging the place's word for the callback. Whoever runs them
   walks the places. The word says all that the two sides have to tell each other:

     POST_NONE     nothing has been published here yet
     POST_AWAITED  the same, and nobody runs the posts: who publishes here has to see to it that somebody does
     a callback    published

   Both sides change it by an exchange, so one comes first. If it is the runner, who has found nothing at the front, it
   leaves and the publisher is told by what he gets back; if it is the publisher, the runner finds the callback. It makes no
   difference whether the front has not been claimed at all or its claimer has lost the processor in between: nobody waits
   for him, and those who publish behind him rely on him. POST_AWAITED is also what keeps posts from overlapping, for one
   publisher at a time gets it. */
#ifndef PIER_POSTS_H
#define PIER_POSTS_H

#include "id.h"
#include "pier_operation.h"
#include "ready.h"
#include "system.h"
#include <stdatomic.h>

#define POST_NONE ((uintptr_t)0)
#define POST_AWAITED ((uintptr_t)1) /* no function begins there */

/* With these a segment is a page. */
#define SEGMENT_POSTS 254u

struct place {
  _Atomic uintptr_t word;
  void *context;
};

struct posts_segment {
  _Atomic uint64_t claimed; /* also counts those who came too late; 64 bits, so that they never bring it round to 0 */
  uint64_t base;            /* the number of its first post */
  struct posts_segment *next;
  void *unused;
  struct place places[SEGMENT_POSTS];
};

_Static_assert(sizeof(struct posts_segment) == 4096, "a segment is a page");

struct post {
  pier_callback callback;
  void *context;
};

struct posts {
  _Atomic(struct posts_segment *) last; /* where places are claimed */
  struct mutex lock;                    /* of the chain of segments, once in a segment's length */
  struct posts_segment *spare;          /* run through; kept until the end, for a late claimer may still look at `claimed` */
  /* A cache line further, the runner's own: */
  struct ready ready; /* stands in line for the posts while somebody is to run them */
  struct posts_segment *first;
  uint32_t place; /* the front, in `first` */
  _Atomic uint64_t taken;
};

/* PIER_OK or PIER_ENOMEM. */
int posts__open(struct posts *posts);
void posts__close(struct posts *posts);

/* Gives the post's number, which begins with 1; 0 for want of memory. True in *awaited: the caller has to put `ready` in line. It
   is behind the publishing, so without that the post may have run and everything be gone. */
uint64_t posts__add(struct posts *posts, pier_callback callback, void *context, bool *awaited);

/* How many there have been, and how many of them have not been taken. Exact when nobody is at it. */
uint64_t posts__added(struct posts *posts);
uint64_t posts__waiting(struct posts *posts);

/* The number of the post that was taken last. */
static inline uint64_t posts__taken(const struct posts *posts) {
  return atomic_load_explicit(&((struct posts *)posts)->taken, memory_order_relaxed);
}

/* The runner is through with a segment. False: there is none behind it; it is opened again, and its first place is awaited. */
bool posts__turn_over(struct posts *posts);

/* For whoever has `ready` in hand: whether there is one to take. False: the next to come is awaited, and nothing here is the
   caller's any more. */
static inline bool posts__due(struct posts *posts) {
  if (posts->place == SEGMENT_POSTS && !posts__turn_over(posts))
    return false;
  struct place *front = &posts->first->places[posts->place];
  uintptr_t word = atomic_load_explicit(&front->word, memory_order_acquire);
  /* Released with it: all that the next runner has to know of this one. */
  return word != POST_NONE ||
         !atomic_compare_exchange_strong_explicit(&front->word, &word, POST_AWAITED, memory_order_release, memory_order_acquire);
}

/* Takes the one that is due, in the order of the claims. */
static inline struct post posts__take(struct posts *posts) {
  struct place *front = &posts->first->places[posts->place++];
  struct post post = {(pier_callback)atomic_load_explicit(&front->word, memory_order_relaxed), front->context};
  atomic_store_explicit(&front->word, POST_NONE, memory_order_relaxed);
  atomic_store_explicit(&posts->taken, posts__taken(posts) + 1, memory_order_release);
  return post;
}

/* The id of a post, which nobody ever finds: there is nothing to be done to a post. */
static inline pier_operation posts__id(uint32_t loop, uint64_t number) {
  return id__make(ID_OPERATION, loop, ID_SLOT_NONE, (uint32_t)number);
}

#endif
