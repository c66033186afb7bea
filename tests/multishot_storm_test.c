/* Readers that keep reading, started, cancelled, timed out and closed by four threads at once, while others write, and peers go away.
 * PIER_STRESS_SECONDS sets how long. */
#include "streams.h"

enum { SLOTS = 21, THREADS = 4, READERS_MAX = 3, WRITE_MAX = 4000 };

typedef struct storm storm;

/* A pair: the first end is read, the second is written. Where one reader at a time has it what he gets is compared. */
typedef struct slot {
  storm *home;
  streams_sort sort;
  bool compared;
  _Atomic uint64_t ends[2];
  atomic_uint open; /* ends whose close has not been called back */
  atomic_uint readers;
  _Atomic uint64_t operation; /* of the latest */
  atomic_bool inside, writing;
  _Atomic uint64_t written, read; /* how far the pattern has got */
  atomic_int last_status;
  unsigned char bytes[WRITE_MAX];
} slot;

struct storm {
  pier_loop *loop;
  atomic_bool stop;
  support_event *over;
  atomic_uint resting; /* throwers that have stopped */
  atomic_uint started, chunks, ended, overlaps, wrong, strange, reopened;
  atomic_uint by_status[64];
  slot slots[SLOTS];
};

typedef struct thrower {
  storm *home;
  uint64_t seed;
} thrower;

static bool is_known(const pier_result *result) {
  switch (result->status) {
  case PIER_OK:
    return result->end;
  case PIER_ECANCELED:
  case PIER_ETIMEDOUT:
  case PIER_ECLOSED:
  case PIER_ECONNRESET:
  case PIER_ECONNREFUSED: /* of a datagram whose receiver was closed */
  case PIER_ECONNABORTED:
    return true;
  default:
    return false;
  }
}

static void take_chunk(slot *self, const pier_result *result) {
  if (result->status != PIER_OK || result->end || !result->data)
    atomic_fetch_add(&self->home->strange, 1);
  if (self->compared && !support__filled(result->data, result->bytes, atomic_load(&self->read)))
    atomic_fetch_add(&self->home->wrong, 1);
  atomic_fetch_add(&self->read, result->bytes);
  atomic_fetch_add(&self->home->chunks, 1);
}

static void take_last(slot *self, const pier_result *result) {
  if (!is_known(result) || result->data || result->bytes)
    atomic_fetch_add(&self->home->strange, 1);
  if (result->status <= 0 && result->status > -64)
    atomic_fetch_add(&self->home->by_status[-result->status], 1);
  atomic_store(&self->last_status, result->status);
  atomic_fetch_add(&self->home->ended, 1);
}

/* A reader that came after the close is refused, which is told on no strand: it may be beside the others. */
static void take_read(const pier_result *result) {
  slot *self = result->context;
  bool more = result->more, apart = result->status == PIER_ECLOSED;
  if (!apart && atomic_exchange(&self->inside, true))
    atomic_fetch_add(&self->home->overlaps, 1);
  if (more)
    take_chunk(self, result);
  else
    take_last(self, result);
  if (!apart)
    atomic_store(&self->inside, false);
  if (!more)
    atomic_fetch_sub(&self->readers, 1);
  support__signal();
}

static void take_close(const pier_result *result) {
  slot *self = result->context;
  atomic_fetch_sub(&self->open, 1);
  support__signal();
}

static void take_written(const pier_result *result) {
  slot *self = result->context;
  atomic_fetch_add(&self->written, result->bytes);
  atomic_store(&self->writing, false);
  support__signal();
}

static void start_reader(slot *self, uint64_t deadline_ns) {
  if (atomic_fetch_add(&self->readers, 1) >= (self->compared ? 1 : READERS_MAX)) {
    atomic_fetch_sub(&self->readers, 1);
    return;
  }
  atomic_fetch_add(&self->home->started, 1); /* before: the callback may come first */
  pier_operation operation = pier_read_multishot(atomic_load(&self->ends[0]), deadline_ns, take_read, self);
  if (operation) {
    atomic_store(&self->operation, operation);
    return;
  }
  atomic_fetch_sub(&self->home->started, 1);
  atomic_fetch_sub(&self->readers, 1);
}

/* What goes at once goes at once; the rest, or all of it, with an operation. */
static void write_some(slot *self, uint64_t *seed) {
  size_t length = 1 + (size_t)support__random_below(seed, self->sort == STREAMS_UDP || self->sort == STREAMS_KEPT_UDP ? 500 : WRITE_MAX);
  size_t written = 0;
  if (atomic_exchange(&self->writing, true))
    return;
  pier_handle handle = atomic_load(&self->ends[1]);
  support__fill(self->bytes, length, atomic_load(&self->written));
  if (support__random_below(seed, 2))
    (void)pier_try_write(handle, self->bytes, length, &written);
  atomic_fetch_add(&self->written, written);
  bool all = written == length;
  if (all || !pier_write(handle, self->bytes + written, length - written, PIER_NO_DEADLINE, take_written, self))
    atomic_store(&self->writing, false);
}

static void throw_once(storm *home, uint64_t *seed) {
  slot *self = &home->slots[support__random_below(seed, SLOTS)];
  uint64_t chance = support__random_below(seed, 1000);
  if (chance < 300)
    start_reader(self, support__random_below(seed, 6) ? PIER_NO_DEADLINE : pier_now_ns() + support__random_below(seed, 3 * PIER_MILLISECOND));
  else if (chance < 650)
    write_some(self, seed);
  else if (chance < 950)
    pier_cancel(atomic_load(&self->operation));
  else if (chance < 997)
    support__yield();
  else
    pier_close(atomic_load(&self->ends[support__random_below(seed, 2)]), take_close, self);
}

static void throw_about(void *context) {
  thrower *self = context;
  while (!atomic_load(&self->home->stop))
    throw_once(self->home, &self->seed);
  support__count(&self->home->resting);
  /* What they have started is to end before they do: of a thread that ends while its call is being cancelled Wine queues a packet and
     leaves the call's status unwritten, and such a packet is not believed. */
  support__event_wait(self->home->over, PIER_NO_TIMEOUT);
}

/* ---- Pairs ---- */

static void open_slot(storm *home, unsigned i) {
  slot *self = &home->slots[i];
  pier_handle ends[2];
  streams__pair(home->loop, self->sort, ends);
  if (self->sort == STREAMS_TCP || self->sort == STREAMS_KEPT_TCP)
    assert_status(pier_tcp_set(ends[1], PIER_TCP_LINGER_SECONDS, -1), PIER_OK);
  atomic_store(&self->written, 0);
  atomic_store(&self->read, 0);
  atomic_store(&self->open, 2);
  atomic_store(&self->ends[0], ends[0]);
  atomic_store(&self->ends[1], ends[1]);
}

/* Before there are threads: what stays as it is. */
static void prepare_slot(storm *home, unsigned i) {
  slot *self = &home->slots[i];
  self->home = home;
  self->sort = (streams_sort)(i % STREAMS_SORTS);
  if (self->sort == STREAMS_MESSAGE_PIPE)
    self->sort = STREAMS_TCP;
  self->compared = streams__has_end(self->sort) && i % 3 != 0;
  open_slot(home, i);
}

static bool is_quiet(void *context) {
  slot *self = context;
  return !atomic_load(&self->readers) && !atomic_load(&self->writing);
}

static bool is_through(void *context) {
  slot *self = context;
  return is_quiet(self) && !atomic_load(&self->open);
}

typedef struct patience {
  slot *self;
  uint64_t end_ns;
} patience;

/* Says once how things stand, if it takes long. */
static bool is_closed(void *context) {
  patience *with = context;
  slot *self = with->self;
  if (is_through(self))
    return true;
  if (pier_now_ns() < with->end_ns)
    return false;
  with->end_ns = UINT64_MAX;
  print_message("%s: %u open, %u readers, %s, %u and %u in flight\n", streams__name(self->sort), atomic_load(&self->open),
                atomic_load(&self->readers), atomic_load(&self->writing) ? "writing" : "not writing",
                pier_handle_in_flight(atomic_load(&self->ends[0])), pier_handle_in_flight(atomic_load(&self->ends[1])));
  return false;
}

static void until_closed(slot *self) {
  patience with = {self, pier_now_ns() + 8 * PIER_SECOND};
  support__until(self->home->loop, is_closed, &with, "a pair to be closed");
}

static void keep_up(storm *home, uint64_t end_ns) {
  while (pier_now_ns() < end_ns) {
    if (support__threads() == 0)
      pier_loop_run(home->loop, PIER_RUN_ONCE, PIER_MILLISECOND);
    else
      support__signal_wait_os(PIER_MILLISECOND);
    for (unsigned i = 0; i < SLOTS; i++) {
      if (!is_through(&home->slots[i]))
        continue;
      open_slot(home, i);
      atomic_fetch_add(&home->reopened, 1);
    }
  }
}

/* The last reader of a pair that is still there gets what is left, to the last byte, and then the end. */
static void read_to_the_end(slot *self) {
  storm *home = self->home;
  bool whole = self->compared && atomic_load(&self->open) == 2 && pier_handle_state(atomic_load(&self->ends[0])) != PIER_STATE_CLOSING &&
               pier_handle_state(atomic_load(&self->ends[1])) != PIER_STATE_CLOSING;
  if (!whole) {
    pier_close(atomic_load(&self->ends[0]), take_close, self);
    pier_close(atomic_load(&self->ends[1]), take_close, self);
    until_closed(self);
    return;
  }
  pier_cancel(atomic_load(&self->operation));
  /* One that was put off by the cancel of the one before it may be left: it is what we want. */
  start_reader(self, PIER_NO_DEADLINE);
  while (atomic_load(&self->writing))
    support__threads() ? (void)support__signal_wait_os(PIER_MILLISECOND) : (void)pier_loop_run(home->loop, PIER_RUN_ONCE, PIER_MILLISECOND);
  while (!atomic_load(&self->readers))
    start_reader(self, PIER_NO_DEADLINE);
  pier_close(atomic_load(&self->ends[1]), take_close, self);
  do {
    support__until(home->loop, is_quiet, self, "the last reader");
    if (atomic_load(&self->last_status) != PIER_OK)
      start_reader(self, PIER_NO_DEADLINE);
  } while (!is_quiet(self));
  assert_int_equal(atomic_load(&self->read), atomic_load(&self->written));
  pier_close(atomic_load(&self->ends[0]), take_close, self);
  until_closed(self);
}

static void print_storm(const storm *home) {
  print_message("%u readers, %u chunks, %u pairs more", atomic_load(&home->started), atomic_load(&home->chunks), atomic_load(&home->reopened));
  for (int i = 0; i < 64; i++) {
    if (atomic_load(&home->by_status[i]))
      print_message(", %s %u", pier_error_name(-i), atomic_load(&home->by_status[i]));
  }
  print_message("\n");
}

static void blow(storm *home, double seconds, uint64_t *seed) {
  support_thread *threads[THREADS];
  thrower throwers[THREADS];
  home->loop = support__open();
  home->over = support__event_open();
  for (unsigned i = 0; i < SLOTS; i++)
    prepare_slot(home, i);
  for (int t = 0; t < THREADS; t++) {
    throwers[t] = (thrower){home, support__random(seed)};
    threads[t] = support__thread_start(throw_about, &throwers[t]);
  }
  keep_up(home, pier_now_ns() + (uint64_t)(seconds * 1e9));
  atomic_store(&home->stop, true);
  support__until_count(NULL, &home->resting, THREADS, "the throwers");
  for (unsigned i = 0; i < SLOTS; i++)
    read_to_the_end(&home->slots[i]);
  support__event_set(home->over);
  for (int t = 0; t < THREADS; t++)
    support__thread_join(threads[t]);
  support__event_close(home->over);
  print_storm(home);
  support__close(home->loop);
  assert_int_equal(atomic_load(&home->started), atomic_load(&home->ended));
  assert_int_equal(atomic_load(&home->overlaps), 0);
  assert_int_equal(atomic_load(&home->wrong), 0);
  assert_int_equal(atomic_load(&home->strange), 0);
}

static bool handles_are_back(void *context) {
  const size_t *handles = context;
  return support__handle_count() <= *handles + 2;
}

/* Each reader has one last callback, no byte is lost, doubled or out of order whoever reads next, and nothing leaks. */
static void b38_a_storm_on_readers_loses_and_leaks_nothing(void **state) {
  (void)state;
  uint64_t seed = support__seed();
  blow(support__alloc(sizeof(storm)), 0.1, &seed); /* for what the system and the C library keep for good */
  storm *home = support__alloc(sizeof *home);
  size_t handles = support__handle_count(), heap_bytes = support__heap_bytes();
  blow(home, support__stress_seconds(1), &seed);
  support__until(NULL, handles_are_back, &handles, "the handles to be given back");
  assert_true(support__heap_bytes() < heap_bytes + 64 * 1024);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b38_a_storm_on_readers_loses_and_leaks_nothing),
      SUPPORT_CASE(b38_a_storm_on_readers_loses_and_leaks_nothing, "_on_two_threads", 2),
      SUPPORT_TEST_POOL(b38_a_storm_on_readers_loses_and_leaks_nothing),
  };
  return support__main(argc, argv, "multishot_storm", tests, sizeof tests / sizeof tests[0]);
}
