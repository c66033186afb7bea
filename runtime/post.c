#include "loop.h"

pier_operation pier_post(pier_loop *loop, pier_callback callback, void *context) {
  if (!loop || !callback)
    return 0;
  struct poller *poller = &loop->poller;
  struct op *op = op__acquire(poller, OP_POST, callback, context);
  if (!op)
    return 0;
  pier_operation id = op__id(poller, op);
  poller__post(poller, op); /* from here on it may have run */
  return id;
}

uint64_t pier_now_ns(void) { return clock__now_ns(); }

uint64_t pier_deadline_in(uint64_t timeout_ns) {
  if (timeout_ns == PIER_NO_TIMEOUT)
    return PIER_NO_DEADLINE;
  uint64_t now_ns = clock__now_ns();
  return timeout_ns < UINT64_MAX - now_ns ? now_ns + timeout_ns : UINT64_MAX;
}
