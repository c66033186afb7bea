/* Opening files as an operation: many at a time, from anywhere, cancelled, and for want of everything. */
#include "support.h"

#include <string.h>

enum { FILES = 8, OPENINGS = 96, RACE_OPENINGS = 200, SIZE_STEP = 100 };

/* Files of 0, 100, 200 ... bytes, and openings of them in turn. */
typedef struct openings {
  pier_loop *loop;
  const char *paths[FILES];
  atomic_uint ended, right, wrong, cancelled, closed, refused;
  _Atomic pier_operation ids[OPENINGS + RACE_OPENINGS];
  struct opening_slot {
    struct openings *all;
    unsigned number;
  } slots[OPENINGS + RACE_OPENINGS];
} openings;

static openings *new_openings(pier_loop *loop) {
  openings *all = support__alloc(sizeof *all);
  all->loop = loop;
  for (unsigned i = 0; i < FILES; i++)
    all->paths[i] = support__temp_file(i * SIZE_STEP);
  for (unsigned i = 0; i < OPENINGS + RACE_OPENINGS; i++)
    all->slots[i] = (struct opening_slot){all, i};
  return all;
}

static void count_close(const pier_result *result) {
  openings *all = result->context;
  support__count(&all->closed);
}

static void take_opened(const pier_result *result) {
  struct opening_slot *slot = result->context;
  openings *all = slot->all;
  uint64_t size_bytes = UINT64_MAX;
  if (result->status == PIER_OK) {
    bool right = pier_file_size(result->opened, &size_bytes) == PIER_OK && size_bytes == slot->number % FILES * SIZE_STEP;
    right = right && pier_handle_kind(result->opened) == PIER_KIND_FILE && pier_close(result->opened, count_close, all) == PIER_OK;
    support__count(right ? &all->right : &all->wrong);
  } else {
    bool right = !result->opened && (result->status == PIER_ECANCELED || result->status == PIER_ETIMEDOUT);
    support__count(right ? &all->cancelled : &all->wrong);
  }
  support__count(&all->ended);
}

static void open_number(openings *all, unsigned number, uint64_t deadline_ns) {
  pier_operation id = pier_file_open(all->loop, all->paths[number % FILES], PIER_OPEN_READ, deadline_ns, take_opened, &all->slots[number]);
  if (!id)
    support__count(&all->refused);
  atomic_store(&all->ids[number], id);
}

static void expect_all(openings *all, unsigned count) {
  support__until_count(all->loop, &all->ended, count, "every opening");
  support__until_count(all->loop, &all->closed, atomic_load(&all->right), "every close");
  assert_int_equal(atomic_load(&all->refused), 0);
  assert_int_equal(atomic_load(&all->wrong), 0);
}

/* Those in flight at the same time each bring their own file; submitted by a thread outside. */
static void many_in_flight_each_bring_their_own_file(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  openings *all = new_openings(loop);
  for (unsigned i = 0; i < OPENINGS; i++)
    open_number(all, i, PIER_NO_DEADLINE);
  expect_all(all, OPENINGS);
  assert_int_equal(atomic_load(&all->right), OPENINGS);
  support__close(loop);
}

static void open_all(const pier_result *result) {
  for (unsigned i = 0; i < OPENINGS; i++)
    open_number(result->context, i, PIER_NO_DEADLINE);
}

/* And submitted by one callback. */
static void a_callback_opens_many(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  openings *all = new_openings(loop);
  assert_true(pier_post(loop, open_all, all) != 0);
  expect_all(all, OPENINGS);
  assert_int_equal(atomic_load(&all->right), OPENINGS);
  support__close(loop);
}

/* Without a callback nobody wants the handle, and it is closed. */
static void what_nobody_wants_is_closed(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *path = support__temp_file(10);
  size_t before = support__handle_count();
  for (int i = 0; i < 20; i++)
    assert_true(pier_file_open(loop, path, PIER_OPEN_READ, PIER_NO_DEADLINE, NULL, NULL) != 0);
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, 10 * PIER_SECOND), PIER_OK);
  if (!support__windows) /* there the workers that were started are handles too */
    assert_int_equal(support__handle_count(), before);
  support__close(loop);
}

/* For want of a slot there is no operation, and no handle is used up by that. */
static void without_a_slot_no_handle_is_used_up(void **state) {
  (void)state;
  const pier_loop_options options = {.threads = support__threads(), .operations_max = 4, .handles_max = 8};
  pier_loop *loop = support__open_with(&options);
  const char *path = support__temp_file(10);
  pier_handle ends[2];
  support_outcome *reads[4];
  char bytes[4];
  assert_status(pier_pipe_pair(loop, NULL, ends), PIER_OK);
  for (int i = 0; i < 4; i++) {
    reads[i] = support__outcome();
    assert_true(pier_read(ends[0], &bytes[i], 1, PIER_NO_DEADLINE, support__take, reads[i]) != 0);
  }
  for (int i = 0; i < 100; i++)
    assert_true(pier_file_open(loop, path, PIER_OPEN_READ, PIER_NO_DEADLINE, support__take, NULL) == 0);
  assert_status(pier_close(ends[1], NULL, NULL), PIER_OK);
  for (int i = 0; i < 4; i++)
    await_status(loop, reads[i], PIER_OK);
  support__close_handle(loop, ends[0]);
  support_outcome *opened = support__outcome();
  assert_true(pier_file_open(loop, path, PIER_OPEN_READ, PIER_NO_DEADLINE, support__take, opened) != 0);
  await_status(loop, opened, PIER_OK);
  support__close_handle(loop, opened->got.opened);
  support__close(loop);
}

/* ---- Cancelled ---- */

static void cancel_all(void *context) {
  openings *all = context;
  uint64_t seed = support__seed();
  while (atomic_load(&all->ended) < RACE_OPENINGS) {
    pier_operation id = atomic_load(&all->ids[support__random_below(&seed, RACE_OPENINGS)]);
    if (id)
      pier_cancel(id);
    if (support__random_below(&seed, 8) == 0)
      support__yield();
  }
}

static void open_some(const pier_result *result) {
  struct opening_slot *slot = result->context;
  for (unsigned i = slot->number; i < slot->number + 10; i++)
    open_number(slot->all, i, i % 3 ? PIER_NO_DEADLINE : pier_deadline_in(1000 * (i % 50)));
}

/* While another thread cancels at random, and deadlines pass: each has one callback, with a handle or without, and none is left. */
static void openings_and_cancels_race(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  openings *all = new_openings(loop);
  support_thread *thread = support__thread_start(cancel_all, all);
  for (unsigned i = 0; i < RACE_OPENINGS; i += 10) {
    if (i % 20)
      assert_true(pier_post(loop, open_some, &all->slots[i]) != 0);
    else
      for (unsigned k = i; k < i + 10; k++)
        open_number(all, k, k % 3 ? PIER_NO_DEADLINE : pier_deadline_in(1000 * (k % 50)));
  }
  expect_all(all, RACE_OPENINGS);
  support__thread_join(thread);
  print_message("%u opened, %u cancelled\n", atomic_load(&all->right), atomic_load(&all->cancelled));
  assert_int_equal(atomic_load(&all->right) + atomic_load(&all->cancelled), RACE_OPENINGS);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(many_in_flight_each_bring_their_own_file),
      SUPPORT_TEST_POOL(many_in_flight_each_bring_their_own_file),
      SUPPORT_TEST(a_callback_opens_many),
      SUPPORT_TEST_POOL(a_callback_opens_many),
      SUPPORT_TEST(what_nobody_wants_is_closed),
      SUPPORT_TEST_POOL(what_nobody_wants_is_closed),
      SUPPORT_TEST(without_a_slot_no_handle_is_used_up),
      SUPPORT_TEST(openings_and_cancels_race),
      SUPPORT_TEST_POOL(openings_and_cancels_race),
  };
  return support__main(argc, argv, "opening", tests, sizeof tests / sizeof tests[0]);
}
