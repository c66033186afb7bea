/* Detaching, with class 61 stood in for where the system has none: it keeps the documented contract as far as it can be
 * played. Wine leaves the handle on the port, so nothing here may depend on where it really is. */
#include <winsock2.h>

#include <windows.h>

#include "streams.h"

#include "standin_port_win.h"

#include <string.h>

static void assert_detached(pier_handle handle) {
  unsigned calls = atomic_load(&standin_port.calls);
  assert_int_equal(pier_handle_state(handle), PIER_STATE_ASSOCIATED);
  assert_status(pier_handle_detach(handle), PIER_OK);
  assert_int_equal(atomic_load(&standin_port.calls), calls + 1);
  assert_true(atomic_load(&standin_port.file) == (HANDLE)pier_handle_native(handle));
  assert_int_equal(pier_handle_state(handle), PIER_STATE_DETACHED);
  /* A second time there is nothing to do. */
  assert_status(pier_handle_detach(handle), PIER_OK);
  assert_int_equal(atomic_load(&standin_port.calls), calls + 1);
}

static void sync_exchange(pier_native from, pier_native to) {
  char got[8] = {0};
  pier_sync_result result;
  assert_status(pier_sync_write(from, "by hand", 7, PIER_SECOND, &result), PIER_OK);
  assert_int_equal(result.bytes, 7);
  assert_status(pier_sync_read(to, got, sizeof got, PIER_SECOND, &result), PIER_OK);
  assert_int_equal(result.bytes, 7);
  assert_memory_equal(got, "by hand", 7);
}

static void use_stream(pier_loop *loop, const pier_handle ends[2]) {
  char *buffer = support__alloc(64);
  for (unsigned i = 0; i < 5; i++) {
    streams__exchange(loop, ends[0], ends[1], 300 + i, i);
    streams__exchange(loop, ends[1], ends[0], 300 + i, i);
    support_outcome *late = support__outcome(), *cancelled = support__outcome();
    assert_true(pier_read(ends[0], buffer, 64, pier_deadline_in(2 * PIER_MILLISECOND), support__take, late) != 0);
    await_status(loop, late, PIER_ETIMEDOUT);
    pier_operation id = pier_read(ends[0], buffer, 64, PIER_NO_DEADLINE, support__take, cancelled);
    assert_status(pier_cancel(id), PIER_OK);
    await_status(loop, cancelled, PIER_ECANCELED);
    sync_exchange(pier_handle_native(ends[0]), pier_handle_native(ends[1]));
    sync_exchange(pier_handle_native(ends[1]), pier_handle_native(ends[0]));
  }
}

/* Off Pier's port, all operations work on, and none of them brings that port a packet. */
static void b2_a_detached_stream_works_without_packets(void **state) {
  (void)state;
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_MESSAGE_PIPE, STREAMS_TCP, STREAMS_UDP};
  for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++) {
    pier_loop *loop = standin_port__open();
    pier_handle ends[2];
    streams__pair(loop, sorts[i], ends);
    use_stream(loop, ends);
    while (pier_handle_in_flight(ends[0]) || pier_handle_in_flight(ends[1]))
      support__yield();
    assert_detached(ends[0]);
    assert_detached(ends[1]);
    HANDLE port = standin_port.real ? CreateIoCompletionPort((HANDLE)pier_handle_native(ends[0]), NULL, 7, 0) : NULL;
    assert_true(port || !standin_port.real);
    uint64_t packets = support__metrics(loop).packets;
    use_stream(loop, ends);
    assert_int_equal(support__metrics(loop).packets, packets);
    assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_DETACHED);
    streams__close_pair(loop, ends);
    if (port)
      CloseHandle(port);
    standin_port__close(loop);
  }
}

/* The same for a file, whether its calls are trusted to end inside or not. */
static void b2_a_detached_file_works_without_packets(void **state) {
  (void)state;
  enum { LENGTH = 65536, READS = 40 };
  for (unsigned before = 0; before <= READS; before += READS) {
    pier_loop *loop = standin_port__open();
    pier_handle file = 0;
    char *buffer = support__alloc(4096);
    pier_sync_result result;
    uint64_t packets = 0;
    assert_status(pier_file_open_sync(loop, support__temp_file(LENGTH), PIER_OPEN_READ, &file), PIER_OK);
    for (unsigned i = 0; i < before + READS; i++) {
      support_outcome *read = support__outcome();
      if (i == before) {
        while (pier_handle_in_flight(file))
          support__yield();
        assert_detached(file);
        packets = support__metrics(loop).packets;
      }
      int64_t offset = (int64_t)(i % 15) * 4099;
      assert_true(pier_read_at(file, buffer, 4096, offset, PIER_NO_DEADLINE, support__take, read) != 0);
      await_status(loop, read, PIER_OK);
      assert_true(support__filled(buffer, 4096, (uint64_t)offset));
      assert_status(pier_sync_read_at(pier_handle_native(file), buffer, 4096, 99, PIER_NO_TIMEOUT, &result), PIER_OK);
      assert_true(support__filled(buffer, 4096, 99));
    }
    assert_int_equal(support__metrics(loop).packets, packets);
    support__close_handle(loop, file);
    standin_port__close(loop);
  }
}

static bool one_packet(HANDLE port, ULONG_PTR key, const OVERLAPPED *overlapped, DWORD timeout_ms) {
  OVERLAPPED_ENTRY entry;
  ULONG count = 0;
  if (!GetQueuedCompletionStatusEx(port, &entry, 1, &count, timeout_ms, FALSE))
    return false;
  return entry.lpCompletionKey == key && entry.lpOverlapped == overlapped;
}

/* Off Pier's port a file goes on its owner's: that gets the packets of his own calls, and none of Pier's; and off it, on Pier's loop it
 * stays as it is. */
static void b2_b4_a_detached_file_goes_elsewhere(void **state) {
  (void)state;
  enum { LENGTH = 65536 };
  pier_loop *loop = standin_port__open();
  standin_port.moves = true;
  HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
  char *buffer = support__alloc(4096);
  HANDLE native = CreateFileA(support__temp_file(LENGTH), GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                              NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
  const pier_register_options options = {.association = PIER_ASSOCIATE_NOW};
  pier_handle file = 0;
  pier_sync_result result;
  assert_status(pier_register(loop, (pier_native)native, &options, &file), PIER_OK);
  assert_null(CreateIoCompletionPort(native, port, 7, 0)); /* it is on Pier's */
  assert_detached(file);
  assert_true(CreateIoCompletionPort(native, port, 7, 0) == port);
  for (unsigned i = 0; i < 20; i++) {
    support_outcome *read = support__outcome();
    int64_t offset = (int64_t)i * 1000;
    assert_true(pier_read_at(file, buffer, 4096, offset, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_true(support__filled(buffer, 4096, (uint64_t)offset));
    assert_status(pier_sync_read_at((pier_native)native, buffer, 4096, 99, PIER_NO_TIMEOUT, &result), PIER_OK);
    assert_true(support__filled(buffer, 4096, 99));
    assert_false(one_packet(port, 7, NULL, 0));
    OVERLAPPED own = {.Offset = 5000};
    assert_true(ReadFile(native, buffer, 100, NULL, &own) || GetLastError() == ERROR_IO_PENDING);
    assert_true(one_packet(port, 7, &own, 5000));
    assert_true(support__filled(buffer, 100, 5000));
  }
  assert_int_equal(pier_handle_state(file), PIER_STATE_DETACHED);
  assert_int_equal(support__metrics(loop).packets, 0);
  support__close_handle(loop, file);
  CloseHandle(port);
  standin_port__close(loop);
}

/* With an operation in flight the system is not even asked, and the operation is none the wiser. */
static void b3_in_flight_the_system_is_not_asked(void **state) {
  (void)state;
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_MESSAGE_PIPE, STREAMS_TCP};
  for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++) {
    pier_loop *loop = standin_port__open();
    pier_handle ends[2];
    char *buffer = support__alloc(16);
    streams__pair(loop, sorts[i], ends);
    support_outcome *read = support__outcome();
    assert_true(pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
    assert_status(pier_handle_detach(ends[0]), PIER_EBUSY);
    assert_int_equal(atomic_load(&standin_port.calls), 0);
    assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_ASSOCIATED);
    assert_true(pier_write(ends[1], "data", 4, PIER_NO_DEADLINE, NULL, NULL) != 0);
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, 4);
    assert_memory_equal(buffer, "data", 4);
    streams__close_pair(loop, ends);
    assert_int_equal(atomic_load(&read->calls), 1);
    standin_port__close(loop);
  }
}

/* What the racing thread detaches: handed over by `round`, given back by `done`. */
static struct race {
  atomic_uint round, done;
  _Atomic pier_handle handle;
  atomic_uint pause;
  atomic_int status;
} race;

static void detach_each(void *context) {
  const unsigned rounds = *(const unsigned *)context;
  for (unsigned i = 1; i <= rounds; i++) {
    while (atomic_load(&race.round) < i)
      support__yield();
    for (unsigned pause = atomic_load(&race.pause); pause > 0; pause--)
      support__yield();
    atomic_store(&race.status, pier_handle_detach(atomic_load(&race.handle)));
    atomic_store(&race.done, i);
  }
}

static void race_once(pier_loop *loop, HANDLE elsewhere, unsigned round, uint64_t *seed, unsigned *won) {
  pier_handle ends[2];
  char got[32];
  pier_sync_result result;
  support_outcome *written = support__outcome();
  assert_status(pier_pipe_pair(loop, NULL, ends), PIER_OK);
  atomic_store(&race.handle, ends[0]);
  atomic_store(&race.pause, (unsigned)support__random_below(seed, 3));
  atomic_store(&race.round, round);
  for (uint64_t pause = support__random_below(seed, 3); pause > 0; pause--)
    support__yield();
  assert_true(pier_write(ends[0], "all of it", 9, PIER_NO_DEADLINE, support__take, written) != 0);
  while (atomic_load(&race.done) < round)
    support__yield();
  int status = atomic_load(&race.status);
  assert_true(status == PIER_OK || status == PIER_EBUSY);
  *won += status == PIER_OK;
  await_status(loop, written, PIER_OK);
  assert_int_equal(written->got.bytes, 9);
  assert_status(pier_sync_read(pier_handle_native(ends[1]), got, sizeof got, PIER_SECOND, &result), PIER_OK);
  assert_int_equal(result.bytes, 9);
  assert_memory_equal(got, "all of it", 9);
  while (pier_handle_in_flight(ends[0]))
    support__yield();
  assert_status(pier_handle_detach(ends[0]), PIER_OK);
  assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_DETACHED);
  /* Played, it is really where it was; tests/associate_win_test.c has a file go elsewhere. */
  assert_true(!standin_port.real || CreateIoCompletionPort((HANDLE)pier_handle_native(ends[0]), elsewhere, 7, 0) == elsewhere);
  streams__close_pair(loop, ends);
}

/* A write and a detach from two threads: the write is whole, the detach done or refused, and it can be had afterwards. */
static void b4_a_write_and_a_detach_race(void **state) {
  (void)state;
  const unsigned rounds = 1000;
  pier_loop *loop = standin_port__open();
  HANDLE elsewhere = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
  uint64_t seed = support__seed();
  unsigned won = 0;
  atomic_store(&race.round, 0);
  atomic_store(&race.done, 0);
  support_thread *thread = support__thread_start(detach_each, (void *)(uintptr_t)&rounds);
  for (unsigned i = 1; i <= rounds; i++)
    race_once(loop, elsewhere, i, &seed, &won);
  support__thread_join(thread);
  print_message("%u of %u detaches came between\n", won, rounds);
  CloseHandle(elsewhere);
  assert_int_equal(atomic_load(&standin_port.calls), rounds);
  standin_port__close(loop);
}

/* What is not on Pier's port is not taken off it. */
static void b5_elsewhere_the_system_is_not_asked(void **state) {
  (void)state;
  pier_loop *loop = standin_port__open();
  HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
  const struct {
    bool overlapped, elsewhere;
    pier_association association;
    pier_state wanted;
  } cases[] = {{true, false, PIER_ASSOCIATE_LAZY, PIER_STATE_FRESH},
               {true, false, PIER_ASSOCIATE_NEVER, PIER_STATE_KEPT},
               {true, true, PIER_ASSOCIATE_NOW, PIER_STATE_FOREIGN},
               {false, false, PIER_ASSOCIATE_LAZY, PIER_STATE_FRESH}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    pier_native natives[2];
    pier_handle handle = 0, other = 0;
    const pier_register_options options = {.association = cases[i].association};
    support__native_pipe_pair(false, cases[i].overlapped, true, natives);
    if (cases[i].elsewhere)
      assert_non_null(CreateIoCompletionPort((HANDLE)natives[0], port, 7, 0));
    assert_status(pier_register(loop, natives[0], &options, &handle), PIER_OK);
    assert_status(pier_register(loop, natives[1], NULL, &other), PIER_OK);
    assert_status(pier_handle_detach(handle), PIER_OK);
    assert_int_equal(pier_handle_state(handle), cases[i].wanted);
    assert_int_equal(atomic_load(&standin_port.calls), 0);
    streams__exchange(loop, handle, other, 100, 1);
    if (!cases[i].overlapped) {
      while (pier_handle_in_flight(handle))
        support__yield();
      assert_int_equal(pier_handle_state(handle), PIER_STATE_BLOCKING);
      assert_status(pier_handle_detach(handle), PIER_OK);
    }
    support__close_handle(loop, handle);
    assert_status(pier_handle_detach(handle), PIER_ECLOSED);
    support__close_handle(loop, other);
  }
  assert_int_equal(atomic_load(&standin_port.calls), 0);
  CloseHandle(port);
  standin_port__close(loop);
}

/* Refused by the system, the handle stays where it is and works on. */
static void a_refusal_changes_nothing(void **state) {
  (void)state;
  pier_loop *loop = standin_port__open();
  pier_handle ends[2];
  streams__pair(loop, STREAMS_PIPE, ends);
  standin_port.refuses = STANDIN_PORT_IN_FLIGHT;
  assert_status(pier_handle_detach(ends[0]), PIER_EBUSY);
  standin_port.refuses = STANDIN_PORT_REFUSED;
  assert_status(pier_handle_detach(ends[0]), PIER_EINVAL);
  assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_ASSOCIATED);
  use_stream(loop, ends);
  while (pier_handle_in_flight(ends[0]))
    support__yield();
  standin_port.refuses = 0;
  assert_detached(ends[0]);
  use_stream(loop, ends);
  streams__close_pair(loop, ends);
  standin_port__close(loop);
}

/* Without a stand-in, a system that cannot do it says so, and nothing has changed. */
static void without_the_class_a_handle_stays(void **state) {
  (void)state;
  pier_loop *loop = standin_port__open();
  if (standin_port.real) {
    standin_port__close(loop);
    support__skip("this system has class 61: the case is about one that has not");
  }
  nt__replace(standin__table());
  pier_handle ends[2];
  streams__pair(loop, STREAMS_PIPE, ends);
  assert_status(pier_handle_detach(ends[0]), PIER_ENOTSUP);
  assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_ASSOCIATED);
  uint64_t events = support__metrics(loop).events_created;
  use_stream(loop, ends);
  assert_int_equal(support__metrics(loop).events_created, events);
  streams__close_pair(loop, ends);
  assert_status(pier_handle_detach(ends[0]), PIER_ECLOSED);
  support__close(loop);
}

static struct submit {
  pier_handle handle;
  char *buffer;
  support_outcome *outcome;
  atomic_uint begun, submitted;
} submit;

static void submit_read(void *context) {
  (void)context;
  atomic_store(&submit.begun, 1);
  pier_operation id = pier_read(submit.handle, submit.buffer, 16, PIER_NO_DEADLINE, support__take, submit.outcome);
  atomic_store(&submit.submitted, id ? 1 : 2);
}

static void detach_one(void *context) {
  atomic_store(&race.status, pier_handle_detach(*(const pier_handle *)context));
}

/* While the system is at it no submit comes in; it starts afterwards, on the event path. */
static void a_submit_waits_for_a_detach(void **state) {
  (void)state;
  pier_loop *loop = standin_port__open();
  pier_handle ends[2];
  streams__pair(loop, STREAMS_PIPE, ends);
  standin_port.entered = support__event_open();
  standin_port.go_on = support__event_open();
  memset(&submit, 0, sizeof submit);
  submit.handle = ends[0];
  submit.buffer = support__alloc(16);
  submit.outcome = support__outcome();
  support_thread *detacher = support__thread_start(detach_one, &ends[0]);
  assert_true(support__event_wait(standin_port.entered, 5 * PIER_SECOND));
  uint64_t calls = support__metrics(loop).system_calls;
  support_thread *submitter = support__thread_start(submit_read, NULL);
  while (!atomic_load(&submit.begun))
    support__yield();
  Sleep(20);
  /* A second detach does not wait, it is told. */
  assert_status(pier_handle_detach(ends[0]), PIER_EBUSY);
  assert_int_equal(atomic_load(&submit.submitted), 0);
  assert_int_equal(support__metrics(loop).system_calls, calls);
  support__event_set(standin_port.go_on);
  support__thread_join(detacher);
  support__thread_join(submitter);
  assert_status(atomic_load(&race.status), PIER_OK);
  assert_int_equal(atomic_load(&submit.submitted), 1);
  assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_DETACHED);
  assert_true(pier_write(ends[1], "after", 5, PIER_NO_DEADLINE, NULL, NULL) != 0);
  await_status(loop, submit.outcome, PIER_OK);
  assert_memory_equal(submit.buffer, "after", 5);
  assert_true(support__metrics(loop).events_created > 0);
  streams__close_pair(loop, ends);
  support__event_close(standin_port.entered);
  support__event_close(standin_port.go_on);
  standin_port__close(loop);
}

#define CASE(function, suffix, threads_of_case)                                                                        \
  { #function suffix, function, support__begin, standin_port__end, &(support_case){#function suffix, threads_of_case} }
#define BOTH(function) CASE(function, "", 0), CASE(function, "_in_pool_mode", SUPPORT_THREADS)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      BOTH(b2_a_detached_stream_works_without_packets), BOTH(b2_a_detached_file_works_without_packets),
      BOTH(b2_b4_a_detached_file_goes_elsewhere),
      BOTH(b3_in_flight_the_system_is_not_asked),       BOTH(b4_a_write_and_a_detach_race),
      BOTH(b5_elsewhere_the_system_is_not_asked),       BOTH(a_refusal_changes_nothing),
      BOTH(without_the_class_a_handle_stays),           BOTH(a_submit_waits_for_a_detach),
  };
  return support__main(argc, argv, "detach", tests, sizeof tests / sizeof tests[0]);
}
