/* Loading a file when a step of it fails, in the ring, at once or on a worker: another way is gone, or it is said; and nothing is left open. */
#include "closed.h"
#include "fault.h"

#include "loop.h"
#include "uring.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { LENGTH = 5000, ROUNDS = 2 * LOADS_PLACES + 5, LEAKED_CODE = 512, REFUSALS = 8 };

static bool is_uring(pier_loop *loop) { return pier_loop_backend(loop)[0] == 'u'; }
static struct uring_ring *ring_of(pier_loop *loop) { return &uring__of(loop__poller(loop))->rings[0]; }
static bool has_places(pier_loop *loop) { return is_uring(loop) && atomic_load(&ring_of(loop)->load_places); }

/* A load, by the case's own thread or by a callback; `before` is called right before it. */
typedef struct load {
  support_outcome outcome; /* first */
  pier_loop *loop;
  const char *path;
  size_t length;
  uint64_t deadline_ns;
  void (*before)(void);
  pier_operation id;
  unsigned char buffer[LENGTH + 100];
} load;

static load *new_load(pier_loop *loop, const char *path, size_t length) {
  load *self = support__alloc(sizeof *self);
  *self = (load){.loop = loop, .path = path, .length = length, .deadline_ns = PIER_NO_DEADLINE};
  return self;
}

static void load_now(load *self) {
  if (self->before)
    self->before();
  self->id = pier_file_load(self->loop, self->path, self->buffer, self->length, self->deadline_ns, support__take, self);
}

static void load_in_callback(const pier_result *result) { load_now(result->context); }

static load *start_load(load *self, bool in_callback) {
  if (in_callback)
    assert_true(pier_post(self->loop, load_in_callback, self) != 0);
  else
    load_now(self);
  return self;
}

static void expect_loaded(load *self) {
  await_status(self->loop, &self->outcome, PIER_OK);
  assert_int_equal(self->outcome.got.bytes, self->length < LENGTH ? self->length : LENGTH);
  assert_int_equal(self->outcome.got.end, self->length > LENGTH);
  assert_true(support__filled(self->buffer, self->outcome.got.bytes, 0));
}

static void expect_nothing_left(pier_loop *loop, const char *path, size_t descriptors, bool places) {
  fault__clear();
  closed__expect(path);
  assert_int_equal(support__handle_count(), descriptors);
  if (places)
    assert_true(atomic_load(&ring_of(loop)->load_places) == UINT64_MAX);
}

static pier_loop *open_with_places(void) {
  pier_loop *loop = support__open();
  if (!has_places(loop)) {
    support__close(loop);
    support__skip("there is no ring with places");
  }
  return loop;
}

/* ---- In the ring ---- */

static void refuse_opening(void) {
  fault__clear();
  fault__fail(FAULT_OPEN, 0, 1, EINVAL);
}

/* A kernel that refuses the way is asked so often, and not again. */
static void an_opening_that_is_refused_is_made_in_another_way(void **state) {
  (void)state;
  pier_loop *loop = open_with_places();
  const char *path = support__temp_file(LENGTH);
  size_t before = support__handle_count();
  for (int i = 0; i < REFUSALS; i++) {
    load *self = new_load(loop, path, LENGTH);
    self->before = refuse_opening;
    uint64_t immediate = support__metrics(loop).immediate;
    expect_loaded(start_load(self, true));
    assert_int_equal(fault__made(FAULT_OPEN), 2); /* in the ring and by a worker */
    assert_int_equal(support__metrics(loop).immediate, immediate);
  }
  load *self = new_load(loop, path, LENGTH);
  self->before = fault__clear;
  uint64_t immediate = support__metrics(loop).immediate;
  expect_loaded(start_load(self, true));
  assert_int_equal(support__metrics(loop).immediate, immediate + 1);
  expect_nothing_left(loop, path, before, true);
  support__close(loop);
}

/* One refusal may have been a file's, and does not count for long. */
static void a_refusal_is_forgotten_after_a_success(void **state) {
  (void)state;
  pier_loop *loop = open_with_places();
  const char *path = support__temp_file(LENGTH);
  for (int i = 0; i < 3 * REFUSALS; i++) {
    load *self = new_load(loop, path, LENGTH);
    self->before = i % 4 ? refuse_opening : fault__clear;
    expect_loaded(start_load(self, true));
    assert_int_equal(fault__made(FAULT_OPEN), i % 4 ? 2 : 1);
  }
  support__close(loop);
}

static void without_a_table_files_are_loaded_all_the_same(void **state) {
  (void)state;
  const char *path = support__temp_file(LENGTH);
  support__close(open_with_places());
  fault__fail(FAULT_WATCH, 0, 1, EMFILE);
  pier_loop *loop = support__open();
  fault__clear();
  assert_false(has_places(loop));
  uint64_t immediate = support__metrics(loop).immediate;
  for (int i = 0; i < 3; i++)
    expect_loaded(start_load(new_load(loop, path, LENGTH + (size_t)i), true));
  assert_int_equal(support__metrics(loop).immediate, immediate + 3);
  support__close(loop);
}

static int read_code;
static unsigned read_first;
static void fail_reading(void) {
  fault__clear();
  fault__fail(FAULT_READ, read_first, 1, read_code);
}

/* A read that fails, the first one or the one after a short one: it is said, or another way is gone; and the place is free again. */
static void a_read_that_fails_in_the_ring_leaves_nothing_open(void **state) {
  (void)state;
  const struct {
    int code, status;
  } cases[] = {{EIO, PIER_EIO}, {EINTR, PIER_OK}, {LEAKED_CODE, PIER_OK}, {EAGAIN, PIER_OK}, {ECANCELED, PIER_OK}, {EISDIR, PIER_EISDIR}};
  pier_loop *loop = open_with_places();
  const char *path = support__temp_file(LENGTH);
  size_t before = support__handle_count();
  for (unsigned i = 0; i < ROUNDS; i++) {
    load *self = new_load(loop, path, LENGTH + i / 2 % 2);
    read_first = self->length > LENGTH;
    read_code = cases[i % 6].code;
    self->before = fail_reading;
    start_load(self, true);
    await_status(loop, &self->outcome, cases[i % 6].status);
    assert_int_equal(fault__struck(), 1);
    if (cases[i % 6].status == PIER_OK)
      expect_loaded(self);
    else
      assert_int_equal(self->outcome.got.system_code, cases[i % 6].code);
    closed__expect(path);
  }
  expect_nothing_left(loop, path, before, true);
  support__close(loop);
}

/* Entries that leave no room for all three: they are put in line together all the same. */
static void count_opened(const pier_result *result) {
  pier_close(result->opened, NULL, NULL);
  support__count(result->context);
}

enum { FILLING = URING_ENTRIES - 1 };

typedef struct filling {
  load *load;
  atomic_uint opened;
} filling;

static unsigned enters_that_fail;

static void fill_and_load(const pier_result *result) {
  filling *self = result->context;
  for (int i = 0; i < FILLING; i++)
    if (!pier_file_open(self->load->loop, self->load->path, PIER_OPEN_READ, PIER_NO_DEADLINE, count_opened, &self->opened))
      support__count(&self->opened);
  if (enters_that_fail)
    fault__fail(FAULT_ENTER, 0, enters_that_fail, EAGAIN);
  load_now(self->load);
  fault__clear();
}

static void a_chain_stays_together_in_a_full_queue(void **state) {
  (void)state;
  pier_loop *loop = open_with_places();
  const char *path = support__temp_file(LENGTH);
  size_t before = support__handle_count();
  for (int i = 0; i < 6; i++) {
    filling *self = support__alloc(sizeof *self);
    self->load = new_load(loop, path, LENGTH + (size_t)i % 2);
    enters_that_fail = i < 2 ? 0 : i < 4 ? 10 : 100000; /* for so long that it goes to a worker */
    assert_true(pier_post(loop, fill_and_load, self) != 0);
    expect_loaded(self->load);
    support__until_count(loop, &self->opened, FILLING, "the other files");
  }
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, 10 * PIER_SECOND), PIER_OK);
  expect_nothing_left(loop, path, before, true);
  support__close(loop);
}

static void without_memory(void) {
  fault__clear();
  fault__fail(FAULT_MEMORY, 0, 1000, ENOMEM);
}

/* It has a place by then, or the file open, and gives that up. */
static void a_load_whose_deadline_has_no_room_leaves_nothing_open(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  bool places = has_places(loop);
  const char *path = support__temp_file(LENGTH);
  size_t before = support__handle_count();
  for (int i = 0; i < ROUNDS; i++) {
    load *self = new_load(loop, path, LENGTH);
    self->deadline_ns = pier_deadline_in(60 * PIER_SECOND);
    self->before = without_memory;
    if (!places) {
      fault__clear();
      fault__fail(FAULT_READ, 0, 1, EAGAIN);
      fault__fail(FAULT_MEMORY, 0, 1000, ENOMEM);
      self->before = NULL;
    }
    start_load(self, places);
    await_status(loop, &self->outcome, PIER_ENOMEM);
  }
  expect_nothing_left(loop, path, before, places);
  expect_loaded(start_load(new_load(loop, path, LENGTH), true));
  support__close(loop);
}

/* ---- At once, and on a worker ---- */

/* What it cannot do without waiting goes on on a worker, with what there is by then. */
static void what_would_wait_goes_on_on_a_worker(void **state) {
  (void)state;
  const int codes[] = {EAGAIN, EINTR, EOPNOTSUPP};
  pier_loop *loop = support__open();
  const char *path = support__temp_file(LENGTH);
  size_t before = support__handle_count();
  for (int i = 0; i < 6; i++) {
    fault__clear();
    if (i < 3)
      fault__cut(FAULT_READ, 0, 1, 1000);
    load *self = start_load(new_load(loop, path, LENGTH + 1), false);
    assert_int_equal(fault__struck(), i < 3);
    expect_loaded(self);
  }
  for (int i = 0; i < 3; i++) {
    fault__clear();
    fault__fail(FAULT_READ, 0, 1 + (unsigned)i, codes[i]); /* the worker's first ones too: interrupted, and asked again */
    load *self = start_load(new_load(loop, path, LENGTH + 1), false);
    if (i == 1) {
      expect_loaded(self);
    } else {
      support__await(loop, &self->outcome);
      assert_status(self->outcome.got.status, i == 0 ? PIER_OK : PIER_ENOTSUP);
    }
    fault__clear();
    fault__fail(FAULT_OPEN, 0, 1, EAGAIN);
    expect_loaded(start_load(new_load(loop, path, LENGTH), false));
  }
  expect_nothing_left(loop, path, before, false);
  support__close(loop);
}

static void what_fails_is_said(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *path = support__temp_file(LENGTH);
  size_t before = support__handle_count();
  for (int i = 0; i < 3; i++) {
    load *self = new_load(loop, path, LENGTH);
    fault__clear();
    fault__fail(i < 2 ? FAULT_READ : FAULT_OPEN, 0, 1, i < 1 ? EIO : i < 2 ? EAGAIN : EMFILE);
    if (i == 1) { /* the worker's */
      fault__clear();
      fault__fail(FAULT_OPEN, 0, 1, EAGAIN);
      fault__fail(FAULT_READ, 0, 1, EIO);
    }
    start_load(self, false);
    await_status(loop, &self->outcome, i < 2 ? PIER_EIO : PIER_EMFILE);
    assert_int_equal(self->outcome.got.system_code, i < 2 ? EIO : EMFILE);
  }
  expect_nothing_left(loop, path, before, false);
  support__close(loop);
}

typedef struct guard {
  support_outcome outcome; /* first */
  support_event *gate;
  atomic_uint begun;
} guard;

static int stand_at_the_gate(void *context) {
  guard *self = context;
  support__count(&self->begun);
  support__event_wait(self->gate, PIER_NO_TIMEOUT);
  return PIER_OK;
}

/* In the line of the workers, with the file open: it is closed. */
static void one_that_is_cancelled_in_line_is_closed(void **state) {
  (void)state;
  const pier_loop_options options = {.threads = support__threads(), .workers_max = 1};
  pier_loop *loop = support__open_with(&options);
  guard *one = support__alloc(sizeof *one);
  one->gate = support__event_open();
  assert_true(pier_work(loop, stand_at_the_gate, PIER_NO_DEADLINE, support__take, one) != 0);
  support__until_count(NULL, &one->begun, 1, "the worker to be at the gate");
  const char *path = support__temp_file(LENGTH);
  size_t before = support__handle_count();
  for (int late = 0; late < 2; late++) {
    load *self = new_load(loop, path, LENGTH);
    fault__clear();
    fault__fail(FAULT_READ, 0, 1, EAGAIN);
    self->deadline_ns = late ? pier_deadline_in(PIER_MILLISECOND) : PIER_NO_DEADLINE;
    start_load(self, false);
    if (!late)
      assert_status(pier_cancel(self->id), PIER_OK);
    await_status(loop, &self->outcome, late ? PIER_ETIMEDOUT : PIER_ECANCELED);
  }
  expect_nothing_left(loop, path, before, false);
  support__event_set(one->gate);
  await_status(loop, &one->outcome, PIER_OK);
  support__event_close(one->gate);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      FAULT_TEST(an_opening_that_is_refused_is_made_in_another_way),
      FAULT_TEST(a_refusal_is_forgotten_after_a_success),
      FAULT_TEST(without_a_table_files_are_loaded_all_the_same),
      FAULT_TEST(a_read_that_fails_in_the_ring_leaves_nothing_open),
      FAULT_TEST(a_chain_stays_together_in_a_full_queue),
      FAULT_TEST(a_load_whose_deadline_has_no_room_leaves_nothing_open),
      FAULT_TEST(what_would_wait_goes_on_on_a_worker),
      FAULT_TEST_POOL(what_would_wait_goes_on_on_a_worker),
      FAULT_TEST(what_fails_is_said),
      FAULT_TEST_POOL(what_fails_is_said),
      FAULT_TEST(one_that_is_cancelled_in_line_is_closed),
      FAULT_TEST_POOL(one_that_is_cancelled_in_line_is_closed),
  };
  return support__main(argc, argv, "fault_load_linux", tests, sizeof tests / sizeof tests[0]);
}
