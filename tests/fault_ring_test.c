/* Rings that cannot be had, that are full, and that the kernel will not take from. */
#include "fault.h"
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* More than the queues have room for: see URING_ENTRIES and URING_COMPLETIONS. */
enum { ENTRIES_MORE = 300, COMPLETIONS_MORE = 6000, FILE_BYTES = 8192, EVERY = 10000000 };

static bool is_uring(pier_loop *loop) {
  return strcmp(pier_loop_backend(loop), "uring") == 0;
}

/* Reads of a byte each, all submitted in one callback, each at its own place. */
typedef struct flood {
  pier_handle file;
  unsigned count;
  unsigned submitted;
  bool stuck; /* the kernel takes nothing while they are submitted */
  atomic_uint fine, again, others;
  unsigned char *got;
} flood;

static void count_read(const pier_result *result) {
  flood *all = result->context;
  support__count(result->status == PIER_OK && result->bytes == 1 ? &all->fine : result->status == PIER_EAGAIN ? &all->again : &all->others);
}

static void submit_all(const pier_result *result) {
  flood *all = result->context;
  if (all->stuck)
    fault__fail(FAULT_ENTER, 0, EVERY, EAGAIN);
  for (unsigned i = 0; i < all->count; i++)
    all->submitted += pier_read_at(all->file, &all->got[i], 1, i % FILE_BYTES, PIER_NO_DEADLINE, count_read, all) != 0;
  fault__clear();
}

static bool all_ended(void *context) {
  flood *all = context;
  return all->submitted == all->count && atomic_load(&all->fine) + atomic_load(&all->again) + atomic_load(&all->others) == all->count;
}

static flood *run_flood(pier_loop *loop, unsigned count, bool stuck) {
  flood *all = support__alloc(sizeof *all);
  all->count = count;
  all->stuck = stuck;
  all->got = support__alloc(count);
  /* One that Pier has not opened: its reads are not tried outside the ring. */
  int descriptor = open(support__temp_file(FILE_BYTES), O_RDONLY | O_CLOEXEC);
  assert_status(pier_register(loop, (pier_native)descriptor, NULL, &all->file), PIER_OK);
  assert_true(pier_post(loop, submit_all, all) != 0);
  support__until(loop, all_ended, all, "every read");
  assert_int_equal(atomic_load(&all->others), 0);
  support__close_handle(loop, all->file);
  return all;
}

/* What has no room among the completions comes later, and all of it. */
static void more_completions_than_there_is_room_for_all_come(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  flood *all = run_flood(loop, COMPLETIONS_MORE, false);
  assert_int_equal(atomic_load(&all->fine), COMPLETIONS_MORE);
  for (unsigned i = 0; i < COMPLETIONS_MORE; i += FILE_BYTES)
    assert_true(support__filled(all->got, COMPLETIONS_MORE - i < FILE_BYTES ? COMPLETIONS_MORE - i : FILE_BYTES, 0));
  support__close(loop);
}

/* A queue that is full and stays so refuses what comes, with a status; what was in it goes through. */
static void a_full_queue_that_the_kernel_does_not_empty_refuses(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  if (!is_uring(loop)) {
    support__close(loop);
    support__skip("there is no queue");
  }
  flood *all = run_flood(loop, ENTRIES_MORE, true);
  assert_true(atomic_load(&all->again) > 0);
  assert_true(atomic_load(&all->fine) > 0);
  all = run_flood(loop, ENTRIES_MORE, false);
  assert_int_equal(atomic_load(&all->fine), ENTRIES_MORE);
  support__close(loop);
}

/* The kernel may have no memory for a while, or be interrupted: the loop asks again. */
static void a_kernel_that_takes_nothing_for_a_while_is_asked_again(void **state) {
  (void)state;
  static const int codes[] = {EINTR, EAGAIN, EBUSY};
  pier_loop *loop = support__open();
  for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    pier_handle ends[2];
    support_outcome *read = support__outcome(), *written = support__outcome();
    char byte = 0;
    streams__pair(loop, STREAMS_TCP, ends);
    fault__clear();
    fault__fail(is_uring(loop) ? FAULT_ENTER : FAULT_WAIT, 0, 10, is_uring(loop) ? codes[i] : EINTR);
    assert_true(pier_read(ends[0], &byte, 1, PIER_NO_DEADLINE, support__take, read) != 0);
    for (int turn = 0; turn < 10; turn++)
      assert_status(pier_loop_run(loop, PIER_RUN_ONCE, PIER_MILLISECOND), PIER_ETIMEDOUT);
    assert_true(pier_write(ends[1], "k", 1, PIER_NO_DEADLINE, support__take, written) != 0);
    await_status(loop, written, PIER_OK);
    await_status(loop, read, PIER_OK);
    assert_true(byte == 'k');
    assert_int_equal(fault__struck(), 10);
    fault__clear();
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* ---- Which backend ---- */

static void name_backend(const char *name) {
  assert_int_equal(name ? setenv("PIER_BACKEND", name, 1) : unsetenv("PIER_BACKEND"), 0);
}

/* Where nobody may have a ring, or it lacks something, there is epoll, unless a ring was asked for. */
static void without_a_ring_there_is_epoll(void **state) {
  (void)state;
  static const struct {
    int code, asked_for;
  } refusals[] = {{ENOSYS, PIER_ENOTSUP}, {EPERM, PIER_ENOTSUP}, {EINVAL, PIER_ENOTSUP}, {ENOMEM, PIER_ENOMEM}};
  char before[16] = "";
  if (getenv("PIER_BACKEND"))
    strncpy(before, getenv("PIER_BACKEND"), sizeof before - 1);
  for (unsigned i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
    pier_loop *loop = NULL;
    name_backend(NULL);
    fault__fail(FAULT_SET, 0, 1, refusals[i].code);
    assert_status(pier_loop_open(NULL, &loop), PIER_OK);
    assert_string_equal(pier_loop_backend(loop), "epoll");
    assert_status(pier_loop_close(loop), PIER_OK);
    name_backend("uring");
    fault__fail(FAULT_SET, 0, 1, refusals[i].code);
    assert_status(pier_loop_open(NULL, &loop), refusals[i].asked_for);
    assert_null(loop);
  }
  /* What both need is a reason to fail. */
  pier_loop *loop = NULL;
  name_backend(NULL);
  fault__fail(FAULT_SET, 0, 1, EMFILE);
  assert_status(pier_loop_open(NULL, &loop), PIER_EMFILE);
  name_backend("none such");
  assert_status(pier_loop_open(NULL, &loop), PIER_EINVAL);
  name_backend(*before ? before : NULL);
}

/* ---- A thread that waits for readers ---- */

enum { FILES = 4 };

typedef struct straggler {
  pier_handle file;
  support_outcome *read;
  char byte;
} straggler;

/* The next call of io_uring_enter() fails: that by which this goes to the kernel. */
static void submit_one(const pier_result *result) {
  straggler *self = result->context;
  fault__fail(FAULT_ENTER, 0, 1, EAGAIN);
  assert_true(pier_read_at(self->file, &self->byte, 1, 0, PIER_NO_DEADLINE, support__take, self->read) != 0);
}

static void ignore(const pier_result *result) { (void)result; }

/* It waits for them and not for the ring, and is not to sleep while something is in line there; or in one that is lent to it. */
static void what_the_kernel_does_not_take_goes_there_again(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2], files[FILES];
  streams__pair(loop, STREAMS_TCP, ends);
  for (unsigned end = 0; end < 2; end++)
    assert_true(pier_read_multishot(ends[end], PIER_NO_DEADLINE, ignore, NULL) != 0);
  for (unsigned i = 0; i < FILES; i++) {
    int descriptor = open(support__temp_file(FILE_BYTES), O_RDONLY | O_CLOEXEC);
    assert_status(pier_register(loop, (pier_native)descriptor, NULL, &files[i]), PIER_OK);
  }
  for (unsigned i = 0; i < 4 * FILES; i++) {
    straggler *self = support__alloc(sizeof *self);
    *self = (straggler){.file = files[i % FILES], .read = support__outcome()};
    assert_true(pier_post(loop, submit_one, self) != 0);
    support__await(loop, self->read);
    assert_status(self->read->got.status, PIER_OK);
    assert_int_equal(fault__struck(), is_uring(loop) ? 1 : 0);
    fault__clear();
  }
  for (unsigned i = 0; i < FILES; i++)
    support__close_handle(loop, files[i]);
  streams__close_pair(loop, ends);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      FAULT_TEST(more_completions_than_there_is_room_for_all_come),
      FAULT_TEST(a_full_queue_that_the_kernel_does_not_empty_refuses),
      FAULT_TEST(a_kernel_that_takes_nothing_for_a_while_is_asked_again),
      FAULT_TEST(without_a_ring_there_is_epoll),
      FAULT_TEST(what_the_kernel_does_not_take_goes_there_again),
      FAULT_TEST_POOL(what_the_kernel_does_not_take_goes_there_again),
  };
  return support__main(argc, argv, "fault_ring", tests, sizeof tests / sizeof tests[0]);
}
