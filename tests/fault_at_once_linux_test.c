/* Files are written by the submitting thread where that is certain not to wait; and what happens where it is not. */
#include "fault.h"
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LENGTH = 5000, BLOCK = 65536, CUT = 7, EVERY = 1000000 };

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

/* A file in memory: its path leads to it for as long as the descriptor is open. */
static const char *memory_file(int *descriptor) {
  char *path = support__alloc(64);
  *descriptor = memfd_create("pier_test", MFD_CLOEXEC);
  assert_true(*descriptor >= 0);
  snprintf(path, 64, "/proc/self/fd/%d", *descriptor);
  return path;
}

static pier_handle open_file(pier_loop *loop, const char *path, unsigned flags) {
  pier_handle file = 0;
  assert_status(pier_file_open_sync(loop, path, flags, &file), PIER_OK);
  return file;
}

static support_outcome *write_at(pier_handle file, const void *bytes, size_t length, int64_t offset) {
  support_outcome *outcome = support__outcome();
  fault__clear();
  assert_true(pier_write_at(file, bytes, length, offset, PIER_NO_DEADLINE, support__take, outcome) != 0);
  return outcome;
}

static void expect_bytes(int descriptor, size_t length, uint64_t at) {
  unsigned char *got = support__alloc(length);
  assert_int_equal(pread(descriptor, got, length, (off_t)at), length);
  assert_true(support__filled(got, length, at));
}

/* What ends inside its submit needs no place among the deadlines, and no memory for one. */
static void a_deadline_that_nothing_waits_for_takes_no_memory(void **state) {
  (void)state;
  int descriptor;
  const char *path = memory_file(&descriptor);
  pier_loop *loop = support__open();
  unsigned char *bytes = support__alloc(LENGTH), *got = support__alloc(LENGTH);
  pier_handle file = open_file(loop, path, PIER_OPEN_READ | PIER_OPEN_WRITE);
  support__fill(bytes, LENGTH, 0);
  await_status(loop, write_at(file, bytes, LENGTH, 0), PIER_OK);
  support_outcome *outcome = support__outcome();
  fault__fail(FAULT_MEMORY, 0, EVERY, 0);
  assert_true(pier_read_at(file, got, LENGTH, 0, pier_deadline_in(60 * PIER_SECOND), support__take, outcome) != 0);
  fault__clear();
  await_status(loop, outcome, PIER_OK);
  assert_true(outcome->got.bytes == LENGTH && support__filled(got, LENGTH, 0));
  support__close_handle(loop, file);
  close(descriptor);
  support__close(loop);
}

/* To write to a file in memory, and to read from it, is a copy: the submitting thread's, up to 64 KiB. */
static void a_file_in_memory_needs_no_worker(void **state) {
  (void)state;
  int descriptor;
  const char *path = memory_file(&descriptor);
  busy_loop *busy = open_busy();
  unsigned char *bytes = support__alloc(BLOCK), *got = support__alloc(BLOCK);
  const pier_buffer parts[] = {{bytes, 100}, {bytes + 100, BLOCK - 100}};
  pier_handle file = open_file(busy->loop, path, PIER_OPEN_READ | PIER_OPEN_WRITE);
  support__fill(bytes, BLOCK, 0);
  uint64_t before = support__metrics(busy->loop).immediate;
  support_outcome *outcome = write_at(file, bytes, BLOCK, 0);
  await_status(busy->loop, outcome, PIER_OK);
  assert_int_equal(outcome->got.bytes, BLOCK);
  outcome = support__outcome();
  support__fill(bytes, BLOCK, BLOCK);
  assert_true(pier_writev_at(file, parts, 2, BLOCK, PIER_NO_DEADLINE, support__take, outcome) != 0);
  await_status(busy->loop, outcome, PIER_OK);
  expect_bytes(descriptor, (size_t)2 * BLOCK, 0);
  outcome = support__outcome();
  assert_true(pier_read_at(file, got, BLOCK, BLOCK, PIER_NO_DEADLINE, support__take, outcome) != 0);
  await_status(busy->loop, outcome, PIER_OK);
  assert_true(outcome->got.bytes == BLOCK && support__filled(got, BLOCK, BLOCK));
  assert_int_equal(support__metrics(busy->loop).immediate - before, 3);
  free_the_worker(busy);
  support__close_handle(busy->loop, file);
  close(descriptor);
  close_busy(busy);
}

/* Nor does it for what the system refuses. */
static void a_refused_write_in_memory_needs_no_worker(void **state) {
  (void)state;
  int descriptor;
  const char *path = memory_file(&descriptor);
  busy_loop *busy = open_busy();
  pier_handle file = open_file(busy->loop, path, PIER_OPEN_WRITE);
  support_outcome *outcome = write_at(file, "ab", 2, 0);
  await_status(busy->loop, outcome, PIER_OK);
  outcome = support__outcome();
  fault__fail(FAULT_WRITE, 0, 1, ENOSPC);
  assert_true(pier_write_at(file, "cd", 2, 2, PIER_NO_DEADLINE, support__take, outcome) != 0);
  await_status(busy->loop, outcome, PIER_ENOSPC);
  free_the_worker(busy);
  support__close_handle(busy->loop, file);
  close(descriptor);
  close_busy(busy);
}

/* What is much, goes to the end, past the cache or through to the device is left to who may wait. */
static void other_writes_are_not_tried(void **state) {
  (void)state;
  int descriptor;
  const char *path = memory_file(&descriptor);
  const unsigned flags[] = {PIER_OPEN_WRITE, PIER_OPEN_APPEND, PIER_OPEN_WRITE | PIER_OPEN_THROUGH};
  pier_loop *loop = support__open();
  unsigned char *bytes = support__alloc(BLOCK + 1);
  for (int i = 0; i < 3; i++) {
    pier_handle file = open_file(loop, path, flags[i]);
    uint64_t before = support__metrics(loop).immediate;
    size_t length = i == 0 ? BLOCK + 1 : 10;
    support_outcome *outcome = write_at(file, bytes, length, 0);
    await_status(loop, outcome, PIER_OK);
    assert_int_equal(outcome->got.bytes, length);
    assert_int_equal(support__metrics(loop).immediate, before);
    support__close_handle(loop, file);
  }
  close(descriptor);
  support__close(loop);
}

/* What goes past the cache waits for the device, so it is not tried: of files of Pier's, and of others. */
static void past_the_cache_nothing_is_tried(void **state) {
  (void)state;
  const char *path = support__temp_file(BLOCK);
  busy_loop *busy = open_busy();
  char *raw = support__alloc((size_t)2 * BLOCK), *got = raw + BLOCK - (uintptr_t)raw % BLOCK;
  pier_handle files[2] = {0, 0};
  support_outcome *outcomes[2];
  int status = pier_file_open_sync(busy->loop, path, PIER_OPEN_READ | PIER_OPEN_DIRECT, &files[0]);
  if (status == PIER_OK)
    assert_status(pier_register(busy->loop, (pier_native)open(path, O_RDONLY | O_DIRECT | O_CLOEXEC), NULL, &files[1]), PIER_OK);
  uint64_t before = support__metrics(busy->loop).immediate;
  fault__clear();
  for (int i = 0; i < 2 && status == PIER_OK; i++) {
    outcomes[i] = support__outcome();
    assert_true(pier_read_at(files[i], got + 4096 * i, 4096, 0, PIER_NO_DEADLINE, support__take, outcomes[i]) != 0);
  }
  if (!is_uring(busy->loop))
    assert_int_equal(fault__made(FAULT_READ), 0);
  free_the_worker(busy);
  for (int i = 0; i < 2 && status == PIER_OK; i++) {
    await_status(busy->loop, outcomes[i], PIER_OK);
    assert_true(outcomes[i]->got.bytes == 4096 && support__filled(got + 4096 * i, 4096, 0));
    support__close_handle(busy->loop, files[i]);
  }
  assert_int_equal(support__metrics(busy->loop).immediate, before);
  close_busy(busy);
  if (status != PIER_OK)
    support__skip("files of tests cannot be opened past the cache here");
}

/* A file on a file system that says when a write would wait, as this one is made to. */
static pier_handle open_tried(busy_loop *busy, int *descriptor) {
  const char *path = support__temp_path();
  *descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  assert_true(*descriptor >= 0);
  fault__let_writes_be_tried(true);
  return open_file(busy->loop, path, PIER_OPEN_WRITE);
}

static void close_tried(busy_loop *busy, pier_handle file, int descriptor) {
  fault__let_writes_be_tried(false);
  support__close_handle(busy->loop, file);
  close(descriptor);
  close_busy(busy);
}

/* What it takes is taken, and a write that it takes in part goes on. */
static void a_write_that_does_not_wait_needs_no_worker(void **state) {
  (void)state;
  int descriptor;
  busy_loop *busy = open_busy();
  pier_handle file = open_tried(busy, &descriptor);
  unsigned char *bytes = support__alloc(LENGTH);
  support__fill(bytes, LENGTH, 0);
  for (int cut = 0; cut < 2; cut++) {
    support_outcome *outcome = support__outcome();
    assert_int_equal(ftruncate(descriptor, 0), 0);
    fault__clear();
    if (cut)
      fault__cut(FAULT_WRITE, 0, 1, CUT);
    assert_true(pier_write_at(file, bytes, LENGTH, 0, PIER_NO_DEADLINE, support__take, outcome) != 0);
    await_status(busy->loop, outcome, PIER_OK);
    assert_int_equal(outcome->got.bytes, LENGTH);
    assert_int_equal(fault__made(FAULT_WRITE), cut + 1);
    expect_bytes(descriptor, LENGTH, 0);
  }
  free_the_worker(busy);
  close_tried(busy, file, descriptor);
}

/* Whatever it says but success is for who may wait to find out. */
static void a_write_that_would_wait_is_made_by_others(void **state) {
  (void)state;
  const int codes[] = {EAGAIN, EINTR, ENOMEM, ENOSPC};
  int descriptor;
  busy_loop *busy = open_busy();
  pier_handle file = open_tried(busy, &descriptor);
  unsigned char *bytes = support__alloc(LENGTH);
  support_outcome *outcomes[4];
  support__fill(bytes, LENGTH, 0);
  for (int i = 0; i < 4; i++) {
    outcomes[i] = support__outcome();
    fault__clear();
    if (i == 0 || !is_uring(busy->loop)) /* after one in vain the ring has the next ones */
      fault__fail(FAULT_WRITE, 0, 1, codes[i]);
    assert_true(pier_write_at(file, bytes + i * 1000, 1000, i * 1000, PIER_NO_DEADLINE, support__take, outcomes[i]) != 0);
  }
  if (!is_uring(busy->loop))
    assert_false(support__called(outcomes[0]) || support__called(outcomes[3]));
  free_the_worker(busy);
  for (int i = 0; i < 4; i++)
    await_status(busy->loop, outcomes[i], PIER_OK);
  expect_bytes(descriptor, 4000, 0);
  close_tried(busy, file, descriptor);
}

/* A file system that does not know how is asked once. */
static void a_file_system_that_does_not_know_is_asked_once(void **state) {
  (void)state;
  const char *path = support__temp_path();
  pier_loop *loop = support__open();
  pier_handle file = open_file(loop, path, PIER_OPEN_WRITE | PIER_OPEN_CREATE);
  if (fcntl((int)pier_handle_native(file), F_GET_SEALS) >= 0) {
    support__close_handle(loop, file);
    support__close(loop);
    support__skip("files of tests are in memory here");
  }
  for (unsigned i = 0; i < 3; i++) {
    support_outcome *outcome = support__outcome();
    fault__clear();
    if (i == 0)
      fault__fail(FAULT_WRITE, 0, 1, EOPNOTSUPP);
    assert_true(pier_write_at(file, "pier", 4, 4 * i, PIER_NO_DEADLINE, support__take, outcome) != 0);
    await_status(loop, outcome, PIER_OK);
    assert_int_equal(fault__made(FAULT_WRITE), i == 0 ? 2 : 1);
  }
  support__close_handle(loop, file);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      FAULT_TEST(a_deadline_that_nothing_waits_for_takes_no_memory),
      FAULT_TEST(a_file_in_memory_needs_no_worker),
      FAULT_TEST_POOL(a_file_in_memory_needs_no_worker),
      FAULT_TEST(a_refused_write_in_memory_needs_no_worker),
      FAULT_TEST(other_writes_are_not_tried),
      FAULT_TEST(past_the_cache_nothing_is_tried),
      FAULT_TEST(a_write_that_does_not_wait_needs_no_worker),
      FAULT_TEST_POOL(a_write_that_does_not_wait_needs_no_worker),
      FAULT_TEST(a_write_that_would_wait_is_made_by_others),
      FAULT_TEST(a_file_system_that_does_not_know_is_asked_once),
  };
  return support__main(argc, argv, "fault_at_once_linux", tests, sizeof tests / sizeof tests[0]);
}
