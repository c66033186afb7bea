/* Timers: when they fire, in which order, and how they are stopped. */
#include "support.h"

#include <stdlib.h>

#define FAR_NS (1000 * PIER_SECOND)

typedef struct firing {
  atomic_uint count;
  uint64_t at_ns; /* the last time */
  uint64_t started_before_ns, started_after_ns;
  pier_timer timer;
  bool wrong_arguments;
} firing;

static void note_firing(pier_loop *loop, pier_timer timer, void *context) {
  firing *noted = context;
  noted->at_ns = pier_now_ns();
  noted->wrong_arguments = noted->wrong_arguments || !loop;
  noted->timer = timer;
  support__count(&noted->count);
}

static void count_post(const pier_result *result) {
  support__count(result->context);
}

static pier_timer start(pier_loop *loop, uint64_t timeout_ns, uint64_t repeat_ns, firing *noted) {
  noted->started_before_ns = pier_now_ns();
  pier_timer timer = pier_timer_start(loop, timeout_ns, repeat_ns, note_firing, noted);
  noted->started_after_ns = pier_now_ns();
  assert_true(timer != 0);
  return timer;
}

/* A one-shot timer fires once, never before its time, and is gone then. */
static void one_shot_fires_once_and_never_early(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (uint64_t i = 0; i < 30; i++) {
    firing *noted = support__alloc(sizeof *noted);
    uint64_t timeout_ns = i * 317 * PIER_MICROSECOND;
    pier_timer timer = start(loop, timeout_ns, 0, noted);
    support__until_count(loop, &noted->count, 1, "the timer");
    assert_true(noted->at_ns >= noted->started_before_ns + timeout_ns);
    assert_true(noted->timer == timer);
    assert_false(noted->wrong_arguments);
    assert_status(pier_timer_stop(timer), PIER_ENOENT);
    assert_status(pier_timer_restart(timer, 0), PIER_ENOENT);
    assert_int_equal(pier_timer_due_in_ns(timer), PIER_NO_TIMEOUT);
    assert_int_equal(atomic_load(&noted->count), 1);
  }
  support__close(loop);
}

/* A loop that never waits looks at its timers all the time, and still fires none before its time. */
static void a_busy_loop_fires_nothing_early(void **state) {
  (void)state;
  enum { TIMERS = 30 };
  pier_loop *loop = support__open();
  firing *noted = support__alloc(TIMERS * sizeof *noted);
  atomic_uint *posts = support__alloc(sizeof *posts);
  for (uint64_t i = 0; i < TIMERS; i++)
    start(loop, (i + 1) * 700 * PIER_MICROSECOND, 0, &noted[i]);
  for (unsigned i = 0; i < TIMERS; i++) {
    uint64_t due_ns = noted[i].started_before_ns + (i + 1) * 700 * PIER_MICROSECOND;
    while (atomic_load(&noted[i].count) == 0) {
      assert_true(pier_post(loop, count_post, posts) != 0);
      if (support__threads() == 0)
        assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, 0), PIER_OK);
      else
        support__yield();
    }
    assert_true(noted[i].at_ns >= due_ns);
  }
  support__close(loop);
}

static int compare_times(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return a < b ? -1 : a > b;
}

/* How late timers of several lengths are: the median, since another process may take the processor at any single time. */
static uint64_t median_late_ns(pier_loop *loop) {
  enum { ROUNDS = 41 };
  uint64_t late_ns[ROUNDS];
  for (uint64_t i = 0; i < ROUNDS; i++) {
    firing *noted = support__alloc(sizeof *noted);
    uint64_t timeout_ns = 2 * PIER_MILLISECOND + i * 150 * PIER_MICROSECOND;
    start(loop, timeout_ns, 0, noted);
    support__until_count(loop, &noted->count, 1, "the timer");
    late_ns[i] = noted->at_ns - noted->started_after_ns - timeout_ns;
    /* Taken between the two clock readings around the start, so it may look a hair early. */
    if (noted->at_ns < noted->started_after_ns + timeout_ns)
      late_ns[i] = 0;
  }
  qsort(late_ns, ROUNDS, sizeof late_ns[0], compare_times);
  print_message("late: median %u us, most %u us\n", (unsigned)(late_ns[ROUNDS / 2] / 1000), (unsigned)(late_ns[ROUNDS - 1] / 1000));
  return late_ns[ROUNDS / 2];
}

/* On an idle loop a timer is less than 2 ms late. On a machine that others have the processor of for longer than that nothing can be
   said, so it is measured until there is a quiet moment. */
static void a_timer_is_less_than_2_ms_late(void **state) {
  (void)state;
  enum { MOMENTS_MAX = 20 };
  pier_loop *loop = support__open();
  unsigned moments = 1;
  while (median_late_ns(loop) >= 2 * PIER_MILLISECOND)
    assert_true(moments++ < MOMENTS_MAX);
  support__close(loop);
}

/* A timer of no length fires in the next turn, not inside the start. */
static void a_timer_of_0_fires_in_the_next_turn(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  firing *noted = support__alloc(sizeof *noted);
  start(loop, 0, 0, noted);
  assert_int_equal(atomic_load(&noted->count), 0);
  assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, 0), PIER_OK);
  assert_int_equal(atomic_load(&noted->count), 1);
  support__close(loop);
}

typedef struct beat {
  atomic_uint count;
  unsigned wanted;
  uint64_t at_ns[64];
  uint64_t block_ns; /* the first callback takes this long */
  atomic_uint inside, overlapping;
  int stopped;
} beat;

static void note_beat(pier_loop *loop, pier_timer timer, void *context) {
  beat *noted = context;
  (void)loop;
  uint64_t now_ns = pier_now_ns();
  if (atomic_fetch_add(&noted->inside, 1) != 0)
    atomic_fetch_add(&noted->overlapping, 1);
  unsigned count = atomic_load(&noted->count);
  if (count < noted->wanted)
    noted->at_ns[count] = now_ns;
  while (count == 0 && pier_now_ns() < now_ns + noted->block_ns)
    support__yield();
  if (count + 1 == noted->wanted)
    noted->stopped = pier_timer_stop(timer);
  atomic_fetch_sub(&noted->inside, 1);
  support__count(&noted->count);
}

/* A repeating timer keeps its beat, and stops when its own callback says so. */
static void a_repeating_timer_keeps_its_beat(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  beat *noted = support__alloc(sizeof *noted);
  noted->wanted = 20;
  uint64_t before_ns = pier_now_ns();
  pier_timer timer = pier_timer_start(loop, 2 * PIER_MILLISECOND, 5 * PIER_MILLISECOND, note_beat, noted);
  assert_true(timer != 0);
  support__until_count(loop, &noted->count, noted->wanted, "20 beats");
  for (unsigned i = 0; i < noted->wanted; i++)
    assert_true(noted->at_ns[i] >= before_ns + 2 * PIER_MILLISECOND + i * 5 * PIER_MILLISECOND);
  assert_status(noted->stopped, PIER_OK);
  assert_status(pier_timer_stop(timer), PIER_ENOENT);
  support__close(loop);
  assert_int_equal(atomic_load(&noted->count), noted->wanted);
  assert_int_equal(atomic_load(&noted->overlapping), 0);
}

/* A repeating timer whose callback was late skips what it missed: no two callbacks for one beat, and none made up for.
 */
static void a_late_repeating_timer_skips_what_it_missed(void **state) {
  (void)state;
  const uint64_t repeat_ns = 20 * PIER_MILLISECOND;
  pier_loop *loop = support__open();
  beat *noted = support__alloc(sizeof *noted);
  noted->wanted = 5;
  noted->block_ns = 70 * PIER_MILLISECOND;
  uint64_t before_ns = pier_now_ns();
  assert_true(pier_timer_start(loop, repeat_ns, repeat_ns, note_beat, noted) != 0);
  support__until_count(loop, &noted->count, noted->wanted, "5 beats");
  uint64_t last = 0;
  for (unsigned i = 0; i < noted->wanted; i++) {
    uint64_t number = (noted->at_ns[i] - before_ns) / repeat_ns;
    assert_true(number > last);
    last = number;
  }
  assert_int_equal(atomic_load(&noted->overlapping), 0);
  /* 3 beats went by inside the first callback. */
  assert_true(last >= 7);
  support__close(loop);
}

typedef struct sequence {
  unsigned fired;
  unsigned count;
  firing *timers;
  uint32_t *order;
} sequence;

typedef struct ordered {
  sequence *all;
  uint32_t number;
  uint64_t due_after_ns, due_before_ns;
} ordered;

static atomic_uint fired_in_order;

static void note_order(pier_loop *loop, pier_timer timer, void *context) {
  ordered *one = context;
  (void)loop;
  (void)timer;
  one->all->order[one->all->fired++] = one->number;
  support__count(&fired_in_order);
}

static ordered *start_ordered(pier_loop *loop, unsigned count, uint64_t *seed, uint64_t spread_ns) {
  sequence *all = support__alloc(sizeof *all);
  ordered *timers = support__alloc(count * sizeof *timers);
  all->order = support__alloc(count * sizeof *all->order);
  atomic_store(&fired_in_order, 0);
  for (uint32_t i = 0; i < count; i++) {
    uint64_t timeout_ns = 5 * PIER_MILLISECOND + support__random_below(seed, spread_ns);
    timers[i].all = all;
    timers[i].number = i;
    timers[i].due_after_ns = pier_now_ns() + timeout_ns;
    assert_true(pier_timer_start(loop, timeout_ns, 0, note_order, &timers[i]) != 0);
    timers[i].due_before_ns = pier_now_ns() + timeout_ns;
  }
  return timers;
}

/* Timers with the same timeout fire in the order in which they were started. */
static void equal_timers_fire_in_the_order_of_their_starts(void **state) {
  (void)state;
  enum { COUNT = 2000 };
  uint64_t seed = 0;
  pier_loop *loop = support__open();
  ordered *timers = start_ordered(loop, COUNT, &seed, 1);
  support__until_count(loop, &fired_in_order, COUNT, "all timers");
  for (uint32_t i = 0; i < COUNT; i++)
    assert_int_equal(timers[0].all->order[i], i);
  support__close(loop);
}

/* Timers fire in the order of their times, whatever the order of their starts. */
static void timers_fire_in_the_order_of_their_times(void **state) {
  (void)state;
  enum { COUNT = 5000 };
  uint64_t seed = support__seed(), latest_ns = 0;
  pier_loop *loop = support__open();
  ordered *timers = start_ordered(loop, COUNT, &seed, 40 * PIER_MILLISECOND);
  support__until_count(loop, &fired_in_order, COUNT, "all timers");
  for (uint32_t i = 0; i < COUNT; i++) {
    const ordered *one = &timers[timers[0].all->order[i]];
    assert_true(one->due_before_ns >= latest_ns);
    latest_ns = one->due_after_ns > latest_ns ? one->due_after_ns : latest_ns;
  }
  support__close(loop);
}

/* A stopped timer never fires; its id is then unknown, also when its slot is used again. */
static void a_stopped_timer_never_fires(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  firing *noted = support__alloc(sizeof *noted), *other = support__alloc(sizeof *other);
  pier_timer stopped = start(loop, PIER_MILLISECOND, PIER_MILLISECOND, noted);
  if (support__threads() == 0)
    assert_status(pier_timer_stop(stopped), PIER_OK);
  else
    assert_true(pier_timer_stop(stopped) == PIER_OK);
  unsigned fired = atomic_load(&noted->count);
  assert_status(pier_timer_stop(stopped), PIER_ENOENT);
  pier_timer next = start(loop, 10 * PIER_MILLISECOND, 0, other);
  assert_true(next != stopped);
  assert_status(pier_timer_stop(stopped), PIER_ENOENT);
  assert_status(pier_timer_restart(stopped, 0), PIER_ENOENT);
  support__until_count(loop, &other->count, 1, "the other timer");
  assert_true(atomic_load(&noted->count) <= fired + (support__threads() ? 1 : 0));
  support__close(loop);
}

typedef struct pair_of_timers {
  pier_timer timers[2];
  atomic_uint fired;
  int stopped;
} pair_of_timers;

static void stop_the_other(pier_loop *loop, pier_timer timer, void *context) {
  pair_of_timers *both = context;
  (void)loop;
  both->stopped = pier_timer_stop(both->timers[timer == both->timers[0]]);
  support__count(&both->fired);
}

/* A timer that is due in the same turn can still be stopped by the one before it. */
static void a_due_timer_can_be_stopped_by_the_one_before(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pair_of_timers *both = support__alloc(sizeof *both);
  both->timers[0] = pier_timer_start(loop, 0, 0, stop_the_other, both);
  both->timers[1] = pier_timer_start(loop, 0, 0, stop_the_other, both);
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_SECOND), PIER_OK);
  assert_int_equal(atomic_load(&both->fired), 1);
  assert_status(both->stopped, PIER_OK);
  support__close(loop);
}

/* A restart moves a timer, earlier or later; the repeat stays. */
static void restart_moves_a_timer(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  firing *earlier = support__alloc(sizeof *earlier), *later = support__alloc(sizeof *later);
  pier_timer soon = start(loop, FAR_NS, PIER_MILLISECOND, earlier);
  pier_timer late = start(loop, 2 * PIER_MILLISECOND, 0, later);
  assert_status(pier_timer_restart(soon, PIER_MILLISECOND), PIER_OK);
  assert_status(pier_timer_restart(late, FAR_NS), PIER_OK);
  uint64_t left_ns = pier_timer_due_in_ns(late);
  assert_true(left_ns <= FAR_NS && left_ns > FAR_NS - 60 * PIER_SECOND);
  support__until_count(loop, &earlier->count, 4, "the timer that was brought forward");
  assert_int_equal(atomic_load(&later->count), 0);
  assert_status(pier_timer_stop(soon), PIER_OK);
  assert_status(pier_timer_stop(late), PIER_OK);
  support__close(loop);
}

/* The time left grows shorter, is 0 once the timer is due, and unlimited for what is no timer. */
static void the_time_left_is_told(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  firing *noted = support__alloc(sizeof *noted);
  pier_timer timer = start(loop, 5 * PIER_MILLISECOND, 0, noted);
  uint64_t left_ns = pier_timer_due_in_ns(timer);
  assert_true(left_ns <= 5 * PIER_MILLISECOND);
  assert_true(pier_loop_timeout_ns(loop) <= 5 * PIER_MILLISECOND);
  while (pier_now_ns() < noted->started_after_ns + 5 * PIER_MILLISECOND)
    support__yield();
  assert_int_equal(pier_timer_due_in_ns(timer), 0);
  assert_int_equal(pier_loop_timeout_ns(loop), 0);
  support__until_count(loop, &noted->count, 1, "the timer");
  assert_int_equal(pier_timer_due_in_ns(timer), PIER_NO_TIMEOUT);
  assert_int_equal(pier_timer_due_in_ns(0), PIER_NO_TIMEOUT);
  assert_int_equal(pier_loop_timeout_ns(loop), PIER_NO_TIMEOUT);
  support__close(loop);
}

/* Times beyond all measure neither overflow nor fire. */
static void endless_timers_do_not_fire(void **state) {
  (void)state;
  const uint64_t huge[] = {UINT64_MAX, UINT64_MAX - 1, (uint64_t)INT64_MAX, (uint64_t)INT64_MAX + 1};
  pier_loop *loop = support__open();
  firing *noted = support__alloc(sizeof *noted), *soon = support__alloc(sizeof *soon);
  pier_timer timers[4];
  for (int i = 0; i < 4; i++)
    timers[i] = start(loop, huge[i], huge[i], noted);
  pier_timer repeats_late = start(loop, 0, UINT64_MAX, soon);
  support__until_count(loop, &soon->count, 1, "the timer with an endless repeat");
  firing *after = support__alloc(sizeof *after);
  start(loop, 2 * PIER_MILLISECOND, 0, after);
  support__until_count(loop, &after->count, 1, "a timer among endless ones");
  assert_int_equal(atomic_load(&noted->count), 0);
  assert_int_equal(atomic_load(&soon->count), 1);
  for (int i = 0; i < 4; i++)
    assert_status(pier_timer_stop(timers[i]), PIER_OK);
  assert_status(pier_timer_stop(repeats_late), PIER_OK);
  support__close(loop);
}

/* Without a loop or a callback there is no timer, and what is no timer's id cannot be stopped. */
static void what_is_no_timer_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  support_outcome *posted = support__outcome();
  assert_true(pier_timer_start(NULL, 0, 0, note_firing, NULL) == 0);
  assert_true(pier_timer_start(loop, 0, 0, NULL, NULL) == 0);
  assert_status(pier_timer_stop(0), PIER_EINVAL);
  assert_status(pier_timer_restart(0, 0), PIER_EINVAL);
  pier_operation operation = pier_post(loop, support__take, posted);
  assert_true(pier_timer_stop(operation) < 0);
  assert_true(pier_timer_restart(operation, 0) < 0);
  assert_true(pier_timer_stop(UINT64_MAX) < 0);
  await_status(loop, posted, PIER_OK);
  support__close(loop);
}

static void start_endlessly(pier_loop *loop, pier_timer timer, void *context) {
  firing *noted = context;
  (void)timer;
  if (atomic_load(&noted->count) < 1000)
    pier_timer_start(loop, 0, 0, start_endlessly, noted);
  support__count(&noted->count);
}

/* A callback may start the next timer; one of no length waits for the next turn, so that I/O gets its share. */
static void a_timer_may_start_the_next_one(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  firing *noted = support__alloc(sizeof *noted);
  assert_true(pier_timer_start(loop, 0, 0, start_endlessly, noted) != 0);
  assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, 0), PIER_OK);
  assert_true(atomic_load(&noted->count) < 1000);
  support__until_count(loop, &noted->count, 1001, "the chain of timers");
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(one_shot_fires_once_and_never_early),
      SUPPORT_TEST_POOL(one_shot_fires_once_and_never_early),
      SUPPORT_TEST(a_busy_loop_fires_nothing_early),
      SUPPORT_TEST_POOL(a_busy_loop_fires_nothing_early),
      SUPPORT_TEST(a_timer_is_less_than_2_ms_late),
      SUPPORT_TEST_POOL(a_timer_is_less_than_2_ms_late),
      SUPPORT_TEST(a_timer_of_0_fires_in_the_next_turn),
      SUPPORT_TEST(a_repeating_timer_keeps_its_beat),
      SUPPORT_TEST_POOL(a_repeating_timer_keeps_its_beat),
      SUPPORT_TEST(a_late_repeating_timer_skips_what_it_missed),
      SUPPORT_TEST_POOL(a_late_repeating_timer_skips_what_it_missed),
      SUPPORT_TEST(equal_timers_fire_in_the_order_of_their_starts),
      SUPPORT_TEST(timers_fire_in_the_order_of_their_times),
      SUPPORT_TEST(a_stopped_timer_never_fires),
      SUPPORT_TEST_POOL(a_stopped_timer_never_fires),
      SUPPORT_TEST(a_due_timer_can_be_stopped_by_the_one_before),
      SUPPORT_TEST(restart_moves_a_timer),
      SUPPORT_TEST_POOL(restart_moves_a_timer),
      SUPPORT_TEST(the_time_left_is_told),
      SUPPORT_TEST(endless_timers_do_not_fire),
      SUPPORT_TEST_POOL(endless_timers_do_not_fire),
      SUPPORT_TEST(what_is_no_timer_is_refused),
      SUPPORT_TEST(a_timer_may_start_the_next_one),
  };
  return support__main(argc, argv, "timer", tests, sizeof tests / sizeof tests[0]);
}
