/* Control codes: short ones, ones with output, and one that takes for ever. */
#include <winsock2.h>

#include <windows.h>

#include <winioctl.h>

#include "streams.h"

#include <string.h>

#ifndef SIO_ADDRESS_LIST_CHANGE
#define SIO_ADDRESS_LIST_CHANGE _WSAIO(IOC_WS2, 23)
#endif
#ifndef SIO_KEEPALIVE_VALS
#define SIO_KEEPALIVE_VALS _WSAIOW(IOC_VENDOR, 4)
#endif

/* What winioctl.h of mingw-w64 does not have: a look at a pipe without taking anything out of it. */
#define PIPE_PEEK CTL_CODE(FILE_DEVICE_NAMED_PIPE, 3, METHOD_BUFFERED, FILE_READ_DATA)

typedef struct pipe_peek {
  ULONG state, available, messages, first_length;
  char data[32];
} pipe_peek;

typedef struct keepalive {
  ULONG on, time_ms, interval_ms;
} keepalive;

static support_outcome *start(pier_handle handle, uint32_t code, const void *input, size_t input_bytes, void *output,
                              size_t output_bytes, uint64_t deadline_ns, pier_operation *id) {
  support_outcome *done = support__outcome();
  *id = pier_ioctl(handle, code, input, input_bytes, output, output_bytes, deadline_ns, support__take, done);
  assert_true(*id != 0);
  return done;
}

/* A short one on a socket: it takes input and is done. */
static void b14_a_socket_takes_a_control_code(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const streams_sort sorts[] = {STREAMS_TCP, STREAMS_KEPT_TCP};
  for (int i = 0; i < 2; i++) {
    pier_handle ends[2];
    pier_operation id;
    keepalive *values = support__alloc(sizeof *values);
    *values = (keepalive){1, 30000, 1000};
    streams__pair(loop, sorts[i], ends);
    for (int n = 0; n < 10; n++)
      await_status(loop, start(ends[0], SIO_KEEPALIVE_VALS, values, sizeof *values, NULL, 0, PIER_NO_DEADLINE, &id),
                   PIER_OK);
    streams__exchange(loop, ends[0], ends[1], 100, 0);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* One with output on a pipe: the bytes that it wrote are told, and nothing is taken out of the pipe. */
static void b14_a_pipe_gives_output(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_KEPT_PIPE, STREAMS_MESSAGE_PIPE, STREAMS_BLOCKING_PIPE};
  for (int i = 0; i < 4; i++) {
    pier_handle ends[2];
    pier_operation id;
    pipe_peek *peek = support__alloc(sizeof *peek);
    support_outcome *written = support__outcome();
    streams__pair(loop, sorts[i], ends);
    assert_true(pier_write(ends[1], "inside", 6, PIER_NO_DEADLINE, support__take, written) != 0);
    await_status(loop, written, PIER_OK);
    for (int n = 0; n < 5; n++) {
      memset(peek, 0, sizeof *peek);
      support_outcome *done = start(ends[0], PIPE_PEEK, NULL, 0, peek, sizeof *peek, PIER_NO_DEADLINE, &id);
      await_status(loop, done, PIER_OK);
      assert_int_equal(done->got.bytes, offsetof(pipe_peek, data) + 6);
      assert_int_equal(peek->available, 6);
      assert_memory_equal(peek->data, "inside", 6);
    }
    char *buffer = support__alloc(16);
    support_outcome *read = support__outcome();
    assert_true(pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, 6);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* One that waits for a change of the machine's addresses is cancelled, has a deadline, and ends with its handle. */
static void b14_a_long_one_can_be_ended(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const streams_sort sorts[] = {STREAMS_TCP, STREAMS_KEPT_TCP};
  for (int i = 0; i < 2; i++) {
    pier_handle ends[2];
    pier_operation id;
    streams__pair(loop, sorts[i], ends);
    for (int n = 0; n < 5; n++) {
      support_outcome *cancelled = start(ends[0], SIO_ADDRESS_LIST_CHANGE, NULL, 0, NULL, 0, PIER_NO_DEADLINE, &id);
      assert_status(pier_cancel(id), PIER_OK);
      await_status(loop, cancelled, PIER_ECANCELED);
      uint64_t deadline_ns = pier_deadline_in(5 * PIER_MILLISECOND);
      support_outcome *late = start(ends[0], SIO_ADDRESS_LIST_CHANGE, NULL, 0, NULL, 0, deadline_ns, &id);
      await_status(loop, late, PIER_ETIMEDOUT);
      assert_true(late->at_ns >= deadline_ns);
    }
    support_outcome *closed = start(ends[0], SIO_ADDRESS_LIST_CHANGE, NULL, 0, NULL, 0, PIER_NO_DEADLINE, &id);
    streams__exchange(loop, ends[0], ends[1], 100, 0);
    assert_false(support__called(closed));
    support__close_handle(loop, ends[0]);
    assert_int_equal(atomic_load(&closed->calls), 1);
    assert_status(closed->got.status, PIER_ECLOSED);
    support__close_handle(loop, ends[1]);
  }
  support__close(loop);
}

/* The sync path takes the same codes on the same handles, and no packet of it reaches the loop. */
static void b14_the_sync_path_takes_them_too(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2], pipes[2];
  pier_sync_result result;
  const keepalive values = {1, 30000, 1000};
  pipe_peek peek = {0};
  streams__pair(loop, STREAMS_TCP, ends);
  streams__pair(loop, STREAMS_PIPE, pipes);
  uint64_t packets = support__metrics(loop).packets;
  pier_native socket = pier_handle_native(ends[0]), pipe = pier_handle_native(pipes[0]);
  assert_status(pier_sync_ioctl(socket, SIO_KEEPALIVE_VALS, &values, sizeof values, NULL, 0, PIER_NO_TIMEOUT, &result),
                PIER_OK);
  assert_status(pier_sync_ioctl(pipe, PIPE_PEEK, NULL, 0, &peek, sizeof peek, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, offsetof(pipe_peek, data));
  uint64_t before_ns = pier_now_ns();
  assert_status(pier_sync_ioctl(socket, SIO_ADDRESS_LIST_CHANGE, NULL, 0, NULL, 0, 5 * PIER_MILLISECOND, &result),
                PIER_ETIMEDOUT);
  assert_true(pier_now_ns() - before_ns >= 5 * PIER_MILLISECOND);
  assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, 0), PIER_OK);
  assert_int_equal(support__metrics(loop).packets, packets);
  streams__close_pair(loop, ends);
  streams__close_pair(loop, pipes);
  support__close(loop);
}

static void read_less_than_asked(pier_loop *loop, pier_handle ends[2]) {
  char *buffer = support__alloc(64);
  support_outcome *read = support__outcome(), *written = support__outcome();
  assert_true(pier_read(ends[0], buffer, 64, PIER_NO_DEADLINE, support__take, read) != 0);
  assert_true(pier_write(ends[1], "x", 1, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, read, PIER_OK);
  await_status(loop, written, PIER_OK);
}

/* A code that the handle does not know, and null pointers with a length, are refused with a clear status. */
static void b14_what_cannot_be_is_refused(void **state) {
  (void)state;
  /* Few slots, each of which has been a read or a write that was not filled: what that left behind must not matter. */
  const pier_loop_options options = {.threads = support__threads(), .operations_max = 4};
  pier_loop *loop = support__open_with(&options);
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    pier_operation id;
    streams__pair(loop, (streams_sort)sort, ends);
    for (int i = 0; i < 8; i++)
      read_less_than_asked(loop, ends);
    support_outcome *unknown = start(ends[0], 0x98765432u, NULL, 0, NULL, 0, PIER_NO_DEADLINE, &id);
    support__await(loop, unknown);
    assert_true(unknown->got.status < 0 && unknown->got.system_code != 0);
    await_status(loop, start(ends[0], SIO_KEEPALIVE_VALS, NULL, 12, NULL, 0, PIER_NO_DEADLINE, &id), PIER_EINVAL);
    await_status(loop, start(ends[0], SIO_KEEPALIVE_VALS, NULL, 0, NULL, 12, PIER_NO_DEADLINE, &id), PIER_EINVAL);
    streams__exchange(loop, ends[1], ends[0], 100, 0);
    support__close_handle(loop, ends[0]);
    await_status(loop, start(ends[0], SIO_KEEPALIVE_VALS, NULL, 0, NULL, 0, PIER_NO_DEADLINE, &id), PIER_ECLOSED);
    support__close_handle(loop, ends[1]);
  }
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b14_a_socket_takes_a_control_code), SUPPORT_TEST_POOL(b14_a_socket_takes_a_control_code),
      SUPPORT_TEST(b14_a_pipe_gives_output),           SUPPORT_TEST_POOL(b14_a_pipe_gives_output),
      SUPPORT_TEST(b14_a_long_one_can_be_ended),       SUPPORT_TEST_POOL(b14_a_long_one_can_be_ended),
      SUPPORT_TEST(b14_the_sync_path_takes_them_too),  SUPPORT_TEST(b14_what_cannot_be_is_refused),
  };
  return support__main(argc, argv, "ioctl", tests, sizeof tests / sizeof tests[0]);
}
