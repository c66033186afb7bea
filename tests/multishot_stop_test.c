/* How an operation that keeps reading is stopped: cancelled, at its deadline, by a close; and never called back before its submit is through. */
#include "chunks.h"

#include "hook.h"
#include "loop.h"

typedef void (*stop_check)(pier_loop *loop, pier_handle ends[2]);

static void on_sorts(stop_check check) {
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    if (!chunks__fit((streams_sort)sort))
      continue;
    pier_loop *loop = support__open();
    pier_handle ends[2];
    streams__pair(loop, (streams_sort)sort, ends);
    check(loop, ends);
    for (int i = 0; i < 2; i++) {
      if (pier_handle_state(ends[i]) != PIER_STATE_NONE)
        support__close_handle(loop, ends[i]);
    }
    support__close(loop);
  }
}

/* ---- Cancelled ---- */

static void check_idle_cancel(pier_loop *loop, pier_handle ends[2]) {
  for (unsigned i = 0; i < 3; i++) {
    chunks *reader = chunks__new(0);
    pier_operation operation = chunks__read(reader, ends[0], PIER_NO_DEADLINE);
    assert_status(pier_cancel(operation), PIER_OK);
    await_last(loop, reader, PIER_ECANCELED);
    assert_int_equal(atomic_load(&reader->calls), 0);
    assert_status(pier_cancel(operation), PIER_ENOENT);
  }
  streams__exchange(loop, ends[1], ends[0], 500, 9); /* nothing was taken */
}

static void b31_it_is_cancelled_before_anything_came(void **state) {
  (void)state;
  on_sorts(check_idle_cancel);
}

static void cancel_after_a_few(chunks *self, const pier_result *result) {
  int *status = self->context;
  if (atomic_load(&self->calls) == 3)
    *status = pier_cancel(result->operation);
}

static void check_cancel_inside(pier_loop *loop, pier_handle ends[2]) {
  chunks *reader = chunks__new(0);
  int *status = support__alloc(sizeof *status);
  *status = 1;
  reader->then = cancel_after_a_few;
  reader->context = status;
  chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  for (unsigned i = 0; i < 3; i++) {
    chunks__write(loop, ends[1], 10, i * 10);
    chunks__await_bytes(loop, reader, 10 + i * 10);
  }
  await_last(loop, reader, PIER_ECANCELED);
  assert_status(*status, PIER_OK);
  assert_int_equal(atomic_load(&reader->calls), 3);
  streams__exchange(loop, ends[1], ends[0], 500, 9);
}

static void b31_it_is_cancelled_inside_its_callback(void **state) {
  (void)state;
  on_sorts(check_cancel_inside);
}

enum { TOGETHER = 6 };

static void note_in_order(chunks *self, const pier_result *result) {
  int *status = self->context;
  if (result->bytes != atomic_load(&self->calls))
    atomic_fetch_add(&self->wrong, 1);
  if (atomic_load(&self->calls) == 1)
    *status = pier_cancel(result->operation);
}

/* Datagrams that were there together: whether the system has given one or all by then, each goes to the one who is cancelled or to who
 * reads next, in their order. */
static void b31_no_datagram_is_lost_to_a_cancel(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  chunks *reader = chunks__new(0);
  unsigned char *bytes = support__alloc(TOGETHER + 1);
  int *status = support__alloc(sizeof *status);
  *status = 1;
  streams__pair(loop, STREAMS_UDP, ends);
  for (unsigned i = 1; i <= TOGETHER; i++)
    chunks__write(loop, ends[1], i, 0);
  reader->datagrams = true;
  reader->then = note_in_order;
  reader->context = status;
  chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  await_last(loop, reader, PIER_ECANCELED);
  assert_status(*status, PIER_OK);
  for (unsigned i = atomic_load(&reader->calls) + 1; i <= TOGETHER; i++) {
    support_outcome *read = support__outcome();
    assert_true(pier_read(ends[0], bytes, TOGETHER, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, i);
  }
  streams__close_pair(loop, ends);
  support__close(loop);
}

typedef struct canceller {
  chunks *reader;
  support_event *in, *out;
  int status;
} canceller;

/* While the callback runs, and waits for us. */
static void cancel_from_beside(void *context) {
  canceller *self = context;
  support__event_wait(self->in, 10 * PIER_SECOND);
  self->status = pier_cancel(atomic_load(&self->reader->operation));
  support__event_set(self->out);
}

static void wait_for_the_canceller(chunks *self, const pier_result *result) {
  canceller *other = self->context;
  (void)result;
  support__event_set(other->in);
  support__event_wait(other->out, 10 * PIER_SECOND);
  if (atomic_load(&self->last_calls)) /* not before this one has returned */
    atomic_fetch_add(&self->wrong, 1);
}

static void check_cancel_beside(pier_loop *loop, pier_handle ends[2]) {
  canceller *other = support__alloc(sizeof *other);
  *other = (canceller){chunks__new(0), support__event_open(), support__event_open(), 1};
  other->reader->then = wait_for_the_canceller;
  other->reader->context = other;
  support_thread *thread = support__thread_start(cancel_from_beside, other);
  chunks__read(other->reader, ends[0], PIER_NO_DEADLINE);
  chunks__write(loop, ends[1], 10, 0);
  await_last(loop, other->reader, PIER_ECANCELED);
  support__thread_join(thread);
  assert_status(other->status, PIER_OK);
  assert_int_equal(atomic_load(&other->reader->calls), 1);
  support__event_close(other->in);
  support__event_close(other->out);
}

static void b31_it_is_cancelled_while_its_callback_runs(void **state) {
  (void)state;
  on_sorts(check_cancel_beside);
}

/* ---- At its deadline ---- */

static void check_deadline(pier_loop *loop, pier_handle ends[2]) {
  chunks *reader = chunks__new(0);
  uint64_t deadline_ns = pier_now_ns() + 30 * PIER_MILLISECOND;
  chunks__read(reader, ends[0], deadline_ns);
  chunks__write(loop, ends[1], 10, 0);
  await_last(loop, reader, PIER_ETIMEDOUT);
  assert_true(reader->last_at_ns >= deadline_ns);
  assert_int_equal(atomic_load(&reader->bytes), 10);
  chunks *late = chunks__new(0);
  chunks__read(late, ends[0], 1); /* long ago */
  await_last(loop, late, PIER_ETIMEDOUT);
  streams__exchange(loop, ends[1], ends[0], 500, 9);
}

/* Chunks do not put it off, and it is told once. */
static void b33_its_deadline_is_for_all_of_it(void **state) {
  (void)state;
  on_sorts(check_deadline);
}

/* ---- Closed ---- */

static void expect_closed(pier_loop *loop, chunks *reader, support_outcome *closed) {
  await_status(loop, closed, PIER_OK);
  assert_int_equal(atomic_load(&reader->last_calls), 1);
  await_last(loop, reader, PIER_ECLOSED);
  assert_true(reader->last_at_ns <= closed->at_ns);
}

static void check_close(pier_loop *loop, pier_handle ends[2]) {
  chunks *reader = chunks__new(0);
  support_outcome *closed = support__outcome();
  chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  chunks__write(loop, ends[1], 10, 0);
  chunks__await_bytes(loop, reader, 10);
  assert_status(pier_close(ends[0], support__take, closed), PIER_OK);
  expect_closed(loop, reader, closed);
}

static void b34_a_close_ends_it_and_is_told_after_it(void **state) {
  (void)state;
  on_sorts(check_close);
}

static void close_inside(chunks *self, const pier_result *result) {
  if (pier_close(result->handle, support__take, self->context) != PIER_OK)
    atomic_fetch_add(&self->wrong, 1);
}

static void check_close_inside(pier_loop *loop, pier_handle ends[2]) {
  chunks *reader = chunks__new(0);
  support_outcome *closed = support__outcome();
  reader->then = close_inside;
  reader->context = closed;
  chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  chunks__write(loop, ends[1], 10, 0);
  expect_closed(loop, reader, closed);
  assert_int_equal(atomic_load(&reader->calls), 1);
}

static void b34_it_closes_its_handle_itself(void **state) {
  (void)state;
  on_sorts(check_close_inside);
}

enum { CROWD = 300, CROWD_ROUNDS = 10 };

static void take_a_few(const pier_result *result) { support__count(result->context); }

static void close_with_a_crowd(pier_loop *loop, streams_sort sort) {
  pier_handle ends[2];
  chunks *reader = chunks__new(0);
  char *buffers = support__alloc(CROWD);
  atomic_uint *reads = support__alloc(sizeof *reads);
  support_outcome *closed = support__outcome();
  streams__pair(loop, sort, ends);
  chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  for (unsigned i = 0; i < CROWD; i++)
    assert_true(pier_read(ends[0], &buffers[i], 1, PIER_NO_DEADLINE, take_a_few, reads) != 0);
  assert_status(pier_close(ends[0], support__take, closed), PIER_OK);
  expect_closed(loop, reader, closed);
  assert_int_equal(atomic_load(reads), CROWD);
  support__close_handle(loop, ends[1]);
}

/* Those behind it may be called back, and gone, while the closer is still at it: that must not hide it from him. */
static void b34_a_close_finds_it_in_front_of_many(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++)
    for (unsigned round = 0; round < CROWD_ROUNDS && chunks__fit((streams_sort)sort); round++)
      close_with_a_crowd(loop, (streams_sort)sort);
  support__close(loop);
}

/* ---- While the submit is going on ---- */

static struct intruder {
  pier_handle handle;
  chunks *reader;
  support_outcome *closed;
  bool closes;
  int status;
  atomic_uint calls;
  unsigned early; /* callbacks while the submitter was held */
} intruder;

static bool intruder__is_meant(const struct op *op) {
  return op->handle && handle__id(op->handle) == intruder.handle && op__is_multishot(op) && !atomic_fetch_add(&intruder.calls, 1);
}

static void come_in_between(struct op *op) {
  if (!intruder__is_meant(op))
    return;
  intruder.status = intruder.closes ? pier_close(intruder.handle, support__take, intruder.closed) : pier_cancel(op__id(op->handle->poller, op));
  /* Long enough for a poller thread that would run ahead. */
  uint64_t end_ns = pier_now_ns() + 3 * PIER_MILLISECOND;
  while (pier_now_ns() < end_ns)
    support__yield();
  intruder.early = atomic_load(&intruder.reader->calls) + atomic_load(&intruder.reader->last_calls);
}

static void stop_in_between(pier_loop *loop, streams_sort sort, struct hooks hooks, bool closes, bool with_data) {
  pier_handle ends[2];
  streams__pair(loop, sort, ends);
  if (with_data)
    chunks__write(loop, ends[1], 10, 0);
  intruder = (struct intruder){.handle = ends[0], .reader = chunks__new(0), .closed = support__outcome(), .closes = closes, .status = 1};
  pier_hooks = hooks;
  chunks__read(intruder.reader, ends[0], PIER_NO_DEADLINE);
  pier_hooks = (struct hooks){0};
  await_last(loop, intruder.reader, closes ? PIER_ECLOSED : PIER_ECANCELED);
  assert_status(intruder.status, PIER_OK);
  assert_int_equal(intruder.early, 0);
  if (closes)
    expect_closed(loop, intruder.reader, intruder.closed);
  else
    support__close_handle(loop, ends[0]);
  support__close_handle(loop, ends[1]);
}

/* A cancel or a close that comes before the call has gone to the system, or just after it; and nothing is called back meanwhile. */
static void b41_a_stop_inside_the_submit(void **state) {
  (void)state;
  const struct hooks moments[] = {{.before_launch = come_in_between}, {.started = come_in_between}};
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++)
    for (unsigned way = 0; way < 8 && chunks__fit((streams_sort)sort); way++)
      stop_in_between(loop, (streams_sort)sort, moments[way & 1], way & 2, way & 4);
  support__close(loop);
}

static struct holdup {
  pier_handle handle, peer;
  chunks *reader;
  atomic_uint calls;
  unsigned early;
} holdup;

/* Something comes, and the poller threads see it, while the submitter has not let go. */
static void hold_up(struct op *op) {
  if (!op->handle || handle__id(op->handle) != holdup.handle || !op__is_multishot(op) || atomic_fetch_add(&holdup.calls, 1))
    return;
  pier_write(holdup.peer, "\0", 1, PIER_NO_DEADLINE, NULL, NULL);
  uint64_t end_ns = pier_now_ns() + 5 * PIER_MILLISECOND;
  while (pier_now_ns() < end_ns)
    support__yield();
  holdup.early = atomic_load(&holdup.reader->calls);
}

static void b41_no_chunk_comes_before_the_submit_is_through(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    if (!chunks__fit((streams_sort)sort))
      continue;
    streams__pair(loop, (streams_sort)sort, ends);
    holdup = (struct holdup){.handle = ends[0], .peer = ends[1], .reader = chunks__new(0)};
    holdup.reader->datagrams = true;
    pier_hooks = (struct hooks){.started = hold_up};
    pier_operation operation = chunks__read(holdup.reader, ends[0], PIER_NO_DEADLINE);
    pier_hooks = (struct hooks){0};
    chunks__await_bytes(loop, holdup.reader, 1);
    assert_int_equal(holdup.early, 0);
    assert_status(pier_cancel(operation), PIER_OK);
    await_last(loop, holdup.reader, PIER_ECANCELED);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* ---- Off the port ---- */

static void detached_ones_are_read_too(void **state) {
  (void)state;
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_TCP, STREAMS_UDP};
  pier_loop *loop = support__open();
  bool skipped = false;
  for (unsigned i = 0; i < 3; i++) {
    pier_handle ends[2];
    chunks *reader = chunks__new(0);
    streams__pair(loop, sorts[i], ends);
    streams__exchange(loop, ends[1], ends[0], 10, 0);
    int status = pier_handle_detach(ends[0]);
    skipped = status == PIER_ENOTSUP;
    if (!skipped) {
      assert_status(status, PIER_OK);
      for (unsigned round = 0; round < 3; round++) {
        pier_operation operation = chunks__read(reader, ends[0], PIER_NO_DEADLINE);
        chunks__write(loop, ends[1], 10, round * 10);
        chunks__await_bytes(loop, reader, 10 + round * 10);
        assert_status(pier_cancel(operation), PIER_OK);
        await_last(loop, reader, PIER_ECANCELED);
        atomic_store(&reader->last_calls, 0);
        atomic_store(&reader->operation, 0);
      }
    }
    streams__close_pair(loop, ends);
  }
  support__close(loop);
  if (skipped)
    support__skip("this system cannot take a handle off a port");
}

#define STOP_TEST(function) SUPPORT_TEST(function), SUPPORT_TEST_POOL(function)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      STOP_TEST(b31_it_is_cancelled_before_anything_came),
      STOP_TEST(b31_it_is_cancelled_inside_its_callback),
      STOP_TEST(b31_no_datagram_is_lost_to_a_cancel),
      STOP_TEST(b31_it_is_cancelled_while_its_callback_runs),
      STOP_TEST(b33_its_deadline_is_for_all_of_it),
      STOP_TEST(b34_a_close_ends_it_and_is_told_after_it),
      STOP_TEST(b34_it_closes_its_handle_itself),
      STOP_TEST(b34_a_close_finds_it_in_front_of_many),
      STOP_TEST(b41_a_stop_inside_the_submit),
      STOP_TEST(b41_no_chunk_comes_before_the_submit_is_through),
      STOP_TEST(detached_ones_are_read_too),
  };
  return support__main(argc, argv, "multishot_stop", tests, sizeof tests / sizeof tests[0]);
}
