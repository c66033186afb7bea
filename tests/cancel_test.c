/* Cancelling: one callback in any case, and ids that are never mistaken for others. */
#include "streams.h"

static support_outcome *read_from(pier_handle handle, void *buffer, size_t length, pier_operation *id) {
  support_outcome *read = support__outcome();
  *id = pier_read(handle, buffer, length, PIER_NO_DEADLINE, support__take, read);
  assert_true(*id != 0);
  return read;
}

static support_outcome *write_to(pier_handle handle, const void *buffer, size_t length) {
  support_outcome *written = support__outcome();
  assert_true(pier_write(handle, buffer, length, PIER_NO_DEADLINE, support__take, written) != 0);
  return written;
}

static void cancel_id(void *context) {
  pier_operation *id = context;
  if (pier_cancel(*id) != PIER_OK)
    *id = 0;
}

/* A waiting read is cancelled, from this thread or another one: one callback says so, and the stream goes on to work.
 */
static void b31_a_waiting_read_is_cancelled(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    char *buffer = support__alloc(100);
    streams__pair(loop, (streams_sort)sort, ends);
    for (int i = 0; i < 10; i++) {
      pier_operation *id = support__alloc(sizeof *id);
      support_outcome *read = read_from(ends[0], buffer, 100, id);
      pier_operation kept = *id;
      if (i % 2)
        cancel_id(id);
      else
        support__thread_join(support__thread_start(cancel_id, id));
      assert_true(*id == kept);
      await_status(loop, read, PIER_ECANCELED);
      assert_int_equal(read->got.bytes, 0);
      assert_true(read->got.operation == kept && read->got.handle == ends[0]);
      assert_status(pier_cancel(kept), PIER_ENOENT);
    }
    streams__exchange(loop, ends[1], ends[0], 50, 0);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* Of many reads that wait on one handle exactly the cancelled ones end, in any order. */
static void b31_only_the_cancelled_one_ends(void **state) {
  (void)state;
  enum { READS = 16 };
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_TCP, STREAMS_KEPT_PIPE, STREAMS_KEPT_TCP};
  uint64_t seed = support__seed();
  pier_loop *loop = support__open();
  for (int s = 0; s < 4; s++) {
    pier_handle ends[2];
    pier_operation ids[READS];
    support_outcome *reads[READS];
    char *buffer = support__alloc(READS);
    unsigned waiting = READS;
    streams__pair(loop, sorts[s], ends);
    for (int i = 0; i < READS; i++)
      reads[i] = read_from(ends[0], &buffer[i], 1, &ids[i]);
    for (int i = 0; i < READS; i++) {
      if (support__random_below(&seed, 2)) {
        assert_status(pier_cancel(ids[i]), PIER_OK);
        await_status(loop, reads[i], PIER_ECANCELED);
        waiting--;
      }
    }
    assert_int_equal(pier_handle_in_flight(ends[0]), waiting);
    if (waiting > 0)
      await_status(loop, write_to(ends[1], "0123456789abcdef", waiting), PIER_OK);
    for (int i = 0, next = 0; i < READS; i++) {
      support__await(loop, reads[i]);
      if (reads[i]->got.status == PIER_OK)
        assert_int_equal(buffer[i], "0123456789abcdef"[next++]);
    }
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

typedef struct race {
  pier_operation id;
  pier_handle writer;
  support_event *go;
  int cancelled;
} race;

static void cancel_when_told(void *context) {
  race *racing = context;
  support__event_wait(racing->go, PIER_NO_TIMEOUT);
  racing->cancelled = pier_cancel(racing->id);
}

static void race_once(pier_loop *loop, pier_handle ends[2], uint64_t *seed, unsigned number, unsigned *received) {
  race *racing = support__alloc(sizeof *racing);
  unsigned char *bytes = support__alloc(2);
  bytes[0] = (unsigned char)number;
  racing->go = support__event_open();
  support_outcome *read = read_from(ends[0], &bytes[1], 1, &racing->id);
  support_thread *thread = support__thread_start(cancel_when_told, racing);
  if (support__random_below(seed, 4) > 0) {
    support__event_set(racing->go);
    /* On one processor the other thread runs when this one leaves it the time. */
    for (uint64_t i = support__random_below(seed, 4); i > 0; i--)
      support__yield();
  }
  support_outcome *written = write_to(ends[1], &bytes[0], 1);
  support__event_set(racing->go);
  support__await(loop, read);
  support__thread_join(thread);
  support__event_close(racing->go);
  await_status(loop, written, PIER_OK);
  assert_true(read->got.status == PIER_OK || read->got.status == PIER_ECANCELED);
  assert_true(racing->cancelled == PIER_OK || racing->cancelled == PIER_ENOENT);
  if (read->got.status == PIER_ECANCELED) {
    /* The byte is still there. */
    assert_status(racing->cancelled, PIER_OK);
    assert_int_equal(read->got.bytes, 0);
    pier_operation id;
    support_outcome *again = read_from(ends[0], &bytes[1], 1, &id);
    await_status(loop, again, PIER_OK);
    assert_int_equal(again->got.bytes, 1);
  } else {
    (*received)++;
  }
  assert_int_equal(bytes[1], bytes[0]);
}

/* Data and cancel race: the callback says which won, once, and no byte is lost or doubled. */
static void b31_data_and_cancel_race(void **state) {
  (void)state;
  enum { ROUNDS = 60 };
  uint64_t seed = support__seed();
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    unsigned received = 0;
    streams__pair(loop, (streams_sort)sort, ends);
    for (unsigned i = 0; i < ROUNDS; i++)
      race_once(loop, ends, &seed, i, &received);
    print_message("%s: data won %u of %d\n", streams__name((streams_sort)sort), received, ROUNDS);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* Cancelling what the system has finished, but whose callback has not run yet, is no error and changes nothing. */
static void b31_a_cancel_that_comes_too_late_is_benign(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    pier_operation id;
    char *buffer = support__alloc(10);
    streams__pair(loop, (streams_sort)sort, ends);
    streams__exchange(loop, ends[1], ends[0], 5, 0); /* a registered one waits for nothing after its first use */
    await_status(loop, write_to(ends[1], "there", 5), PIER_OK);
    support_outcome *read = read_from(ends[0], buffer, 10, &id);
    int cancelled = pier_cancel(id);
    assert_true(cancelled == PIER_OK || cancelled == PIER_ENOENT);
    support__await(loop, read);
    if (sort != STREAMS_BLOCKING_PIPE)
      assert_status(read->got.status, PIER_OK);
    if (read->got.status == PIER_OK)
      assert_memory_equal(buffer, "there", 5);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* A second cancel of the same operation is harmless, and there is still one callback. */
static void b31_cancelling_twice_gives_one_callback(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  char *buffer = support__alloc(10);
  streams__pair(loop, STREAMS_PIPE, ends);
  for (int i = 0; i < 20; i++) {
    pier_operation id;
    support_outcome *read = read_from(ends[0], buffer, 10, &id);
    assert_status(pier_cancel(id), PIER_OK);
    int again = pier_cancel(id);
    assert_true(again == PIER_OK || again == PIER_ENOENT);
    await_status(loop, read, PIER_ECANCELED);
  }
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* A write that finds no room is cancelled; its count tells what went out before. */
static void b31_a_stuck_write_is_cancelled(void **state) {
  (void)state;
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_TCP, STREAMS_KEPT_PIPE, STREAMS_KEPT_TCP};
  const size_t length = 32u << 20;
  char *bytes = support__alloc(length);
  for (int s = 0; s < 4; s++) {
    pier_loop *loop = support__open();
    pier_handle ends[2];
    streams__pair(loop, sorts[s], ends);
    support_outcome *written = support__outcome(), *posted = support__outcome();
    bool pipe = sorts[s] == STREAMS_PIPE || sorts[s] == STREAMS_KEPT_PIPE;
    pier_operation id = pier_write(ends[0], bytes, pipe ? 1u << 20 : length, PIER_NO_DEADLINE, support__take, written);
    assert_true(id != 0 && pier_post(loop, support__take, posted) != 0);
    support__await(loop, posted);
    assert_status(pier_cancel(id), PIER_OK);
    await_status(loop, written, PIER_ECANCELED);
    assert_true(written->got.bytes < length);
    streams__close_pair(loop, ends);
    support__close(loop);
  }
}

/* Cancelled first, and late afterwards: the reason is the one of who asked first. */
static void b33_who_asks_first_gives_the_reason(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    char *buffer = support__alloc(10);
    support_outcome *cancelled = support__outcome();
    streams__pair(loop, (streams_sort)sort, ends);
    uint64_t deadline_ns = pier_deadline_in(20 * PIER_MILLISECOND);
    pier_operation id = pier_read(ends[0], buffer, 10, deadline_ns, support__take, cancelled);
    assert_status(pier_cancel(id), PIER_OK);
    while (support__threads() == 0 && pier_now_ns() <= deadline_ns)
      support__yield();
    await_status(loop, cancelled, PIER_ECANCELED);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

typedef struct from_callback {
  support_outcome outcome;
  pier_operation other;
  int own, others;
} from_callback;

static void cancel_in_callback(const pier_result *result) {
  from_callback *self = result->context;
  self->own = pier_cancel(result->operation);
  self->others = pier_cancel(self->other);
  support__take(result);
}

/* From its callback an operation is finished already; another one can be cancelled from there. */
static void b31_cancel_from_a_callback(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  char *buffer = support__alloc(10);
  from_callback *self = support__alloc(sizeof *self);
  streams__pair(loop, STREAMS_PIPE, ends);
  /* The first read takes the data, the second one waits until it is cancelled. */
  support_outcome *waiting;
  pier_handle others[2];
  streams__pair(loop, STREAMS_PIPE, others);
  waiting = read_from(others[0], buffer, 5, &self->other);
  assert_true(pier_read(ends[0], buffer + 5, 5, PIER_NO_DEADLINE, cancel_in_callback, self) != 0);
  await_status(loop, write_to(ends[1], "x", 1), PIER_OK);
  await_status(loop, &self->outcome, PIER_OK);
  await_status(loop, waiting, PIER_ECANCELED);
  assert_status(self->own, PIER_ENOENT);
  assert_status(self->others, PIER_OK);
  streams__close_pair(loop, ends);
  streams__close_pair(loop, others);
  support__close(loop);
}

/* A finished id is unknown, and a cancel of it does not touch the operation that has its slot now. */
static void b32_cancel_of_a_recycled_id_touches_nothing(void **state) {
  (void)state;
  enum { OLD = 300 };
  /* Few slots, so that they are used again at once. */
  const pier_loop_options options = {.threads = support__threads(), .operations_max = 8};
  pier_loop *loop = support__open_with(&options);
  pier_handle ends[2];
  pier_operation *old = support__alloc(OLD * sizeof *old), waiting_ids[3];
  support_outcome *waiting[3];
  char *buffer = support__alloc(10);
  streams__pair(loop, STREAMS_PIPE, ends);
  for (int i = 0; i < OLD; i++) {
    support_outcome *read = read_from(ends[0], buffer, 1, &old[i]);
    await_status(loop, write_to(ends[1], "x", 1), PIER_OK);
    await_status(loop, read, PIER_OK);
  }
  for (int i = 0; i < 3; i++)
    waiting[i] = read_from(ends[0], &buffer[i], 1, &waiting_ids[i]);
  for (int i = 0; i < OLD; i++) {
    for (int w = 0; w < 3; w++)
      assert_true(old[i] != waiting_ids[w]);
    assert_status(pier_cancel(old[i]), PIER_ENOENT);
  }
  await_status(loop, write_to(ends[1], "abc", 3), PIER_OK);
  for (int i = 0; i < 3; i++) {
    await_status(loop, waiting[i], PIER_OK);
    assert_int_equal(buffer[i], "abc"[i]);
  }
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* Ids of a loop that is closed, and numbers that never were ids, are refused without harm. */
static void b32_ids_of_no_open_loop_are_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  support_outcome *posted = support__outcome();
  pier_operation old = pier_post(loop, support__take, posted);
  await_status(loop, posted, PIER_OK);
  pier_handle ends[2];
  streams__pair(loop, STREAMS_PIPE, ends);
  assert_status(pier_cancel(0), PIER_EINVAL);
  assert_true(pier_cancel(UINT64_MAX) < 0);
  assert_true(pier_cancel(ends[0]) < 0);
  streams__exchange(loop, ends[0], ends[1], 10, 0);
  streams__close_pair(loop, ends);
  support__close(loop);
  assert_true(pier_cancel(old) < 0);
  loop = support__open();
  assert_true(pier_cancel(old) < 0);
  support__close(loop);
}

/* Chance numbers given as ids do nothing to what is in flight. */
static void b32_chance_numbers_touch_nothing(void **state) {
  (void)state;
  uint64_t seed = support__seed();
  pier_loop *loop = support__open();
  pier_handle ends[2];
  pier_operation id;
  char *buffer = support__alloc(10);
  streams__pair(loop, STREAMS_PIPE, ends);
  support_outcome *read = read_from(ends[0], buffer, 10, &id);
  for (int i = 0; i < 20000; i++) {
    /* Any number, and numbers that differ from the real one in a bit or two. */
    uint64_t number = i % 2 ? support__random(&seed) : id ^ (uint64_t)1 << i / 2 % 64 ^ (uint64_t)1 << i / 128 % 64;
    if (number != id)
      assert_true(pier_cancel(number) < 0);
  }
  assert_false(support__called(read));
  await_status(loop, write_to(ends[1], "x", 1), PIER_OK);
  await_status(loop, read, PIER_OK);
  streams__close_pair(loop, ends);
  support__close(loop);
}

typedef struct submission {
  pier_handle handle;
  char *buffer;
  support_outcome *outcome;
} submission;

static void submit_and_exit(void *context) {
  submission *read = context;
  pier_read(read->handle, read->buffer, 10, PIER_NO_DEADLINE, support__take, read->outcome);
}

/* An operation outlives the thread that submitted it. */
static void b36_an_operation_outlives_its_thread(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    submission *read = support__alloc(sizeof *read);
    streams__pair(loop, (streams_sort)sort, ends);
    *read = (submission){ends[0], support__alloc(10), support__outcome()};
    support__thread_join(support__thread_start(submit_and_exit, read));
    assert_false(support__called(read->outcome));
    await_status(loop, write_to(ends[1], "late", 4), PIER_OK);
    await_status(loop, read->outcome, PIER_OK);
    assert_memory_equal(read->buffer, "late", 4);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b31_a_waiting_read_is_cancelled),
      SUPPORT_TEST_POOL(b31_a_waiting_read_is_cancelled),
      SUPPORT_TEST(b31_only_the_cancelled_one_ends),
      SUPPORT_TEST_POOL(b31_only_the_cancelled_one_ends),
      SUPPORT_TEST(b31_data_and_cancel_race),
      SUPPORT_TEST_POOL(b31_data_and_cancel_race),
      SUPPORT_TEST(b31_a_cancel_that_comes_too_late_is_benign),
      SUPPORT_TEST(b31_cancelling_twice_gives_one_callback),
      SUPPORT_TEST_POOL(b31_cancelling_twice_gives_one_callback),
      SUPPORT_TEST(b31_a_stuck_write_is_cancelled),
      SUPPORT_TEST_POOL(b31_a_stuck_write_is_cancelled),
      SUPPORT_TEST(b33_who_asks_first_gives_the_reason),
      SUPPORT_TEST_POOL(b33_who_asks_first_gives_the_reason),
      SUPPORT_TEST(b31_cancel_from_a_callback),
      SUPPORT_TEST_POOL(b31_cancel_from_a_callback),
      SUPPORT_TEST(b32_cancel_of_a_recycled_id_touches_nothing),
      SUPPORT_TEST_POOL(b32_cancel_of_a_recycled_id_touches_nothing),
      SUPPORT_TEST(b32_ids_of_no_open_loop_are_refused),
      SUPPORT_TEST(b32_chance_numbers_touch_nothing),
      SUPPORT_TEST_POOL(b32_chance_numbers_touch_nothing),
      SUPPORT_TEST(b36_an_operation_outlives_its_thread),
      SUPPORT_TEST_POOL(b36_an_operation_outlives_its_thread),
  };
  return support__main(argc, argv, "cancel", tests, sizeof tests / sizeof tests[0]);
}
