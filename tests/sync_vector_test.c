/* Vectored calls of the sync path on pipes and sockets, and writes that no buffer of the system holds. */
#include "sync_native.h"

#include <string.h>

static size_t split(const char *text, size_t each, pier_buffer *parts) {
  size_t count = 0;

  for (size_t at = 0, length = strlen(text); at < length; at += each) {
    parts[count++] = (pier_buffer){(void *)(uintptr_t)(text + at), length - at < each ? length - at : each};
  }
  return count;
}

static void b30_a_vector_on_a_message_pipe_is_one_message(void **state) {
  (void)state;
  pier_buffer parts[8];
  sync_pair pipe = sync_native__open_pair(true);
  pier_sync_result result;

  size_t count = split("abcdefgh", 3, parts);
  assert_status(pier_sync_writev(pipe.ends[1], parts, count, -1, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, 8);
  parts[0].length = 0;
  assert_status(pier_sync_writev(pipe.ends[1], parts, 1, -1, PIER_NO_TIMEOUT, &result), PIER_OK);
  sync_native__read_is(pipe.ends[0], 100, PIER_OK, "abcdefgh", false);
  sync_native__read_is(pipe.ends[0], 100, PIER_OK, "", false);
  sync_native__close_pair(&pipe);
}

static void b30_a_vector_of_40_kib_on_a_message_pipe_is_one_message(void **state) {
  (void)state;
  enum { PART_BYTES = 4096, PARTS = 10 };
  unsigned char *bytes = support__alloc(PART_BYTES * PARTS);
  pier_buffer parts[PARTS];
  sync_pair pipe = sync_native__open_pair(true);
  pier_sync_result result;

  support__fill(bytes, PART_BYTES * PARTS, 0);
  for (unsigned i = 0; i < PARTS; i++) {
    parts[i] = (pier_buffer){bytes + i * PART_BYTES, PART_BYTES};
  }
  assert_status(pier_sync_writev(pipe.ends[1], parts, PARTS, -1, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, PART_BYTES * PARTS);
  memset(bytes, 0, PART_BYTES * PARTS);
  assert_status(pier_sync_read(pipe.ends[0], bytes, PART_BYTES * PARTS, PIER_SECOND, &result), PIER_OK);
  assert_int_equal(result.bytes, PART_BYTES * PARTS);
  assert_true(support__filled(bytes, PART_BYTES * PARTS, 0));
  sync_native__close_pair(&pipe);
}

static void b30_a_message_is_read_into_parts_and_the_next_one_is_left(void **state) {
  (void)state;
  char bytes[16] = "";
  pier_buffer parts[3] = {{bytes, 3}, {bytes + 3, 3}, {bytes + 6, 3}};
  sync_pair pipe = sync_native__open_pair(true);
  pier_sync_result result;

  sync_native__write_all(pipe.ends[1], "abcdef");
  sync_native__write_all(pipe.ends[1], "ghijklmnop");
  assert_status(pier_sync_readv(pipe.ends[0], parts, 3, -1, PIER_SECOND, &result), PIER_OK);
  assert_int_equal(result.bytes, 6);
  assert_string_equal(bytes, "abcdef");
  assert_status(pier_sync_readv(pipe.ends[0], parts, 3, -1, PIER_SECOND, &result), PIER_EMSGSIZE);
  assert_int_equal(result.bytes, 9);
  assert_string_equal(bytes, "ghijklmno");
  sync_native__read_is(pipe.ends[0], 100, PIER_OK, "p", false);
  sync_native__close_pair(&pipe);
}

static void vector_read_of_bytes(pier_native reading, pier_native writing) {
  char bytes[16] = "";
  pier_buffer parts[4] = {{bytes, 3}, {NULL, 0}, {bytes + 3, 3}, {bytes + 6, 3}};
  pier_sync_result result;

  sync_native__write_all(writing, "abcdef");
  assert_status(pier_sync_readv(reading, parts, 4, -1, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, 6);
  assert_string_equal(bytes, "abcdef");
  sync_native__write_all(writing, "x");
  assert_status(pier_sync_readv(reading, parts, 4, -1, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, 1);
  sync_native__close(writing);
  assert_status(pier_sync_readv(reading, parts, 4, -1, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_true(result.bytes == 0 && result.end);
  sync_native__close(reading);
}

static void b30_a_vector_read_of_a_byte_pipe_takes_what_is_there_and_waits_for_no_more(void **state) {
  (void)state;
  pier_native ends[2];

  support__native_pipe_pair(false, true, true, ends);
  vector_read_of_bytes(ends[0], ends[1]);
  sync_native__anonymous_pipe(ends);
  vector_read_of_bytes(ends[0], ends[1]);
}

typedef struct drain {
  pier_native end;
  size_t bytes;
  bool right;
} drain;

static void read_to_the_end(void *context) {
  drain *self = context;
  unsigned char buffer[4096];
  pier_sync_result result;

  self->right = true;
  do {
    int status = pier_sync_read(self->end, buffer, sizeof buffer, PIER_NO_TIMEOUT, &result);
    self->right = self->right && status == PIER_OK && support__filled(buffer, result.bytes, self->bytes);
    self->bytes += result.bytes;
  } while (result.status == PIER_OK && !result.end);
}

static void vectors_of_0_1_64_and_1024_parts(bool tcp) {
  const size_t counts[] = {0, 1, 64, 1024};
  pier_buffer *parts = support__alloc(1024 * sizeof *parts);
  unsigned char *bytes = support__alloc(1024 * 100);
  pier_sync_result result;

  for (unsigned i = 0; i < 4; i++) {
    drain *reader = support__alloc(sizeof *reader);
    pier_native ends[2];
    if (tcp) {
      support__native_tcp_pair(ends);
    } else {
      support__native_pipe_pair(false, true, true, ends);
    }
    reader->end = ends[0];
    support_thread *thread = support__thread_start(read_to_the_end, reader);
    support__fill(bytes, 1024 * 100, 0);
    for (size_t j = 0; j < counts[i]; j++) {
      parts[j] = (pier_buffer){bytes + 100 * j, 100};
    }
    assert_status(pier_sync_writev(ends[1], parts, counts[i], -1, PIER_NO_TIMEOUT, &result), PIER_OK);
    assert_int_equal(result.bytes, counts[i] * 100);
    (tcp ? support__native_close_socket : support__native_close_pipe)(ends[1]);
    support__thread_join(thread);
    assert_true(reader->right && reader->bytes == counts[i] * 100);
    (tcp ? support__native_close_socket : support__native_close_pipe)(ends[0]);
  }
}

static void b30_vectors_of_0_1_64_and_1024_parts_of_a_pipe(void **state) {
  (void)state;
  vectors_of_0_1_64_and_1024_parts(false);
}

static void b30_vectors_of_0_1_64_and_1024_parts_of_a_socket(void **state) {
  (void)state;
  vectors_of_0_1_64_and_1024_parts(true);
}

static void b30_a_socket_is_read_into_1024_parts(void **state) {
  (void)state;
  unsigned char *bytes = support__alloc(1024 * 3);
  pier_buffer *parts = support__alloc(1024 * sizeof *parts);
  pier_native ends[2];
  pier_sync_result result;

  support__native_tcp_pair(ends);
  support__fill(bytes, 1024 * 3, 0);
  assert_status(pier_sync_write(ends[1], bytes, 1024 * 3, PIER_NO_TIMEOUT, NULL), PIER_OK);
  memset(bytes, 0, 1024 * 3);
  for (size_t i = 0; i < 1024; i++) {
    parts[i] = (pier_buffer){bytes + 3 * i, 3};
  }
  sync_native__sleep_ms(50);
  assert_status(pier_sync_readv(ends[0], parts, 1024, -1, PIER_SECOND, &result), PIER_OK);
  assert_int_equal(result.bytes, 1024 * 3);
  assert_true(support__filled(bytes, 1024 * 3, 0));
  support__native_close_socket(ends[0]);
  support__native_close_socket(ends[1]);
}

static void a_write_larger_than_the_pipe_goes_out_whole(void **state) {
  (void)state;
  const size_t length = 1 << 20;
  unsigned char *bytes = support__alloc(length);
  drain *reader = support__alloc(sizeof *reader);
  pier_native ends[2];
  pier_sync_result result;

  support__native_pipe_pair(false, true, true, ends);
  reader->end = ends[0];
  support__fill(bytes, length, 0);
  support_thread *thread = support__thread_start(read_to_the_end, reader);
  assert_status(pier_sync_write(ends[1], bytes, length, 30 * PIER_SECOND, &result), PIER_OK);
  assert_int_equal(result.bytes, length);
  sync_native__close(ends[1]);
  support__thread_join(thread);
  assert_true(reader->right && reader->bytes == length);
  sync_native__close(ends[0]);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b30_a_vector_on_a_message_pipe_is_one_message),
      SUPPORT_TEST(b30_a_vector_of_40_kib_on_a_message_pipe_is_one_message),
      SUPPORT_TEST(b30_a_message_is_read_into_parts_and_the_next_one_is_left),
      SUPPORT_TEST(b30_a_vector_read_of_a_byte_pipe_takes_what_is_there_and_waits_for_no_more),
      SUPPORT_TEST(b30_vectors_of_0_1_64_and_1024_parts_of_a_pipe),
      SUPPORT_TEST(b30_vectors_of_0_1_64_and_1024_parts_of_a_socket),
      SUPPORT_TEST(b30_a_socket_is_read_into_1024_parts),
      SUPPORT_TEST(a_write_larger_than_the_pipe_goes_out_whole),
  };
  return support__main(argc, argv, "sync_vector", tests, sizeof tests / sizeof tests[0]);
}
