/* Files are opened by the submitting thread where that is certain not to wait; and what happens where it is not. */
#include "fault.h"
#include "streams.h"

#include <errno.h>

enum { LENGTH = 5000, LEAKED_CODE = 512 };

static bool is_uring(pier_loop *loop) {
  return pier_loop_backend(loop)[0] == 'u';
}

/* A loop with one worker that is at a gate, so that whatever else needs a worker waits. */
typedef struct busy_loop {
  support_outcome outcome; /* first: of the work */
  pier_loop *loop;
  support_event *gate;
  atomic_uint begun;
} busy_loop;

static int stand_at_the_gate(void *context) {
  busy_loop *busy = context;
  support__count(&busy->begun);
  support__event_wait(busy->gate, PIER_NO_TIMEOUT);
  return PIER_OK;
}

static busy_loop *open_busy(void) {
  const pier_loop_options options = {.threads = support__threads(), .workers_max = 1};
  busy_loop *busy = support__alloc(sizeof *busy);
  busy->loop = support__open_with(&options);
  busy->gate = support__event_open();
  assert_true(pier_work(busy->loop, stand_at_the_gate, PIER_NO_DEADLINE, support__take, busy) != 0);
  support__until_count(NULL, &busy->begun, 1, "the worker to be at the gate");
  return busy;
}

static void free_the_worker(busy_loop *busy) {
  support__event_set(busy->gate);
  await_status(busy->loop, &busy->outcome, PIER_OK);
}

static void close_busy(busy_loop *busy) {
  fault__clear();
  support__close(busy->loop);
  support__event_close(busy->gate);
}

/* An opening, by the case's own thread or by a callback. */
typedef struct opening {
  support_outcome outcome; /* first */
  pier_loop *loop;
  const char *path;
  unsigned flags;
} opening;

static void open_now(opening *self) {
  fault__clear();
  assert_true(pier_file_open(self->loop, self->path, self->flags, PIER_NO_DEADLINE, support__take, self) != 0);
}

static void open_in_callback(const pier_result *result) {
  open_now(result->context);
}

static opening *new_opening(pier_loop *loop, const char *path, unsigned flags) {
  opening *self = support__alloc(sizeof *self);
  self->loop = loop;
  self->path = path;
  self->flags = flags;
  return self;
}

static opening *start_opening(pier_loop *loop, const char *path, unsigned flags, bool in_callback) {
  opening *self = new_opening(loop, path, flags);
  if (in_callback)
    assert_true(pier_post(loop, open_in_callback, self) != 0);
  else
    open_now(self);
  return self;
}

static void expect_opened(pier_loop *loop, opening *self, uint64_t size_bytes) {
  uint64_t found = UINT64_MAX;
  await_status(loop, &self->outcome, PIER_OK);
  assert_true(self->outcome.got.handle == 0 && self->outcome.got.opened != 0);
  assert_status(pier_file_size(self->outcome.got.opened, &found), PIER_OK);
  assert_int_equal(found, size_bytes);
  support__close_handle(loop, self->outcome.got.opened);
}

/* A file whose name the system has in its cache, opened from outside and from a callback, while no worker is to be had. */
static void what_is_known_is_opened_without_a_worker(void **state) {
  (void)state;
  const char *path = support__temp_file(LENGTH);
  busy_loop *busy = open_busy();
  uint64_t before = support__metrics(busy->loop).immediate;
  expect_opened(busy->loop, start_opening(busy->loop, path, PIER_OPEN_READ, false), LENGTH);
  assert_int_equal(support__metrics(busy->loop).immediate - before, 1);
  expect_opened(busy->loop, start_opening(busy->loop, path, PIER_OPEN_READ, true), LENGTH);
  free_the_worker(busy);
  close_busy(busy);
}

/* A call that cannot say it, or says that it would wait, is made by who may wait: with epoll a worker, else the ring. */
static void what_would_wait_is_opened_by_others(void **state) {
  (void)state;
  const int codes[] = {EAGAIN, EINTR, EPERM, EINVAL, E2BIG, EAGAIN};
  const char *path = support__temp_file(LENGTH);
  busy_loop *busy = open_busy();
  opening *openings[6];
  for (int i = 0; i < 6; i++) {
    openings[i] = new_opening(busy->loop, path, PIER_OPEN_READ | PIER_OPEN_WRITE);
    fault__clear();
    fault__fail(FAULT_OPEN, 0, 1, codes[i]);
    assert_true(pier_file_open(busy->loop, path, PIER_OPEN_READ, PIER_NO_DEADLINE, support__take, openings[i]) != 0);
    assert_int_equal(fault__struck(), 1);
    if (is_uring(busy->loop))
      expect_opened(busy->loop, openings[i], LENGTH);
  }
  for (int i = 0; i < 6 && !is_uring(busy->loop); i++)
    assert_false(support__called(&openings[i]->outcome));
  free_the_worker(busy);
  for (int i = 0; i < 6 && !is_uring(busy->loop); i++)
    expect_opened(busy->loop, openings[i], LENGTH);
  close_busy(busy);
}

/* To create or to cut a file is work for the disk: it is not tried. */
static void what_changes_the_disk_is_not_tried(void **state) {
  (void)state;
  const unsigned flags[] = {PIER_OPEN_CREATE | PIER_OPEN_EXCLUSIVE, PIER_OPEN_CREATE, PIER_OPEN_TRUNCATE};
  const char *path = support__temp_path();
  busy_loop *busy = open_busy();
  for (int i = 0; i < 3; i++) {
    opening *self = start_opening(busy->loop, path, PIER_OPEN_WRITE | flags[i], false);
    if (i == 0 && !is_uring(busy->loop)) {
      assert_int_equal(fault__made(FAULT_OPEN), 0);
      free_the_worker(busy);
    }
    expect_opened(busy->loop, self, 0);
  }
  if (is_uring(busy->loop))
    free_the_worker(busy);
  close_busy(busy);
}

/* What the worker would be told too is told at once, with the system's word for it. */
static void failures_need_no_worker(void **state) {
  (void)state;
  const int codes[] = {EMFILE, EACCES, EIO}, statuses[] = {PIER_EMFILE, PIER_EACCES, PIER_EIO};
  const char *path = support__temp_file(LENGTH);
  busy_loop *busy = open_busy();
  for (int i = 0; i < 3; i++) {
    opening *self = new_opening(busy->loop, path, PIER_OPEN_READ);
    fault__clear();
    fault__fail(FAULT_OPEN, 0, 1, codes[i]);
    assert_true(pier_file_open(busy->loop, path, PIER_OPEN_READ, PIER_NO_DEADLINE, support__take, self) != 0);
    await_status(busy->loop, &self->outcome, statuses[i]);
    assert_int_equal(self->outcome.got.system_code, codes[i]);
    assert_true(self->outcome.got.opened == 0 && self->outcome.got.handle == 0);
  }
  free_the_worker(busy);
  close_busy(busy);
}

/* What an opening in the ring comes back with: interrupted ones are asked again, others are told. */
static void interrupted_openings_are_asked_again(void **state) {
  (void)state;
  const int codes[] = {EINTR, LEAKED_CODE, EAGAIN, EMFILE};
  const int statuses[] = {PIER_OK, PIER_OK, PIER_EAGAIN, PIER_EMFILE};
  const char *path = support__temp_path();
  pier_loop *loop = support__open();
  if (!is_uring(loop)) {
    support__close(loop);
    support__skip("there is no ring");
  }
  for (int i = 0; i < 4; i++) {
    opening *self = new_opening(loop, path, PIER_OPEN_WRITE | PIER_OPEN_CREATE);
    fault__clear();
    fault__fail(FAULT_OPEN, 0, 1, codes[i]);
    assert_true(pier_file_open(loop, path, self->flags, PIER_NO_DEADLINE, support__take, self) != 0);
    await_status(loop, &self->outcome, statuses[i]);
    assert_int_equal(fault__struck(), 1);
    assert_int_equal(fault__made(FAULT_OPEN), statuses[i] == PIER_OK ? 2 : 1);
    if (self->outcome.got.opened)
      support__close_handle(loop, self->outcome.got.opened);
  }
  support__close(loop);
}

/* For good, so it is the last case. */
static void a_system_that_does_not_know_is_asked_once(void **state) {
  (void)state;
  const char *path = support__temp_file(LENGTH);
  busy_loop *busy = open_busy();
  opening *openings[2];
  for (int i = 0; i < 2; i++) {
    openings[i] = new_opening(busy->loop, path, PIER_OPEN_READ);
    fault__clear();
    fault__fail(FAULT_OPEN, 0, 1, i == 0 ? ENOSYS : 0);
    assert_true(pier_file_open(busy->loop, path, PIER_OPEN_READ, PIER_NO_DEADLINE, support__take, openings[i]) != 0);
    assert_int_equal(fault__made(FAULT_OPEN), i == 0 ? 1 : 0);
    fault__clear();
  }
  free_the_worker(busy);
  for (int i = 0; i < 2; i++)
    expect_opened(busy->loop, openings[i], LENGTH);
  close_busy(busy);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      FAULT_TEST(what_is_known_is_opened_without_a_worker),
      FAULT_TEST_POOL(what_is_known_is_opened_without_a_worker),
      FAULT_TEST(what_would_wait_is_opened_by_others),
      FAULT_TEST_POOL(what_would_wait_is_opened_by_others),
      FAULT_TEST(what_changes_the_disk_is_not_tried),
      FAULT_TEST_POOL(what_changes_the_disk_is_not_tried),
      FAULT_TEST(failures_need_no_worker),
      FAULT_TEST(interrupted_openings_are_asked_again),
      FAULT_TEST(a_system_that_does_not_know_is_asked_once),
  };
  return support__main(argc, argv, "fault_opening_linux", tests, sizeof tests / sizeof tests[0]);
}
