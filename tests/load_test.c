/* Files loaded in one operation: what is there, what is not, many at a time, from anywhere, cancelled and too late. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM = 300000, MANY = 200, FILES = 8, SIZE_STEP = 700, ROUNDS = 300 };

/* One load, submitted by the case's own thread, by a callback, or by another thread. */
typedef struct load {
  support_outcome outcome; /* first */
  pier_loop *loop;
  const char *path;
  unsigned char *buffer;
  size_t length;
  uint64_t deadline_ns;
  bool inside_submit;
  bool cancels; /* at once, by who has submitted it */
  bool called_inside;
} load;

enum { OUTSIDE, BY_CALLBACK, BY_THREAD, WAYS };

static void take_load(const pier_result *result) {
  load *self = result->context;
  self->called_inside = self->inside_submit;
  support__take(result);
}

static void submit_load(load *self) {
  self->inside_submit = true;
  pier_operation id = pier_file_load(self->loop, self->path, self->buffer, self->length, self->deadline_ns, take_load, self);
  if (self->cancels && id)
    pier_cancel(id);
  if (!support__threads())
    self->inside_submit = false;
  if (!id)
    support__take(&(pier_result){.context = self, .status = PIER_ENOMEM});
}

static void submit_in_callback(const pier_result *result) { submit_load(result->context); }
static void submit_in_thread(void *context) { submit_load(context); }

static load *new_load(pier_loop *loop, const char *path, size_t length) {
  load *self = support__alloc(sizeof *self);
  *self = (load){.loop = loop, .path = path, .length = length, .deadline_ns = PIER_NO_DEADLINE};
  self->buffer = support__alloc(length + 1);
  memset(self->buffer, 0xEE, length + 1);
  return self;
}

static void run_load(load *self, int way) {
  if (way == BY_CALLBACK)
    assert_true(pier_post(self->loop, submit_in_callback, self) != 0);
  else if (way == BY_THREAD)
    support__thread_join(support__thread_start(submit_in_thread, self));
  else
    submit_load(self);
  support__await(self->loop, &self->outcome);
  if (!support__threads())
    assert_false(self->called_inside);
}

/* Besides the status: nothing of it is a handle's, and nothing was written past the buffer. */
static void check_load(const load *self, int status, size_t bytes, bool end) {
  const pier_result *got = &self->outcome.got;
  assert_status(got->status, status);
  assert_true(got->handle == 0 && got->opened == 0 && got->operation != 0);
  assert_int_equal(self->buffer[self->length], 0xEE);
  if (status != PIER_OK)
    return;
  assert_int_equal(got->bytes, bytes);
  assert_int_equal(got->end, end);
  assert_true(support__filled(self->buffer, bytes, 0));
  for (size_t i = bytes; i < self->length; i++)
    assert_int_equal(self->buffer[i], 0xEE);
}

static void a_file_is_loaded_as_far_as_there_is_room(void **state) {
  (void)state;
  const struct {
    size_t file, room;
  } cases[] = {{4096, 4096}, {4096, 4097}, {4096, 100}, {1, 1}, {0, 10}, {0, 0}, {10, 0}, {100, 5000}, {ROOM, ROOM}, {ROOM - 1, ROOM}, {ROOM, 70000}};
  pier_loop *loop = support__open();
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *path = support__temp_file(cases[i].file);
    for (int way = 0; way < WAYS; way++) {
      load *self = new_load(loop, path, cases[i].room);
      run_load(self, way);
      size_t bytes = cases[i].file < cases[i].room ? cases[i].file : cases[i].room;
      check_load(self, PIER_OK, bytes, bytes < cases[i].room);
    }
  }
  support__close(loop);
}

static void what_cannot_be_loaded_says_why(void **state) {
  (void)state;
  char *endless = support__alloc(100001);
  const char *there = support__temp_file(10), *missing = support__temp_path();
  const struct {
    const char *path;
    int status;
  } cases[] = {{missing, PIER_ENOENT}, {".", PIER_EISDIR}, {NULL, PIER_EINVAL}, {"", PIER_EINVAL}, {endless, PIER_ENAMETOOLONG}, {"\xff", PIER_EILSEQ}};
  memset(endless, 'a', 100000);
  pier_loop *loop = support__open();
  for (int way = 0; way < WAYS; way++) {
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
      load *self = new_load(loop, cases[i].path, 100);
      run_load(self, way);
      check_load(self, cases[i].status, 0, false);
    }
    load *without = new_load(loop, there, 0), *beyond = new_load(loop, there, 0);
    without->buffer = NULL;
    without->length = 1;
    run_load(without, way);
    assert_status(without->outcome.got.status, PIER_EINVAL);
    beyond->length = SIZE_MAX / 2 + 1;
    run_load(beyond, way);
    assert_status(beyond->outcome.got.status, PIER_EINVAL);
    load *nothing = new_load(loop, there, 0); /* no buffer is needed for that */
    nothing->buffer = NULL;
    run_load(nothing, way);
    assert_status(nothing->outcome.got.status, PIER_OK);
  }
  assert_true(pier_file_load(NULL, there, endless, 1, PIER_NO_DEADLINE, NULL, NULL) == 0);
  support__close(loop);
}

/* ---- Many ---- */

typedef struct crowd {
  pier_loop *loop;
  const char *paths[FILES];
  unsigned count;
  uint64_t deadline_ns;
  atomic_uint ended, right, cancelled, wrong;
  _Atomic pier_operation ids[MANY];
  struct member {
    struct crowd *all;
    unsigned number;
    unsigned char buffer[FILES * SIZE_STEP];
  } members[MANY];
} crowd;

static crowd *new_crowd(pier_loop *loop) {
  crowd *all = support__alloc(sizeof *all);
  all->loop = loop;
  all->deadline_ns = PIER_NO_DEADLINE;
  for (unsigned i = 0; i < FILES; i++)
    all->paths[i] = support__temp_file((i + 1) * SIZE_STEP);
  for (unsigned i = 0; i < MANY; i++) {
    all->members[i].all = all;
    all->members[i].number = i;
  }
  return all;
}

/* Half of them know how long their file is. */
static size_t size_of(const struct member *self) { return (self->number % FILES + 1) * SIZE_STEP; }
static size_t room_of(const struct member *self) { return self->number / FILES % 2 ? sizeof self->buffer : size_of(self); }

static void take_member(const pier_result *result) {
  struct member *self = result->context;
  crowd *all = self->all;
  bool right = result->bytes == size_of(self) && result->end == (result->bytes < room_of(self)) && support__filled(self->buffer, result->bytes, 0);
  if (result->status == PIER_ECANCELED || result->status == PIER_ETIMEDOUT)
    support__count(&all->cancelled);
  else
    support__count(result->status == PIER_OK && right ? &all->right : &all->wrong);
  support__count(&all->ended);
}

static void load_member(struct member *self, uint64_t deadline_ns) {
  crowd *all = self->all;
  memset(self->buffer, 0, sizeof self->buffer);
  pier_operation id = pier_file_load(all->loop, all->paths[self->number % FILES], self->buffer, room_of(self), deadline_ns, take_member, self);
  if (!id)
    support__count(&all->wrong);
  atomic_store(&all->ids[self->number], id);
}

static void load_all(const pier_result *result) {
  crowd *all = result->context;
  for (unsigned i = 0; i < MANY; i++)
    load_member(&all->members[i], all->deadline_ns);
}

static void expect_crowd(crowd *all) {
  support__until_count(all->loop, &all->ended, MANY, "every load");
  assert_int_equal(atomic_load(&all->wrong), 0);
  atomic_store(&all->ended, 0);
}

/* More than a ring has places for, so that several ways are gone; twice, and nothing is left open behind the second time that was not
   there after the first. */
static void many_at_once_each_bring_their_own_file(void **state) {
  (void)state;
  const pier_loop_options options = {.threads = support__threads(), .workers_max = 2};
  pier_loop *loop = support__open_with(&options);
  crowd *all = new_crowd(loop);
  size_t before = 0;
  for (unsigned round = 1; round <= 4; round++) {
    if (round == 2)
      before = support__handle_count();
    if (round % 2)
      load_all(&(pier_result){.context = all});
    else
      assert_true(pier_post(loop, load_all, all) != 0);
    expect_crowd(all);
    assert_int_equal(atomic_load(&all->right), round * MANY);
  }
  assert_int_equal(support__handle_count(), before);
  support__close(loop);
}

/* One after the other, each by the callback of the one before: they pass through all places, and none is lost. */
typedef struct chain {
  load *load;
  unsigned left;
  atomic_uint done, wrong;
} chain;

static void load_next(const pier_result *result) {
  chain *self = result->context;
  load *one = self->load;
  if (result->operation && self->left < ROUNDS && (result->status != PIER_OK || result->bytes != one->length || !support__filled(one->buffer, one->length, 0)))
    support__count(&self->wrong);
  if (!self->left--)
    support__count(&self->done);
  else if (!pier_file_load(one->loop, one->path, one->buffer, one->length, PIER_NO_DEADLINE, load_next, self))
    support__count(&self->wrong);
}

static void one_after_the_other(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  chain *self = support__alloc(sizeof *self);
  self->load = new_load(loop, support__temp_file(1000), 1000);
  self->left = ROUNDS;
  size_t before = support__handle_count();
  assert_true(pier_post(loop, load_next, self) != 0);
  support__until_count(loop, &self->done, 1, "the last load");
  assert_int_equal(atomic_load(&self->wrong), 0);
  if (!support__windows)
    assert_int_equal(support__handle_count(), before);
  support__close(loop);
}

/* Without a callback nobody hears of it, and all the same nothing is left. */
static void what_nobody_waits_for_ends_too(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  load *self = new_load(loop, support__temp_file(1000), 1000);
  size_t before = support__handle_count();
  assert_true(pier_file_load(loop, self->path, self->buffer, self->length, PIER_NO_DEADLINE, NULL, NULL) != 0);
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, 10 * PIER_SECOND), PIER_OK);
  assert_true(support__filled(self->buffer, self->length, 0));
  if (!support__windows)
    assert_int_equal(support__handle_count(), before);
  support__close(loop);
}

/* Nothing else can come off the port, and it is waited for there all the same, without an end. */
static void a_loop_without_handles_waits_for_it(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *path = support__temp_file(1000);
  for (int round = 0; round < 20; round++) {
    load *self = new_load(loop, path, 1000 + (size_t)round % 2);
    assert_true(pier_post(loop, submit_in_callback, self) != 0);
    assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), PIER_OK);
    assert_true(support__called(&self->outcome));
    check_load(self, PIER_OK, 1000, round % 2);
  }
  support__close(loop);
}

static void a_loop_is_busy_with_it(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  load *self = new_load(loop, support__temp_file(1000), 1000);
  submit_load(self);
  assert_status(pier_loop_close(loop), PIER_EBUSY);
  support__await(loop, &self->outcome);
  check_load(self, PIER_OK, 1000, false);
  support__close(loop);
}

/* ---- Its end is asked for ---- */

/* Whatever it is in the middle of, it ends, the one way or the other, and the next one has its place. */
static void each_ends_when_it_is_cancelled(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *paths[] = {support__temp_file(3000), support__temp_file(ROOM)};
  unsigned cancelled = 0;
  size_t before = 0;
  for (int round = 0; round < ROUNDS; round++) {
    load *self = new_load(loop, paths[round % 2], round % 2 ? ROOM : 3000 + (size_t)round % 3);
    self->cancels = round % 10 != 9;
    if (round == 20)
      before = support__handle_count();
    run_load(self, round / 2 % 2);
    bool may = self->cancels && self->outcome.got.status == PIER_ECANCELED;
    cancelled += may;
    check_load(self, may ? PIER_ECANCELED : PIER_OK, round % 2 ? ROOM : 3000, round % 2 == 0 && round % 3 != 0);
  }
  print_message("%u of %d were cancelled\n", cancelled, ROUNDS);
  if (!support__windows)
    assert_int_equal(support__handle_count(), before);
  support__close(loop);
}

static void each_ends_when_it_is_late(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *path = support__temp_file(ROOM);
  unsigned late = 0;
  for (int round = 0; round < ROUNDS; round++) {
    load *self = new_load(loop, path, ROOM);
    self->deadline_ns = round % 10 == 9 ? PIER_NO_DEADLINE : round % 2 ? 1 : pier_deadline_in((uint64_t)round * 100);
    run_load(self, round / 2 % 2);
    bool may = round % 10 != 9 && self->outcome.got.status == PIER_ETIMEDOUT;
    late += may;
    check_load(self, may ? PIER_ETIMEDOUT : PIER_OK, ROOM, false);
  }
  print_message("%u of %d were late\n", late, ROUNDS);
  support__close(loop);
}

static void cancel_some(void *context) {
  crowd *all = context;
  uint64_t seed = support__seed();
  while (atomic_load(&all->ended) < MANY) {
    pier_operation id = atomic_load(&all->ids[support__random_below(&seed, MANY)]);
    if (id)
      pier_cancel(id);
    if (support__random_below(&seed, 8) == 0)
      support__yield();
  }
}

static void load_ten(const pier_result *result) {
  struct member *first = result->context;
  for (unsigned i = 0; i < 10; i++)
    load_member(first + i, i % 3 ? PIER_NO_DEADLINE : pier_deadline_in(1000 * i));
}

/* While another thread cancels at random, and deadlines pass: each has one callback, and nothing is left open. */
static void loads_and_cancels_race(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  crowd *all = new_crowd(loop);
  load_all(&(pier_result){.context = all}); /* with all the workers that there will be */
  expect_crowd(all);
  size_t before = support__handle_count();
  support_thread *thread = support__thread_start(cancel_some, all);
  for (unsigned i = 0; i < MANY; i += 10) {
    if (i % 20)
      assert_true(pier_post(loop, load_ten, &all->members[i]) != 0);
    else
      load_ten(&(pier_result){.context = &all->members[i]});
  }
  support__until_count(loop, &all->ended, MANY, "every load");
  support__thread_join(thread);
  expect_crowd(all);
  assert_int_equal(atomic_load(&all->right) + atomic_load(&all->cancelled), 2 * MANY);
  print_message("%u loaded, %u cancelled\n", atomic_load(&all->right) - MANY, atomic_load(&all->cancelled));
  if (!support__windows)
    assert_int_equal(support__handle_count(), before);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(a_file_is_loaded_as_far_as_there_is_room),
      SUPPORT_TEST_POOL(a_file_is_loaded_as_far_as_there_is_room),
      SUPPORT_TEST(what_cannot_be_loaded_says_why),
      SUPPORT_TEST_POOL(what_cannot_be_loaded_says_why),
      SUPPORT_TEST(many_at_once_each_bring_their_own_file),
      SUPPORT_TEST_POOL(many_at_once_each_bring_their_own_file),
      SUPPORT_TEST(one_after_the_other),
      SUPPORT_TEST_POOL(one_after_the_other),
      SUPPORT_TEST(what_nobody_waits_for_ends_too),
      SUPPORT_TEST(a_loop_without_handles_waits_for_it),
      SUPPORT_TEST(a_loop_is_busy_with_it),
      SUPPORT_TEST(each_ends_when_it_is_cancelled),
      SUPPORT_TEST_POOL(each_ends_when_it_is_cancelled),
      SUPPORT_TEST(each_ends_when_it_is_late),
      SUPPORT_TEST_POOL(each_ends_when_it_is_late),
      SUPPORT_TEST(loads_and_cancels_race),
      SUPPORT_TEST_POOL(loads_and_cancels_race),
  };
  return support__main(argc, argv, "load", tests, sizeof tests / sizeof tests[0]);
}
