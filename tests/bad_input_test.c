/* Bad input: whatever is given, the answer is a clear status, nothing is lost and nothing leaks. */
#include "streams.h"

#include <string.h>

/* One call for each function that submits on a handle. */
typedef pier_operation (*submission)(pier_handle handle, support_outcome *outcome);

static char scratch[64];
static const pier_buffer part = {scratch, sizeof scratch};

static pier_operation try_read(pier_handle handle, support_outcome *outcome) {
  return pier_read(handle, scratch, sizeof scratch, PIER_NO_DEADLINE, support__take, outcome);
}

static pier_operation try_write(pier_handle handle, support_outcome *outcome) {
  return pier_write(handle, scratch, sizeof scratch, PIER_NO_DEADLINE, support__take, outcome);
}

static pier_operation try_read_at(pier_handle handle, support_outcome *outcome) {
  return pier_read_at(handle, scratch, sizeof scratch, 0, PIER_NO_DEADLINE, support__take, outcome);
}

static pier_operation try_write_at(pier_handle handle, support_outcome *outcome) {
  return pier_write_at(handle, scratch, sizeof scratch, 0, PIER_NO_DEADLINE, support__take, outcome);
}

static pier_operation try_readv(pier_handle handle, support_outcome *outcome) {
  return pier_readv(handle, &part, 1, PIER_NO_DEADLINE, support__take, outcome);
}

static pier_operation try_writev(pier_handle handle, support_outcome *outcome) {
  return pier_writev(handle, &part, 1, PIER_NO_DEADLINE, support__take, outcome);
}

static pier_operation try_readv_at(pier_handle handle, support_outcome *outcome) {
  return pier_readv_at(handle, &part, 1, 0, PIER_NO_DEADLINE, support__take, outcome);
}

static pier_operation try_writev_at(pier_handle handle, support_outcome *outcome) {
  return pier_writev_at(handle, &part, 1, 0, PIER_NO_DEADLINE, support__take, outcome);
}

static pier_operation try_truncate(pier_handle handle, support_outcome *outcome) {
  return pier_file_truncate(handle, 0, PIER_NO_DEADLINE, support__take, outcome);
}

static pier_operation try_flush(pier_handle handle, support_outcome *outcome) {
  return pier_file_flush(handle, PIER_NO_DEADLINE, support__take, outcome);
}

static pier_operation try_tcp_accept(pier_handle handle, support_outcome *outcome) {
  return pier_tcp_accept(handle, PIER_NO_DEADLINE, support__take, outcome);
}

static pier_operation try_tcp_shutdown(pier_handle handle, support_outcome *outcome) {
  return pier_tcp_shutdown(handle, PIER_NO_DEADLINE, support__take, outcome);
}

static pier_operation try_pipe_accept(pier_handle handle, support_outcome *outcome) {
  return pier_pipe_accept(handle, PIER_NO_DEADLINE, support__take, outcome);
}

static pier_operation try_ioctl(pier_handle handle, support_outcome *outcome) {
  return pier_ioctl(handle, 0x98765432u, NULL, 0, NULL, 0, PIER_NO_DEADLINE, support__take, outcome);
}

typedef struct named_submission {
  const char *name;
  submission submit;
} named_submission;

static const named_submission submissions[] = {
    {"pier_read", try_read},
    {"pier_write", try_write},
    {"pier_read_at", try_read_at},
    {"pier_write_at", try_write_at},
    {"pier_readv", try_readv},
    {"pier_writev", try_writev},
    {"pier_readv_at", try_readv_at},
    {"pier_writev_at", try_writev_at},
    {"pier_file_truncate", try_truncate},
    {"pier_file_flush", try_flush},
    {"pier_tcp_accept", try_tcp_accept},
    {"pier_tcp_shutdown", try_tcp_shutdown},
    {"pier_pipe_accept", try_pipe_accept},
    {"pier_ioctl", try_ioctl},
};

enum { SUBMISSIONS = sizeof submissions / sizeof submissions[0] };

/* Functions that answer at once, on a handle that is none. */
static void ask_everything(pier_handle handle) {
  uint64_t number = 99;
  int value = 99;
  pier_address address;
  memset(&address, 0x5A, sizeof address);
  assert_int_equal(pier_handle_state(handle), PIER_STATE_NONE);
  assert_int_equal(pier_handle_kind(handle), PIER_KIND_UNKNOWN);
  assert_true(pier_handle_native(handle) == PIER_NATIVE_NONE);
  assert_null(pier_handle_loop(handle));
  assert_int_equal(pier_handle_in_flight(handle), 0);
  assert_true(pier_handle_detach(handle) < 0);
  assert_true(pier_handle_associate(handle) < 0);
  assert_true(pier_close(handle, support__take, NULL) < 0);
  assert_true(pier_file_size(handle, &number) < 0);
  assert_true(pier_file_position(handle, &number) < 0);
  assert_true(pier_file_seek(handle, 0) < 0);
  assert_true(pier_tcp_set(handle, PIER_TCP_NODELAY, 1) < 0);
  assert_true(pier_tcp_get(handle, PIER_TCP_NODELAY, &value) < 0);
  assert_true(pier_tcp_local_address(handle, &address) < 0);
  assert_true(pier_tcp_peer_address(handle, &address) < 0);
  assert_true(number == 99 && value == 99);
}

/* Numbers that no loop ever gave as handles: everything is refused, at once or, where one looks like an old id, with
 * ECLOSED. */
static void what_never_was_a_handle_is_refused(void **state) {
  (void)state;
  uint64_t seed = support__seed();
  pier_loop *loop = support__open();
  support_outcome *never = support__outcome(), *posted = support__outcome();
  pier_operation operation = pier_post(loop, support__take, posted);
  await_status(loop, posted, PIER_OK);
  const pier_handle none[] = {0, 1, UINT64_MAX, operation};
  for (unsigned i = 0; i < sizeof none / sizeof none[0]; i++) {
    for (int s = 0; s < SUBMISSIONS; s++) {
      if (submissions[s].submit(none[i], never) != 0)
        fail_msg("%s took a number that is no handle", submissions[s].name);
    }
    ask_everything(none[i]);
  }
  for (int i = 0; i < 200; i++) {
    pier_handle handle = support__random(&seed) >> i % 60;
    for (int s = 0; s < SUBMISSIONS; s++) {
      support_outcome *outcome = support__outcome();
      if (submissions[s].submit(handle, outcome) == 0)
        continue;
      support__await(loop, outcome);
      assert_true(outcome->got.status == PIER_ECLOSED || outcome->got.status == PIER_EBADF);
    }
    ask_everything(handle);
  }
  support__close(loop);
  assert_false(support__called(never));
}

/* A closed handle: each function is called back with ECLOSED, and each question refused. */
static void a_closed_handle_says_that_it_is_closed(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    streams__pair(loop, (streams_sort)sort, ends);
    streams__close_pair(loop, ends);
    for (int s = 0; s < SUBMISSIONS; s++) {
      support_outcome *outcome = support__outcome();
      assert_true(submissions[s].submit(ends[0], outcome) != 0);
      support__await(loop, outcome);
      if (outcome->got.status != PIER_ECLOSED)
        fail_msg("%s on a closed %s says %s", submissions[s].name, streams__name((streams_sort)sort),
                 pier_error_name(outcome->got.status));
      assert_int_equal(outcome->got.bytes, 0);
    }
    ask_everything(ends[0]);
  }
  support__close(loop);
}

/* What a kind of handle cannot do ends with a clear status and one callback, and the handle goes on to work. */
static void the_wrong_kind_is_refused(void **state) {
  (void)state;
  static const submission unfit[] = {try_read_at,  try_write_at,   try_readv_at,   try_writev_at,
                                     try_truncate, try_tcp_accept, try_pipe_accept};
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    bool tcp = sort == STREAMS_TCP || sort == STREAMS_KEPT_TCP;
    streams__pair(loop, (streams_sort)sort, ends);
    for (unsigned s = 0; s < sizeof unfit / sizeof unfit[0]; s++) {
      support_outcome *outcome = support__outcome();
      assert_true(unfit[s](ends[0], outcome) != 0);
      await_status(loop, outcome, s < 4 ? PIER_ESPIPE : PIER_EBADF);
    }
    if (!tcp) {
      support_outcome *shut = support__outcome();
      int value;
      pier_address address;
      assert_true(try_tcp_shutdown(ends[0], shut) != 0);
      await_status(loop, shut, PIER_EBADF);
      assert_status(pier_tcp_get(ends[0], PIER_TCP_NODELAY, &value), PIER_EBADF);
      assert_status(pier_tcp_local_address(ends[0], &address), PIER_EBADF);
      assert_status(pier_tcp_peer_address(ends[0], &address), PIER_EBADF);
    }
    streams__exchange(loop, ends[0], ends[1], 100, 0);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* Null pointers where something is needed. */
static void null_pointers_are_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2], pipes[2], file = 0;
  support_outcome *read = support__outcome(), *written = support__outcome(), *positioned = support__outcome();
  assert_status(pier_file_open_sync(loop, support__temp_file(10), PIER_OPEN_READ | PIER_OPEN_WRITE, &file), PIER_OK);
  streams__pair(loop, STREAMS_TCP, ends);
  streams__pair(loop, STREAMS_PIPE, pipes);
  assert_true(pier_read(pipes[0], NULL, 10, PIER_NO_DEADLINE, support__take, read) != 0);
  assert_true(pier_write(ends[0], NULL, 10, PIER_NO_DEADLINE, support__take, written) != 0);
  assert_true(pier_read_at(file, NULL, 10, 0, PIER_NO_DEADLINE, support__take, positioned) != 0);
  await_status(loop, read, PIER_EINVAL);
  await_status(loop, written, PIER_EINVAL);
  await_status(loop, positioned, PIER_EINVAL);
  assert_status(pier_file_size(file, NULL), PIER_EINVAL);
  assert_status(pier_file_position(file, NULL), PIER_EINVAL);
  assert_status(pier_tcp_get(ends[0], PIER_TCP_NODELAY, NULL), PIER_EINVAL);
  assert_status(pier_tcp_local_address(ends[0], NULL), PIER_EINVAL);
  assert_status(pier_tcp_peer_address(ends[0], NULL), PIER_EINVAL);
  assert_status(pier_loop_metrics(loop, NULL), PIER_EINVAL);
  streams__exchange(loop, ends[0], ends[1], 100, 0);
  streams__exchange(loop, pipes[0], pipes[1], 100, 0);
  support__close_handle(loop, file);
  streams__close_pair(loop, ends);
  streams__close_pair(loop, pipes);
  support__close(loop);
}

/* A null loop, everywhere. */
static void a_null_loop_is_refused(void **state) {
  (void)state;
  pier_metrics metrics;
  pier_handle handle = 0, ends[2] = {0, 0};
  assert_status(pier_loop_run(NULL, PIER_RUN_DEFAULT, 0), PIER_EINVAL);
  assert_status(pier_loop_stop(NULL), PIER_EINVAL);
  assert_status(pier_loop_hold(NULL), PIER_EINVAL);
  assert_status(pier_loop_release(NULL), PIER_EINVAL);
  assert_status(pier_loop_close(NULL), PIER_EINVAL);
  assert_status(pier_loop_metrics(NULL, &metrics), PIER_EINVAL);
  assert_int_equal(pier_loop_alive(NULL), 0);
  assert_true(pier_loop_native(NULL) == PIER_NATIVE_NONE);
  assert_int_equal(pier_loop_timeout_ns(NULL), PIER_NO_TIMEOUT);
  assert_true(pier_file_open(NULL, "x", PIER_OPEN_READ, PIER_NO_DEADLINE, support__take, NULL) == 0);
  assert_status(pier_file_open_sync(NULL, "x", PIER_OPEN_READ, &handle), PIER_EINVAL);
  assert_status(pier_pipe_pair(NULL, NULL, ends), PIER_EINVAL);
  assert_status(pier_pipe_listen(NULL, "x", NULL, &handle), PIER_EINVAL);
  assert_true(pier_pipe_connect(NULL, "x", NULL, PIER_NO_DEADLINE, support__take, NULL) == 0);
  assert_status(pier_register(NULL, 0, NULL, &handle), PIER_EINVAL);
  assert_true(handle == 0 && ends[0] == 0 && ends[1] == 0);
}

/* Nobody has to want a result: without a callback everything goes its way, and what was opened is not left over. */
static void nobody_has_to_want_the_result(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle ends[2], listener = streams__tcp_listen(loop, &address);
  const char *path = support__temp_file(10);
  streams__pair(loop, STREAMS_PIPE, ends);
  for (int i = 0; i < 10; i++) {
    assert_true(pier_read(ends[0], &scratch[i], 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    assert_true(pier_write(ends[1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    assert_true(pier_file_open(loop, path, PIER_OPEN_READ, PIER_NO_DEADLINE, NULL, NULL) != 0);
    assert_true(pier_tcp_accept(listener, PIER_NO_DEADLINE, NULL, NULL) != 0);
    assert_true(pier_tcp_connect(loop, &address, NULL, PIER_NO_DEADLINE, NULL, NULL) != 0);
  }
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, 10 * PIER_SECOND), PIER_OK);
  assert_int_equal(support__metrics(loop).handles, 3);
  streams__close_pair(loop, ends);
  support__close_handle(loop, listener);
  support__close(loop);
}

/* After all of it, over and over, the process holds what it held before. */
static void bad_input_leaks_nothing(void **state) {
  (void)state;
  size_t handles = 0, heap_bytes = 0;
  for (int round = 0; round < 8; round++) {
    pier_loop *loop = support__open();
    pier_handle ends[2];
    pier_handle file = 0;
    for (int sort = 0; sort < STREAMS_SORTS; sort++) {
      streams__pair(loop, (streams_sort)sort, ends);
      for (int closed = 0; closed < 2; closed++) {
        for (int s = 0; s < SUBMISSIONS; s++) {
          support_outcome *outcome = support__outcome();
          pier_operation id = submissions[s].submit(ends[0], outcome);
          assert_true(id != 0);
          pier_cancel(id);
        }
        if (!closed)
          streams__close_pair(loop, ends);
      }
    }
    assert_true(pier_file_open_sync(loop, "", PIER_OPEN_READ, &file) < 0);
    assert_true(pier_file_open_sync(loop, support__temp_path(), PIER_OPEN_READ, &file) < 0);
    support__close(loop);
    if (round == 3) {
      handles = support__handle_count();
      heap_bytes = support__heap_bytes();
    }
  }
  assert_true(support__handle_count() <= handles + 2);
  assert_true(support__heap_bytes() <= heap_bytes + 4096);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(what_never_was_a_handle_is_refused),
      SUPPORT_TEST(a_closed_handle_says_that_it_is_closed),
      SUPPORT_TEST_POOL(a_closed_handle_says_that_it_is_closed),
      SUPPORT_TEST(the_wrong_kind_is_refused),
      SUPPORT_TEST_POOL(the_wrong_kind_is_refused),
      SUPPORT_TEST(null_pointers_are_refused),
      SUPPORT_TEST(a_null_loop_is_refused),
      SUPPORT_TEST(nobody_has_to_want_the_result),
      SUPPORT_TEST_POOL(nobody_has_to_want_the_result),
      SUPPORT_TEST(bad_input_leaks_nothing),
      SUPPORT_TEST_POOL(bad_input_leaks_nothing),
  };
  return support__main(argc, argv, "bad_input", tests, sizeof tests / sizeof tests[0]);
}
