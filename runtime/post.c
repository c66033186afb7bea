#include "loop.h"

pier_operation pier_post(pier_loop *loop, pier_callback callback, void *context) {
  if (!loop || !callback)
    return 0;
  struct poller *poller = &loop->poller;
  uint32_t index = poller->index; /* asked for now: once it can be seen the post may run, and be the loop's last */
  bool awaited = false;
  uint64_t number = posts__add(&poller->posts, callback, context, &awaited);
  if (awaited)
    poller__enqueue(poller, &poller->posts.ready);
  return number ? posts__id(index, number) : 0;
}

uint64_t pier_now_ns(void) { return clock__now_ns(); }

uint64_t pier_deadline_in(uint64_t timeout_ns) {
  if (timeout_ns == PIER_NO_TIMEOUT)
    return PIER_NO_DEADLINE;
  uint64_t now_ns = clock__now_ns();
  return timeout_ns < UINT64_MAX - now_ns ? now_ns + timeout_ns : UINT64_MAX;
}
