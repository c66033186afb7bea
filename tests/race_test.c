/* Reading and closing at the same time, over and over, on every sort of handle. */
#include "streams.h"

enum { READS = 2, ROUNDS_LEAST = 40, ROUNDS_MOST = 10000 };

/* What the callbacks of one round have said. */
typedef struct verdict {
  atomic_uint reads, closes, late, strange;
  char buffer[READS];
} verdict;

/* A thread that reads while the case's own thread closes; it goes through all rounds. */
typedef struct reader {
  support_event *go, *done;
  pier_handle handle;
  verdict *noted;
  uint64_t dawdle;
  bool stop;
  unsigned refused;
} reader;

static void take_read(const pier_result *result) {
  verdict *noted = result->context;
  /* A read that came after the close is told so after it; one that was served must have been told before. */
  if (result->status == PIER_OK && atomic_load(&noted->closes))
    atomic_fetch_add(&noted->late, 1);
  if (result->status != PIER_ECLOSED && result->status != PIER_OK)
    atomic_fetch_add(&noted->strange, 1);
  support__count(&noted->reads);
}

static void take_close(const pier_result *result) {
  verdict *noted = result->context;
  if (result->status != PIER_OK)
    atomic_fetch_add(&noted->strange, 1);
  support__count(&noted->closes);
}

static void dawdle(uint64_t count) {
  static atomic_uint nothing;
  for (uint64_t i = 0; i < count; i++)
    atomic_load(&nothing);
}

static void read_in_rounds(void *context) {
  reader *self = context;
  for (;;) {
    support__event_wait(self->go, PIER_NO_TIMEOUT);
    support__event_reset(self->go);
    if (self->stop)
      return;
    dawdle(self->dawdle);
    for (int i = 0; i < READS; i++)
      self->refused +=
          pier_read(self->handle, &self->noted->buffer[i], 1, PIER_NO_DEADLINE, take_read, self->noted) == 0;
    support__event_set(self->done);
  }
}

static void race_once(pier_loop *loop, streams_sort sort, reader *other, uint64_t *seed) {
  pier_handle ends[2];
  streams__pair(loop, sort, ends);
  other->handle = ends[0];
  other->noted = support__alloc(sizeof *other->noted);
  other->dawdle = support__random_below(seed, 5000);
  if (support__random_below(seed, 3) == 0)
    assert_true(pier_write(ends[1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
  support__event_set(other->go);
  if (support__random_below(seed, 2))
    support__yield();
  dawdle(support__random_below(seed, 5000));
  assert_status(pier_close(ends[0], take_close, other->noted), PIER_OK);
  assert_true(support__event_wait(other->done, 10 * PIER_SECOND));
  support__event_reset(other->done);
  support__until_count(loop, &other->noted->closes, 1, "the close callback");
  support__until_count(loop, &other->noted->reads, READS, "the callbacks of the reads");
  support__close_handle(loop, ends[1]);
  assert_int_equal(other->refused, 0);
  assert_int_equal(atomic_load(&other->noted->reads), READS);
  assert_int_equal(atomic_load(&other->noted->closes), 1);
  assert_int_equal(atomic_load(&other->noted->strange), 0);
  assert_int_equal(atomic_load(&other->noted->late), 0);
}

static void race_on(streams_sort sort) {
  uint64_t seed = support__seed(),
           end_ns = pier_now_ns() + (uint64_t)(support__stress_seconds(2.4) * 1e9 / STREAMS_SORTS);
  pier_loop *loop = support__open();
  reader *other = support__alloc(sizeof *other);
  other->go = support__event_open();
  other->done = support__event_open();
  support_thread *thread = support__thread_start(read_in_rounds, other);
  size_t handles = 0;
  unsigned round = 0;
  while (round < ROUNDS_LEAST || (round < ROUNDS_MOST && pier_now_ns() < end_ns)) {
    race_once(loop, sort, other, &seed);
    if (++round == ROUNDS_LEAST / 2)
      handles = support__handle_count();
  }
  /* Workers and events are made in the first rounds and kept. */
  assert_true(support__handle_count() <= handles + 16);
  other->stop = true;
  support__event_set(other->go);
  support__thread_join(thread);
  support__event_close(other->go);
  support__event_close(other->done);
  support__close(loop);
  print_message("%s: %u rounds\n", streams__name(sort), round);
}

/* A read and a close race: the read ends with its result or ECLOSED, the close is called back once and last, nothing
 * leaks. */
static void b34_read_and_close_race(void **state) {
  (void)state;
  for (int sort = 0; sort < STREAMS_SORTS; sort++)
    race_on((streams_sort)sort);
}

typedef struct closer {
  support_event *go, *done;
  pier_handle handle;
  verdict *noted;
  bool stop;
  atomic_uint closed, refused;
} closer;

static void close_in_rounds(void *context) {
  closer *self = context;
  for (;;) {
    support__event_wait(self->go, PIER_NO_TIMEOUT);
    support__event_reset(self->go);
    if (self->stop)
      return;
    if (pier_close(self->handle, take_close, self->noted) == PIER_OK)
      atomic_fetch_add(&self->closed, 1);
    else
      atomic_fetch_add(&self->refused, 1);
    support__event_set(self->done);
  }
}

/* Several threads close the same handle: exactly one of them does it, and its callback is the only one. */
static void b34_closes_race_with_one_another(void **state) {
  (void)state;
  enum { CLOSERS = 3, ROUNDS = 60 };
  pier_loop *loop = support__open();
  closer *closers = support__alloc(CLOSERS * sizeof *closers);
  support_thread *threads[CLOSERS];
  for (int t = 0; t < CLOSERS; t++) {
    closers[t].go = support__event_open();
    closers[t].done = support__event_open();
    threads[t] = support__thread_start(close_in_rounds, &closers[t]);
  }
  for (unsigned round = 0; round < ROUNDS; round++) {
    pier_handle ends[2];
    verdict *noted = support__alloc(sizeof *noted);
    assert_status(pier_pipe_pair(loop, NULL, ends), PIER_OK);
    assert_true(pier_read(ends[0], noted->buffer, 1, PIER_NO_DEADLINE, take_read, noted) != 0);
    for (int t = 0; t < CLOSERS; t++) {
      closers[t].handle = ends[0];
      closers[t].noted = noted;
      support__event_set(closers[t].go);
    }
    for (int t = 0; t < CLOSERS; t++) {
      assert_true(support__event_wait(closers[t].done, 10 * PIER_SECOND));
      support__event_reset(closers[t].done);
    }
    support__until_count(loop, &noted->closes, 1, "the close callback");
    support__close_handle(loop, ends[1]);
    assert_int_equal(atomic_load(&noted->closes), 1);
    assert_int_equal(atomic_load(&noted->reads), 1);
    assert_int_equal(atomic_load(&noted->strange), 0);
  }
  unsigned closed = 0;
  for (int t = 0; t < CLOSERS; t++) {
    closers[t].stop = true;
    support__event_set(closers[t].go);
    support__thread_join(threads[t]);
    support__event_close(closers[t].go);
    support__event_close(closers[t].done);
    closed += atomic_load(&closers[t].closed);
  }
  assert_int_equal(closed, ROUNDS);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b34_read_and_close_race),
      SUPPORT_TEST_POOL(b34_read_and_close_race),
      SUPPORT_TEST(b34_closes_race_with_one_another),
      SUPPORT_TEST_POOL(b34_closes_race_with_one_another),
  };
  return support__main(argc, argv, "race", tests, sizeof tests / sizeof tests[0]);
}
