/* Handles that are put on Pier's port at their owner's word, and taken off it, over and over. */
#include "streams.h"

#include "movable.h"

#include <string.h>

enum { WAITING_READS = 8, CYCLES = 12 };

typedef void (*make_natives)(pier_native natives[2]);

static void make_pipe(pier_native natives[2]) {
  support__native_pipe_pair(false, true, true, natives);
}

static void make_message_pipe(pier_native natives[2]) {
  support__native_pipe_pair(true, true, true, natives);
}

static const make_natives makes[] = {make_pipe, make_message_pipe, support__native_tcp_pair, support__native_udp_pair};
enum { MAKES = sizeof makes / sizeof makes[0] };

static void register_pair(pier_loop *loop, make_natives make, pier_association association, pier_handle ends[2]) {
  pier_native natives[2];
  const pier_register_options options = {.association = association, .mode = PIER_MODE_OVERLAPPED};
  make(natives);
  for (int i = 0; i < 2; i++)
    assert_status(pier_register(loop, natives[i], &options, &ends[i]), PIER_OK);
}

/* On a loop with threads an operation is counted for a moment longer than its callback needs to begin. */
static void until_idle(pier_handle handle) {
  while (pier_handle_in_flight(handle))
    support__yield();
}

static void put_on(pier_handle handle) {
  until_idle(handle);
  assert_status(pier_handle_associate(handle), PIER_OK);
  assert_int_equal(pier_handle_state(handle), PIER_STATE_ASSOCIATED);
}

static void take_off(pier_handle handle) {
  until_idle(handle);
  assert_status(pier_handle_detach(handle), PIER_OK);
  assert_int_equal(pier_handle_state(handle), PIER_STATE_DETACHED);
}

static bool is_on(pier_loop *loop, const char *backend) {
  return strcmp(pier_loop_backend(loop), backend) == 0;
}

/* What some reads cost that have to wait for their data. */
typedef struct cost {
  uint64_t packets, calls;
} cost;

static cost wait_for_reads(pier_loop *loop, pier_handle reads, pier_handle writes) {
  char *buffer = support__alloc(16);
  until_idle(reads);
  until_idle(writes);
  pier_metrics before = support__metrics(loop);
  for (int i = 0; i < WAITING_READS; i++) {
    support_outcome *read = support__outcome(), *written = support__outcome();
    assert_true(pier_read(reads, buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
    assert_true(pier_write(writes, "some bytes", 10, PIER_NO_DEADLINE, support__take, written) != 0);
    await_status(loop, read, PIER_OK);
    await_status(loop, written, PIER_OK);
    assert_int_equal(read->got.bytes, 10);
    assert_memory_equal(buffer, "some bytes", 10);
  }
  until_idle(reads);
  until_idle(writes);
  pier_metrics after = support__metrics(loop);
  return (cost){after.packets - before.packets, after.system_calls - before.system_calls};
}

/* Where the completions have come from. The end that writes is off the port. */
static void assert_differ(pier_loop *loop, pier_kind kind, cost off, cost on) {
  if (is_on(loop, "iocp")) {
    assert_int_equal(off.packets, 0);
    /* Reads of message pipes are tagged wherever the handle is. */
    assert_int_equal(on.packets, kind == PIER_KIND_MESSAGE_PIPE ? 0 : WAITING_READS);
  } else if (is_on(loop, "epoll")) {
    /* Off the port each one puts the descriptor into the set, and takes it out again. */
    assert_true(on.calls + 2 * WAITING_READS <= off.calls);
  }
  /* A ring has no set of handles: there it is a word only. */
}

/* One that waits for its first use and one that was to be kept are put on the port, and are used from both ends. */
static void b5_fresh_and_kept_ones_come_to_the_port(void **state) {
  (void)state;
  const struct {
    pier_association association;
    pier_state state;
  } ways[] = {{PIER_ASSOCIATE_LAZY, PIER_STATE_FRESH}, {PIER_ASSOCIATE_NEVER, PIER_STATE_KEPT}};
  pier_loop *loop = support__open();
  for (int m = 0; m < MAKES; m++) {
    for (int w = 0; w < 2; w++) {
      pier_handle ends[2];
      register_pair(loop, makes[m], ways[w].association, ends);
      assert_status(pier_handle_detach(ends[0]), PIER_OK); /* there is nothing to take off */
      assert_int_equal(pier_handle_state(ends[0]), ways[w].state);
      put_on(ends[0]);
      put_on(ends[0]); /* a second time there is nothing to do */
      assert_int_equal(pier_handle_state(ends[1]), ways[w].state);
      streams__exchange(loop, ends[0], ends[1], 5000, 1);
      streams__exchange(loop, ends[1], ends[0], 5000, 2);
      assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_ASSOCIATED);
      streams__close_pair(loop, ends);
    }
  }
  support__close(loop);
}

/* Completions come through the port when the handle is on it, and not when it is off; used before or not. */
static void where_it_is_there_its_completions_come_from(void **state) {
  (void)state;
  movable__begin();
  pier_loop *loop = support__open();
  for (int m = 0; m < MAKES; m++) {
    pier_handle ends[2];
    register_pair(loop, makes[m], PIER_ASSOCIATE_NEVER, ends);
    pier_kind kind = pier_handle_kind(ends[0]);
    for (int i = 0; i < 3; i++) {
      cost off = wait_for_reads(loop, ends[0], ends[1]);
      put_on(ends[0]);
      cost on = wait_for_reads(loop, ends[0], ends[1]);
      assert_differ(loop, kind, off, on);
      take_off(ends[0]);
    }
    streams__close_pair(loop, ends);
  }
  support__close(loop);
  movable__end();
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

/* Everything that may happen to an operation. */
static void use(pier_loop *loop, const pier_handle ends[2], uint64_t pattern) {
  char *buffer = support__alloc(16);
  support_outcome *late = support__outcome(), *cancelled = support__outcome();
  streams__exchange(loop, ends[0], ends[1], 3000, pattern);
  streams__exchange(loop, ends[1], ends[0], 3000, pattern + 1);
  assert_true(pier_read(ends[0], buffer, 16, pier_deadline_in(PIER_MILLISECOND), support__take, late) != 0);
  await_status(loop, late, PIER_ETIMEDOUT);
  pier_operation id = pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, cancelled);
  assert_status(pier_cancel(id), PIER_OK);
  await_status(loop, cancelled, PIER_ECANCELED);
  sync_exchange(pier_handle_native(ends[0]), pier_handle_native(ends[1]));
  sync_exchange(pier_handle_native(ends[1]), pier_handle_native(ends[0]));
}

/* Off and on, over and over, by one end or by both, and used wherever it is; and nothing is left over from it. */
static void b2_cycles_leave_nothing_behind(void **state) {
  (void)state;
  movable__begin();
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    size_t handles = 0;
    uint64_t events = 0;
    if (sort == STREAMS_BLOCKING_PIPE && support__windows)
      continue; /* no port takes it: tests/associate_win_test.c */
    streams__pair(loop, (streams_sort)sort, ends);
    for (uint64_t i = 0; i < CYCLES; i++) {
      put_on(ends[0]);
      put_on(ends[1]);
      use(loop, ends, i);
      take_off(ends[0]);
      use(loop, ends, i);
      take_off(ends[1]);
      use(loop, ends, i);
      if (i == 1) {
        handles = support__handle_count();
        events = support__metrics(loop).events_created;
      }
    }
    /* A slot that comes to it later makes its event, and what waits for it. */
    assert_true(support__handle_count() <= handles + 2 * (size_t)(support__metrics(loop).events_created - events) + 8);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
  movable__end();
}

/* While something is in flight the answer is EBUSY, the handle stays where it is, and the operation is none the wiser. On the port already there
 * is nothing to move, and nothing in the way. */
static void b3_in_flight_nothing_moves(void **state) {
  (void)state;
  movable__begin();
  pier_loop *loop = support__open();
  for (int m = 0; m < MAKES; m++) {
    for (int on = 0; on < 2; on++) {
      pier_handle ends[2];
      char *buffer = support__alloc(16);
      support_outcome *read = support__outcome();
      register_pair(loop, makes[m], on ? PIER_ASSOCIATE_NOW : PIER_ASSOCIATE_NEVER, ends);
      if (!on && m % 2) {
        put_on(ends[0]);
        take_off(ends[0]);
      }
      pier_state before = pier_handle_state(ends[0]);
      assert_true(pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
      for (int i = 0; i < 3; i++) {
        assert_status(pier_handle_associate(ends[0]), on ? PIER_OK : PIER_EBUSY);
        assert_status(pier_handle_detach(ends[0]), PIER_EBUSY);
        assert_int_equal(pier_handle_state(ends[0]), before);
      }
      assert_true(pier_write(ends[1], "data", 4, PIER_NO_DEADLINE, NULL, NULL) != 0);
      await_status(loop, read, PIER_OK);
      assert_int_equal(read->got.bytes, 4);
      assert_memory_equal(buffer, "data", 4);
      put_on(ends[0]);
      streams__close_pair(loop, ends);
      assert_int_equal(atomic_load(&read->calls), 1);
    }
  }
  support__close(loop);
  movable__end();
}

/* A file goes off and comes back like any other handle, unless no port takes files: then it says so, and is served as before. */
static void a_file_comes_back_where_ports_take_files(void **state) {
  (void)state;
  enum { LENGTH = 65536, BLOCK = 4096 };
  movable__begin();
  pier_loop *loop = support__open();
  pier_handle file = 0;
  char *buffer = support__alloc(BLOCK);
  assert_status(pier_file_open_sync(loop, support__temp_file(LENGTH), PIER_OPEN_READ, &file), PIER_OK);
  bool blocks = pier_handle_state(file) == PIER_STATE_BLOCKING;
  assert_int_equal(blocks, is_on(loop, "epoll"));
  for (int i = 0; i < 60; i++) {
    support_outcome *read = support__outcome();
    int64_t offset = (int64_t)(i % 15) * 4099;
    assert_true(pier_read_at(file, buffer, BLOCK, offset, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_true(support__filled(buffer, BLOCK, (uint64_t)offset));
    until_idle(file);
    if (blocks) {
      assert_status(pier_handle_associate(file), PIER_ENOTSUP);
      assert_int_equal(pier_handle_state(file), PIER_STATE_BLOCKING);
    } else if (i % 2) {
      put_on(file);
    } else {
      take_off(file);
    }
  }
  support__close_handle(loop, file);
  support__close(loop);
  movable__end();
}

/* A listener, too: connections come whether it is on the port or not. */
static void a_listener_goes_and_comes_back(void **state) {
  (void)state;
  movable__begin();
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle listener = streams__tcp_listen(loop, &address);
  for (int i = 0; i < 6; i++) {
    pier_handle ends[2];
    streams__tcp_connect(loop, listener, &address, ends);
    streams__exchange(loop, ends[0], ends[1], 100, 1);
    streams__close_pair(loop, ends);
    if (i % 2)
      put_on(listener);
    else
      take_off(listener);
  }
  support__close_handle(loop, listener);
  assert_status(pier_pipe_listen(loop, support__pipe_name(), NULL, &listener), PIER_OK);
  assert_status(pier_handle_associate(listener), PIER_OK); /* on Windows there is nothing of the system's behind it */
  assert_int_equal(pier_handle_state(listener), PIER_STATE_ASSOCIATED);
  support__close_handle(loop, listener);
  support__close(loop);
  movable__end();
}

/* What is closing is told so, and what is no handle (any more). */
static void closing_ones_are_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  char *buffer = support__alloc(16);
  support_outcome *read = support__outcome(), *closed = support__outcome();
  register_pair(loop, make_pipe, PIER_ASSOCIATE_NEVER, ends);
  assert_true(pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
  assert_status(pier_close(ends[0], support__take, closed), PIER_OK);
  assert_status(pier_handle_associate(ends[0]), PIER_ECLOSED);
  await_status(loop, closed, PIER_OK);
  assert_status(read->got.status, PIER_ECLOSED);
  assert_status(pier_handle_associate(ends[0]), PIER_ECLOSED);
  assert_int_equal(pier_handle_state(ends[0]), PIER_STATE_NONE);
  assert_status(pier_handle_associate(0), PIER_EBADF);
  assert_status(pier_handle_associate(read->got.operation), PIER_EBADF);
  support__close_handle(loop, ends[1]);
  support__close(loop);
}

/* The same descriptor under two handles: whichever is on the port, both are served. */
static void one_of_two_for_the_same_moves(void **state) {
  (void)state;
  movable__begin();
  pier_loop *loop = support__open();
  pier_handle ends[2], twin = 0;
  const pier_register_options options = {.association = PIER_ASSOCIATE_NEVER, .mode = PIER_MODE_OVERLAPPED, .keep_open = true};
  register_pair(loop, make_pipe, PIER_ASSOCIATE_NOW, ends);
  assert_status(pier_register(loop, pier_handle_native(ends[0]), &options, &twin), PIER_OK);
  for (int i = 0; i < 4; i++) {
    int status = pier_handle_associate(twin);
    /* A completion port has a handle once; a set tells descriptors apart by their numbers, and gets another one for it. */
    assert_status(status, is_on(loop, "iocp") ? PIER_EBUSY : PIER_OK);
    assert_int_equal(pier_handle_state(twin), is_on(loop, "iocp") ? PIER_STATE_FOREIGN : PIER_STATE_ASSOCIATED);
    streams__exchange(loop, twin, ends[1], 500, 1);
    streams__exchange(loop, ends[1], twin, 500, 2);
    streams__exchange(loop, ends[1], ends[0], 500, 3);
    until_idle(twin);
    assert_status(pier_handle_detach(twin), PIER_OK);
    streams__exchange(loop, ends[1], twin, 500, 4);
  }
  support__close_handle(loop, twin);
  streams__exchange(loop, ends[1], ends[0], 500, 5);
  streams__close_pair(loop, ends);
  support__close(loop);
  movable__end();
}

#define BOTH(function) SUPPORT_TEST(function), SUPPORT_TEST_POOL(function)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      BOTH(b5_fresh_and_kept_ones_come_to_the_port),
      BOTH(where_it_is_there_its_completions_come_from),
      BOTH(b2_cycles_leave_nothing_behind),
      BOTH(b3_in_flight_nothing_moves),
      BOTH(a_file_comes_back_where_ports_take_files),
      BOTH(a_listener_goes_and_comes_back),
      BOTH(closing_ones_are_refused),
      BOTH(one_of_two_for_the_same_moves),
  };
  return support__main(argc, argv, "associate", tests, sizeof tests / sizeof tests[0]);
}
