/* Closing: what is in flight ends, the close callback is the last one, and the id is void. */
#include "streams.h"

static support_outcome *read_from(pier_handle handle, void *buffer, size_t length) {
  support_outcome *read = support__outcome();
  assert_true(pier_read(handle, buffer, length, PIER_NO_DEADLINE, support__take, read) != 0);
  return read;
}

static support_outcome *write_to(pier_handle handle, const void *buffer, size_t length) {
  support_outcome *written = support__outcome();
  assert_true(pier_write(handle, buffer, length, PIER_NO_DEADLINE, support__take, written) != 0);
  return written;
}

/* Counts the callbacks of one handle, and those that came after that of the close. */
typedef struct ending {
  atomic_uint calls, closes, late, strange;
  pier_handle handle;
} ending;

static void end_operation(const pier_result *result) {
  ending *noted = result->context;
  if (atomic_load(&noted->closes))
    atomic_fetch_add(&noted->late, 1);
  if (result->status != PIER_ECLOSED)
    atomic_fetch_add(&noted->strange, 1);
  support__count(&noted->calls);
}

static void end_close(const pier_result *result) {
  ending *noted = result->context;
  if (result->handle != noted->handle || result->status != PIER_OK)
    atomic_fetch_add(&noted->strange, 1);
  support__count(&noted->closes);
}

/* Closing ends all that is in flight with ECLOSED; the close callback comes last, once, and the id is void after it. */
static void everything_in_flight_ends_before_the_close_callback(void **state) {
  (void)state;
  enum { READS = 20 };
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    char *buffer = support__alloc(READS);
    ending *noted = support__alloc(sizeof *noted);
    streams__pair(loop, (streams_sort)sort, ends);
    noted->handle = ends[0];
    for (int i = 0; i < READS; i++)
      assert_true(pier_read(ends[0], &buffer[i], 1, PIER_NO_DEADLINE, end_operation, noted) != 0);
    assert_int_equal(pier_handle_in_flight(ends[0]), READS);
    assert_status(pier_close(ends[0], end_close, noted), PIER_OK);
    if (support__threads() == 0)
      assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_CLOSING);
    support__until_count(loop, &noted->closes, 1, "the close callback");
    if (atomic_load(&noted->calls) != READS || atomic_load(&noted->strange) != 0)
      fail_msg("%s: %u of %d reads ended, %u strangely", streams__name((streams_sort)sort), atomic_load(&noted->calls),
               READS, atomic_load(&noted->strange));
    assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_NONE);
    assert_int_equal(pier_handle_in_flight(ends[0]), 0);
    assert_int_equal(pier_handle_kind(ends[0]), PIER_KIND_UNKNOWN);
    assert_true(pier_handle_native(ends[0]) == PIER_NATIVE_NONE);
    assert_null(pier_handle_loop(ends[0]));
    support__close_handle(loop, ends[1]);
    assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, 5 * PIER_SECOND), PIER_OK);
    assert_int_equal(atomic_load(&noted->calls), READS);
    assert_int_equal(atomic_load(&noted->late), 0);
    assert_int_equal(atomic_load(&noted->closes), 1);
  }
  support__close(loop);
}

/* What is submitted to a closing or closed handle is called back with ECLOSED. */
static void operations_on_a_closed_handle_say_so(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    char *buffer = support__alloc(10);
    support_outcome *closed = support__outcome();
    streams__pair(loop, (streams_sort)sort, ends);
    assert_status(pier_close(ends[0], support__take, closed), PIER_OK);
    support_outcome *closing_read = read_from(ends[0], buffer, 10), *closing_write = write_to(ends[0], "x", 1);
    await_status(loop, closed, PIER_OK);
    await_status(loop, closing_read, PIER_ECLOSED);
    await_status(loop, closing_write, PIER_ECLOSED);
    await_status(loop, read_from(ends[0], buffer, 10), PIER_ECLOSED);
    await_status(loop, write_to(ends[0], "x", 1), PIER_ECLOSED);
    support__close_handle(loop, ends[1]);
  }
  support__close(loop);
}

/* A second close is refused, with its callback never called. */
static void a_second_close_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  support_outcome *first = support__outcome(), *second = support__outcome();
  char *buffer = support__alloc(10);
  streams__pair(loop, STREAMS_PIPE, ends);
  support_outcome *read = read_from(ends[0], buffer, 10);
  assert_status(pier_close(ends[0], support__take, first), PIER_OK);
  int status = pier_close(ends[0], support__take, second);
  /* With poller threads it may be closed for good by now. */
  assert_true(status == PIER_ECLOSED || (status == PIER_EBADF && support__threads()));
  await_status(loop, first, PIER_OK);
  await_status(loop, read, PIER_ECLOSED);
  status = pier_close(ends[0], support__take, second);
  assert_true(status == PIER_ECLOSED || status == PIER_EBADF);
  assert_status(pier_close(0, support__take, second), PIER_EBADF);
  support__close_handle(loop, ends[1]);
  support__close(loop);
  assert_false(support__called(second));
}

/* Nobody has to want to know when it is over. */
static void the_close_callback_may_be_null(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  char *buffer = support__alloc(10);
  streams__pair(loop, STREAMS_PIPE, ends);
  support_outcome *read = read_from(ends[0], buffer, 10);
  assert_status(pier_close(ends[0], NULL, NULL), PIER_OK);
  assert_status(pier_close(ends[1], NULL, NULL), PIER_OK);
  support__await(loop, read);
  /* The other end is closed too, so the end of the stream may have come first. */
  assert_true(read->got.status == PIER_ECLOSED || read->got.status == PIER_OK);
  support__close(loop);
}

typedef struct self_closing {
  ending noted;
  pier_handle other;
  int closed, closed_again, closed_other;
  unsigned submitted;
  char buffer[4];
} self_closing;

static void close_from_read(const pier_result *result) {
  self_closing *self = result->context;
  support__count(&self->noted.calls);
  if (result->status == PIER_ECLOSED)
    return;
  self->closed = pier_close(result->handle, end_close, &self->noted);
  self->closed_again = pier_close(result->handle, end_close, &self->noted);
  self->closed_other = pier_close(self->other, NULL, NULL);
  self->submitted += pier_read(result->handle, &self->buffer[3], 1, PIER_NO_DEADLINE, close_from_read, self) != 0;
}

/* A callback may close its own handle, and others, with operations still in flight. */
static void a_callback_may_close_its_own_handle(void **state) {
  (void)state;
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_MESSAGE_PIPE, STREAMS_TCP, STREAMS_KEPT_PIPE, STREAMS_KEPT_TCP};
  pier_loop *loop = support__open();
  for (int s = 0; s < 5; s++) {
    pier_handle ends[2];
    self_closing *self = support__alloc(sizeof *self);
    streams__pair(loop, sorts[s], ends);
    self->noted.handle = ends[0];
    self->other = ends[1];
    for (int i = 0; i < 3; i++)
      assert_true(pier_read(ends[0], &self->buffer[i], 1, PIER_NO_DEADLINE, close_from_read, self) != 0);
    assert_true(pier_write(ends[1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    support__until_count(loop, &self->noted.closes, 1, "the close callback");
    assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, 5 * PIER_SECOND), PIER_OK);
    assert_int_equal(atomic_load(&self->noted.calls), 4);
    assert_int_equal(self->submitted, 1);
    assert_int_equal(atomic_load(&self->noted.strange), 0);
    assert_status(self->closed, PIER_OK);
    assert_status(self->closed_again, PIER_ECLOSED);
    assert_status(self->closed_other, PIER_OK);
  }
  support__close(loop);
}

/* A handle's slot is used again under another id; the old id stays void and does the new handle no harm. */
static void an_old_id_does_not_reach_the_new_handle(void **state) {
  (void)state;
  enum { OLD = 60 };
  const pier_loop_options options = {.threads = support__threads(), .handles_max = 6};
  pier_loop *loop = support__open_with(&options);
  pier_handle old[OLD], ends[2];
  char *buffer = support__alloc(10);
  for (int i = 0; i < OLD; i += 2) {
    assert_status(pier_pipe_pair(loop, NULL, old + i), PIER_OK);
    streams__close_pair(loop, old + i);
  }
  assert_status(pier_pipe_pair(loop, NULL, ends), PIER_OK);
  support_outcome *read = read_from(ends[0], buffer, 10);
  for (int i = 0; i < OLD; i++) {
    assert_true(old[i] != ends[0] && old[i] != ends[1]);
    assert_int_equal(pier_handle_state(old[i]), PIER_STATE_NONE);
    int status = pier_close(old[i], NULL, NULL);
    assert_true(status == PIER_ECLOSED || status == PIER_EBADF);
    await_status(loop, write_to(old[i], "x", 1), PIER_ECLOSED);
  }
  assert_false(support__called(read));
  await_status(loop, write_to(ends[1], "y", 1), PIER_OK);
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, 1);
  assert_int_equal(buffer[0], 'y');
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* With every slot taken a submit is refused without a callback, and a close still works and makes room. */
static void closing_needs_no_free_slot(void **state) {
  (void)state;
  const pier_loop_options options = {.threads = support__threads(), .operations_max = 10};
  pier_loop *loop = support__open_with(&options);
  pier_handle ends[2];
  char *buffer = support__alloc(10);
  ending *noted = support__alloc(sizeof *noted);
  assert_status(pier_pipe_pair(loop, NULL, ends), PIER_OK);
  noted->handle = ends[0];
  unsigned accepted = 0;
  for (int i = 0; i < 100; i++)
    accepted += pier_read(ends[0], buffer, 1, PIER_NO_DEADLINE, end_operation, noted) != 0;
  assert_in_range(accepted, 1, 10);
  assert_status(pier_close(ends[0], end_close, noted), PIER_OK);
  support__until_count(loop, &noted->closes, 1, "the close callback");
  assert_int_equal(atomic_load(&noted->calls), accepted);
  assert_int_equal(atomic_load(&noted->late) + atomic_load(&noted->strange), 0);
  support__close_handle(loop, ends[1]);
  support__close(loop);
}

/* Closing ends a write that finds no room. */
static void closing_ends_a_stuck_write(void **state) {
  (void)state;
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_TCP};
  const size_t lengths[] = {1u << 20, 32u << 20};
  pier_loop *loop = support__open();
  char *bytes = support__alloc(lengths[1]);
  for (int s = 0; s < 2; s++) {
    pier_handle ends[2];
    streams__pair(loop, sorts[s], ends);
    support_outcome *written = write_to(ends[0], bytes, lengths[s]), *posted = support__outcome();
    assert_true(pier_post(loop, support__take, posted) != 0);
    support__await(loop, posted);
    support__close_handle(loop, ends[0]);
    assert_int_equal(atomic_load(&written->calls), 1);
    assert_status(written->got.status, PIER_ECLOSED);
    support__close_handle(loop, ends[1]);
  }
  support__close(loop);
}

/* Data that nobody has read, and a peer that is gone, do not hinder a close. */
static void closing_with_unread_data(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    for (int order = 0; order < 2; order++) {
      pier_handle ends[2];
      streams__pair(loop, (streams_sort)sort, ends);
      await_status(loop, write_to(ends[1], "unread", 6), PIER_OK);
      support__close_handle(loop, ends[order]);
      support__close_handle(loop, ends[1 - order]);
    }
  }
  support__close(loop);
}

/* A handle that its owner keeps is left open by the close, and works on. */
static void keep_open_leaves_the_systems_handle(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_native natives[2];
  pier_sync_result result;
  char byte = 0;
  const pier_register_options options = {.keep_open = true, .association = PIER_ASSOCIATE_NEVER};
  support__native_pipe_pair(false, true, true, natives);
  pier_handle handle = 0;
  char *buffer = support__alloc(10);
  assert_status(pier_register(loop, natives[0], &options, &handle), PIER_OK);
  assert_true(pier_handle_native(handle) == natives[0]);
  support_outcome *read = read_from(handle, buffer, 10), *closed = support__outcome();
  assert_status(pier_close(handle, support__take, closed), PIER_OK);
  await_status(loop, closed, PIER_OK);
  await_status(loop, read, PIER_ECLOSED);
  assert_status(pier_sync_write(natives[1], "z", 1, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_status(pier_sync_read(natives[0], &byte, 1, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(byte, 'z');
  support__native_close_pipe(natives[0]);
  support__native_close_pipe(natives[1]);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(everything_in_flight_ends_before_the_close_callback),
      SUPPORT_TEST_POOL(everything_in_flight_ends_before_the_close_callback),
      SUPPORT_TEST(operations_on_a_closed_handle_say_so),
      SUPPORT_TEST_POOL(operations_on_a_closed_handle_say_so),
      SUPPORT_TEST(a_second_close_is_refused),
      SUPPORT_TEST_POOL(a_second_close_is_refused),
      SUPPORT_TEST(the_close_callback_may_be_null),
      SUPPORT_TEST_POOL(the_close_callback_may_be_null),
      SUPPORT_TEST(a_callback_may_close_its_own_handle),
      SUPPORT_TEST_POOL(a_callback_may_close_its_own_handle),
      SUPPORT_TEST(an_old_id_does_not_reach_the_new_handle),
      SUPPORT_TEST_POOL(an_old_id_does_not_reach_the_new_handle),
      SUPPORT_TEST(closing_needs_no_free_slot),
      SUPPORT_TEST_POOL(closing_needs_no_free_slot),
      SUPPORT_TEST(closing_ends_a_stuck_write),
      SUPPORT_TEST(closing_with_unread_data),
      SUPPORT_TEST_POOL(closing_with_unread_data),
      SUPPORT_TEST(keep_open_leaves_the_systems_handle),
      SUPPORT_TEST_POOL(keep_open_leaves_the_systems_handle),
  };
  return support__main(argc, argv, "close", tests, sizeof tests / sizeof tests[0]);
}
