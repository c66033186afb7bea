/* The sync path on files. */
#include "sync_native.h"

#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES = 65536, READERS = 8, READS_OF_EACH = 2000, READS = 1000000 };

static void b7_a_file_on_a_port_is_read_and_written_and_the_port_stays_silent(void **state) {
  (void)state;
  unsigned char *buffer = support__alloc(8192);
  pier_native file = sync_native__open_file(support__temp_file(FILE_BYTES), true);
  sync_port *port = sync_native__port(file);
  pier_sync_result result;

  assert_status(pier_sync_read_at(file, buffer, 8192, 4096, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, 8192);
  assert_true(support__filled(buffer, 8192, 4096));
  support__fill(buffer, 8192, 1000000);
  assert_status(pier_sync_write_at(file, buffer, 8192, 100, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, 8192);
  memset(buffer, 0, 8192);
  assert_status(pier_sync_read_at(file, buffer, 8192, 100, PIER_SECOND, &result), PIER_OK);
  assert_true(support__filled(buffer, 8192, 1000000));
  sync_native__assert_silent(port);
  sync_native__close(file);
  sync_native__close_port(port);
}

static void b19_a_million_reads_leave_handles_and_heap_as_they_were(void **state) {
  (void)state;
  static char buffer[4096];
  pier_native file = sync_native__open_file(support__temp_file(FILE_BYTES), true);
  pier_sync_result result;

  /* 4 s on an idle machine with one processor for Wine and its server; many times that beside others. */
  support__watch(__func__, 300 * PIER_SECOND);
  /* The first call makes this thread's event, which stays. */
  assert_status(pier_sync_read_at(file, buffer, sizeof buffer, 0, PIER_NO_TIMEOUT, &result), PIER_OK);
  (void)support__heap_bytes(); /* what the counting itself allocates and keeps */
  size_t handles = support__handle_count();
  size_t heap_bytes = support__heap_bytes();
  uint64_t began_ns = pier_now_ns();
  for (unsigned i = 0; i < READS; i++) {
    if (pier_sync_read_at(file, buffer, sizeof buffer, (int64_t)(i % 16) * 4096, PIER_NO_TIMEOUT, &result) != PIER_OK || result.bytes != sizeof buffer) {
      fail_msg("read %u: %s", i, pier_error_name(result.status));
    }
  }
  uint64_t took_ns = pier_now_ns() - began_ns;
  size_t handles_after = support__handle_count();
  size_t heap_bytes_after = support__heap_bytes();
  print_message("%u reads, %lu ns each\n", READS, (unsigned long)(took_ns / READS));
  assert_true(handles > 0 && heap_bytes > 0);
  assert_int_equal(handles_after, handles);
  assert_int_equal(heap_bytes_after, heap_bytes);
  sync_native__close(file);
}

static void one_read(void *context) {
  char buffer[16];

  assert_status(pier_sync_read_at(*(pier_native *)context, buffer, sizeof buffer, 0, PIER_NO_TIMEOUT, NULL), PIER_OK);
}

static void b19_the_event_of_a_thread_ends_with_it(void **state) {
  (void)state;
  pier_native file = sync_native__open_file(support__temp_file(FILE_BYTES), true);

  support__thread_join(support__thread_start(one_read, &file));
  size_t handles = support__handle_count();
  for (unsigned i = 0; i < 50; i++) {
    support__thread_join(support__thread_start(one_read, &file));
  }
  assert_int_equal(support__handle_count(), handles);
  sync_native__close(file);
}

typedef struct reader {
  pier_native file;
  uint64_t seed;
  unsigned wrong;
} reader;

static void read_at_random(void *context) {
  reader *self = context;
  unsigned char buffer[512];
  pier_sync_result result;

  for (unsigned i = 0; i < READS_OF_EACH; i++) {
    uint64_t offset = support__random_below(&self->seed, FILE_BYTES - sizeof buffer);
    size_t length = 1 + (size_t)support__random_below(&self->seed, sizeof buffer);
    int status = pier_sync_read_at(self->file, buffer, length, (int64_t)offset, PIER_NO_TIMEOUT, &result);
    self->wrong += status != PIER_OK || result.bytes != length || !support__filled(buffer, length, offset);
  }
}

static void b20_threads_on_one_handle_get_their_own_bytes(void **state) {
  (void)state;
  uint64_t seed = support__seed();
  pier_native file = sync_native__open_file(support__temp_file(FILE_BYTES), true);
  sync_port *port = sync_native__port(file);
  reader *readers = support__alloc(READERS * sizeof *readers);
  support_thread *threads[READERS];

  for (unsigned i = 0; i < READERS; i++) {
    readers[i] = (reader){file, support__random(&seed), 0};
    threads[i] = support__thread_start(read_at_random, &readers[i]);
  }
  for (unsigned i = 0; i < READERS; i++) {
    support__thread_join(threads[i]);
    assert_int_equal(readers[i].wrong, 0);
  }
  sync_native__assert_silent(port);
  sync_native__close(file);
  sync_native__close_port(port);
}

typedef struct writer {
  pier_native file;
  uint64_t seed, begin; /* its own stretch of the file */
  unsigned wrong;
} writer;

static void write_and_read_back(void *context) {
  writer *self = context;
  unsigned char sent[512], got[512];
  pier_sync_result result;

  for (unsigned i = 0; i < READS_OF_EACH; i++) {
    uint64_t offset = self->begin + support__random_below(&self->seed, FILE_BYTES / READERS - sizeof sent);
    size_t length = 1 + (size_t)support__random_below(&self->seed, sizeof sent);
    support__fill(sent, length, i);
    int status = pier_sync_write_at(self->file, sent, length, (int64_t)offset, PIER_NO_TIMEOUT, &result);
    self->wrong += status != PIER_OK || result.bytes != length;
    status = pier_sync_read_at(self->file, got, length, (int64_t)offset, PIER_NO_TIMEOUT, &result);
    self->wrong += status != PIER_OK || result.bytes != length || memcmp(got, sent, length) != 0;
  }
}

static void b20_threads_on_one_handle_write_what_is_theirs(void **state) {
  (void)state;
  uint64_t seed = support__seed();
  pier_native file = sync_native__open_file(support__temp_file(FILE_BYTES), true);
  sync_port *port = sync_native__port(file);
  writer *writers = support__alloc(READERS * sizeof *writers);
  support_thread *threads[READERS];

  for (unsigned i = 0; i < READERS; i++) {
    writers[i] = (writer){file, support__random(&seed), (uint64_t)i * (FILE_BYTES / READERS), 0};
    threads[i] = support__thread_start(write_and_read_back, &writers[i]);
  }
  for (unsigned i = 0; i < READERS; i++) {
    support__thread_join(threads[i]);
    assert_int_equal(writers[i].wrong, 0);
  }
  sync_native__assert_silent(port);
  sync_native__close(file);
  sync_native__close_port(port);
}

static void end_of_file(bool overlapped) {
  char buffer[64];
  pier_native file = sync_native__open_file(support__temp_file(100), overlapped);
  pier_sync_result result;

  assert_status(pier_sync_read_at(file, buffer, sizeof buffer, 90, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, 10);
  assert_false(result.end);
  for (int64_t offset = 100; offset <= 1000000; offset += 999900) {
    assert_status(pier_sync_read_at(file, buffer, sizeof buffer, offset, PIER_NO_TIMEOUT, &result), PIER_OK);
    assert_int_equal(result.bytes, 0);
    assert_int_equal(result.system_code, 0);
    assert_true(result.end);
  }
  sync_native__close(file);
}

static void b24_a_read_at_or_past_the_end_of_an_overlapped_file_is_the_end(void **state) {
  (void)state;
  end_of_file(true);
}

static void b24_a_read_at_or_past_the_end_of_a_blocking_file_is_the_end(void **state) {
  (void)state;
  end_of_file(false);
}

static void b26_a_read_of_nothing_from_a_file_is_not_its_end(void **state) {
  (void)state;
  pier_native file = sync_native__open_file(support__temp_file(100), true);
  pier_sync_result result;

  assert_status(pier_sync_read_at(file, NULL, 0, 10, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, 0);
  assert_false(result.end);
  sync_native__close(file);
}

static void b27_a_negative_offset_is_refused(void **state) {
  (void)state;
  char buffer[8] = "";
  pier_buffer part = {buffer, sizeof buffer};
  pier_native file = sync_native__open_file(support__temp_file(100), false);

  sync_native__seek_file(file, 50);
  for (int64_t offset = -3; offset < 0; offset++) {
    assert_status(pier_sync_read_at(file, buffer, sizeof buffer, offset, PIER_NO_TIMEOUT, NULL), PIER_EINVAL);
    assert_status(pier_sync_write_at(file, buffer, sizeof buffer, offset, PIER_NO_TIMEOUT, NULL), PIER_EINVAL);
  }
  assert_status(pier_sync_readv(file, &part, 1, -2, PIER_NO_TIMEOUT, NULL), PIER_EINVAL);
  assert_status(pier_sync_writev(file, &part, 1, INT64_MIN, PIER_NO_TIMEOUT, NULL), PIER_EINVAL);
  assert_int_equal(sync_native__file_position(file), 50);
  sync_native__close(file);
}

static void b27_an_offset_beyond_4_gib_works(void **state) {
  (void)state;
  const int64_t offset = ((int64_t)5 << 30) + 12345;
  char buffer[16] = "";
  pier_native file = sync_native__open_file(support__temp_path(), true);
  pier_sync_result result;

  int status = pier_sync_write_at(file, "beyond", 6, offset, PIER_NO_TIMEOUT, &result);
  if (status == PIER_ENOSPC || status == PIER_EFBIG) {
    support__skip("the file system of the temporary folder has no sparse files of 5 GiB");
  }
  assert_status(status, PIER_OK);
  assert_status(pier_sync_read_at(file, buffer, sizeof buffer, offset, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, 6);
  assert_string_equal(buffer, "beyond");
  assert_status(pier_sync_read_at(file, buffer, 1, offset & INT64_C(0xFFFFFFFF), PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(buffer[0], 0);
  sync_native__close(file);
}

static void a_blocking_file_is_read_and_written_at_the_systems_position(void **state) {
  (void)state;
  unsigned char buffer[300];
  pier_native file = sync_native__open_file(support__temp_file(1000), false);
  pier_sync_result result;

  assert_status(pier_sync_read(file, buffer, 300, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_true(result.bytes == 300 && support__filled(buffer, 300, 0));
  assert_status(pier_sync_read(file, buffer, 300, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_true(result.bytes == 300 && support__filled(buffer, 300, 300));
  assert_int_equal(sync_native__file_position(file), 600);
  sync_native__seek_file(file, 900);
  assert_status(pier_sync_read(file, buffer, 300, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_true(result.bytes == 100 && !result.end && support__filled(buffer, 100, 900));
  assert_status(pier_sync_read(file, buffer, 300, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_true(result.bytes == 0 && result.end);
  assert_status(pier_sync_write(file, "tail", 4, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, 4);
  assert_int_equal(sync_native__file_position(file), 1004);
  sync_native__close(file);
}

static void an_overlapped_file_has_no_position_of_the_systems(void **state) {
  (void)state;
  if (!support__windows)
    support__skip("every file has a position of the system's here");
  char buffer[8] = "";
  pier_native file = sync_native__open_file(support__temp_file(100), true);
  pier_sync_result result;

  assert_status(pier_sync_read(file, buffer, sizeof buffer, PIER_NO_TIMEOUT, &result), PIER_EINVAL);
  assert_int_equal(result.bytes, 0);
  assert_status(pier_sync_write(file, buffer, sizeof buffer, PIER_NO_TIMEOUT, &result), PIER_EINVAL);
  assert_status(pier_sync_read_at(file, buffer, sizeof buffer, 0, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_true(support__filled(buffer, sizeof buffer, 0));
  sync_native__close(file);
}

static void a_blocking_handle_refuses_a_timeout_before_anything_is_done(void **state) {
  (void)state;
  if (!support__windows)
    support__skip("no call blocks here that could not be given up");
  char buffer[8] = "unread";
  pier_native file = sync_native__open_file(support__temp_file(100), false);

  assert_status(pier_sync_read(file, buffer, sizeof buffer, PIER_SECOND, NULL), PIER_ENOTSUP);
  assert_status(pier_sync_write_at(file, buffer, sizeof buffer, 0, 0, NULL), PIER_ENOTSUP);
  assert_string_equal(buffer, "unread");
  assert_int_equal(sync_native__file_position(file), 0);
  assert_status(pier_sync_read(file, buffer, sizeof buffer, PIER_NO_TIMEOUT, NULL), PIER_OK);
  assert_true(support__filled(buffer, sizeof buffer, 0));
  sync_native__close(file);
}

static void b22_what_is_no_handle_is_reported_at_once(void **state) {
  (void)state;
  char buffer[8];
  pier_sync_result result;
  const pier_native none[] = {PIER_NATIVE_NONE, 0, (pier_native)0x7770};

  for (unsigned i = 0; i < 3; i++) {
    if (none[i] == 0 && !support__windows)
      continue; /* standard input */
    assert_status(pier_sync_read(none[i], buffer, sizeof buffer, PIER_NO_TIMEOUT, &result), PIER_EBADF);
    assert_int_equal(result.status, PIER_EBADF);
    assert_status(pier_sync_read(none[i], buffer, sizeof buffer, PIER_SECOND, NULL), PIER_EBADF);
    assert_status(pier_sync_read_at(none[i], buffer, sizeof buffer, 0, PIER_NO_TIMEOUT, NULL), PIER_EBADF);
  }
}

static void what_makes_no_sense_is_refused(void **state) {
  (void)state;
  pier_native file = sync_native__open_file(support__temp_file(100), true);
  pier_buffer part = {NULL, 1};

  assert_status(pier_sync_read_at(file, NULL, 1, 0, PIER_NO_TIMEOUT, NULL), PIER_EINVAL);
  assert_status(pier_sync_write_at(file, NULL, 1, 0, PIER_NO_TIMEOUT, NULL), PIER_EINVAL);
  assert_status(pier_sync_readv(file, &part, 1, 0, PIER_NO_TIMEOUT, NULL), PIER_EINVAL);
  assert_status(pier_sync_readv(file, NULL, 1, 0, PIER_NO_TIMEOUT, NULL), PIER_EINVAL);
  assert_status(pier_sync_readv(file, &part, 1025, 0, PIER_NO_TIMEOUT, NULL), PIER_EINVAL);
  sync_native__close(file);
}

/* Parts of 1 to 37 bytes, some of none, one after the other in `bytes`. */
static size_t make_parts(pier_buffer *parts, size_t count, unsigned char *bytes) {
  size_t used = 0;

  for (size_t i = 0; i < count; i++) {
    parts[i] = (pier_buffer){bytes + used, i % 5 == 4 ? 0 : 1 + i % 37};
    used += parts[i].length;
  }
  return used;
}

static void b30_vectors_of_0_1_64_and_1024_parts_of_a_file(void **state) {
  (void)state;
  const size_t counts[] = {0, 1, 64, 1024};
  unsigned char *bytes = support__alloc(65536);
  pier_buffer *parts = support__alloc(1024 * sizeof *parts);
  pier_native file = sync_native__open_file(support__temp_file(FILE_BYTES), true);
  pier_sync_result result;

  for (unsigned i = 0; i < 4; i++) {
    size_t total = make_parts(parts, counts[i], bytes);
    support__fill(bytes, total, 777 * i);
    assert_status(pier_sync_writev(file, parts, counts[i], 1000, PIER_NO_TIMEOUT, &result), PIER_OK);
    assert_int_equal(result.bytes, total);
    memset(bytes, 0, total);
    assert_status(pier_sync_readv(file, parts, counts[i], 1000, PIER_NO_TIMEOUT, &result), PIER_OK);
    assert_int_equal(result.bytes, total);
    assert_false(result.end);
    assert_true(support__filled(bytes, total, 777 * i));
  }
  sync_native__close(file);
}

static void b30_a_vector_across_the_end_of_a_file_is_short(void **state) {
  (void)state;
  unsigned char bytes[64];
  pier_buffer parts[3] = {{bytes, 20}, {bytes + 20, 20}, {bytes + 40, 20}};
  pier_native file = sync_native__open_file(support__temp_file(100), true);
  pier_sync_result result;

  assert_status(pier_sync_readv(file, parts, 3, 70, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_true(result.bytes == 30 && !result.end && support__filled(bytes, 30, 70));
  assert_status(pier_sync_readv(file, parts, 3, 80, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_true(result.bytes == 20 && !result.end);
  assert_status(pier_sync_readv(file, parts, 3, 100, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_true(result.bytes == 0 && result.end);
  sync_native__close(file);
}

/* A little over 1 GiB with marks at both ends and on both sides of the seam between the two system calls. */
static void b30_a_buffer_over_1_gib_is_split(void **state) {
  (void)state;
  const size_t seam = (size_t)1 << 30;
  const size_t length = seam + 100000;
  const size_t marks[] = {0, seam - 4096, length - 4096};
  unsigned char *buffer = calloc(1, length);
  pier_native file = sync_native__open_file(support__temp_path(), true);
  pier_sync_result result = {0, 0, 0, false};
  int status = PIER_ENOSPC;

  for (unsigned i = 0; buffer != NULL && i < 3; i++) {
    support__fill(buffer + marks[i], i == 1 ? 8192 : 4096, marks[i]);
  }
  if (buffer != NULL) {
    status = pier_sync_write_at(file, buffer, length, 0, PIER_NO_TIMEOUT, &result);
    for (unsigned i = 0; i < 3; i++) {
      memset(buffer + marks[i], 0, i == 1 ? 8192 : 4096);
    }
  }
  if (status == PIER_ENOSPC) {
    free(buffer);
    sync_native__close(file);
    support__skip("memory for a buffer of 1 GiB, or that much room in the temporary folder");
  }
  assert_status(status, PIER_OK);
  assert_int_equal(result.bytes, length);
  assert_status(pier_sync_read_at(file, buffer, length, 0, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, length);
  for (unsigned i = 0; i < 3; i++) {
    assert_true(support__filled(buffer + marks[i], i == 1 ? 8192 : 4096, marks[i]));
  }
  free(buffer);
  sync_native__close(file);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b7_a_file_on_a_port_is_read_and_written_and_the_port_stays_silent),
      SUPPORT_TEST(b19_a_million_reads_leave_handles_and_heap_as_they_were),
      SUPPORT_TEST(b19_the_event_of_a_thread_ends_with_it),
      SUPPORT_TEST(b20_threads_on_one_handle_get_their_own_bytes),
      SUPPORT_TEST(b20_threads_on_one_handle_write_what_is_theirs),
      SUPPORT_TEST(b22_what_is_no_handle_is_reported_at_once),
      SUPPORT_TEST(b24_a_read_at_or_past_the_end_of_an_overlapped_file_is_the_end),
      SUPPORT_TEST(b24_a_read_at_or_past_the_end_of_a_blocking_file_is_the_end),
      SUPPORT_TEST(b26_a_read_of_nothing_from_a_file_is_not_its_end),
      SUPPORT_TEST(b27_a_negative_offset_is_refused),
      SUPPORT_TEST(b27_an_offset_beyond_4_gib_works),
      SUPPORT_TEST(a_blocking_file_is_read_and_written_at_the_systems_position),
      SUPPORT_TEST(an_overlapped_file_has_no_position_of_the_systems),
      SUPPORT_TEST(a_blocking_handle_refuses_a_timeout_before_anything_is_done),
      SUPPORT_TEST(what_makes_no_sense_is_refused),
      SUPPORT_TEST(b30_vectors_of_0_1_64_and_1024_parts_of_a_file),
      SUPPORT_TEST(b30_a_vector_across_the_end_of_a_file_is_short),
      SUPPORT_TEST(b30_a_buffer_over_1_gib_is_split),
  };
  return support__main(argc, argv, "sync_file", tests, sizeof tests / sizeof tests[0]);
}
