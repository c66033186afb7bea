/* Message pipes: each message comes as it was written, whatever its length. */
#include "streams.h"

#include <string.h>

static void open_message_pair(pier_loop *loop, pier_handle ends[2]) {
  const pier_pipe_options options = {.message = true};
  assert_status(pier_pipe_pair(loop, &options, ends), PIER_OK);
}

static void write_message(pier_loop *loop, pier_handle to, const void *bytes, size_t length) {
  support_outcome *written = support__outcome();
  assert_true(pier_write(to, bytes, length, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, written, PIER_OK);
  assert_int_equal(written->got.bytes, length);
}

static support_outcome *read_message(pier_loop *loop, pier_handle from, void *buffer, size_t length, int status) {
  support_outcome *read = support__outcome();
  assert_true(pier_read(from, buffer, length, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, status);
  return read;
}

/* Messages keep their bounds, with the reader before or behind the writer. */
static void messages_keep_their_bounds(void **state) {
  (void)state;
  enum { MESSAGES = 50 };
  pier_loop *loop = support__open();
  pier_handle ends[2];
  unsigned char *buffer = support__alloc(10000), *sent = support__alloc(10000);
  uint64_t seed = support__seed();
  open_message_pair(loop, ends);
  size_t lengths[MESSAGES];
  for (unsigned i = 0; i < MESSAGES; i++) {
    lengths[i] = 1 + (size_t)support__random_below(&seed, 900);
    support__fill(sent, lengths[i], i);
    write_message(loop, ends[0], sent, lengths[i]);
  }
  for (unsigned i = 0; i < MESSAGES; i++) {
    support_outcome *read = read_message(loop, ends[1], buffer, 10000, PIER_OK);
    assert_int_equal(read->got.bytes, lengths[i]);
    assert_true(support__filled(buffer, lengths[i], i));
  }
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* A message that is longer than the buffer gives its first bytes and says so; the rest comes with the next reads. */
static void b25_a_message_longer_than_the_buffer(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  unsigned char *buffer = support__alloc(1000), *sent = support__alloc(1000);
  open_message_pair(loop, ends);
  support__fill(sent, 1000, 0);
  for (int i = 0; i < 3; i++) {
    write_message(loop, ends[0], sent, 1000);
    write_message(loop, ends[0], "next", 4);
    support_outcome *read = read_message(loop, ends[1], buffer, 400, PIER_EMSGSIZE);
    assert_int_equal(read->got.bytes, 400);
    assert_true(support__filled(buffer, 400, 0));
    assert_false(read->got.end);
    read = read_message(loop, ends[1], buffer, 400, PIER_EMSGSIZE);
    assert_int_equal(read->got.bytes, 400);
    assert_true(support__filled(buffer, 400, 400));
    read = read_message(loop, ends[1], buffer, 400, PIER_OK);
    assert_int_equal(read->got.bytes, 200);
    assert_true(support__filled(buffer, 200, 800));
    read = read_message(loop, ends[1], buffer, 400, PIER_OK);
    assert_int_equal(read->got.bytes, 4);
    assert_memory_equal(buffer, "next", 4);
  }
  streams__close_pair(loop, ends);
  support__close(loop);
  /* support__close() has counted: each of these reads was called back exactly once. */
}

/* The same when the read waits before the message comes. */
static void b25_a_long_message_for_a_waiting_read(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  unsigned char *buffer = support__alloc(100), *sent = support__alloc(100);
  open_message_pair(loop, ends);
  support__fill(sent, 100, 0);
  for (int i = 0; i < 20; i++) {
    support_outcome *read = support__outcome();
    assert_true(pier_read(ends[1], buffer, 60, PIER_NO_DEADLINE, support__take, read) != 0);
    write_message(loop, ends[0], sent, 100);
    await_status(loop, read, PIER_EMSGSIZE);
    assert_int_equal(read->got.bytes, 60);
    assert_true(support__filled(buffer, 60, 0));
    read = read_message(loop, ends[1], buffer, 60, PIER_OK);
    assert_int_equal(read->got.bytes, 40);
    assert_true(support__filled(buffer, 40, 60));
  }
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* A message of no length is a message: 0 bytes and not the end, before and behind others. */
static void b26_a_message_of_no_length_is_not_the_end(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  char *buffer = support__alloc(100);
  open_message_pair(loop, ends);
  write_message(loop, ends[0], "first", 5);
  write_message(loop, ends[0], NULL, 0);
  write_message(loop, ends[0], "last", 4);
  assert_int_equal(read_message(loop, ends[1], buffer, 100, PIER_OK)->got.bytes, 5);
  support_outcome *read = read_message(loop, ends[1], buffer, 100, PIER_OK);
  assert_int_equal(read->got.bytes, 0);
  assert_false(read->got.end);
  assert_int_equal(read_message(loop, ends[1], buffer, 100, PIER_OK)->got.bytes, 4);
  support__close_handle(loop, ends[0]);
  read = read_message(loop, ends[1], buffer, 100, PIER_OK);
  assert_int_equal(read->got.bytes, 0);
  assert_true(read->got.end);
  support__close_handle(loop, ends[1]);
  support__close(loop);
}

/* A read that waits is ended by a message of no length. */
static void b26_a_message_of_no_length_for_a_waiting_read(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  char *buffer = support__alloc(100);
  open_message_pair(loop, ends);
  support_outcome *read = support__outcome();
  assert_true(pier_read(ends[1], buffer, 100, PIER_NO_DEADLINE, support__take, read) != 0);
  write_message(loop, ends[0], buffer, 0);
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, 0);
  assert_false(read->got.end);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* A vectored write is one message, as if its parts were one buffer. */
static void b30_a_vectored_write_is_one_message(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  char *bytes = support__alloc(12), *received = support__alloc(100);
  memcpy(bytes, "onetwothree!", 12);
  const pier_buffer parts[] = {{bytes, 3}, {NULL, 0}, {bytes + 3, 3}, {bytes + 6, 6}};
  support_outcome *written = support__outcome();
  open_message_pair(loop, ends);
  assert_true(pier_writev(ends[0], parts, 4, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, written, PIER_OK);
  assert_int_equal(written->got.bytes, 12);
  assert_int_equal(read_message(loop, ends[1], received, 100, PIER_OK)->got.bytes, 12);
  assert_memory_equal(received, bytes, 12);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* A vectored read spreads one message over its parts, and takes no byte of the next; again and again, for each takes
 * several calls. */
static void b30_a_vectored_read_spreads_one_message(void **state) {
  (void)state;
  enum { ROUNDS = 300 };
  pier_loop *loop = support__open();
  pier_handle ends[2];
  char *bytes = support__alloc(12), *received = support__alloc(100);
  memcpy(bytes, "onetwothree!", 12);
  const pier_buffer spread[] = {{received, 5}, {received + 50, 50}};
  open_message_pair(loop, ends);
  for (int round = 0; round < ROUNDS; round++) {
    support_outcome *read = support__outcome(), *written = support__outcome(), *next = support__outcome();
    memset(received, 0, 100);
    if (round % 2)
      assert_true(pier_readv(ends[1], spread, 2, PIER_NO_DEADLINE, support__take, read) != 0);
    assert_true(pier_write(ends[0], bytes, 12, PIER_NO_DEADLINE, support__take, written) != 0);
    assert_true(pier_write(ends[0], "next", 4, PIER_NO_DEADLINE, support__take, next) != 0);
    if (round % 2 == 0)
      assert_true(pier_readv(ends[1], spread, 2, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, 12);
    assert_memory_equal(received, bytes, 5);
    assert_memory_equal(received + 50, bytes + 5, 7);
    assert_int_equal(read_message(loop, ends[1], received, 100, PIER_OK)->got.bytes, 4);
    await_status(loop, written, PIER_OK);
    await_status(loop, next, PIER_OK);
  }
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* A listener for messages gives connections for messages. */
static void a_listener_for_messages_accepts_message_pipes(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const pier_pipe_options options = {.message = true};
  pier_handle ends[2];
  char *buffer = support__alloc(100);
  streams__pipe_pair(loop, &options, ends);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(pier_handle_kind(ends[i]), PIER_KIND_MESSAGE_PIPE);
    write_message(loop, ends[i], "one", 3);
    write_message(loop, ends[i], "two", 3);
    assert_int_equal(read_message(loop, ends[1 - i], buffer, 100, PIER_OK)->got.bytes, 3);
    assert_int_equal(read_message(loop, ends[1 - i], buffer, 2, PIER_EMSGSIZE)->got.bytes, 2);
    assert_int_equal(read_message(loop, ends[1 - i], buffer, 2, PIER_OK)->got.bytes, 1);
  }
  streams__close_pair(loop, ends);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(messages_keep_their_bounds),
      SUPPORT_TEST_POOL(messages_keep_their_bounds),
      SUPPORT_TEST(b25_a_message_longer_than_the_buffer),
      SUPPORT_TEST_POOL(b25_a_message_longer_than_the_buffer),
      SUPPORT_TEST(b25_a_long_message_for_a_waiting_read),
      SUPPORT_TEST_POOL(b25_a_long_message_for_a_waiting_read),
      SUPPORT_TEST(b26_a_message_of_no_length_is_not_the_end),
      SUPPORT_TEST_POOL(b26_a_message_of_no_length_is_not_the_end),
      SUPPORT_TEST(b26_a_message_of_no_length_for_a_waiting_read),
      SUPPORT_TEST(b30_a_vectored_write_is_one_message),
      SUPPORT_TEST(b30_a_vectored_read_spreads_one_message),
      SUPPORT_TEST_POOL(b30_a_vectored_read_spreads_one_message),
      SUPPORT_TEST(a_listener_for_messages_accepts_message_pipes),
  };
  return support__main(argc, argv, "message", tests, sizeof tests / sizeof tests[0]);
}
