/* Putting handles on Pier's port that may be on another one, that block, that nobody knows yet, or whose owner has set their modes. */
#include <winsock2.h>

#include <windows.h>

#include "streams.h"

#include "standin_port_win.h"

#include <string.h>

static void make_pipe(pier_native natives[2]) {
  support__native_pipe_pair(false, true, true, natives);
}
static void make_message_pipe(pier_native natives[2]) {
  support__native_pipe_pair(true, true, true, natives);
}

typedef void (*make_natives)(pier_native natives[2]);
static const make_natives makes[] = {make_pipe, make_message_pipe, support__native_tcp_pair, support__native_udp_pair};
enum { MAKES = sizeof makes / sizeof makes[0] };

static pier_handle add(pier_loop *loop, pier_native native, pier_association association) {
  const pier_register_options options = {.association = association};
  pier_handle handle = 0;
  assert_status(pier_register(loop, native, &options, &handle), PIER_OK);
  return handle;
}

static HANDLE open_port(void) {
  HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
  assert_non_null(port);
  return port;
}

static void assert_silent(HANDLE port) {
  OVERLAPPED_ENTRY entry;
  ULONG count = 0;
  assert_false(GetQueuedCompletionStatusEx(port, &entry, 1, &count, 0, FALSE));
}

/* On somebody else's port (87) the answer is EBUSY and the state foreign, whatever it was thought to be: fresh, kept or foreign. It is served
 * there, and the other port sees nothing of it. */
static void on_another_port_it_is_foreign(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  HANDLE port = open_port();
  const pier_association associations[] = {PIER_ASSOCIATE_LAZY, PIER_ASSOCIATE_NEVER, PIER_ASSOCIATE_NOW};
  for (int m = 0; m < MAKES; m++) {
    for (int a = 0; a < 3; a++) {
      pier_native natives[2];
      makes[m](natives);
      assert_true(CreateIoCompletionPort((HANDLE)natives[0], port, 7, 0) == port);
      pier_handle ends[2] = {add(loop, natives[0], associations[a]), add(loop, natives[1], PIER_ASSOCIATE_LAZY)};
      for (int i = 0; i < 2; i++) {
        assert_status(pier_handle_associate(ends[0]), PIER_EBUSY);
        assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_FOREIGN);
      }
      streams__exchange(loop, ends[0], ends[1], 300, 1);
      streams__exchange(loop, ends[1], ends[0], 300, 2);
      streams__close_pair(loop, ends);
    }
  }
  assert_silent(port);
  CloseHandle(port);
  support__close(loop);
}

/* A file comes, goes to its owner's port, is refused, and comes again when he has taken it off there. */
static void a_file_comes_back_from_another_port(void **state) {
  (void)state;
  enum { LENGTH = 65536 };
  pier_loop *loop = standin_port__open();
  standin_port.moves = true;
  HANDLE port = open_port();
  char *buffer = support__alloc(4096);
  HANDLE native = CreateFileA(support__temp_file(LENGTH), GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                              NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
  pier_handle file = add(loop, (pier_native)native, PIER_ASSOCIATE_NOW);
  for (int i = 0; i < 12; i++) {
    const pier_state states[] = {PIER_STATE_ASSOCIATED, PIER_STATE_DETACHED, PIER_STATE_FOREIGN};
    support_outcome *read = support__outcome();
    int64_t offset = (int64_t)i * 1000;
    assert_int_equal(pier_handle_state(file), states[i % 3]);
    uint64_t packets = support__metrics(loop).packets;
    assert_true(pier_read_at(file, buffer, 4096, offset, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_true(support__filled(buffer, 4096, (uint64_t)offset));
    assert_silent(port);
    if (i % 3)
      assert_int_equal(support__metrics(loop).packets, packets);
    while (pier_handle_in_flight(file))
      support__yield();
    if (i % 3 == 0) {
      assert_status(pier_handle_detach(file), PIER_OK);
    } else if (i % 3 == 1) {
      assert_true(CreateIoCompletionPort(native, port, 7, 0) == port);
      assert_status(pier_handle_associate(file), PIER_EBUSY);
    } else {
      struct nt_io_status io;
      struct {
        HANDLE port;
        ULONG_PTR key;
      } none = {NULL, 0};
      assert_int_equal(nt()->set_information_file(native, &io, &none, sizeof none, 61), 0); /* as he would, on a system that has it */
      assert_status(pier_handle_associate(file), PIER_OK);
    }
  }
  support__close_handle(loop, file);
  CloseHandle(port);
  standin_port__close(loop);
}

/* A handle that blocks cannot be on a port: it says so, and is served as before. Told or to be found out. */
static void what_blocks_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int told = 0; told < 2; told++) {
    pier_native natives[2];
    pier_handle ends[2];
    const pier_register_options options = {.kind = told ? PIER_KIND_PIPE : PIER_KIND_UNKNOWN,
                                           .mode = told ? PIER_MODE_BLOCKING : PIER_MODE_UNKNOWN};
    support__native_pipe_pair(false, false, true, natives);
    assert_status(pier_register(loop, natives[0], &options, &ends[0]), PIER_OK);
    ends[1] = add(loop, natives[1], PIER_ASSOCIATE_LAZY);
    assert_status(pier_handle_associate(ends[0]), PIER_ENOTSUP);
    assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_BLOCKING);
    streams__exchange(loop, ends[0], ends[1], 300, 1);
    streams__exchange(loop, ends[1], ends[0], 300, 2);
    while (pier_handle_in_flight(ends[0]))
      support__yield();
    assert_status(pier_handle_associate(ends[0]), PIER_ENOTSUP);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* What it is nobody knows before the first use: who associates has to, and asks; and is told if it is nothing that can be served. */
static void what_is_not_known_is_asked_for(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int m = 0; m < MAKES; m++) {
    pier_native natives[2];
    makes[m](natives);
    pier_handle ends[2] = {add(loop, natives[0], m % 2 ? PIER_ASSOCIATE_NEVER : PIER_ASSOCIATE_LAZY), add(loop, natives[1], PIER_ASSOCIATE_LAZY)};
    assert_status(pier_handle_associate(ends[0]), PIER_OK);
    assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_ASSOCIATED);
    streams__exchange(loop, ends[0], ends[1], 300, 1);
    streams__close_pair(loop, ends);
  }
  HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
  pier_handle none = add(loop, (pier_native)event, PIER_ASSOCIATE_NEVER);
  for (int i = 0; i < 2; i++) {
    assert_status(pier_handle_associate(none), PIER_EBADF);
    assert_int_equal(pier_handle_state(none), PIER_STATE_KEPT);
  }
  support__close_handle(loop, none);
  support__close(loop);
}

/* Its owner sets the skip mode while it is kept: Pier asks before it relies on packets, or it would wait for some that do not come. */
static void b9_modes_set_meanwhile_are_honoured(void **state) {
  (void)state;
  const UCHAR modes[] = {FILE_SKIP_COMPLETION_PORT_ON_SUCCESS, FILE_SKIP_SET_EVENT_ON_HANDLE,
                         FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE};
  pier_loop *loop = support__open();
  for (int m = 0; m < MAKES; m++) {
    for (int i = 0; i < 3; i++) {
      pier_native natives[2];
      pier_handle ends[2];
      const pier_register_options options = {.association = PIER_ASSOCIATE_NEVER, .mode = PIER_MODE_OVERLAPPED};
      char *buffer = support__alloc(16);
      makes[m](natives);
      for (int e = 0; e < 2; e++)
        assert_status(pier_register(loop, natives[e], &options, &ends[e]), PIER_OK);
      assert_true(SetFileCompletionNotificationModes((HANDLE)natives[0], modes[i]));
      assert_status(pier_handle_associate(ends[0]), PIER_OK);
      for (int round = 0; round < 4; round++) {
        support_outcome *written = support__outcome(), *answered = support__outcome(), *read = support__outcome();
        assert_true(pier_write(ends[0], "out", 3, PIER_NO_DEADLINE, support__take, written) != 0);
        await_status(loop, written, PIER_OK);
        assert_true(pier_read(ends[1], buffer, 16, PIER_NO_DEADLINE, support__take, answered) != 0);
        await_status(loop, answered, PIER_OK);
        assert_true(pier_write(ends[1], "back", 4, PIER_NO_DEADLINE, NULL, NULL) != 0);
        assert_true(pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
        await_status(loop, read, PIER_OK);
        assert_int_equal(read->got.bytes, 4);
      }
      streams__close_pair(loop, ends);
    }
  }
  assert_int_equal(support__metrics(loop).packets_foreign, 0); /* nor does one come that was not waited for */
  support__close(loop);
}

/* Refused for another reason, a handle stays where it is and is served there. */
static void a_refusal_changes_nothing(void **state) {
  (void)state;
  pier_loop *loop = standin_port__open();
  pier_handle ends[2];
  streams__pair(loop, STREAMS_KEPT_PIPE, ends);
  standin_port.declines = ERROR_NOT_ENOUGH_MEMORY;
  assert_status(pier_handle_associate(ends[0]), PIER_ENOMEM);
  assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_KEPT);
  streams__exchange(loop, ends[0], ends[1], 300, 1);
  standin_port.declines = 0;
  while (pier_handle_in_flight(ends[0]))
    support__yield();
  assert_status(pier_handle_associate(ends[0]), PIER_OK);
  streams__exchange(loop, ends[0], ends[1], 300, 2);
  streams__close_pair(loop, ends);
  standin_port__close(loop);
}

#define CASE(function, suffix, threads_of_case)                                                                        \
  { #function suffix, function, support__begin, standin_port__end, &(support_case){#function suffix, threads_of_case} }
#define BOTH(function) CASE(function, "", 0), CASE(function, "_in_pool_mode", SUPPORT_THREADS)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      BOTH(on_another_port_it_is_foreign),       BOTH(a_file_comes_back_from_another_port),
      BOTH(what_blocks_is_refused),              BOTH(what_is_not_known_is_asked_for),
      BOTH(b9_modes_set_meanwhile_are_honoured), BOTH(a_refusal_changes_nothing),
  };
  return support__main(argc, argv, "associate", tests, sizeof tests / sizeof tests[0]);
}
