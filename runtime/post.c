#include "loop.h"

/* These two are calls of their own: inlined they would have the usual way below save registers that it does not need. */

/* Somebody has to run the posts. */
static COLD pier_operation post__deliver(struct poller *poller, pier_operation id) {
  poller__enqueue(poller, &poller->posts.ready);
  return id;
}

/* There is no place left in the segment: in the next one, if there is memory for it. */
static COLD pier_operation post__beyond(struct poller *poller, pier_callback callback, void *context) {
  uint32_t index = poller->index;
  struct claim claim;
  do {
    if (!posts__grow(&poller->posts))
      return 0;
    claim = posts__claim(&poller->posts);
  } while (!claim__has_place(claim));
  pier_operation id = posts__id(index, posts__publish(&poller->posts, claim, callback, context));
  return claim__is_awaited(claim) ? post__deliver(poller, id) : id;
}

pier_operation pier_post(pier_loop *loop, pier_callback callback, void *context) {
  if (!loop || !callback)
    return 0;
  struct poller *poller = &loop->poller;
  uint32_t index = poller->index; /* asked for now: once it can be seen the post may run, and be the loop's last */
  struct claim claim = posts__claim(&poller->posts);
  if (!claim__has_place(claim))
    return post__beyond(poller, callback, context);
  pier_operation id = posts__id(index, posts__publish(&poller->posts, claim, callback, context));
  return claim__is_awaited(claim) ? post__deliver(poller, id) : id;
}

uint64_t pier_now_ns(void) { return clock__now_ns(); }

uint64_t pier_deadline_in(uint64_t timeout_ns) {
  if (timeout_ns == PIER_NO_TIMEOUT)
    return PIER_NO_DEADLINE;
  uint64_t now_ns = clock__now_ns();
  return timeout_ns < UINT64_MAX - now_ns ? now_ns + timeout_ns : UINT64_MAX;
}
