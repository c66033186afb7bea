/* Registered handles before anybody knows what they are: nothing asks the system before the first use, and nobody waits for an
 * answer that does not come. The question is held up by a stand-in for NtQueryInformationFile() which does what the system does
 * while somebody is inside a blocking call on the handle: it does not return. */
#include "standin_win.h"

#include "streams.h"

#include "hook.h"

#include <string.h>

#define CLASS_MODE 16u

static struct held {
  support_event *entered, *go_on; /* both or none */
  HANDLE stuck_in;                /* instead: a pipe that nothing is written to */
  atomic_uint asked, answered, aborted;
  atomic_bool strange; /* asked on the thread that must not be held up */
  uintptr_t never_here;
} held;

static NTSTATUS NTAPI query(HANDLE file, struct nt_io_status *io, void *information, ULONG length_bytes, ULONG file_class) {
  char byte;
  DWORD bytes = 0;
  atomic_fetch_add(&held.asked, file_class == CLASS_MODE);
  if (support__thread_id() == held.never_here)
    atomic_store(&held.strange, true);
  if (file_class == CLASS_MODE && held.entered) {
    support__event_set(held.entered);
    support__event_wait(held.go_on, 30 * PIER_SECOND);
  }
  if (file_class == CLASS_MODE && held.stuck_in && !ReadFile(held.stuck_in, &byte, 1, &bytes, NULL) &&
      GetLastError() == ERROR_OPERATION_ABORTED)
    support__count(&held.aborted);
  NTSTATUS status = nt__system()->query_information_file(file, io, information, length_bytes, file_class);
  atomic_fetch_add(&held.answered, file_class == CLASS_MODE);
  return status;
}

static pier_loop *open_held(bool hold) {
  memset(&held, 0, sizeof held);
  if (hold) {
    held.entered = support__event_open();
    held.go_on = support__event_open();
  }
  held.never_here = support__thread_id();
  struct nt_table *table = standin__table();
  table->query_information_file = query;
  nt__replace(table);
  return support__open();
}

static bool all_answered(void *context) {
  (void)context;
  return atomic_load(&held.answered) == atomic_load(&held.asked);
}

/* The thread that asks is in the stand-in until it has answered: so it is let go, and waited for. */
static void close_held(pier_loop *loop) {
  support__close(loop);
  if (held.go_on)
    support__event_set(held.go_on);
  support__until(NULL, all_answered, NULL, "the thread that asks");
  assert_false(atomic_load(&held.strange));
}

static int end(void **state) {
  nt__replace(standin__table());
  return support__end(state);
}

static pier_handle add(pier_loop *loop, pier_native native, const pier_register_options *options) {
  pier_handle handle = 0;
  assert_status(pier_register(loop, native, options, &handle), PIER_OK);
  return handle;
}

static void make_pair(pier_native natives[2], bool overlapped) {
  support__native_pipe_pair(false, overlapped, true, natives);
}

static support_outcome *read_from(pier_handle handle, void *buffer, size_t length, uint64_t deadline_ns, pier_operation *id) {
  support_outcome *read = support__outcome();
  *id = pier_read(handle, buffer, length, deadline_ns, support__take, read);
  assert_true(*id != 0);
  return read;
}

/* Registering, asking for the state, detaching and closing have no question asked at all. */
static void b16_nothing_is_asked_before_the_first_use(void **state) {
  (void)state;
  const pier_association associations[] = {PIER_ASSOCIATE_LAZY, PIER_ASSOCIATE_NEVER};
  for (int i = 0; i < 2; i++) {
    const pier_register_options options = {.association = associations[i], .keep_open = true};
    pier_loop *loop = open_held(true);
    pier_native natives[2];
    make_pair(natives, false);
    pier_handle handle = add(loop, natives[0], &options);
    assert_int_equal(pier_handle_state(handle), i == 0 ? PIER_STATE_FRESH : PIER_STATE_KEPT);
    assert_status(pier_handle_detach(handle), PIER_OK);
    support__close_handle(loop, handle);
    assert_int_equal(atomic_load(&held.asked), 0);
    close_held(loop);
    support__native_close_pipe(natives[0]);
    support__native_close_pipe(natives[1]);
  }
}

/* While the question is stuck the operations wait: each ends by its cancel, its deadline or the close, the close too, and the
 * loop is closed; all before there is an answer. */
static void b16_a_stuck_question_holds_nothing_up(void **state) {
  (void)state;
  pier_loop *loop = open_held(true);
  pier_native natives[2];
  pier_operation ids[5];
  char *buffer = support__alloc(64);
  make_pair(natives, false);
  const pier_register_options options = {.keep_open = true};
  pier_handle handle = add(loop, natives[0], &options);
  support_outcome *cancelled = read_from(handle, buffer, 1, PIER_NO_DEADLINE, &ids[0]);
  assert_true(support__event_wait(held.entered, 5 * PIER_SECOND));
  uint64_t deadline_ns = pier_deadline_in(5 * PIER_MILLISECOND);
  support_outcome *late = read_from(handle, buffer, 1, deadline_ns, &ids[1]);
  support_outcome *closed = read_from(handle, buffer, 1, PIER_NO_DEADLINE, &ids[2]);
  support_outcome *written = support__outcome(), *ioctl = support__outcome(), *flushed = support__outcome(), *shut = support__outcome();
  assert_true(pier_write(handle, "x", 1, PIER_NO_DEADLINE, support__take, written) != 0);
  ids[3] = pier_ioctl(handle, 0, NULL, 0, NULL, 0, PIER_NO_DEADLINE, support__take, ioctl);
  ids[4] = pier_file_flush(handle, PIER_NO_DEADLINE, support__take, flushed);
  pier_operation shutting = pier_tcp_shutdown(handle, PIER_NO_DEADLINE, support__take, shut);
  assert_int_equal(pier_handle_in_flight(handle), 7);
  assert_status(pier_handle_detach(handle), PIER_EBUSY);
  assert_status(pier_cancel(ids[0]), PIER_OK);
  await_status(loop, cancelled, PIER_ECANCELED);
  assert_status(pier_cancel(ids[4]), PIER_OK);
  await_status(loop, flushed, PIER_ECANCELED);
  assert_status(pier_cancel(shutting), PIER_OK);
  await_status(loop, shut, PIER_ECANCELED);
  await_status(loop, late, PIER_ETIMEDOUT);
  assert_true(late->at_ns >= deadline_ns);
  assert_false(support__called(closed) || support__called(written) || support__called(ioctl));
  support__close_handle(loop, handle);
  assert_status(closed->got.status, PIER_ECLOSED);
  assert_status(written->got.status, PIER_ECLOSED);
  assert_status(ioctl->got.status, PIER_ECLOSED);
  assert_int_equal(atomic_load(&held.asked), 1);
  assert_int_equal(atomic_load(&held.answered), 0);
  close_held(loop);
  support__native_close_pipe(natives[0]);
  support__native_close_pipe(natives[1]);
}

/* A handle that Pier is to close, of which nobody knows whether it is a socket: its callback comes, and it is closed when there is
 * an answer, or soon if it was never asked. */
static void b16_what_is_unknown_is_closed_in_the_end(void **state) {
  (void)state;
  for (int used = 0; used < 2; used++) {
    pier_loop *loop = open_held(used == 1);
    pier_native natives[2];
    pier_operation id;
    char *buffer = support__alloc(16);
    pier_sync_result result;
    make_pair(natives, false);
    pier_handle handle = add(loop, natives[0], NULL);
    support_outcome *read = used ? read_from(handle, buffer, 1, PIER_NO_DEADLINE, &id) : NULL;
    if (used)
      assert_true(support__event_wait(held.entered, 5 * PIER_SECOND));
    support__close_handle(loop, handle);
    if (used)
      assert_status(read->got.status, PIER_ECLOSED);
    close_held(loop);
    /* The other end sees it. */
    assert_status(pier_sync_read(natives[1], buffer, 1, 10 * PIER_SECOND, &result), PIER_OK);
    assert_true(result.end);
    support__native_close_pipe(natives[1]);
  }
}

/* A socket's end is a socket's: its peer sees it at once or in the end, whether it was used or not. */
static void b16_an_unknown_socket_is_closed_in_the_end(void **state) {
  (void)state;
  pier_loop *loop = open_held(false);
  pier_native natives[2];
  char *buffer = support__alloc(16);
  pier_sync_result result;
  support__native_tcp_pair(natives);
  pier_handle handle = add(loop, natives[0], NULL);
  support__close_handle(loop, handle);
  close_held(loop);
  assert_status(pier_sync_read(natives[1], buffer, 1, 10 * PIER_SECOND, &result), PIER_OK);
  assert_true(result.end);
  support__native_close_socket(natives[1]);
}

/* A close calls the thread back out of a call that can be cancelled. */
static void b16_a_close_calls_the_thread_back(void **state) {
  (void)state;
  HANDLE reading = NULL, writing = NULL;
  pier_native natives[2];
  pier_operation id;
  char *buffer = support__alloc(16);
  assert_true(CreatePipe(&reading, &writing, NULL, 0));
  pier_loop *loop = open_held(false);
  held.stuck_in = reading;
  make_pair(natives, false);
  const pier_register_options options = {.keep_open = true};
  pier_handle handle = add(loop, natives[0], &options);
  support_outcome *read = read_from(handle, buffer, 1, PIER_NO_DEADLINE, &id);
  support__until_count(NULL, &held.asked, 1, "the question");
  /* It is not inside the call yet, perhaps: then this shows less, and the thread is freed below. */
  for (int i = 0; i < 100; i++)
    support__yield();
  Sleep(20);
  support__close_handle(loop, handle);
  assert_status(read->got.status, PIER_ECLOSED);
  support__until_count(NULL, &held.aborted, 1, "the thread to be called back");
  close_held(loop);
  CloseHandle(reading);
  CloseHandle(writing);
  support__native_close_pipe(natives[0]);
  support__native_close_pipe(natives[1]);
}

/* What waited is served in the order of the submits when the answer is there, on a handle that blocks and on one that does not. */
static void b16_what_waited_is_served_in_order(void **state) {
  (void)state;
  enum { READS = 8 };
  for (int i = 0; i < 4; i++) {
    pier_loop *loop = open_held(true);
    pier_native natives[2];
    pier_operation id;
    pier_sync_result result;
    support_outcome *reads[READS];
    char *buffer = support__alloc(READS);
    const pier_register_options options = {.association = i & 2 ? PIER_ASSOCIATE_NEVER : PIER_ASSOCIATE_LAZY};
    make_pair(natives, i & 1);
    assert_status(pier_sync_write(natives[1], "abcdefgh", READS, PIER_NO_TIMEOUT, &result), PIER_OK);
    pier_handle handle = add(loop, natives[0], &options);
    for (int r = 0; r < READS; r++)
      reads[r] = read_from(handle, &buffer[r], 1, PIER_NO_DEADLINE, &id);
    support_outcome *written = support__outcome();
    assert_true(pier_write(handle, "answer", 6, PIER_NO_DEADLINE, support__take, written) != 0);
    assert_true(support__event_wait(held.entered, 5 * PIER_SECOND));
    support__event_set(held.go_on);
    for (int r = 0; r < READS; r++)
      await_status(loop, reads[r], PIER_OK);
    assert_memory_equal(buffer, "abcdefgh", READS);
    await_status(loop, written, PIER_OK);
    assert_int_equal(pier_handle_kind(handle), PIER_KIND_PIPE);
    assert_int_equal(pier_handle_state(handle), !(i & 1) ? PIER_STATE_BLOCKING : i & 2 ? PIER_STATE_KEPT : PIER_STATE_ASSOCIATED);
    assert_int_equal(atomic_load(&held.asked), 1);
    support__close_handle(loop, handle);
    close_held(loop);
    support__native_close_pipe(natives[1]);
  }
}

#ifdef PIER_HOOKS
static struct gap {
  atomic_uint launches;
  support_event *reached, *go_on;
} gap;

/* The first launch is the submit's own, which ends at the gate; the second is the one that comes through it. */
static void hold_second_launch(struct op *op) {
  (void)op;
  if (atomic_fetch_add(&gap.launches, 1) != 1)
    return;
  support__event_set(gap.reached);
  support__event_wait(gap.go_on, 10 * PIER_SECOND);
}
#endif

/* A submit that comes while the first one is on its way through the gate stays behind it. */
static void b16_nothing_overtakes_at_the_gate(void **state) {
  (void)state;
#ifdef PIER_HOOKS
  pier_loop *loop = open_held(true);
  pier_native natives[2];
  pier_operation id;
  pier_sync_result result;
  char *buffer = support__alloc(2);
  gap.reached = support__event_open();
  gap.go_on = support__event_open();
  make_pair(natives, true);
  assert_status(pier_sync_write(natives[1], "ab", 2, PIER_NO_TIMEOUT, &result), PIER_OK);
  pier_handle handle = add(loop, natives[0], NULL);
  atomic_store(&gap.launches, 0);
  pier_hooks.before_launch = hold_second_launch;
  support_outcome *first = read_from(handle, &buffer[0], 1, PIER_NO_DEADLINE, &id);
  support__event_set(held.go_on);
  assert_true(support__event_wait(gap.reached, 5 * PIER_SECOND));
  support_outcome *second = read_from(handle, &buffer[1], 1, PIER_NO_DEADLINE, &id);
  support__event_set(gap.go_on);
  await_status(loop, first, PIER_OK);
  await_status(loop, second, PIER_OK);
  pier_hooks.before_launch = NULL;
  assert_memory_equal(buffer, "ab", 2);
  support__close_handle(loop, handle);
  close_held(loop);
  support__native_close_pipe(natives[1]);
#else
  support__skip("built without hooks");
#endif
}

/* What turns out not to fit the kind is refused by its callback, and the rest served. */
static void what_does_not_fit_is_refused(void **state) {
  (void)state;
  pier_loop *loop = open_held(true);
  pier_native natives[2];
  pier_operation id;
  char *buffer = support__alloc(16);
  make_pair(natives, true);
  pier_handle handle = add(loop, natives[0], NULL);
  support_outcome *positioned = support__outcome(), *accepted = support__outcome(), *flushed = support__outcome(), *shut = support__outcome();
  assert_true(pier_read_at(handle, buffer, 1, 0, PIER_NO_DEADLINE, support__take, positioned) != 0);
  assert_true(pier_tcp_accept(handle, PIER_NO_DEADLINE, support__take, accepted) != 0);
  assert_true(pier_file_flush(handle, PIER_NO_DEADLINE, support__take, flushed) != 0);
  assert_true(pier_tcp_shutdown(handle, PIER_NO_DEADLINE, support__take, shut) != 0);
  support_outcome *read = read_from(handle, buffer, 1, PIER_NO_DEADLINE, &id);
  support__event_set(held.go_on);
  await_status(loop, positioned, PIER_ESPIPE);
  await_status(loop, accepted, PIER_EBADF);
  await_status(loop, flushed, PIER_EBADF);
  await_status(loop, shut, PIER_EBADF);
  pier_sync_result result;
  assert_status(pier_sync_write(natives[1], "x", 1, PIER_NO_TIMEOUT, &result), PIER_OK);
  await_status(loop, read, PIER_OK);
  support__close_handle(loop, handle);
  close_held(loop);
  support__native_close_pipe(natives[1]);
}

/* A handle of something else is found out at the first use, and stays hopeless. */
static void what_cannot_be_served_says_so(void **state) {
  (void)state;
  pier_loop *loop = open_held(false);
  char *buffer = support__alloc(16);
  pier_operation id;
  HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
  pier_handle handle = add(loop, (pier_native)event, NULL);
  for (int i = 0; i < 3; i++)
    await_status(loop, read_from(handle, buffer, 1, PIER_NO_DEADLINE, &id), PIER_EBADF);
  support__close_handle(loop, handle);
  const pier_register_options at_once = {.mode = PIER_MODE_OVERLAPPED};
  event = CreateEventW(NULL, TRUE, FALSE, NULL);
  assert_status(pier_register(loop, (pier_native)event, &at_once, &handle), PIER_EINVAL);
  CloseHandle(event);
  assert_status(pier_register(loop, (pier_native)event, NULL, &handle), PIER_EINVAL);
  close_held(loop);
}

/* Who tells what the handle is has nothing asked that could wait. */
static void what_is_told_is_not_asked(void **state) {
  (void)state;
  pier_loop *loop = open_held(true); /* held up, if it were asked */
  pier_native natives[2];
  make_pair(natives, false);
  const pier_register_options blocking = {.kind = PIER_KIND_PIPE, .mode = PIER_MODE_BLOCKING};
  pier_handle ends[2] = {add(loop, natives[0], &blocking), 0};
  assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_BLOCKING);
  assert_int_equal(pier_handle_kind(ends[0]), PIER_KIND_PIPE);
  assert_int_equal(atomic_load(&held.asked), 0);
  support__event_set(held.go_on); /* what is opened for overlapped I/O is asked at once, which cannot wait */
  held.never_here = 0;
  const pier_register_options overlapped = {.mode = PIER_MODE_OVERLAPPED};
  ends[1] = add(loop, natives[1], &overlapped);
  assert_int_equal(pier_handle_state(ends[1]), PIER_STATE_FRESH);
  assert_int_equal(pier_handle_kind(ends[1]), PIER_KIND_PIPE);
  streams__exchange(loop, ends[0], ends[1], 500, 0);
  streams__exchange(loop, ends[1], ends[0], 500, 0);
  streams__close_pair(loop, ends);
  close_held(loop);
}

/* Calls that have to know ask on their own thread, and what waits at the gate passes with that. */
static void who_has_to_know_asks_himself(void **state) {
  (void)state;
  pier_loop *loop = open_held(true);
  pier_native natives[2];
  pier_operation id;
  pier_sync_result result;
  char *buffer = support__alloc(16);
  uint64_t size = 0;
  make_pair(natives, true);
  pier_handle handle = add(loop, natives[0], NULL);
  support_outcome *read = read_from(handle, buffer, 1, PIER_NO_DEADLINE, &id);
  assert_true(support__event_wait(held.entered, 5 * PIER_SECOND));
  held.never_here = 0;
  support_event *stuck = held.entered;
  held.entered = NULL; /* only the first question is stuck */
  assert_int_equal(pier_handle_kind(handle), PIER_KIND_PIPE);
  assert_status(pier_file_size(handle, &size), PIER_EBADF);
  assert_status(pier_sync_write(natives[1], "x", 1, PIER_NO_TIMEOUT, &result), PIER_OK);
  await_status(loop, read, PIER_OK);
  held.entered = stuck;
  assert_int_equal(atomic_load(&held.asked), 2);
  support__close_handle(loop, handle);
  close_held(loop);
  support__native_close_pipe(natives[1]);
}

/* Registering, using and closing race with the answer. */
static void b16_the_answer_and_a_close_race(void **state) {
  (void)state;
  enum { ROUNDS = 300 };
  pier_loop *loop = open_held(false);
  uint64_t seed = support__seed();
  unsigned served = 0;
  for (int round = 0; round < ROUNDS; round++) {
    pier_native natives[2];
    pier_operation id;
    pier_sync_result result;
    char *buffer = support__alloc(16);
    make_pair(natives, support__random_below(&seed, 2));
    assert_status(pier_sync_write(natives[1], "ab", 2, PIER_NO_TIMEOUT, &result), PIER_OK);
    pier_handle handle = add(loop, natives[0], NULL);
    support_outcome *reads[2], *closed = support__outcome();
    for (int i = 0; i < 2; i++)
      reads[i] = read_from(handle, &buffer[i], 1, PIER_NO_DEADLINE, &id);
    for (uint64_t pause = support__random_below(&seed, 8); pause > 0; pause--)
      support__yield();
    if (support__random_below(&seed, 2))
      pier_cancel(id);
    assert_status(pier_close(handle, support__take, closed), PIER_OK);
    await_status(loop, closed, PIER_OK);
    for (int i = 0; i < 2; i++) {
      assert_int_equal(atomic_load(&reads[i]->calls), 1);
      int status = reads[i]->got.status;
      assert_true(status == PIER_OK || status == PIER_ECLOSED || status == PIER_ECANCELED);
      served += status == PIER_OK;
    }
    support__native_close_pipe(natives[1]);
  }
  print_message("%u of %u reads were served\n", served, 2 * ROUNDS);
  close_held(loop);
}

typedef struct stuck_read {
  HANDLE native;
  char byte;
  DWORD bytes;
  atomic_uint began;
} stuck_read;

static void read_natively(void *context) {
  stuck_read *self = context;
  support__count(&self->began);
  if (!ReadFile(self->native, &self->byte, 1, &self->bytes, NULL))
    self->bytes = 0;
}

/* With a real read stuck in another thread, on an anonymous pipe: all of Pier's ends, and the pipe is the other thread's still. */
static void b16_a_real_read_is_stuck_in_an_anonymous_pipe(void **state) {
  (void)state;
  HANDLE reading = NULL, writing = NULL;
  DWORD bytes = 0;
  pier_operation ids[3];
  char *buffer = support__alloc(16);
  pier_loop *loop = open_held(false);
  assert_true(CreatePipe(&reading, &writing, NULL, 0));
  stuck_read *stuck = support__alloc(sizeof *stuck);
  stuck->native = reading;
  support_thread *thread = support__thread_start(read_natively, stuck);
  support__until_count(NULL, &stuck->began, 1, "the thread");
  Sleep(10);
  const pier_register_options options = {.keep_open = true};
  pier_handle handle = add(loop, (pier_native)reading, &options);
  support_outcome *cancelled = read_from(handle, &buffer[0], 1, PIER_NO_DEADLINE, &ids[0]);
  support_outcome *late = read_from(handle, &buffer[1], 1, pier_deadline_in(5 * PIER_MILLISECOND), &ids[1]);
  support_outcome *closed = read_from(handle, &buffer[2], 1, PIER_NO_DEADLINE, &ids[2]);
  await_status(loop, late, PIER_ETIMEDOUT);
  assert_status(pier_cancel(ids[0]), PIER_OK);
  await_status(loop, cancelled, PIER_ECANCELED);
  support__close_handle(loop, handle);
  assert_status(closed->got.status, PIER_ECLOSED);
  assert_true(WriteFile(writing, "x", 1, &bytes, NULL));
  support__thread_join(thread);
  assert_int_equal(stuck->bytes, 1);
  close_held(loop);
  CloseHandle(reading);
  CloseHandle(writing);
}

#define CASE(function, suffix, threads_of_case)                                                                        \
  { #function suffix, function, support__begin, end, &(support_case){#function suffix, threads_of_case} }
#define BOTH(function) CASE(function, "", 0), CASE(function, "_in_pool_mode", SUPPORT_THREADS)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      BOTH(b16_nothing_is_asked_before_the_first_use),  BOTH(b16_a_stuck_question_holds_nothing_up),
      BOTH(b16_what_is_unknown_is_closed_in_the_end),   BOTH(b16_an_unknown_socket_is_closed_in_the_end),
      CASE(b16_a_close_calls_the_thread_back, "", 0),   BOTH(b16_what_waited_is_served_in_order),
      CASE(b16_nothing_overtakes_at_the_gate, "", 0),   BOTH(what_does_not_fit_is_refused),
      BOTH(what_cannot_be_served_says_so),              BOTH(what_is_told_is_not_asked),
      BOTH(who_has_to_know_asks_himself),
      BOTH(b16_the_answer_and_a_close_race),            BOTH(b16_a_real_read_is_stuck_in_an_anonymous_pipe),
  };
  return support__main(argc, argv, "gate", tests, sizeof tests / sizeof tests[0]);
}
