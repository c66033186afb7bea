/* The sync path on pipes: named ones of bytes and of messages, anonymous ones, overlapped and blocking. */
#include "sync_native.h"

#include <string.h>

static void b7_a_byte_pipe_on_a_port_is_read_and_written_and_the_port_stays_silent(void **state) {
  (void)state;
  sync_pair pipe = sync_native__open_pair(false);

  sync_native__write_all(pipe.ends[1], "there");
  sync_native__read_is(pipe.ends[0], 100, PIER_OK, "there", false);
  sync_native__write_all(pipe.ends[0], "and back");
  sync_native__read_is(pipe.ends[1], 3, PIER_OK, "and", false);
  sync_native__read_is(pipe.ends[1], 100, PIER_OK, " back", false);
  sync_native__close_pair(&pipe);
}

static void b7_a_message_pipe_on_a_port_is_read_and_written_and_the_port_stays_silent(void **state) {
  (void)state;
  sync_pair pipe = sync_native__open_pair(true);

  sync_native__write_all(pipe.ends[1], "one");
  sync_native__write_all(pipe.ends[1], "two");
  sync_native__read_is(pipe.ends[0], 100, PIER_OK, "one", false);
  sync_native__read_is(pipe.ends[0], 100, PIER_OK, "two", false);
  sync_native__write_all(pipe.ends[0], "back");
  sync_native__read_is(pipe.ends[1], 100, PIER_OK, "back", false);
  sync_native__close_pair(&pipe);
}

static void write_later(void *context) {
  sync_native__sleep_ms(20);
  sync_native__write(*(pier_native *)context, "late", 4);
}

static void a_read_waits_for_what_comes(void **state) {
  (void)state;
  sync_pair pipe = sync_native__open_pair(false);

  support_thread *thread = support__thread_start(write_later, &pipe.ends[1]);
  sync_native__read_is(pipe.ends[0], 100, PIER_OK, "late", false);
  support__thread_join(thread);
  sync_native__close_pair(&pipe);
}

static void b22_a_refused_call_is_reported_at_once(void **state) {
  (void)state;
  char buffer[8] = "";
  pier_native server = sync_native__pipe_server(support__pipe_name());
  pier_sync_result result;

  uint64_t began_ns = pier_now_ns();
  assert_true(pier_sync_read(server, buffer, sizeof buffer, 10 * PIER_SECOND, &result) < 0);
  assert_true(result.system_code != 0 && result.bytes == 0);
  assert_true(pier_sync_write(server, buffer, sizeof buffer, 10 * PIER_SECOND, &result) < 0);
  assert_true(pier_now_ns() - began_ns < 5 * PIER_SECOND);
  sync_native__close(server);
}

static void b24_a_broken_pipe_is_the_end_for_a_read_and_an_error_for_a_write(void **state) {
  (void)state;
  sync_pair pipe = sync_native__open_pair(false);

  sync_native__write_all(pipe.ends[1], "last");
  sync_native__close(pipe.ends[1]);
  sync_native__read_is(pipe.ends[0], 100, PIER_OK, "last", false);
  sync_native__read_is(pipe.ends[0], 100, PIER_OK, "", true);
  assert_status(pier_sync_write(pipe.ends[0], "x", 1, PIER_NO_TIMEOUT, NULL), PIER_EPIPE);
  sync_native__assert_silent(pipe.port);
  sync_native__close(pipe.ends[0]);
  sync_native__close_port(pipe.port);
}

static void close_later(void *context) {
  sync_native__sleep_ms(20);
  sync_native__close(*(pier_native *)context);
}

static void b24_a_pipe_that_breaks_under_a_pending_read_is_the_end(void **state) {
  (void)state;
  sync_pair pipe = sync_native__open_pair(false);

  support_thread *thread = support__thread_start(close_later, &pipe.ends[1]);
  sync_native__read_is(pipe.ends[0], 100, PIER_OK, "", true);
  support__thread_join(thread);
  sync_native__assert_silent(pipe.port);
  sync_native__close(pipe.ends[0]);
  sync_native__close_port(pipe.port);
}

static void b25_a_message_longer_than_the_buffer_comes_in_pieces(void **state) {
  (void)state;
  sync_pair pipe = sync_native__open_pair(true);

  sync_native__write_all(pipe.ends[1], "abcdefgh");
  sync_native__write_all(pipe.ends[1], "next");
  sync_native__read_is(pipe.ends[0], 3, PIER_EMSGSIZE, "abc", false);
  sync_native__read_is(pipe.ends[0], 3, PIER_EMSGSIZE, "def", false);
  sync_native__read_is(pipe.ends[0], 3, PIER_OK, "gh", false);
  sync_native__read_is(pipe.ends[0], 100, PIER_OK, "next", false);
  sync_native__close_pair(&pipe);
}

static void write_long_message_later(void *context) {
  sync_native__sleep_ms(20);
  sync_native__write(*(pier_native *)context, "abcdefgh", 8);
}

static void b25_a_long_message_that_comes_under_a_pending_read(void **state) {
  (void)state;
  sync_pair pipe = sync_native__open_pair(true);

  support_thread *thread = support__thread_start(write_long_message_later, &pipe.ends[1]);
  sync_native__read_is(pipe.ends[0], 3, PIER_EMSGSIZE, "abc", false);
  support__thread_join(thread);
  sync_native__read_is(pipe.ends[0], 100, PIER_OK, "defgh", false);
  sync_native__close_pair(&pipe);
}

static void b26_an_empty_message_is_not_the_end(void **state) {
  (void)state;
  sync_pair pipe = sync_native__open_pair(true);

  sync_native__write_all(pipe.ends[1], "");
  sync_native__write_all(pipe.ends[1], "full");
  sync_native__read_is(pipe.ends[0], 100, PIER_OK, "", false);
  sync_native__read_is(pipe.ends[0], 100, PIER_OK, "full", false);
  sync_native__close_pair(&pipe);
}

static void b26_a_read_of_nothing_takes_nothing(void **state) {
  (void)state;
  for (unsigned message = 0; message < 2; message++) {
    sync_pair pipe = sync_native__open_pair(message == 1);
    sync_native__write_all(pipe.ends[1], "still here");
    sync_native__read_is(pipe.ends[0], 0, PIER_OK, "", false);
    sync_native__read_is(pipe.ends[0], 100, PIER_OK, "still here", false);
    sync_native__close_pair(&pipe);
  }
}

static void b27_a_pipe_has_no_positions(void **state) {
  (void)state;
  char buffer[8] = "";
  pier_buffer part = {buffer, sizeof buffer};
  sync_pair pipe = sync_native__open_pair(false);
  pier_native anonymous[2];

  sync_native__anonymous_pipe(anonymous);
  sync_native__write_all(pipe.ends[1], "unread");
  const pier_native natives[] = {pipe.ends[0], anonymous[0], anonymous[1]};
  for (unsigned i = 0; i < 3; i++) {
    assert_status(pier_sync_read_at(natives[i], buffer, sizeof buffer, 0, PIER_NO_TIMEOUT, NULL), PIER_ESPIPE);
    assert_status(pier_sync_write_at(natives[i], buffer, sizeof buffer, 0, PIER_NO_TIMEOUT, NULL), PIER_ESPIPE);
    assert_status(pier_sync_readv(natives[i], &part, 1, 0, PIER_NO_TIMEOUT, NULL), PIER_ESPIPE);
    assert_status(pier_sync_writev(natives[i], &part, 1, 0, PIER_NO_TIMEOUT, NULL), PIER_ESPIPE);
  }
  sync_native__read_is(pipe.ends[0], 100, PIER_OK, "unread", false);
  sync_native__close(anonymous[0]);
  sync_native__close(anonymous[1]);
  sync_native__close_pair(&pipe);
}

static void a_blocking_pipe_is_served_without_a_timeout_only(void **state) {
  (void)state;
  if (!support__windows)
    support__skip("no call blocks here that could not be given up");
  char buffer[8] = "";
  pier_native ends[2];
  pier_sync_result result;

  sync_native__anonymous_pipe(ends);
  sync_native__write_all(ends[1], "plain");
  assert_status(pier_sync_read(ends[0], buffer, sizeof buffer, PIER_SECOND, NULL), PIER_ENOTSUP);
  assert_status(pier_sync_read(ends[0], buffer, sizeof buffer, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, 5);
  assert_string_equal(buffer, "plain");
  sync_native__close(ends[1]);
  assert_status(pier_sync_read(ends[0], buffer, sizeof buffer, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_true(result.bytes == 0 && result.end);
  sync_native__close(ends[0]);
}

static void blocking_and_overlapped_ends_of_a_pipe_go_together(void **state) {
  (void)state;
  char buffer[8];
  pier_native ends[2];

  for (unsigned i = 0; i < 4; i++) {
    support__native_pipe_pair(false, (i & 1) != 0, (i & 2) != 0, ends);
    for (unsigned from = 0; from < 2; from++) {
      sync_native__write_all(ends[from], "across");
      memset(buffer, 0, sizeof buffer);
      assert_status(pier_sync_read(ends[1 - from], buffer, sizeof buffer, PIER_NO_TIMEOUT, NULL), PIER_OK);
      assert_string_equal(buffer, "across");
    }
    sync_native__close(ends[0]);
    sync_native__close(ends[1]);
  }
}

static void connect_later(void *context) {
  sync_native__sleep_ms(20);
  sync_native__close(sync_native__pipe_client(context));
}

static void a_client_of_a_pipe_is_waited_for(void **state) {
  (void)state;
  const char *name = support__pipe_name();
  pier_native server = sync_native__pipe_server(name);
  sync_port *port = sync_native__port(server);

  assert_status(pier_sync_pipe_accept(server, 30 * PIER_MILLISECOND, NULL), PIER_ETIMEDOUT);
  support_thread *thread = support__thread_start(connect_later, (void *)(uintptr_t)name);
  assert_status(pier_sync_pipe_accept(server, 10 * PIER_SECOND, NULL), PIER_OK);
  support__thread_join(thread);
  sync_native__read_is(server, 100, PIER_OK, "", true);
  sync_native__assert_silent(port);
  sync_native__close(server);
  sync_native__close_port(port);
}

static void a_client_of_a_pipe_may_have_been_there_first(void **state) {
  (void)state;
  const char *name = support__pipe_name();
  pier_native server = sync_native__pipe_server(name);
  pier_native client = sync_native__pipe_client(name);
  pier_sync_result result;

  assert_status(pier_sync_pipe_accept(server, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.system_code, 0);
  sync_native__write_all(client, "hello");
  sync_native__read_is(server, 100, PIER_OK, "hello", false);
  sync_native__close(client);
  sync_native__close(server);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b7_a_byte_pipe_on_a_port_is_read_and_written_and_the_port_stays_silent),
      SUPPORT_TEST(b7_a_message_pipe_on_a_port_is_read_and_written_and_the_port_stays_silent),
      SUPPORT_TEST(a_read_waits_for_what_comes),
      SUPPORT_TEST(b22_a_refused_call_is_reported_at_once),
      SUPPORT_TEST(b24_a_broken_pipe_is_the_end_for_a_read_and_an_error_for_a_write),
      SUPPORT_TEST(b24_a_pipe_that_breaks_under_a_pending_read_is_the_end),
      SUPPORT_TEST(b25_a_message_longer_than_the_buffer_comes_in_pieces),
      SUPPORT_TEST(b25_a_long_message_that_comes_under_a_pending_read),
      SUPPORT_TEST(b26_an_empty_message_is_not_the_end),
      SUPPORT_TEST(b26_a_read_of_nothing_takes_nothing),
      SUPPORT_TEST(b27_a_pipe_has_no_positions),
      SUPPORT_TEST(a_blocking_pipe_is_served_without_a_timeout_only),
      SUPPORT_TEST(blocking_and_overlapped_ends_of_a_pipe_go_together),
      SUPPORT_TEST(a_client_of_a_pipe_is_waited_for),
      SUPPORT_TEST(a_client_of_a_pipe_may_have_been_there_first),
  };
  return support__main(argc, argv, "sync_pipe", tests, sizeof tests / sizeof tests[0]);
}
