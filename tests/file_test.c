/* Files: opening, reading, writing, their length and their end. */
#include "streams.h"

#include <string.h>

static pier_handle open_file(pier_loop *loop, const char *path, unsigned flags) {
  pier_handle file = 0;
  assert_status(pier_file_open_sync(loop, path, flags, &file), PIER_OK);
  assert_true(file != 0);
  return file;
}

static int open_status(pier_loop *loop, const char *path, unsigned flags) {
  support_outcome *opened = support__outcome();
  pier_handle file = 0;
  assert_true(pier_file_open(loop, path, flags, PIER_NO_DEADLINE, support__take, opened) != 0);
  support__await(loop, opened);
  assert_true((opened->got.status == PIER_OK) == (opened->got.opened != 0));
  if (opened->got.opened)
    support__close_handle(loop, opened->got.opened);
  /* Both ways of opening say the same, unless the first one made the file. */
  if (!(flags & PIER_OPEN_EXCLUSIVE) || opened->got.status != PIER_OK) {
    assert_status(pier_file_open_sync(loop, path, flags, &file), opened->got.status);
    if (file)
      support__close_handle(loop, file);
  }
  return opened->got.status;
}

static void write_now(pier_loop *loop, pier_handle file, const void *bytes, size_t length, int64_t offset) {
  support_outcome *written = support__outcome();
  assert_true(pier_write_at(file, bytes, length, offset, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, written, PIER_OK);
  assert_int_equal(written->got.bytes, length);
}

static size_t read_now(pier_loop *loop, pier_handle file, void *buffer, size_t length, int64_t offset) {
  support_outcome *read = support__outcome();
  assert_true(pier_read_at(file, buffer, length, offset, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, PIER_OK);
  assert_true(read->got.end == (length > 0 && read->got.bytes == 0));
  return read->got.bytes;
}

static uint64_t size_of(pier_handle file) {
  uint64_t size_bytes = UINT64_MAX;
  assert_status(pier_file_size(file, &size_bytes), PIER_OK);
  return size_bytes;
}

/* Opening gives a handle of kind file on the right loop, in either way. */
static void open_gives_a_handle(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *path = support__temp_file(1000);
  support_outcome *opened = support__outcome();
  pier_operation id = pier_file_open(loop, path, PIER_OPEN_READ, PIER_NO_DEADLINE, support__take, opened);
  assert_true(id != 0);
  await_status(loop, opened, PIER_OK);
  pier_handle file = opened->got.opened;
  assert_true(opened->got.operation == id && opened->got.handle == 0 && file != 0);
  assert_int_equal(pier_handle_kind(file), PIER_KIND_FILE);
  assert_ptr_equal(pier_handle_loop(file), loop);
  assert_true(pier_handle_native(file) != PIER_NATIVE_NONE);
  assert_true(pier_handle_state(file) == PIER_STATE_FRESH || pier_handle_state(file) == PIER_STATE_ASSOCIATED ||
              (strcmp(pier_loop_backend(loop), "epoll") == 0 && pier_handle_state(file) == PIER_STATE_BLOCKING));
  assert_int_equal(size_of(file), 1000);
  support__close_handle(loop, file);
  assert_int_equal(pier_handle_state(file), PIER_STATE_NONE);
  support__close(loop);
}

/* What cannot be opened says why. */
static void open_says_what_is_wrong(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *there = support__temp_file(10), *missing = support__temp_path();
  char folder[400], below[512];
  support__temp_folder(folder, sizeof folder);
  assert_status(open_status(loop, missing, PIER_OPEN_READ), PIER_ENOENT);
  assert_status(open_status(loop, missing, PIER_OPEN_WRITE), PIER_ENOENT);
  assert_status(open_status(loop, missing, PIER_OPEN_WRITE | PIER_OPEN_TRUNCATE), PIER_ENOENT);
  assert_true(strlen(missing) + 8 < sizeof below);
  strcpy(below, missing);
  strcat(below, "/below");
  assert_status(open_status(loop, below, PIER_OPEN_WRITE | PIER_OPEN_CREATE), PIER_ENOENT);
  assert_status(open_status(loop, there, PIER_OPEN_WRITE | PIER_OPEN_CREATE | PIER_OPEN_EXCLUSIVE), PIER_EEXIST);
  assert_status(open_status(loop, folder, PIER_OPEN_WRITE), PIER_EISDIR);
  support__close(loop);
}

static void expect_no_bytes(pier_loop *loop, pier_handle folder, size_t length, int64_t offset) {
  char buffer[16];
  support_outcome *read = support__outcome();
  assert_true(pier_read_at(folder, buffer, length, offset, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, PIER_EISDIR);
  assert_true(read->got.bytes == 0 && !read->got.end);
}

/* A directory opened for reading: Windows refuses it, Linux lets its entries be flushed (docs/systems.md). Nobody reads it. */
static void a_directory_has_no_bytes(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  support_outcome *flushed = support__outcome();
  pier_sync_result result;
  uint64_t size_bytes;
  char path[400], buffer[16];
  support__temp_folder(path, sizeof path);
  int status = strcmp(pier_loop_backend(loop), "iocp") == 0 ? PIER_EISDIR : PIER_OK;
  assert_status(open_status(loop, path, PIER_OPEN_READ), status);
  if (status == PIER_OK) {
    pier_handle folder = open_file(loop, path, PIER_OPEN_READ);
    assert_status(pier_file_size(folder, &size_bytes), PIER_EISDIR);
    for (int i = 0; i < 2; i++) /* the first one may have taught something */
      expect_no_bytes(loop, folder, sizeof buffer, i);
    assert_status(pier_sync_read_at(pier_handle_native(folder), buffer, sizeof buffer, 0, PIER_NO_TIMEOUT, &result), PIER_EISDIR);
    assert_true(pier_file_flush(folder, PIER_NO_DEADLINE, support__take, flushed) != 0);
    await_status(loop, flushed, PIER_OK);
    support__close_handle(loop, folder);
  }
  support__close(loop);
}

/* Bad arguments are refused before the system sees them. */
static void open_refuses_bad_arguments(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *there = support__temp_file(10);
  enum { LONG = 70000 };
  char *longer = support__alloc(LONG);
  memset(longer, 'a', LONG - 1);
  assert_status(open_status(loop, NULL, PIER_OPEN_READ), PIER_EINVAL);
  assert_status(open_status(loop, "", PIER_OPEN_READ), PIER_EINVAL);
  assert_status(open_status(loop, there, 0), PIER_EINVAL);
  assert_status(open_status(loop, there, PIER_OPEN_CREATE), PIER_EINVAL);
  assert_status(open_status(loop, there, PIER_OPEN_READ | PIER_OPEN_TRUNCATE), PIER_EINVAL);
  assert_status(open_status(loop, there, PIER_OPEN_READ | 0x40000000u), PIER_EINVAL);
  assert_status(open_status(loop, "name\xff\xfe", PIER_OPEN_READ), PIER_EILSEQ);
  assert_status(open_status(loop, "half a letter \xc3", PIER_OPEN_READ), PIER_EILSEQ);
  assert_status(open_status(loop, "surrogate \xed\xa0\x80", PIER_OPEN_READ), PIER_EILSEQ);
  assert_status(open_status(loop, longer, PIER_OPEN_READ), PIER_ENAMETOOLONG);
  assert_true(pier_file_open(NULL, there, PIER_OPEN_READ, PIER_NO_DEADLINE, NULL, NULL) == 0);
  pier_handle file = 0;
  assert_status(pier_file_open_sync(NULL, there, PIER_OPEN_READ, &file), PIER_EINVAL);
  assert_status(pier_file_open_sync(loop, there, PIER_OPEN_READ, NULL), PIER_EINVAL);
  assert_int_equal(file, 0);
  support__close(loop);
}

/* CREATE makes a file or takes the one that is there, EXCLUSIVE only makes, TRUNCATE empties. */
static void flags_create_keep_and_empty(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *path = support__temp_path();
  pier_handle file = open_file(loop, path, PIER_OPEN_WRITE | PIER_OPEN_CREATE | PIER_OPEN_EXCLUSIVE);
  write_now(loop, file, "twelve bytes", 12, 0);
  support__close_handle(loop, file);
  file = open_file(loop, path, PIER_OPEN_READ | PIER_OPEN_WRITE | PIER_OPEN_CREATE);
  assert_int_equal(size_of(file), 12);
  support__close_handle(loop, file);
  file = open_file(loop, path, PIER_OPEN_WRITE | PIER_OPEN_TRUNCATE);
  assert_int_equal(size_of(file), 0);
  write_now(loop, file, "x", 1, 0);
  support__close_handle(loop, file);
  file = open_file(loop, path, PIER_OPEN_WRITE | PIER_OPEN_TRUNCATE | PIER_OPEN_CREATE);
  assert_int_equal(size_of(file), 0);
  support__close_handle(loop, file);
  support__close(loop);
}

/* A handle for reading cannot write, and the other way round. */
static void access_is_kept(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *path = support__temp_file(100);
  char *buffer = support__alloc(100);
  support_outcome *written = support__outcome(), *read = support__outcome();
  pier_handle reader = open_file(loop, path, PIER_OPEN_READ), writer = open_file(loop, path, PIER_OPEN_WRITE);
  assert_true(pier_write_at(reader, "x", 1, 0, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, written, PIER_EACCES);
  assert_true(written->got.system_code != 0);
  assert_true(pier_read_at(writer, buffer, 100, 0, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, PIER_EACCES);
  streams__close_pair(loop, (pier_handle[2]){reader, writer});
  support__close(loop);
}

/* A name in any script reaches the system whole. */
static void names_may_have_any_letters(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *plain = support__temp_path();
  char *path = support__alloc(strlen(plain) + 64);
  strcpy(path, plain);
  strcat(path, "_gr\xc3\xbc\xc3\x9f_\xe6\xb8\xaf_\xf0\x9f\x9a\xa2");
  pier_handle file = open_file(loop, path, PIER_OPEN_WRITE | PIER_OPEN_CREATE | PIER_OPEN_EXCLUSIVE);
  write_now(loop, file, "pier", 4, 0);
  support__close_handle(loop, file);
  assert_status(open_status(loop, plain, PIER_OPEN_READ), PIER_ENOENT);
  file = open_file(loop, path, PIER_OPEN_READ);
  assert_int_equal(size_of(file), 4);
  support__close_handle(loop, file);
  support__remove_file(path);
  support__close(loop);
}

/* What was written is read again, at chance positions and lengths, with the bytes around it unharmed. */
static void what_was_written_is_read(void **state) {
  (void)state;
  enum { LENGTH = 200000 };
  uint64_t seed = support__seed();
  pier_loop *loop = support__open();
  unsigned char *model = support__alloc(LENGTH), *buffer = support__alloc(LENGTH);
  pier_handle file = open_file(loop, support__temp_path(), PIER_OPEN_READ | PIER_OPEN_WRITE | PIER_OPEN_CREATE);
  write_now(loop, file, model, LENGTH, 0);
  for (int i = 0; i < 100; i++) {
    size_t offset = (size_t)support__random_below(&seed, LENGTH);
    size_t length = (size_t)support__random_below(&seed, LENGTH - offset + 1);
    support__fill(model + offset, length, support__random(&seed) % 1000000);
    write_now(loop, file, model + offset, length, (int64_t)offset);
    offset = (size_t)support__random_below(&seed, LENGTH);
    length = 1 + (size_t)support__random_below(&seed, LENGTH - offset);
    assert_int_equal(read_now(loop, file, buffer, length, (int64_t)offset), length);
    assert_memory_equal(buffer, model + offset, length);
  }
  assert_int_equal(size_of(file), LENGTH);
  support__close_handle(loop, file);
  support__close(loop);
}

/* Reading at or behind the end is success with 0 bytes; across it, what is there. */
static void b24_the_end_of_a_file_is_success_with_0_bytes(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  unsigned char *buffer = support__alloc(1000);
  pier_handle file = open_file(loop, support__temp_file(600), PIER_OPEN_READ);
  assert_int_equal(read_now(loop, file, buffer, 1000, 600), 0);
  assert_int_equal(read_now(loop, file, buffer, 1000, 601), 0);
  assert_int_equal(read_now(loop, file, buffer, 1000, (int64_t)1 << 40), 0);
  assert_int_equal(read_now(loop, file, buffer, 1000, 500), 100);
  assert_true(support__filled(buffer, 100, 500));
  assert_int_equal(read_now(loop, file, buffer, 1000, 0), 600);
  support__close_handle(loop, file);
  file = open_file(loop, support__temp_file(0), PIER_OPEN_READ);
  assert_int_equal(read_now(loop, file, buffer, 1000, 0), 0);
  support_outcome *read = support__outcome();
  assert_true(pier_read(file, buffer, 1000, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, PIER_OK);
  assert_true(read->got.end && read->got.bytes == 0);
  support__close_handle(loop, file);
  support__close(loop);
}

/* A read or write of no length is success, moves nothing and is not the end. */
static void b26_zero_length_moves_nothing(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  unsigned char *buffer = support__alloc(10);
  pier_handle file = open_file(loop, support__temp_file(600), PIER_OPEN_READ | PIER_OPEN_WRITE);
  assert_int_equal(read_now(loop, file, buffer, 0, 0), 0);
  assert_int_equal(read_now(loop, file, NULL, 0, 0), 0);
  write_now(loop, file, NULL, 0, 0);
  write_now(loop, file, buffer, 0, 100000);
  assert_int_equal(size_of(file), 600);
  support__close_handle(loop, file);
  support__close(loop);
}

/* The length can be set: shorter cuts, longer adds zeros. */
static void truncate_sets_the_length(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  unsigned char *buffer = support__alloc(1000);
  pier_handle file = open_file(loop, support__temp_file(600), PIER_OPEN_READ | PIER_OPEN_WRITE);
  const uint64_t sizes[] = {100, 900, 0, 3};
  for (unsigned i = 0; i < 4; i++) {
    support_outcome *cut = support__outcome();
    assert_true(pier_file_truncate(file, sizes[i], PIER_NO_DEADLINE, support__take, cut) != 0);
    await_status(loop, cut, PIER_OK);
    assert_int_equal(size_of(file), sizes[i]);
    if (sizes[i] == 900) {
      assert_int_equal(read_now(loop, file, buffer, 1000, 0), 900);
      assert_true(support__filled(buffer, 100, 0));
      for (unsigned at = 100; at < 900; at++)
        assert_int_equal(buffer[at], 0);
    }
  }
  support_outcome *huge = support__outcome();
  assert_true(pier_file_truncate(file, UINT64_MAX, PIER_NO_DEADLINE, support__take, huge) != 0);
  support__await(loop, huge);
  assert_true(huge->got.status < 0);
  assert_int_equal(size_of(file), 3);
  support__close_handle(loop, file);
  support__close(loop);
}

/* A flush succeeds on a file that can be written. */
static void flush_succeeds(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle file = open_file(loop, support__temp_path(), PIER_OPEN_WRITE | PIER_OPEN_CREATE | PIER_OPEN_THROUGH);
  support_outcome *flushed = support__outcome();
  write_now(loop, file, "pier", 4, 0);
  assert_true(pier_file_flush(file, PIER_NO_DEADLINE, support__take, flushed) != 0);
  await_status(loop, flushed, PIER_OK);
  support__close_handle(loop, file);
  support__close(loop);
}

/* Past the cache, aligned blocks are written and read like any others. */
static void direct_access_reads_what_it_wrote(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  char *raw = support__alloc(4096 * 3);
  char *block = raw + (4096 - (uintptr_t)raw % 4096), *again = block + 4096;
  pier_handle file = 0;
  int status = pier_file_open_sync(loop, support__temp_path(),
                                   PIER_OPEN_READ | PIER_OPEN_WRITE | PIER_OPEN_CREATE | PIER_OPEN_DIRECT, &file);
  assert_status(status, PIER_OK);
  support__fill(block, 4096, 77);
  write_now(loop, file, block, 4096, 4096);
  assert_int_equal(read_now(loop, file, again, 4096, 4096), 4096);
  assert_true(support__filled(again, 4096, 77));
  support__close_handle(loop, file);
  support__close(loop);
}

/* 32 reads in flight on one handle each get their own bytes, again and again. */
static void many_reads_in_flight_get_their_own_bytes(void **state) {
  (void)state;
  enum { READS = 32, LENGTH = 4096, BLOCKS = 256, ROUNDS = 20 };
  uint64_t seed = support__seed();
  pier_loop *loop = support__open();
  pier_handle file = open_file(loop, support__temp_file(LENGTH * BLOCKS), PIER_OPEN_READ);
  unsigned char *buffers = support__alloc(READS * LENGTH);
  for (int round = 0; round < ROUNDS; round++) {
    support_outcome *outcomes[READS];
    uint64_t offsets[READS];
    for (unsigned i = 0; i < READS; i++) {
      outcomes[i] = support__outcome();
      offsets[i] = support__random_below(&seed, LENGTH * (BLOCKS - 1));
      assert_true(pier_read_at(file, buffers + i * LENGTH, LENGTH, (int64_t)offsets[i], PIER_NO_DEADLINE, support__take,
                               outcomes[i]) != 0);
    }
    for (unsigned i = 0; i < READS; i++) {
      await_status(loop, outcomes[i], PIER_OK);
      assert_int_equal(outcomes[i]->got.bytes, LENGTH);
      assert_true(support__filled(buffers + i * LENGTH, LENGTH, offsets[i]));
    }
  }
  support__close_handle(loop, file);
  support__close(loop);
}

/* A cancelled or late opening opens nothing: no handle is left and none is given. */
static void a_cancelled_open_leaves_no_handle(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *path = support__temp_file(10);
  for (int i = 0; i < 50; i++) {
    support_outcome *opened = support__outcome(), *late = support__outcome();
    pier_operation id = pier_file_open(loop, path, PIER_OPEN_READ, PIER_NO_DEADLINE, support__take, opened);
    assert_true(id != 0);
    assert_true(pier_file_open(loop, path, PIER_OPEN_READ, 1, support__take, late) != 0);
    pier_cancel(id);
    support__await(loop, opened);
    support__await(loop, late);
    assert_true(opened->got.status == PIER_OK || opened->got.status == PIER_ECANCELED);
    assert_true(late->got.status == PIER_OK || late->got.status == PIER_ETIMEDOUT);
    assert_true((opened->got.status == PIER_OK) == (opened->got.opened != 0));
    assert_true((late->got.status == PIER_OK) == (late->got.opened != 0));
    if (opened->got.opened)
      support__close_handle(loop, opened->got.opened);
    if (late->got.opened)
      support__close_handle(loop, late->got.opened);
  }
  support__close(loop);
}

/* Questions about files are refused for what is none. */
static void what_is_no_file_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  uint64_t value = 7;
  support_outcome *cut = support__outcome(), *flushed = support__outcome();
  assert_status(pier_pipe_pair(loop, NULL, ends), PIER_OK);
  assert_status(pier_file_size(ends[0], &value), PIER_EBADF);
  assert_true(pier_file_truncate(ends[0], 0, PIER_NO_DEADLINE, support__take, cut) != 0);
  await_status(loop, cut, PIER_EBADF);
  /* Windows can flush a pipe too, when the other end has read all. */
  assert_true(pier_file_flush(ends[0], PIER_NO_DEADLINE, support__take, flushed) != 0);
  support__await(loop, flushed);
  streams__close_pair(loop, ends);
  assert_true(pier_file_size(ends[0], &value) < 0);
  assert_status(pier_file_size(0, &value), PIER_EBADF);
  assert_int_equal(value, 7);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(open_gives_a_handle),
      SUPPORT_TEST_POOL(open_gives_a_handle),
      SUPPORT_TEST(open_says_what_is_wrong),
      SUPPORT_TEST(a_directory_has_no_bytes),
      SUPPORT_TEST(open_refuses_bad_arguments),
      SUPPORT_TEST(flags_create_keep_and_empty),
      SUPPORT_TEST(access_is_kept),
      SUPPORT_TEST(names_may_have_any_letters),
      SUPPORT_TEST(what_was_written_is_read),
      SUPPORT_TEST_POOL(what_was_written_is_read),
      SUPPORT_TEST(b24_the_end_of_a_file_is_success_with_0_bytes),
      SUPPORT_TEST(b26_zero_length_moves_nothing),
      SUPPORT_TEST(truncate_sets_the_length),
      SUPPORT_TEST(flush_succeeds),
      SUPPORT_TEST(direct_access_reads_what_it_wrote),
      SUPPORT_TEST(many_reads_in_flight_get_their_own_bytes),
      SUPPORT_TEST_POOL(many_reads_in_flight_get_their_own_bytes),
      SUPPORT_TEST(a_cancelled_open_leaves_no_handle),
      SUPPORT_TEST_POOL(a_cancelled_open_leaves_no_handle),
      SUPPORT_TEST(what_is_no_file_is_refused),
      SUPPORT_TEST_POOL(what_is_no_file_is_refused),
  };
  return support__main(argc, argv, "file", tests, sizeof tests / sizeof tests[0]);
}
