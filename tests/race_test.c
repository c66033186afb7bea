/* Reading and closing at the same time, over and over, on every kind of handle. */
#include "streams.h"
#include "sync_native.h"

enum { READS = 2, ROUNDS_LEAST = 40, ROUNDS_MOST = 10000, FILE_BYTES = 64 };

/* What there is beside the sorts of streams. */
enum { KIND_KEPT_MESSAGE_PIPE = STREAMS_SORTS, KIND_ANONYMOUS_PIPE, KIND_FILE, KIND_KEPT_FILE, KIND_BLOCKING_FILE, KINDS };

static const char *kind__name(int kind) {
  static const char *const names[] = {"kept message pipe", "anonymous pipe", "file", "kept file", "blocking file"};
  return kind < STREAMS_SORTS ? streams__name((streams_sort)kind) : names[kind - STREAMS_SORTS];
}

/* What the rounds of one kind have in common. */
typedef struct ground {
  pier_loop *loop;
  int kind;
  pier_handle listener;
  pier_address address;
  const char *path;
} ground;

static void ground__open(ground *here, pier_loop *loop, int kind) {
  *here = (ground){.loop = loop, .kind = kind};
  if (kind == STREAMS_TCP)
    here->listener = streams__tcp_listen(loop, &here->address);
  if (kind >= KIND_FILE)
    here->path = support__temp_file(FILE_BYTES);
}

static void ground__close(const ground *here) {
  if (here->listener)
    support__close_handle(here->loop, here->listener);
}

static void ground__add(const ground *here, pier_native native, const pier_register_options *options, pier_handle *handle) {
  assert_status(pier_register(here->loop, native, options, handle), PIER_OK);
}

/* The first one is read from and closed; the second one, its other end, may be none. */
static void ground__make(const ground *here, pier_handle ends[2]) {
  const pier_register_options kept = {.association = PIER_ASSOCIATE_NEVER, .mode = PIER_MODE_OVERLAPPED};
  const pier_register_options pipe = {.kind = PIER_KIND_PIPE, .mode = PIER_MODE_BLOCKING};
  const pier_register_options file = {.kind = PIER_KIND_FILE, .mode = PIER_MODE_BLOCKING};
  pier_native natives[2];
  ends[1] = 0;
  switch (here->kind) {
  case STREAMS_TCP:
    streams__tcp_connect(here->loop, here->listener, &here->address, ends);
    break;
  case KIND_KEPT_MESSAGE_PIPE:
    support__native_pipe_pair(true, true, true, natives);
    ground__add(here, natives[0], &kept, &ends[0]);
    ground__add(here, natives[1], &kept, &ends[1]);
    break;
  case KIND_ANONYMOUS_PIPE:
    sync_native__anonymous_pipe(natives);
    ground__add(here, natives[0], &pipe, &ends[0]);
    ground__add(here, natives[1], &pipe, &ends[1]);
    break;
  case KIND_FILE:
    assert_status(pier_file_open_sync(here->loop, here->path, PIER_OPEN_READ, &ends[0]), PIER_OK);
    break;
  case KIND_KEPT_FILE:
    ground__add(here, sync_native__open_file(here->path, true), &kept, &ends[0]);
    break;
  case KIND_BLOCKING_FILE:
    ground__add(here, sync_native__open_file(here->path, false), &file, &ends[0]);
    break;
  default:
    streams__pair(here->loop, (streams_sort)here->kind, ends);
  }
}

/* What the callbacks of one round have said. */
typedef struct verdict {
  atomic_uint reads, served, closes, late, strange;
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
  atomic_fetch_add(&noted->served, result->status == PIER_OK);
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

/* The close comes before the reads, amidst them, when they are in flight, or when some have been served. */
static void come_between(pier_loop *loop, const reader *other, uint64_t *seed) {
  uint64_t moment = support__random_below(seed, 4);
  if (moment >= 2)
    assert_true(support__event_wait(other->done, 10 * PIER_SECOND));
  for (uint64_t turns = moment == 3 ? support__random_below(seed, 6) : 0; turns > 0; turns--) {
    if (support__threads() == 0)
      pier_loop_run(loop, PIER_RUN_NOWAIT, 0);
    support__yield();
  }
  if (moment == 1)
    support__yield();
  dawdle(support__random_below(seed, 5000));
}

static unsigned race_once(const ground *here, reader *other, uint64_t *seed) {
  pier_handle ends[2];
  ground__make(here, ends);
  other->handle = ends[0];
  other->noted = support__alloc(sizeof *other->noted);
  other->dawdle = support__random_below(seed, 5000);
  if (ends[1] && support__random_below(seed, 3) == 0)
    assert_true(pier_write(ends[1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
  support__event_set(other->go);
  come_between(here->loop, other, seed);
  assert_status(pier_close(ends[0], take_close, other->noted), PIER_OK);
  assert_true(support__event_wait(other->done, 10 * PIER_SECOND));
  support__event_reset(other->done);
  support__until_count(here->loop, &other->noted->closes, 1, "the close callback");
  support__until_count(here->loop, &other->noted->reads, READS, "the callbacks of the reads");
  if (ends[1])
    support__close_handle(here->loop, ends[1]);
  assert_int_equal(other->refused, 0);
  assert_int_equal(atomic_load(&other->noted->reads), READS);
  assert_int_equal(atomic_load(&other->noted->closes), 1);
  assert_int_equal(atomic_load(&other->noted->strange), 0);
  assert_int_equal(atomic_load(&other->noted->late), 0);
  return atomic_load(&other->noted->served);
}

/* What the process holds when everything has been made that is kept. */
typedef struct holdings {
  size_t handles, heap_bytes;
  uint64_t events;
} holdings;

static holdings holdings__now(pier_loop *loop) {
  return (holdings){support__handle_count(), support__heap_bytes(), support__metrics(loop).events_created};
}

static bool goes_on(unsigned round, uint64_t end_ns) {
  unsigned wanted = support__stress_rounds();
  if (wanted && round % 500 == 0)
    support__watch(__func__, 300 * PIER_SECOND * support__patience); /* for the next ones */
  if (wanted || round < ROUNDS_LEAST)
    return round < (wanted ? wanted : ROUNDS_LEAST);
  return round < ROUNDS_MOST && pier_now_ns() < end_ns;
}

static void race_on(int kind) {
  uint64_t seed = support__seed(), began_ns = pier_now_ns(), end_ns = began_ns + (uint64_t)(support__stress_seconds(2.4) * 1e9 / KINDS);
  pier_loop *loop = support__open();
  ground here;
  ground__open(&here, loop, kind);
  reader *other = support__alloc(sizeof *other);
  other->go = support__event_open();
  other->done = support__event_open();
  support_thread *thread = support__thread_start(read_in_rounds, other);
  holdings before = {0, 0, 0};
  unsigned round = 0, served = 0;
  while (goes_on(round, end_ns)) {
    served += race_once(&here, other, &seed);
    if (++round == ROUNDS_LEAST / 2)
      before = holdings__now(loop);
  }
  holdings after = holdings__now(loop);
  /* Workers are made in the first rounds and kept, and an event and what waits for it with each slot that comes to need one. */
  if (round >= ROUNDS_LEAST / 2) {
    assert_true(after.handles <= before.handles + 16 + 2 * (size_t)(after.events - before.events));
    assert_true(after.heap_bytes <= before.heap_bytes + 64 * 1024);
  }
  other->stop = true;
  support__event_set(other->go);
  support__thread_join(thread);
  support__event_close(other->go);
  support__event_close(other->done);
  ground__close(&here);
  support__close(loop);
  print_message("%s: %u rounds in %u ms, %u of %u reads served, %d handles and %d bytes more, %u events\n", kind__name(kind), round,
                (unsigned)((pier_now_ns() - began_ns) / PIER_MILLISECOND), served, READS * round, (int)(after.handles - before.handles),
                (int)(after.heap_bytes - before.heap_bytes), (unsigned)after.events);
}

/* A read and a close race: the read ends with its result or ECLOSED, the close is called back once and last, nothing
 * leaks. */
static void b34_read_and_close_race(void **state) {
  (void)state;
  for (int kind = 0; kind < KINDS; kind++)
    race_on(kind);
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
