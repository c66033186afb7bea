/* The limits that a loop is opened with, and what its metrics say. */
#include "streams.h"

/* When every operation slot is taken a submit says so with 0 and is never called back; what ends makes room again. */
static void operations_max_is_a_limit(void **state) {
  (void)state;
  const pier_loop_options options = {.threads = support__threads(), .operations_max = 16};
  pier_loop *loop = support__open_with(&options);
  pier_handle ends[2];
  support_outcome *reads[64];
  pier_operation ids[64];
  char *buffer = support__alloc(64);
  assert_status(pier_pipe_pair(loop, NULL, ends), PIER_OK);
  for (int round = 0; round < 5; round++) {
    unsigned taken = 0;
    for (int i = 0; i < 64; i++) {
      reads[i] = support__outcome();
      ids[i] = pier_read(ends[0], &buffer[i], 1, PIER_NO_DEADLINE, support__take, reads[i]);
      taken += ids[i] != 0;
    }
    assert_int_equal(taken, 16);
    support_outcome *posted = support__outcome();
    assert_true(pier_post(loop, support__take, posted) != 0); /* posts take no slot */
    await_status(loop, posted, PIER_OK);
    assert_true(pier_work(loop, NULL, PIER_NO_DEADLINE, support__take, reads[0]) == 0);
    for (int i = 0; i < 64; i++) {
      assert_true((ids[i] != 0) == (i < 16));
      if (ids[i]) {
        assert_status(pier_cancel(ids[i]), PIER_OK);
        await_status(loop, reads[i], PIER_ECANCELED);
      }
    }
    for (int i = 16; i < 64; i++)
      assert_false(support__called(reads[i]));
  }
  streams__exchange(loop, ends[0], ends[1], 100, 0);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* When every handle slot is taken, opening says so, leaves nothing half open, and a registered handle stays its
 * owner's. */
static void handles_max_is_a_limit(void **state) {
  (void)state;
  const pier_loop_options options = {.threads = support__threads(), .handles_max = 4};
  pier_loop *loop = support__open_with(&options);
  pier_handle ends[4], more[2] = {0, 0};
  pier_native natives[2];
  pier_address address;
  support_outcome *opened = support__outcome();
  assert_status(pier_pipe_pair(loop, NULL, ends), PIER_OK);
  assert_status(pier_pipe_pair(loop, NULL, ends + 2), PIER_OK);
  size_t handles = 0;
  const char *path = support__temp_file(10);
  for (int i = 0; i < 10; i++) {
    assert_status(pier_pipe_pair(loop, NULL, more), PIER_ENOMEM);
    assert_status(pier_file_open_sync(loop, path, PIER_OPEN_READ, more), PIER_ENOMEM);
    assert_status(pier_address_parse("127.0.0.1", 0, &address), PIER_OK);
    assert_status(pier_tcp_listen(loop, &address, NULL, more), PIER_ENOMEM);
    assert_status(pier_pipe_listen(loop, support__pipe_name(), NULL, more), PIER_ENOMEM);
    /* The first of each may open something of the system's for good. */
    if (i == 0)
      handles = support__handle_count();
  }
  assert_int_equal(support__handle_count(), handles);
  support__native_pipe_pair(false, true, true, natives);
  assert_status(pier_register(loop, natives[0], NULL, more), PIER_ENOMEM);
  support__native_close_pipe(natives[0]);
  support__native_close_pipe(natives[1]);
  assert_true(pier_file_open(loop, path, PIER_OPEN_READ, PIER_NO_DEADLINE, support__take, opened) != 0);
  await_status(loop, opened, PIER_ENOMEM);
  assert_true(more[0] == 0 && more[1] == 0);
  support__close_handle(loop, ends[3]);
  assert_status(pier_file_open_sync(loop, path, PIER_OPEN_READ, &ends[3]), PIER_OK);
  for (int i = 0; i < 4; i++)
    support__close_handle(loop, ends[i]);
  support__close(loop);
}

/* Without a slot for the new handle an accept fails clearly, and the connection is not left half open. */
static void an_accept_without_a_slot_fails_clearly(void **state) {
  (void)state;
  const pier_loop_options options = {.threads = support__threads(), .handles_max = 2};
  pier_loop *loop = support__open_with(&options), *other = support__open();
  pier_address address;
  pier_handle filler[1], listener = streams__tcp_listen(loop, &address);
  support_outcome *accepted = support__outcome(), *connected = support__outcome();
  char *byte = support__alloc(1);
  assert_status(pier_file_open_sync(loop, support__temp_file(1), PIER_OPEN_READ, filler), PIER_OK);
  assert_true(pier_tcp_accept(listener, PIER_NO_DEADLINE, support__take, accepted) != 0);
  assert_true(pier_tcp_connect(other, &address, NULL, PIER_NO_DEADLINE, support__take, connected) != 0);
  await_status(other, connected, PIER_OK);
  await_status(loop, accepted, PIER_ENOMEM);
  assert_true(accepted->got.opened == 0);
  support__close_handle(loop, filler[0]);
  support__close_handle(loop, listener);
  /* The client hears of it, for nobody holds the other end any more. */
  support_outcome *read = support__outcome();
  assert_true(pier_read(connected->got.opened, byte, 1, PIER_NO_DEADLINE, support__take, read) != 0);
  support__await(other, read);
  assert_true((read->got.status == PIER_OK && read->got.end) || read->got.status == PIER_ECONNRESET);
  support__close_handle(other, connected->got.opened);
  support__close(loop);
  support__close(other);
}

/* The metrics count what was done and what is held now. */
static void metrics_tell_what_is_held(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  char *buffer = support__alloc(8);
  support_outcome *reads[8];
  pier_metrics before = support__metrics(loop);
  assert_int_equal(before.submitted + before.completed + before.operations + before.handles + before.timers, 0);
  assert_status(pier_pipe_pair(loop, NULL, ends), PIER_OK);
  for (int i = 0; i < 8; i++) {
    reads[i] = support__outcome();
    assert_true(pier_read(ends[0], &buffer[i], 1, PIER_NO_DEADLINE, support__take, reads[i]) != 0);
  }
  pier_metrics during = support__metrics(loop);
  assert_int_equal(during.submitted, 8);
  assert_int_equal(during.completed, 0);
  assert_int_equal(during.operations, 8);
  assert_int_equal(during.handles, 2);
  /* Elsewhere those that wait behind the first cost nothing yet. */
  assert_true(during.system_calls >= (support__windows ? 8u : 1u));
  streams__close_pair(loop, ends);
  pier_metrics after = support__metrics(loop);
  assert_int_equal(after.completed, after.submitted);
  assert_int_equal(after.operations + after.handles, 0);
  assert_true(after.turns > 0 && after.waits > 0);
  support__close(loop);
}

/* In the steady state each operation is one call to the system, apart from its share of the waits; cancels count as
 * well. */
static void an_operation_is_one_system_call(void **state) {
  (void)state;
  enum { ROUNDS = 100 };
  pier_loop *loop = support__open();
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_TCP};
  for (int s = 0; s < 2; s++) {
    pier_handle ends[2];
    streams__pair(loop, sorts[s], ends);
    streams__exchange(loop, ends[0], ends[1], 1, 0);
    uint64_t before = support__metrics(loop).system_calls;
    for (unsigned i = 0; i < ROUNDS; i++)
      streams__exchange(loop, ends[0], ends[1], 1, i);
    assert_int_equal(support__metrics(loop).system_calls - before, 2 * ROUNDS);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* Operations on an open handle allocate nothing, once each slot that goes round between the threads' stocks has had what it keeps (an event). So
 * there are rounds that change nothing; with an allocation for an operation there would never be one. */
static void operations_allocate_nothing(void **state) {
  (void)state;
  enum { ROUNDS = 200, TRIES = 30 };
  pier_loop *loop = support__open();
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_TCP, STREAMS_KEPT_PIPE};
  for (int s = 0; s < 3; s++) {
    pier_handle ends[2];
    char *buffer = support__alloc(1);
    streams__pair(loop, sorts[s], ends);
    bool same = false;
    size_t heap_bytes = 0, handles = 0;
    for (int try = 0; try < TRIES && !same; try++) {
      for (int i = 0; i < ROUNDS; i++) {
        support_outcome *read = support__outcome(), *written = support__outcome();
        assert_true(pier_read(ends[0], buffer, 1, pier_deadline_in(10 * PIER_SECOND), support__take, read) != 0);
        assert_true(pier_write(ends[1], "x", 1, PIER_NO_DEADLINE, support__take, written) != 0);
        await_status(loop, read, PIER_OK);
        await_status(loop, written, PIER_OK);
      }
      same = support__heap_bytes() == heap_bytes && support__handle_count() == handles;
      /* The walk through the heap may itself leave something there. */
      heap_bytes = support__heap_bytes();
      handles = support__handle_count();
    }
    assert_true(same);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(operations_max_is_a_limit),
      SUPPORT_TEST_POOL(operations_max_is_a_limit),
      SUPPORT_TEST(handles_max_is_a_limit),
      SUPPORT_TEST_POOL(handles_max_is_a_limit),
      SUPPORT_TEST(an_accept_without_a_slot_fails_clearly),
      SUPPORT_TEST(metrics_tell_what_is_held),
      SUPPORT_TEST(an_operation_is_one_system_call),
      SUPPORT_TEST(operations_allocate_nothing),
      SUPPORT_TEST_POOL(operations_allocate_nothing),
  };
  return support__main(argc, argv, "limits", tests, sizeof tests / sizeof tests[0]);
}
