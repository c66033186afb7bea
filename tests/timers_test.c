/* Many timers at once, started and stopped from many threads. */
#include "support.h"

enum { TIMERS = 100000, STOPPERS = 4 };

typedef struct many many;

typedef struct one_timer {
  many *all;
  uint64_t due_ns; /* not before this */
  pier_timer id;
  atomic_uint fired;
  int stopped;
} one_timer;

struct many {
  pier_loop *loop;
  atomic_uint fired, early, twice, threads_done;
  one_timer timers[TIMERS];
};

static void note_one(pier_loop *loop, pier_timer timer, void *context) {
  one_timer *one = context;
  (void)loop;
  (void)timer;
  if (pier_now_ns() < one->due_ns)
    atomic_fetch_add(&one->all->early, 1);
  if (atomic_fetch_add(&one->fired, 1) != 0)
    atomic_fetch_add(&one->all->twice, 1);
  support__count(&one->all->fired);
}

static void start_one(many *all, unsigned number, uint64_t timeout_ns) {
  one_timer *one = &all->timers[number];
  one->all = all;
  one->stopped = PIER_EAGAIN;
  one->due_ns = pier_now_ns() + timeout_ns;
  one->id = pier_timer_start(all->loop, timeout_ns, 0, note_one, one);
}

/* A hundred thousand timers with chance times all fire, once each and none early. */
static void a_hundred_thousand_timers_fire_once(void **state) {
  (void)state;
  many *all = support__alloc(sizeof *all);
  uint64_t seed = support__seed();
  all->loop = support__open();
  for (unsigned i = 0; i < TIMERS; i++) {
    start_one(all, i, support__random_below(&seed, 200 * PIER_MILLISECOND));
    assert_true(all->timers[i].id != 0);
  }
  support__until_count(all->loop, &all->fired, TIMERS, "a hundred thousand timers");
  assert_int_equal(atomic_load(&all->early), 0);
  assert_int_equal(atomic_load(&all->twice), 0);
  pier_metrics metrics = support__metrics(all->loop);
  assert_int_equal(metrics.timers_fired, TIMERS);
  assert_int_equal(metrics.timers, 0);
  support__close(all->loop);
  assert_int_equal(atomic_load(&all->fired), TIMERS);
}

/* Half of a hundred thousand timers are stopped, in chance order: they do not fire, and the others all do. */
static void stopped_ones_among_many_do_not_fire(void **state) {
  (void)state;
  many *all = support__alloc(sizeof *all);
  uint64_t seed = support__seed();
  unsigned stopped = 0;
  all->loop = support__open();
  for (unsigned i = 0; i < TIMERS; i++)
    start_one(all, i, 10 * PIER_SECOND + support__random_below(&seed, PIER_SECOND));
  for (unsigned i = 0; i < TIMERS; i++) {
    one_timer *one = &all->timers[support__random_below(&seed, TIMERS)];
    if (one->stopped == PIER_EAGAIN) {
      one->stopped = pier_timer_stop(one->id);
      assert_status(one->stopped, PIER_OK);
      stopped++;
    }
  }
  assert_int_equal(support__metrics(all->loop).timers, TIMERS - stopped);
  for (unsigned i = 0; i < TIMERS; i++) {
    if (all->timers[i].stopped == PIER_EAGAIN) {
      all->timers[i].due_ns = 0;
      assert_status(pier_timer_restart(all->timers[i].id, support__random_below(&seed, 100 * PIER_MILLISECOND)),
                    PIER_OK);
    }
  }
  support__until_count(all->loop, &all->fired, TIMERS - stopped, "the timers that were not stopped");
  for (unsigned i = 0; i < TIMERS; i++)
    assert_int_equal(atomic_load(&all->timers[i].fired), all->timers[i].stopped == PIER_EAGAIN);
  support__close(all->loop);
}

typedef struct stopper {
  many *all;
  unsigned first, count;
  uint64_t seed;
} stopper;

static void start_and_stop(void *context) {
  stopper *self = context;
  for (unsigned i = self->first; i < self->first + self->count; i++) {
    uint64_t timeout_ns = support__random_below(&self->seed, 2 * PIER_MILLISECOND);
    start_one(self->all, i, timeout_ns);
    /* An older one, which may be due, firing or gone by now. */
    one_timer *older = &self->all->timers[i - support__random_below(&self->seed, i - self->first + 1)];
    if (older->stopped == PIER_EAGAIN)
      older->stopped = pier_timer_stop(older->id);
  }
  support__count(&self->all->threads_done);
}

/* Timers are started and stopped from four threads while they fire: each either fires once or is stopped, never both
 * and never neither. */
static void starts_and_stops_race_with_firing(void **state) {
  (void)state;
  enum { EACH = 10000 };
  many *all = support__alloc(sizeof *all);
  stopper *stoppers = support__alloc(STOPPERS * sizeof *stoppers);
  support_thread *threads[STOPPERS];
  uint64_t seed = support__seed();
  all->loop = support__open();
  assert_status(pier_loop_hold(all->loop), PIER_OK);
  for (unsigned t = 0; t < STOPPERS; t++) {
    stoppers[t] = (stopper){all, t * EACH, EACH, support__random(&seed)};
    threads[t] = support__thread_start(start_and_stop, &stoppers[t]);
  }
  support__until_count(all->loop, &all->threads_done, STOPPERS, "the threads that start and stop");
  for (unsigned t = 0; t < STOPPERS; t++)
    support__thread_join(threads[t]);
  assert_status(pier_loop_release(all->loop), PIER_OK);
  support__close(all->loop);
  for (unsigned i = 0; i < STOPPERS * EACH; i++) {
    one_timer *one = &all->timers[i];
    assert_true(one->id != 0);
    assert_true(one->stopped == PIER_OK || one->stopped == PIER_ENOENT || one->stopped == PIER_EAGAIN);
    assert_int_equal(atomic_load(&one->fired), one->stopped != PIER_OK);
  }
  assert_int_equal(atomic_load(&all->early), 0);
}

/* Once the loop has held as many timers, starting and stopping them allocates nothing. */
static void timers_allocate_nothing_the_second_time(void **state) {
  (void)state;
  enum { ROUND = 20000 };
  many *all = support__alloc(sizeof *all);
  all->loop = support__open();
  size_t heap_bytes = 0;
  for (int round = 0; round < 4; round++) {
    for (unsigned i = 0; i < ROUND; i++)
      start_one(all, i, PIER_SECOND);
    for (unsigned i = 0; i < ROUND; i++)
      assert_status(pier_timer_stop(all->timers[i].id), PIER_OK);
    /* The first walk through the heap may itself leave something there. */
    if (round < 2)
      heap_bytes = support__heap_bytes();
  }
  assert_int_equal(support__heap_bytes(), heap_bytes);
  support__close(all->loop);
}

/* When every timer slot is taken the start says so with 0; a stopped timer makes room. */
static void timers_max_is_a_limit(void **state) {
  (void)state;
  const pier_loop_options options = {.threads = support__threads(), .timers_max = 8};
  many *all = support__alloc(sizeof *all);
  all->loop = support__open_with(&options);
  unsigned started = 0;
  do
    start_one(all, started, 100 * PIER_SECOND);
  while (all->timers[started].id != 0 && ++started < 1000);
  assert_int_equal(started, 8);
  assert_status(pier_timer_stop(all->timers[3].id), PIER_OK);
  start_one(all, 3, 100 * PIER_SECOND);
  assert_true(all->timers[3].id != 0);
  for (unsigned i = 0; i < started; i++)
    assert_status(pier_timer_stop(all->timers[i].id), PIER_OK);
  support__close(all->loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(a_hundred_thousand_timers_fire_once),     SUPPORT_TEST_POOL(a_hundred_thousand_timers_fire_once),
      SUPPORT_TEST(stopped_ones_among_many_do_not_fire),     SUPPORT_TEST_POOL(stopped_ones_among_many_do_not_fire),
      SUPPORT_TEST(starts_and_stops_race_with_firing),       SUPPORT_TEST_POOL(starts_and_stops_race_with_firing),
      SUPPORT_TEST(timers_allocate_nothing_the_second_time), SUPPORT_TEST(timers_max_is_a_limit),
  };
  return support__main(argc, argv, "timers", tests, sizeof tests / sizeof tests[0]);
}
