/* Chance submits, cancels, deadlines, closes and completions from four threads at once. PIER_STRESS_SECONDS sets how
 * long. */
#include "streams.h"

enum { RECORDS = 10000, PAIRS = 20, THREADS = 4, BUFFER_BYTES = 48 };

typedef struct storm storm;

/* One operation at a time: its buffer must stay valid until the callback. */
typedef struct record {
  storm *home;
  _Atomic uint64_t id;
  atomic_bool taken;
  char buffer[BUFFER_BYTES];
} record;

typedef struct pair_slot {
  storm *home;
  _Atomic uint64_t ends[2];
  atomic_uint open; /* ends whose close has not been called back */
} pair_slot;

struct storm {
  pier_loop *loop;
  atomic_bool stop;
  support_event *over;
  atomic_uint resting; /* throwers that have stopped */
  atomic_uint submitted, called_back, refused, closes, closed, twice, strange;
  atomic_uint by_status[64];
  pier_result first_strange;
  pair_slot slots[PAIRS];
  record records[RECORDS];
};

typedef struct thrower {
  storm *home;
  uint64_t seed;
} thrower;

static bool known_status(int status) {
  switch (status) {
  case PIER_OK:
  case PIER_ECANCELED:
  case PIER_ETIMEDOUT:
  case PIER_ECLOSED:
  case PIER_EPIPE:
  case PIER_EMSGSIZE:
  case PIER_ECONNRESET:
  case PIER_ECONNREFUSED: /* of a datagram whose receiver was closed */
  case PIER_ECONNABORTED:
    return true;
  default:
    return false;
  }
}

static void take_back(const pier_result *result) {
  record *one = result->context;
  storm *home = one->home;
  if (!known_status(result->status) && atomic_fetch_add(&home->strange, 1) == 0)
    home->first_strange = *result;
  if (result->status <= 0 && result->status > -64)
    atomic_fetch_add(&home->by_status[-result->status], 1);
  if (!atomic_exchange(&one->taken, false))
    atomic_fetch_add(&home->twice, 1);
  atomic_fetch_add(&home->called_back, 1);
}

static void take_close(const pier_result *result) {
  pair_slot *slot = result->context;
  atomic_fetch_add(&slot->home->closed, 1);
  atomic_fetch_sub(&slot->open, 1);
  support__signal();
}

static void submit_one(storm *home, uint64_t *seed) {
  record *one = &home->records[support__random_below(seed, RECORDS)];
  pair_slot *slot = &home->slots[support__random_below(seed, PAIRS)];
  pier_handle handle = atomic_load(&slot->ends[support__random_below(seed, 2)]);
  /* Closed ends are tried as well, but only now and then, for nothing much happens there. */
  if (atomic_load(&slot->open) < 2 && support__random_below(seed, 50) > 0)
    return;
  if (atomic_exchange(&one->taken, true))
    return;
  size_t length = (size_t)support__random_below(seed, BUFFER_BYTES + 1);
  uint64_t deadline_ns = support__random_below(seed, 8)
                             ? PIER_NO_DEADLINE
                             : pier_now_ns() + support__random_below(seed, 4 * PIER_MILLISECOND);
  /* More reads than writes, so that many wait and are there to be cancelled. */
  bool read = support__random_below(seed, 10) < 6;
  /* Counted first: the callback may come before the submit returns. */
  atomic_fetch_add(&home->submitted, 1);
  pier_operation id = read ? pier_read(handle, one->buffer, length, deadline_ns, take_back, one)
                           : pier_write(handle, one->buffer, length, deadline_ns, take_back, one);
  if (id) {
    atomic_store(&one->id, id);
  } else {
    atomic_fetch_sub(&home->submitted, 1);
    atomic_fetch_add(&home->refused, 1);
    atomic_store(&one->taken, false);
  }
}

static void throw_about(void *context) {
  thrower *self = context;
  storm *home = self->home;
  while (!atomic_load(&home->stop)) {
    uint64_t chance = support__random_below(&self->seed, 100);
    if (chance < 55) {
      submit_one(home, &self->seed);
    } else if (chance < 98) {
      /* In flight, or finished long ago. */
      pier_cancel(atomic_load(&home->records[support__random_below(&self->seed, RECORDS)].id));
    } else if (chance < 99 || support__random_below(&self->seed, 20) > 0) {
      support__yield();
    } else {
      pair_slot *slot = &home->slots[support__random_below(&self->seed, PAIRS)];
      if (pier_close(atomic_load(&slot->ends[support__random_below(&self->seed, 2)]), take_close, slot) == PIER_OK)
        atomic_fetch_add(&home->closes, 1);
    }
  }
  support__count(&home->resting);
  /* What they have started is to end before they do: see multishot_storm_test.c. */
  support__event_wait(home->over, PIER_NO_TIMEOUT);
}

static void open_slot(storm *home, pair_slot *slot, streams_sort sort) {
  pier_handle ends[2];
  slot->home = home;
  atomic_store(&slot->open, 2);
  streams__pair(home->loop, sort, ends);
  atomic_store(&slot->ends[0], ends[0]);
  atomic_store(&slot->ends[1], ends[1]);
}

/* The case's own thread turns the loop, if that is its part, and replaces the pairs that are closed. */
static void keep_up(storm *home, uint64_t end_ns) {
  while (pier_now_ns() < end_ns) {
    if (support__threads() == 0)
      pier_loop_run(home->loop, PIER_RUN_ONCE, PIER_MILLISECOND);
    else
      support__signal_wait_os(PIER_MILLISECOND);
    for (int i = 0; i < PAIRS; i++) {
      if (atomic_load(&home->slots[i].open) == 0)
        open_slot(home, &home->slots[i], (streams_sort)(i % STREAMS_SORTS));
    }
  }
}

static bool all_called_back(void *context) {
  storm *home = context;
  return atomic_load(&home->called_back) == atomic_load(&home->submitted) &&
         atomic_load(&home->closed) == atomic_load(&home->closes);
}

/* Of a handle that has not been replaced since; otherwise STREAMS_SORTS. */
static unsigned sort_of(const storm *home, pier_handle handle) {
  for (unsigned i = 0; i < PAIRS; i++)
    for (int end = 0; end < 2; end++)
      if (atomic_load(&home->slots[i].ends[end]) == handle)
        return i % STREAMS_SORTS;
  return STREAMS_SORTS;
}

static void print_storm(const storm *home) {
  print_message("%u submitted, %u called back, %u refused, %u closes", atomic_load(&home->submitted),
                atomic_load(&home->called_back), atomic_load(&home->refused), atomic_load(&home->closes));
  for (int i = 0; i < 64; i++) {
    if (atomic_load(&home->by_status[i]))
      print_message(", %s %u", pier_error_name(-i), atomic_load(&home->by_status[i]));
  }
  print_message("\n");
  if (atomic_load(&home->strange))
    print_message("the first strange one: status %d, system code %u, %u bytes, operation %llx, handle %llx of sort %u\n", home->first_strange.status,
                  home->first_strange.system_code, (unsigned)home->first_strange.bytes, (unsigned long long)home->first_strange.operation,
                  (unsigned long long)home->first_strange.handle, sort_of(home, home->first_strange.handle));
}

static void blow(storm *home, double seconds, uint64_t *seed) {
  support_thread *threads[THREADS];
  thrower throwers[THREADS];
  home->loop = support__open();
  home->over = support__event_open();
  for (int i = 0; i < RECORDS; i++)
    home->records[i].home = home;
  for (int i = 0; i < PAIRS; i++)
    open_slot(home, &home->slots[i], (streams_sort)(i % STREAMS_SORTS));
  for (int t = 0; t < THREADS; t++) {
    throwers[t] = (thrower){home, support__random(seed)};
    threads[t] = support__thread_start(throw_about, &throwers[t]);
  }
  keep_up(home, pier_now_ns() + (uint64_t)(seconds * 1e9));
  atomic_store(&home->stop, true);
  support__until_count(home->loop, &home->resting, THREADS, "the throwers to stop");
  for (int i = 0; i < PAIRS; i++) {
    for (int end = 0; end < 2; end++) {
      if (pier_close(atomic_load(&home->slots[i].ends[end]), take_close, &home->slots[i]) == PIER_OK)
        atomic_fetch_add(&home->closes, 1);
    }
  }
  support__until(home->loop, all_called_back, home, "everything to be called back");
  support__event_set(home->over);
  for (int t = 0; t < THREADS; t++)
    support__thread_join(threads[t]);
  support__event_close(home->over);
  print_storm(home);
  support__close(home->loop);
  for (int i = 0; i < RECORDS; i++)
    assert_false(atomic_load(&home->records[i].taken));
  assert_int_equal(atomic_load(&home->called_back), atomic_load(&home->submitted));
  assert_int_equal(atomic_load(&home->twice), 0);
  assert_int_equal(atomic_load(&home->strange), 0);
}

static bool handles_are_back(void *context) {
  const size_t *handles = context;
  return support__handle_count() <= *handles + 2;
}

/* Whatever happens, what was submitted is called back once, and slots, handles and memory are back where they were. */
static void b38_a_cancel_storm_loses_and_leaks_nothing(void **state) {
  (void)state;
  uint64_t seed = support__seed();
  /* The first one is for what the system and the C library keep for good. */
  blow(support__alloc(sizeof(storm)), 0.7, &seed);
  storm *home = support__alloc(sizeof *home);
  size_t handles = support__handle_count(), heap_bytes = support__heap_bytes(),
         committed_bytes = support__committed_bytes();
  blow(home, support__stress_seconds(2), &seed);
  print_message("handles %u, before %u\n", (unsigned)support__handle_count(), (unsigned)handles);
  /* The system's wait threads take a few seconds to leave. */
  support__until(NULL, handles_are_back, &handles, "the handles to be given back");
  assert_true(support__heap_bytes() < heap_bytes + 64 * 1024);
  /* The stacks of a few wait threads of the system's may have come; an unmapped slab would be more. */
  assert_true(support__committed_bytes() < committed_bytes + ((size_t)16 << 20));
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b38_a_cancel_storm_loses_and_leaks_nothing),
      SUPPORT_TEST_POOL(b38_a_cancel_storm_loses_and_leaks_nothing),
  };
  return support__main(argc, argv, "storm", tests, sizeof tests / sizeof tests[0]);
}
