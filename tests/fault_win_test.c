/* Calls of Windows that fail inside the submit, and wakes that cannot be posted. */
#include "fault.h"
#include "streams.h"

#include <windows.h>

enum { EVERY = 1000000 };

/* Posting a packet fails for want of non-paged memory: it is tried until it goes, and what was to be told is not lost. */
static void a_wake_that_cannot_be_posted_is_tried_again(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int round = 0; round < 5; round++) {
    support_outcome *posted = support__outcome();
    fault__clear();
    fault__fail(FAULT_POST, 0, 20, ERROR_NO_SYSTEM_RESOURCES);
    assert_true(pier_post(loop, support__take, posted) != 0);
    await_status(loop, posted, PIER_OK);
    if (support__threads() == 0) { /* a thread of the loop's own may be awake */
      assert_int_equal(fault__struck(), 20);
      assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, 0), PIER_OK); /* takes the wake, so that the next round needs one */
    }
    fault__clear();
  }
  support__close(loop);
}

/* A call that fails inside the submit has its callback all the same, in a later turn, and the handle goes on working. */
static void a_call_that_is_refused_is_called_back(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  char byte = 0;
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    streams__pair(loop, (streams_sort)sort, ends);
    bool socket = sort == STREAMS_TCP || sort == STREAMS_KEPT_TCP || sort == STREAMS_UDP || sort == STREAMS_KEPT_UDP;
    for (int writes = 0; writes < 2; writes++) {
      support_outcome *refused = support__outcome();
      fault__clear();
      fault__fail(socket ? (writes ? FAULT_SEND : FAULT_RECEIVE) : (writes ? FAULT_WRITE : FAULT_READ), 0, 1,
                  socket ? WSAENOBUFS : ERROR_NOT_ENOUGH_MEMORY);
      pier_operation operation = writes ? pier_write(ends[0], &byte, 1, PIER_NO_DEADLINE, support__take, refused)
                                        : pier_read(ends[0], &byte, 1, PIER_NO_DEADLINE, support__take, refused);
      assert_true(operation != 0);
      if (support__threads() == 0)
        assert_false(support__called(refused));
      await_status(loop, refused, PIER_ENOMEM);
      assert_int_equal(fault__struck(), 1);
      assert_status(pier_cancel(operation), PIER_ENOENT);
    }
    fault__clear();
    streams__exchange(loop, ends[0], ends[1], 100, 0);
    streams__exchange(loop, ends[1], ends[0], 100, 0);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* Without an event, or without anybody who waits for it, an operation of the event path is refused, and the next one is not. */
static void an_operation_without_an_event_is_refused(void **state) {
  (void)state;
  const fault_call calls[] = {FAULT_EVENT, FAULT_WAITER, FAULT_MAP};
  char byte = 0;
  for (int i = 0; i < 3; i++) {
    pier_loop *loop = support__open();
    pier_handle ends[2];
    support_outcome *read = support__outcome();
    streams__pair(loop, STREAMS_KEPT_PIPE, ends);
    fault__clear();
    fault__fail(calls[i], 0, EVERY, ERROR_NOT_ENOUGH_MEMORY);
    /* With no memory there may not even be a slot. */
    pier_operation operation = pier_read(ends[0], &byte, 1, PIER_NO_DEADLINE, support__take, read);
    assert_true(operation != 0 || calls[i] == FAULT_MAP);
    if (operation)
      await_status(loop, read, PIER_ENOMEM);
    assert_true(fault__struck() > 0);
    fault__clear();
    streams__exchange(loop, ends[0], ends[1], 10, 0);
    streams__close_pair(loop, ends);
    support__close(loop);
  }
}

/* The sync path makes an event with a thread's first call, and none for any call after that. */
static void b19_no_call_of_the_sync_path_makes_an_event(void **state) {
  (void)state;
  enum { CALLS = 500 };
  pier_native ends[2];
  char bytes[8];
  pier_sync_result result;
  support__native_pipe_pair(false, true, true, ends);
  fault__clear();
  for (int i = 0; i < CALLS; i++) {
    assert_status(pier_sync_write(ends[1], "x", 1, PIER_NO_TIMEOUT, &result), PIER_OK);
    assert_status(pier_sync_read(ends[0], bytes, sizeof bytes, i % 2 ? PIER_SECOND : PIER_NO_TIMEOUT, &result), PIER_OK);
    assert_status(pier_sync_read(ends[0], bytes, sizeof bytes, 0, &result), PIER_ETIMEDOUT);
  }
  assert_true(fault__made(FAULT_READ) >= 2 * CALLS && fault__made(FAULT_WRITE) >= CALLS);
  assert_true(fault__made(FAULT_EVENT) <= 1);
  assert_int_equal(fault__made(FAULT_WAITER), 0);
  support__native_close_pipe(ends[0]);
  support__native_close_pipe(ends[1]);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      FAULT_TEST(a_wake_that_cannot_be_posted_is_tried_again),
      FAULT_TEST_POOL(a_wake_that_cannot_be_posted_is_tried_again),
      FAULT_TEST(a_call_that_is_refused_is_called_back),
      FAULT_TEST_POOL(a_call_that_is_refused_is_called_back),
      FAULT_TEST(an_operation_without_an_event_is_refused),
      FAULT_TEST(b19_no_call_of_the_sync_path_makes_an_event),
  };
  return support__main(argc, argv, "fault_win", tests, sizeof tests / sizeof tests[0]);
}
