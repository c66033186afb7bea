/* A handle's place: fresh, on Pier's port, on somebody else's, kept, or taken off. */
#include <winsock2.h>

#include <windows.h>

#include "streams.h"

#include <string.h>

/* A port that is not Pier's, on which nothing may ever arrive. */
static HANDLE open_port(void) {
  HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
  assert_non_null(port);
  return port;
}

static bool port_is_silent(HANDLE port) {
  DWORD bytes;
  ULONG_PTR key;
  OVERLAPPED *overlapped = NULL;
  BOOL dequeued = GetQueuedCompletionStatus(port, &bytes, &key, &overlapped, 0);
  return !dequeued && !overlapped;
}

static bool put_on(HANDLE port, pier_native native) {
  return CreateIoCompletionPort((HANDLE)native, port, 77, 0) == port;
}

static pier_handle add(pier_loop *loop, pier_native native, pier_association association) {
  const pier_register_options options = {.association = association};
  pier_handle handle = 0;
  assert_status(pier_register(loop, native, &options, &handle), PIER_OK);
  return handle;
}

/* Everything an operation can come to, on a handle whose completions take the event path. */
static void use_event_path(pier_loop *loop, pier_handle ends[2]) {
  char *buffer = support__alloc(64);
  for (unsigned i = 0; i < 5; i++) {
    streams__exchange(loop, ends[0], ends[1], 300 + i, i);
    streams__exchange(loop, ends[1], ends[0], 300 + i, i);
    support_outcome *late = support__outcome(), *cancelled = support__outcome();
    uint64_t deadline_ns = pier_deadline_in(3 * PIER_MILLISECOND);
    assert_true(pier_read(ends[0], buffer, 64, deadline_ns, support__take, late) != 0);
    await_status(loop, late, PIER_ETIMEDOUT);
    assert_true(late->at_ns >= deadline_ns);
    assert_true((late->thread == support__thread_id()) == (support__threads() == 0)); /* the loop's */
    pier_operation id = pier_read(ends[0], buffer, 64, PIER_NO_DEADLINE, support__take, cancelled);
    assert_status(pier_cancel(id), PIER_OK);
    await_status(loop, cancelled, PIER_ECANCELED);
  }
}

enum { SORTS = 3 };

static void make_natives(int sort, pier_native natives[2]) {
  if (sort == 2)
    support__native_tcp_pair(natives);
  else
    support__native_pipe_pair(sort == 1, true, true, natives);
}

/* Registered lazily, a handle can still go to the caller's port; Pier's operations then take the event path, and that
 * port sees none of them. */
static void b1_a_lazy_handle_can_go_to_the_callers_port(void **state) {
  (void)state;
  for (int sort = 0; sort < SORTS; sort++) {
    pier_loop *loop = support__open();
    HANDLE port = open_port();
    pier_native natives[2];
    make_natives(sort, natives);
    pier_handle ends[2] = {add(loop, natives[0], PIER_ASSOCIATE_LAZY), add(loop, natives[1], PIER_ASSOCIATE_LAZY)};
    assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_FRESH);
    assert_true(put_on(port, natives[0]));
    use_event_path(loop, ends);
    assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_FOREIGN);
    assert_int_equal(pier_handle_state(ends[1]), PIER_STATE_ASSOCIATED);
    assert_true(port_is_silent(port));
    streams__close_pair(loop, ends);
    CloseHandle(port);
    support__close(loop);
  }
}

/* The same for a file, with positions, vectors and many calls in flight. */
static void b1_a_lazy_file_can_go_to_the_callers_port(void **state) {
  (void)state;
  enum { LENGTH = 100000, PARTS = 50, READS = 16 };
  pier_loop *loop = support__open();
  HANDLE port = open_port();
  HANDLE native = CreateFileA(support__temp_file(LENGTH), GENERIC_READ | GENERIC_WRITE, FILE_SHARE_DELETE, NULL,
                              OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
  assert_true(native != INVALID_HANDLE_VALUE);
  pier_handle file = add(loop, (pier_native)native, PIER_ASSOCIATE_LAZY);
  assert_int_equal(pier_handle_state(file), PIER_STATE_FRESH);
  assert_true(put_on(port, (pier_native)native));
  unsigned char *buffer = support__alloc(LENGTH);
  pier_buffer *parts = support__alloc(PARTS * sizeof *parts);
  for (unsigned i = 0; i < PARTS; i++)
    parts[i] = (pier_buffer){buffer + i * (LENGTH / PARTS), LENGTH / PARTS};
  for (int round = 0; round < 10; round++) {
    support_outcome *spread = support__outcome(), *reads[READS];
    memset(buffer, 0, LENGTH);
    assert_true(pier_readv_at(file, parts, PARTS, 0, PIER_NO_DEADLINE, support__take, spread) != 0);
    await_status(loop, spread, PIER_OK);
    assert_int_equal(spread->got.bytes, LENGTH);
    assert_true(support__filled(buffer, LENGTH, 0));
    for (unsigned i = 0; i < READS; i++) {
      reads[i] = support__outcome();
      assert_true(pier_read_at(file, buffer + i * 4096, 4096, (int64_t)i * 5000, PIER_NO_DEADLINE, support__take,
                               reads[i]) != 0);
    }
    for (unsigned i = 0; i < READS; i++) {
      await_status(loop, reads[i], PIER_OK);
      assert_int_equal(reads[i]->got.bytes, 4096);
      assert_true(support__filled(buffer + i * 4096, 4096, (uint64_t)i * 5000));
    }
  }
  assert_int_equal(pier_handle_state(file), PIER_STATE_FOREIGN);
  assert_int_equal(pier_handle_kind(file), PIER_KIND_FILE);
  assert_true(port_is_silent(port));
  support__close_handle(loop, file);
  CloseHandle(port);
  support__close(loop);
}

/* A handle that is on another port already is registered all the same; the other port sees nothing and can be closed.
 */
static void b6_a_handle_on_another_port_takes_the_event_path(void **state) {
  (void)state;
  const pier_association associations[] = {PIER_ASSOCIATE_NOW, PIER_ASSOCIATE_LAZY, PIER_ASSOCIATE_NEVER};
  for (int sort = 0; sort < SORTS; sort++) {
    for (int a = 0; a < 3; a++) {
      pier_loop *loop = support__open();
      HANDLE port = open_port();
      pier_native natives[2];
      make_natives(sort, natives);
      assert_true(put_on(port, natives[0]) && put_on(port, natives[1]));
      pier_handle ends[2] = {add(loop, natives[0], associations[a]), add(loop, natives[1], associations[a])};
      if (associations[a] == PIER_ASSOCIATE_NOW)
        assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_FOREIGN);
      use_event_path(loop, ends);
      pier_state wanted = associations[a] == PIER_ASSOCIATE_NEVER ? PIER_STATE_KEPT : PIER_STATE_FOREIGN;
      assert_int_equal(pier_handle_state(ends[0]), wanted);
      assert_true(port_is_silent(port));
      CloseHandle(port);
      use_event_path(loop, ends);
      streams__close_pair(loop, ends);
      support__close(loop);
    }
  }
}

typedef struct port_waiter {
  HANDLE port;
  DWORD limit_ms;
  atomic_uint begun;
  BOOL dequeued;
  OVERLAPPED *overlapped;
  DWORD error;
} port_waiter;

static void wait_on_port(void *context) {
  port_waiter *self = context;
  DWORD bytes = 0;
  ULONG_PTR key = 0;
  support__count(&self->begun);
  self->dequeued = GetQueuedCompletionStatus(self->port, &bytes, &key, &self->overlapped, self->limit_ms);
  self->error = GetLastError();
}

/* Whoever waits on the other port is not woken by anything of Pier's, but by that port's end: with 735. */
static void b6_the_other_ports_waiter_is_woken_by_its_end(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_native natives[2];
  port_waiter *waiter = support__alloc(sizeof *waiter);
  waiter->port = open_port();
  waiter->limit_ms = 3000;
  make_natives(0, natives);
  assert_true(put_on(waiter->port, natives[0]) && put_on(waiter->port, natives[1]));
  pier_handle ends[2] = {add(loop, natives[0], PIER_ASSOCIATE_NOW), add(loop, natives[1], PIER_ASSOCIATE_NOW)};
  support_thread *thread = support__thread_start(wait_on_port, waiter);
  support__until_count(NULL, &waiter->begun, 1, "the waiter");
  use_event_path(loop, ends);
  Sleep(20);
  CloseHandle(waiter->port);
  use_event_path(loop, ends);
  support__thread_join(thread);
  assert_false(waiter->dequeued);
  assert_null(waiter->overlapped);
  streams__close_pair(loop, ends);
  support__close(loop);
  if (waiter->error == WAIT_TIMEOUT && support__is_wine())
    support__skip("nothing woke the waiter, not even the port's end: this Wine does not (ERROR_ABANDONED_WAIT_0)");
  assert_int_equal(waiter->error, ERROR_ABANDONED_WAIT_0);
}

/* What the system ends by itself, as it does with what an exiting thread has started on such a handle, is started anew: nobody has asked for its
 * end. */
static void b36_what_the_system_cancels_goes_on(void **state) {
  (void)state;
  for (int sort = 0; sort < SORTS; sort++) {
    for (int kept = 0; kept < 2; kept++) {
      pier_loop *loop = support__open();
      pier_native natives[2];
      char *buffer = support__alloc(16);
      make_natives(sort, natives);
      pier_handle ends[2] = {add(loop, natives[0], kept ? PIER_ASSOCIATE_NEVER : PIER_ASSOCIATE_NOW), add(loop, natives[1], PIER_ASSOCIATE_NOW)};
      streams__exchange(loop, ends[1], ends[0], 5, 0); /* it is known from its first use on */
      for (int i = 0; i < 10; i++) {
        support_outcome *read = support__outcome(), *posted = support__outcome();
        assert_true(pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
        uint64_t calls = support__metrics(loop).system_calls;
        assert_true(CancelIoEx((HANDLE)natives[0], NULL));
        while (support__metrics(loop).system_calls == calls && support__threads())
          support__yield();
        assert_true(pier_post(loop, support__take, posted) != 0);
        await_status(loop, posted, PIER_OK);
        assert_false(support__called(read));
        assert_true(pier_write(ends[1], "after all", 9, PIER_NO_DEADLINE, NULL, NULL) != 0);
        await_status(loop, read, PIER_OK);
        assert_int_equal(read->got.bytes, 9);
        assert_memory_equal(buffer, "after all", 9);
      }
      streams__close_pair(loop, ends);
      support__close(loop);
    }
  }
}

/* On the event path each operation's slot keeps its event: a second round creates none. */
static void b6_events_are_kept_and_reused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  streams__pair(loop, STREAMS_KEPT_PIPE, ends);
  for (unsigned i = 0; i < 20; i++)
    streams__exchange(loop, ends[0], ends[1], 100, i);
  uint64_t events = support__metrics(loop).events_created;
  size_t handles = support__handle_count();
  for (unsigned i = 0; i < 300; i++)
    streams__exchange(loop, ends[0], ends[1], 100, i);
  assert_int_equal(support__metrics(loop).events_created, events);
  assert_int_equal(support__handle_count(), handles);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* A duplicate of a handle that is on Pier's port shares its place there: registered, it takes the event path. */
static void b8_a_duplicate_takes_the_event_path(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_native natives[2];
  HANDLE duplicate = NULL;
  support__native_pipe_pair(false, true, true, natives);
  pier_handle ends[2] = {add(loop, natives[0], PIER_ASSOCIATE_NOW), add(loop, natives[1], PIER_ASSOCIATE_NOW)};
  assert_true(DuplicateHandle(GetCurrentProcess(), (HANDLE)natives[0], GetCurrentProcess(), &duplicate, 0, FALSE,
                              DUPLICATE_SAME_ACCESS));
  pier_handle twin = add(loop, (pier_native)duplicate, PIER_ASSOCIATE_NOW);
  assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_ASSOCIATED);
  assert_int_equal(pier_handle_state(twin), PIER_STATE_FOREIGN);
  pier_handle through_twin[2] = {twin, ends[1]};
  use_event_path(loop, through_twin);
  streams__exchange(loop, ends[0], ends[1], 100, 0);
  streams__exchange(loop, ends[1], ends[0], 100, 0);
  assert_int_equal(support__metrics(loop).packets_foreign, 0);
  support__close_handle(loop, twin);
  streams__exchange(loop, ends[1], ends[0], 100, 0);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* Detaching what is not on Pier's port is success, and does nothing. */
static void b5_detaching_what_is_not_associated_does_nothing(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  HANDLE port = open_port();
  const struct {
    bool overlapped, elsewhere;
    pier_association association;
  } cases[] = {{true, false, PIER_ASSOCIATE_LAZY},
               {true, false, PIER_ASSOCIATE_NEVER},
               {true, true, PIER_ASSOCIATE_NOW},
               {false, false, PIER_ASSOCIATE_LAZY}};
  for (int i = 0; i < 4; i++) {
    pier_native natives[2];
    support__native_pipe_pair(false, cases[i].overlapped, true, natives);
    if (cases[i].elsewhere)
      assert_true(put_on(port, natives[0]));
    pier_handle ends[2] = {add(loop, natives[0], cases[i].association), add(loop, natives[1], PIER_ASSOCIATE_LAZY)};
    assert_status(pier_handle_detach(ends[0]), PIER_OK);
    streams__exchange(loop, ends[0], ends[1], 100, 1);
    if (!cases[i].overlapped)
      assert_status(pier_handle_detach(ends[0]), PIER_OK);
    streams__close_pair(loop, ends);
  }
  assert_status(pier_handle_detach(0), PIER_EBADF);
  assert_true(port_is_silent(port));
  CloseHandle(port);
  support__close(loop);
}

/* A detached handle can go to another port, and Pier's operations on it work on; with one in flight it stays where it
 * is. */
static void b2_b3_a_detached_handle_can_go_elsewhere(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  HANDLE port = open_port();
  pier_native natives[2];
  char *buffer = support__alloc(16);
  support__native_pipe_pair(false, true, true, natives);
  pier_handle ends[2] = {add(loop, natives[0], PIER_ASSOCIATE_NOW), add(loop, natives[1], PIER_ASSOCIATE_NOW)};
  support_outcome *read = support__outcome(), *written = support__outcome();
  assert_true(pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
  int busy = pier_handle_detach(ends[0]);
  assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_ASSOCIATED);
  assert_true(pier_write(ends[1], "data", 4, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, read, PIER_OK);
  await_status(loop, written, PIER_OK);
  int detached = pier_handle_detach(ends[0]);
  if (detached == PIER_OK) {
    assert_status(busy, PIER_EBUSY);
    assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_DETACHED);
    assert_true(put_on(port, natives[0]));
    use_event_path(loop, ends);
    assert_true(port_is_silent(port));
  } else {
    assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_ASSOCIATED);
    streams__exchange(loop, ends[0], ends[1], 100, 1);
  }
  streams__close_pair(loop, ends);
  CloseHandle(port);
  support__close(loop);
  if (detached == PIER_ENOTSUP)
    support__skip("this system cannot take a handle off a port (FileReplaceCompletionInformation, class 61)");
  assert_status(detached, PIER_OK);
}

/* What is no handle of the system's cannot be registered. */
static void what_is_no_handle_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle handle = 0;
  pier_native natives[2];
  HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
  const pier_register_options now = {.association = PIER_ASSOCIATE_NOW};
  assert_status(pier_register(loop, PIER_NATIVE_NONE, NULL, &handle), PIER_EINVAL);
  assert_status(pier_register(loop, 0, NULL, &handle), PIER_EINVAL);
  assert_true(pier_register(loop, (pier_native)0xABCDE0, &now, &handle) < 0);
  assert_true(pier_register(loop, (pier_native)event, &now, &handle) < 0);
  assert_status(pier_register(NULL, (pier_native)event, NULL, &handle), PIER_EINVAL);
  assert_status(pier_register(loop, (pier_native)event, NULL, NULL), PIER_EINVAL);
  const pier_register_options strange = {.association = (pier_association)9};
  support__native_pipe_pair(false, true, true, natives);
  assert_status(pier_register(loop, natives[0], &strange, &handle), PIER_EINVAL);
  assert_int_equal(handle, 0);
  /* On failure it stays its owner's. */
  assert_true(CloseHandle(event));
  assert_true(CloseHandle((HANDLE)natives[0]) && CloseHandle((HANDLE)natives[1]));
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b1_a_lazy_handle_can_go_to_the_callers_port),
      SUPPORT_TEST_POOL(b1_a_lazy_handle_can_go_to_the_callers_port),
      SUPPORT_TEST(b1_a_lazy_file_can_go_to_the_callers_port),
      SUPPORT_TEST_POOL(b1_a_lazy_file_can_go_to_the_callers_port),
      SUPPORT_TEST(b6_a_handle_on_another_port_takes_the_event_path),
      SUPPORT_TEST_POOL(b6_a_handle_on_another_port_takes_the_event_path),
      SUPPORT_TEST(b6_the_other_ports_waiter_is_woken_by_its_end),
      SUPPORT_TEST_POOL(b6_the_other_ports_waiter_is_woken_by_its_end),
      SUPPORT_TEST(b36_what_the_system_cancels_goes_on),
      SUPPORT_TEST_POOL(b36_what_the_system_cancels_goes_on),
      SUPPORT_TEST(b6_events_are_kept_and_reused),
      SUPPORT_TEST(b8_a_duplicate_takes_the_event_path),
      SUPPORT_TEST_POOL(b8_a_duplicate_takes_the_event_path),
      SUPPORT_TEST(b5_detaching_what_is_not_associated_does_nothing),
      SUPPORT_TEST(b2_b3_a_detached_handle_can_go_elsewhere),
      SUPPORT_TEST(what_is_no_handle_is_refused),
  };
  return support__main(argc, argv, "port", tests, sizeof tests / sizeof tests[0]);
}
