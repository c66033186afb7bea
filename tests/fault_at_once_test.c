/* Reads of files that have no readiness (epoll): what is in the system's cache is read by the submitting thread. */
#include "fault.h"
#include "streams.h"

#include <errno.h>
#include <string.h>

enum { LENGTH = 5000, LONG = 1 << 20, CUT = 7 };

/* A loop with one worker that is at a gate, so that whatever else needs a worker waits. */
typedef struct busy_loop {
  support_outcome outcome; /* first: of the work */
  pier_loop *loop;
  support_event *gate;
  atomic_uint begun;
  pier_handle file;
} busy_loop;

static int stand_at_the_gate(void *context) {
  busy_loop *busy = context;
  support__count(&busy->begun);
  support__event_wait(busy->gate, PIER_NO_TIMEOUT);
  return PIER_OK;
}

static busy_loop *open_busy(size_t length) {
  const pier_loop_options options = {.threads = support__threads(), .workers_max = 1};
  busy_loop *busy = support__alloc(sizeof *busy);
  busy->loop = support__open_with(&options);
  busy->gate = support__event_open();
  assert_status(pier_file_open_sync(busy->loop, support__temp_file(length), PIER_OPEN_READ, &busy->file), PIER_OK);
  assert_true(pier_work(busy->loop, stand_at_the_gate, PIER_NO_DEADLINE, support__take, busy) != 0);
  support__until_count(NULL, &busy->begun, 1, "the worker to be at the gate");
  fault__clear();
  return busy;
}

static void free_the_worker(busy_loop *busy) {
  support__event_set(busy->gate);
  await_status(busy->loop, &busy->outcome, PIER_OK);
}

static void close_busy(busy_loop *busy) {
  fault__clear();
  support__close_handle(busy->loop, busy->file);
  support__close(busy->loop);
  support__event_close(busy->gate);
}

static support_outcome *read_at(busy_loop *busy, char *got, size_t length, int64_t offset) {
  support_outcome *outcome = support__outcome();
  assert_true(pier_read_at(busy->file, got, length, offset, PIER_NO_DEADLINE, support__take, outcome) != 0);
  return outcome;
}

static void cached_data_and_the_end_need_no_worker(void **state) {
  (void)state;
  busy_loop *busy = open_busy(LENGTH);
  char *got = support__alloc(LENGTH);
  support_outcome *outcome = read_at(busy, got, 1000, 500);
  await_status(busy->loop, outcome, PIER_OK);
  assert_int_equal(outcome->got.bytes, 1000);
  assert_true(support__filled(got, 1000, 500));
  outcome = read_at(busy, got, 1000, LENGTH);
  await_status(busy->loop, outcome, PIER_OK);
  assert_int_equal(outcome->got.bytes, 0);
  assert_true(outcome->got.end);
  free_the_worker(busy);
  close_busy(busy);
}

static void several_parts_at_the_own_position_need_no_worker(void **state) {
  (void)state;
  busy_loop *busy = open_busy(LENGTH);
  char *got = support__alloc(LENGTH);
  const pier_buffer parts[] = {{got, 10}, {got + 10, 2000}, {got + 2010, 990}};
  for (int round = 0; round < 2; round++) {
    support_outcome *outcome = support__outcome();
    if (round == 0)
      assert_true(pier_readv(busy->file, parts, 3, PIER_NO_DEADLINE, support__take, outcome) != 0);
    else
      assert_true(pier_read(busy->file, got, 2000, PIER_NO_DEADLINE, support__take, outcome) != 0);
    await_status(busy->loop, outcome, PIER_OK);
    assert_int_equal(outcome->got.bytes, round == 0 ? 3000 : 2000);
    assert_true(support__filled(got, round == 0 ? 3000 : 2000, round == 0 ? 0 : 3000));
  }
  free_the_worker(busy);
  close_busy(busy);
}

/* Whether this loop's files have no readiness. */
static void need_epoll(busy_loop *busy) {
  if (pier_loop_backend(busy->loop)[0] == 'e')
    return;
  free_the_worker(busy);
  close_busy(busy);
  support__skip("io_uring has the kernel read files");
}

/* What the first call leaves open the worker's call settles. */
static void what_would_wait_is_the_workers(void **state) {
  (void)state;
  const int codes[] = {EAGAIN, EINTR, EINVAL, EAGAIN, EOPNOTSUPP}; /* a file system that does not know how is not tried again */
  busy_loop *busy = open_busy(LENGTH);
  char *got[5];
  support_outcome *outcomes[5];
  need_epoll(busy);
  for (int i = 0; i < 5; i++) {
    got[i] = support__alloc(LENGTH);
    fault__fail(FAULT_READ, 0, 1, codes[i]);
    outcomes[i] = read_at(busy, got[i], LENGTH, 0);
  }
  for (int i = 0; i < 5; i++)
    assert_false(support__called(outcomes[i]));
  free_the_worker(busy);
  for (int i = 0; i < 5; i++) {
    await_status(busy->loop, outcomes[i], PIER_OK);
    assert_int_equal(outcomes[i]->got.bytes, LENGTH);
    assert_true(support__filled(got[i], LENGTH, 0));
  }
  close_busy(busy);
}

static void what_is_cached_in_part_is_read_whole(void **state) {
  (void)state;
  busy_loop *busy = open_busy(LENGTH);
  char *got = support__alloc(LENGTH);
  need_epoll(busy);
  fault__cut(FAULT_READ, 0, 1, CUT);
  support_outcome *outcome = read_at(busy, got, LENGTH, 0);
  free_the_worker(busy);
  await_status(busy->loop, outcome, PIER_OK);
  assert_int_equal(outcome->got.bytes, LENGTH);
  assert_true(support__filled(got, LENGTH, 0));
  close_busy(busy);
}

/* Copying much would hold up the thread that submits, which may be the loop's. */
static void much_is_left_to_the_worker(void **state) {
  (void)state;
  busy_loop *busy = open_busy(LONG);
  char *got = support__alloc(LONG);
  need_epoll(busy);
  support_outcome *outcome = read_at(busy, got, LONG, 0);
  assert_int_equal(fault__made(FAULT_READ), 0);
  free_the_worker(busy);
  await_status(busy->loop, outcome, PIER_OK);
  assert_int_equal(outcome->got.bytes, LONG);
  assert_true(support__filled(got, LONG, 0));
  close_busy(busy);
}

/* A failure that the worker would meet too is told at once. */
static void errors_need_no_worker(void **state) {
  (void)state;
  busy_loop *busy = open_busy(LENGTH);
  char *got = support__alloc(LENGTH);
  need_epoll(busy);
  fault__fail(FAULT_READ, 0, 1, EIO);
  support_outcome *outcome = read_at(busy, got, LENGTH, 0);
  await_status(busy->loop, outcome, PIER_EIO);
  free_the_worker(busy);
  close_busy(busy);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      FAULT_TEST(cached_data_and_the_end_need_no_worker),
      FAULT_TEST_POOL(cached_data_and_the_end_need_no_worker),
      FAULT_TEST(several_parts_at_the_own_position_need_no_worker),
      FAULT_TEST(what_would_wait_is_the_workers),
      FAULT_TEST_POOL(what_would_wait_is_the_workers),
      FAULT_TEST(what_is_cached_in_part_is_read_whole),
      FAULT_TEST(much_is_left_to_the_worker),
      FAULT_TEST(errors_need_no_worker),
  };
  return support__main(argc, argv, "fault_at_once", tests, sizeof tests / sizeof tests[0]);
}
