/* The threads of a loop that have a ring each (runtime/seats.h): which of them have handles, and what they keep in mind of callbacks that take long. */
#include "streams.h"

#include "hook.h"
#include "loop.h"
#include "seats.h"
#include "uring.h"

#include <sched.h>
#include <stdlib.h>

enum { PAIRS = 4 * SUPPORT_THREADS, ROUNDS = 50, SLOW = 40, SLOW_NS = 300 * PIER_MICROSECOND };

static pier_loop *open_with_seats(uint32_t processors) {
  uint32_t usual = pier_hook_processors;
  pier_hook_processors = processors;
  pier_loop *loop = support__open();
  pier_hook_processors = usual;
  if (!loop__poller(loop)->seats) {
    support__close(loop);
    support__skip("its threads have no seats");
  }
  return loop;
}

static uint32_t homes_with(uint32_t processors) {
  pier_loop *loop = open_with_seats(processors);
  uint32_t homes = loop__poller(loop)->homes;
  assert_int_equal(loop->pool.seats->count, SUPPORT_THREADS);
  support__close(loop);
  return homes;
}

static void as_many_have_handles_as_there_are_processors(void **state) {
  (void)state;
  assert_int_equal(homes_with(1), 1);
  assert_int_equal(homes_with(2), 2);
  assert_int_equal(homes_with(SUPPORT_THREADS), SUPPORT_THREADS);
  assert_int_equal(homes_with(SUPPORT_THREADS + 1), SUPPORT_THREADS);
}

/* Of those that the thread may use that opens the loop. */
static void the_system_says_how_many_there_are(void **state) {
  cpu_set_t usual, one;
  (void)state;
  assert_int_equal(sched_getaffinity(0, sizeof usual, &usual), 0);
  uint32_t processors = (uint32_t)CPU_COUNT(&usual);
  assert_int_equal(homes_with(0), processors < SUPPORT_THREADS ? processors : SUPPORT_THREADS);
  size_t first = 0;
  while (!CPU_ISSET(first, &usual))
    first++;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  uint32_t homes = homes_with(0);
  assert_int_equal(sched_setaffinity(0, sizeof usual, &usual), 0);
  assert_int_equal(homes, 1);
}

/* ---- Who runs what ---- */

typedef struct tally {
  uintptr_t thread;
  unsigned callbacks;
} tally;

static void note_thread(tally tallies[SUPPORT_THREADS], uintptr_t thread) {
  unsigned i = 0;
  while (tallies[i].callbacks && tallies[i].thread != thread)
    assert_true(++i < SUPPORT_THREADS);
  tallies[i].thread = thread;
  tallies[i].callbacks++;
}

static int compare_tallies(const void *a, const void *b) {
  const tally *left = a, *right = b;
  return left->callbacks < right->callbacks ? 1 : left->callbacks > right->callbacks ? -1 : 0;
}

/* The callbacks of a byte over each pair, and who ran them. */
static void send_over_each(pier_loop *loop, pier_handle ends[PAIRS][2], tally tallies[SUPPORT_THREADS]) {
  char byte;
  for (unsigned i = 0; i < PAIRS; i++) {
    support_outcome *read = support__outcome();
    assert_true(pier_read(ends[i][0], &byte, 1, PIER_NO_DEADLINE, support__take, read) != 0);
    assert_true(pier_write(ends[i][1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    support__await(loop, read);
    assert_int_equal(read->got.bytes, 1);
    note_thread(tallies, read->thread);
  }
}

/* Somebody who loses the processor in a quick callback is stood in for as well, so not all. */
static void the_others_run_next_to_nothing(void **state) {
  (void)state;
  for (uint32_t processors = 1; processors < SUPPORT_THREADS; processors++) {
    pier_loop *loop = open_with_seats(processors);
    pier_handle ends[PAIRS][2];
    tally tallies[SUPPORT_THREADS] = {{0}};
    unsigned all = ROUNDS * PAIRS, busiest = 0;
    for (unsigned i = 0; i < PAIRS; i++)
      streams__pair(loop, STREAMS_TCP, ends[i]);
    for (unsigned round = 0; round < ROUNDS; round++)
      send_over_each(loop, ends, tallies);
    qsort(tallies, SUPPORT_THREADS, sizeof tallies[0], compare_tallies);
    for (uint32_t i = 0; i < processors; i++)
      busiest += tallies[i].callbacks;
    print_message("%u of %u callbacks on the busiest %u of %u threads\n", busiest, all, (unsigned)processors, SUPPORT_THREADS);
    assert_true(busiest > all * 3 / 4);
    for (unsigned i = 0; i < PAIRS; i++)
      streams__close_pair(loop, ends[i]);
    support__close(loop);
  }
}

/* ---- Slow callbacks ---- */

typedef struct sleeper {
  support_event *never;
  atomic_uint calls;
  char byte;
} sleeper;

static void take_time(const pier_result *result) {
  sleeper *self = result->context;
  support__event_wait(self->never, SLOW_NS);
  support__count(&self->calls);
}

static uint64_t expects_slow_ones_until_ns(pier_loop *loop) {
  uint64_t latest_ns = 0;
  for (uint32_t i = 0; i < loop->pool.seats->count; i++) {
    uint64_t until_ns = atomic_load(&loop->pool.seats->seat[i].slow_until_ns);
    latest_ns = until_ns > latest_ns ? until_ns : latest_ns;
  }
  return latest_ns;
}

typedef struct learning {
  pier_loop *loop;
  pier_handle (*ends)[2];
  sleeper *sleeps;
  uint64_t before_ns;
} learning;

/* One slow callback after the other, so that in each turn is one. */
static bool has_learnt(void *context) {
  learning *self = context;
  unsigned before = atomic_load(&self->sleeps->calls);
  for (unsigned i = 0; i < SLOW; i++) {
    pier_handle *pair = self->ends[i % PAIRS];
    assert_true(pier_read(pair[0], &self->sleeps->byte, 1, PIER_NO_DEADLINE, take_time, self->sleeps) != 0);
    assert_true(pier_write(pair[1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    support__until_count(self->loop, &self->sleeps->calls, before + i + 1, "a slow callback");
  }
  return expects_slow_ones_until_ns(self->loop) > self->before_ns;
}

static bool has_forgotten(void *context) {
  learning *self = context;
  tally tallies[SUPPORT_THREADS] = {{0}};
  send_over_each(self->loop, self->ends, tallies);
  return expects_slow_ones_until_ns(self->loop) < pier_now_ns();
}

/* Who has called others for slow callbacks does so no longer when they are quick again. */
static void slow_callbacks_are_kept_in_mind_for_a_while(void **state) {
  (void)state;
  pier_loop *loop = open_with_seats(SUPPORT_THREADS);
  pier_handle ends[PAIRS][2];
  sleeper *sleeps = support__alloc(sizeof *sleeps);
  sleeps->never = support__event_open();
  for (unsigned i = 0; i < PAIRS; i++)
    streams__pair(loop, STREAMS_TCP, ends[i]);
  for (unsigned round = 0; round < 3; round++) {
    learning self = {.loop = loop, .ends = ends, .sleeps = sleeps, .before_ns = expects_slow_ones_until_ns(loop)};
    support__until(loop, has_learnt, &self, "slow callbacks that are noticed");
    support__until(loop, has_forgotten, &self, "quick callbacks");
  }
  for (unsigned i = 0; i < PAIRS; i++)
    streams__close_pair(loop, ends[i]);
  support__event_close(sleeps->never);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST_POOL(as_many_have_handles_as_there_are_processors),
      SUPPORT_TEST_POOL(the_system_says_how_many_there_are),
      SUPPORT_TEST_POOL(the_others_run_next_to_nothing),
      SUPPORT_TEST_POOL(slow_callbacks_are_kept_in_mind_for_a_while),
  };
  return support__main(argc, argv, "seats_linux", tests, sizeof tests / sizeof tests[0]);
}
