/* Positions in files: Pier's own, those given with the call, appending, and handles that have none. */
#include "streams.h"
#include "sync_native.h"

#include <string.h>

static const uint64_t gib = (uint64_t)1 << 30;

static pier_handle open_file(pier_loop *loop, const char *path, unsigned flags) {
  pier_handle file = 0;
  assert_status(pier_file_open_sync(loop, path, flags, &file), PIER_OK);
  return file;
}

static pier_handle open_new_file(pier_loop *loop) {
  return open_file(loop, support__temp_path(), PIER_OPEN_READ | PIER_OPEN_WRITE | PIER_OPEN_CREATE);
}

static uint64_t position_of(pier_handle file) {
  uint64_t offset_bytes = UINT64_MAX;
  assert_status(pier_file_position(file, &offset_bytes), PIER_OK);
  return offset_bytes;
}

static void write_on(pier_loop *loop, pier_handle file, const void *bytes, size_t length) {
  support_outcome *written = support__outcome();
  assert_true(pier_write(file, bytes, length, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, written, PIER_OK);
  assert_int_equal(written->got.bytes, length);
}

static size_t read_on(pier_loop *loop, pier_handle file, void *buffer, size_t length) {
  support_outcome *read = support__outcome();
  assert_true(pier_read(file, buffer, length, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, PIER_OK);
  return read->got.bytes;
}

static int read_at_status(pier_loop *loop, pier_handle handle, int64_t offset) {
  support_outcome *read = support__outcome();
  char *byte = support__alloc(1);
  assert_true(pier_read_at(handle, byte, 1, offset, PIER_NO_DEADLINE, support__take, read) != 0);
  support__await(loop, read);
  return read->got.status;
}

static int write_at_status(pier_loop *loop, pier_handle handle, int64_t offset) {
  support_outcome *written = support__outcome();
  assert_true(pier_write_at(handle, "x", 1, offset, PIER_NO_DEADLINE, support__take, written) != 0);
  support__await(loop, written);
  return written->got.status;
}

/* Beyond 4 GiB, with and without a given position, each byte is where it belongs and not 4 GiB before. */
static void b27_offsets_beyond_4_gib_work(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle file = open_new_file(loop);
  char *buffer = support__alloc(16);
  support_outcome *written = support__outcome(), *read = support__outcome(), *cut = support__outcome();
  uint64_t far = 5 * gib + 123, size_bytes = 0;
  write_on(loop, file, "near", 4);
  assert_true(pier_write_at(file, "far away", 8, (int64_t)far, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, written, PIER_OK);
  assert_status(pier_file_size(file, &size_bytes), PIER_OK);
  assert_int_equal(size_bytes, far + 8);
  assert_true(pier_read_at(file, buffer, 16, (int64_t)far, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, 8);
  assert_memory_equal(buffer, "far away", 8);
  assert_status(pier_file_seek(file, far + 4), PIER_OK);
  assert_int_equal(read_on(loop, file, buffer, 16), 4);
  assert_memory_equal(buffer, "away", 4);
  write_on(loop, file, "!", 1);
  assert_int_equal(position_of(file), far + 9);
  assert_status(pier_file_seek(file, far - 4 * gib), PIER_OK);
  assert_int_equal(read_on(loop, file, buffer, 16), 16);
  assert_memory_equal(buffer, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
  assert_true(pier_file_truncate(file, 6 * gib, PIER_NO_DEADLINE, support__take, cut) != 0);
  await_status(loop, cut, PIER_OK);
  assert_status(pier_file_size(file, &size_bytes), PIER_OK);
  assert_int_equal(size_bytes, 6 * gib);
  support__close_handle(loop, file);
  support__close(loop);
}

/* A negative position is refused, for each form. */
static void b27_a_negative_offset_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle file = open_new_file(loop);
  char *byte = support__alloc(1);
  const pier_buffer part = {byte, 1};
  support_outcome *read = support__outcome(), *written = support__outcome();
  assert_status(read_at_status(loop, file, -1), PIER_EINVAL);
  assert_status(read_at_status(loop, file, INT64_MIN), PIER_EINVAL);
  assert_status(write_at_status(loop, file, -1), PIER_EINVAL);
  assert_status(write_at_status(loop, file, -2), PIER_EINVAL);
  assert_true(pier_readv_at(file, &part, 1, -1, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, PIER_EINVAL);
  assert_true(pier_writev_at(file, &part, 1, -1, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, written, PIER_EINVAL);
  support__close_handle(loop, file);
  support__close(loop);
}

/* Pipes and sockets have no positions. */
static void b27_a_position_on_a_pipe_or_socket_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_MESSAGE_PIPE, STREAMS_TCP};
  for (unsigned i = 0; i < 3; i++) {
    pier_handle ends[2];
    uint64_t offset_bytes = 0;
    streams__pair(loop, sorts[i], ends);
    assert_status(read_at_status(loop, ends[0], 0), PIER_ESPIPE);
    assert_status(write_at_status(loop, ends[0], 0), PIER_ESPIPE);
    assert_status(pier_file_position(ends[0], &offset_bytes), PIER_ESPIPE);
    assert_status(pier_file_seek(ends[0], 1), PIER_ESPIPE);
    streams__exchange(loop, ends[0], ends[1], 100, 5);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* Reads and writes without a position follow on one another, by the bytes that were moved. */
static void b28_the_own_position_moves_by_what_was_moved(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle file = open_new_file(loop);
  unsigned char *buffer = support__alloc(1000);
  assert_int_equal(position_of(file), 0);
  support__fill(buffer, 700, 0);
  write_on(loop, file, buffer, 300);
  write_on(loop, file, buffer + 300, 400);
  assert_int_equal(position_of(file), 700);
  assert_status(pier_file_seek(file, 100), PIER_OK);
  assert_int_equal(read_on(loop, file, buffer, 50), 50);
  assert_true(support__filled(buffer, 50, 100));
  assert_int_equal(read_on(loop, file, buffer, 1000), 550);
  assert_true(support__filled(buffer, 550, 150));
  assert_int_equal(position_of(file), 700);
  assert_int_equal(read_on(loop, file, buffer, 1000), 0);
  assert_int_equal(position_of(file), 700);
  support__close_handle(loop, file);
  support__close(loop);
}

/* Calls with a position of their own, and those of the sync path, leave Pier's own position where it is. */
static void b28_other_calls_do_not_move_the_own_position(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle file = open_new_file(loop);
  unsigned char *buffer = support__alloc(1000);
  pier_sync_result result;
  support__fill(buffer, 1000, 0);
  write_on(loop, file, buffer, 400);
  assert_status(write_at_status(loop, file, 5000), PIER_OK);
  assert_status(read_at_status(loop, file, 200), PIER_OK);
  assert_status(pier_sync_write_at(pier_handle_native(file), buffer, 1000, 0, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_status(pier_sync_read_at(pier_handle_native(file), buffer, 100, 300, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_true(support__filled(buffer, 100, 300));
  assert_int_equal(position_of(file), 400);
  assert_int_equal(read_on(loop, file, buffer, 100), 100);
  assert_true(support__filled(buffer, 100, 400));
  support__close_handle(loop, file);
  support__close(loop);
}

/* The system's file pointer is not used: wherever somebody puts it, Pier's calls go by their own position, and leave it there. On a handle that
 * Pier has opened, and on registered ones for overlapped I/O and not; of the last ones Windows itself moves the pointer with every call. */
static void b28_the_systems_file_pointer_is_nobodys(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int i = 0; i < 3; i++) {
    pier_handle file = 0;
    const char *path = support__temp_file(1000);
    unsigned char *buffer = support__alloc(1000);
    if (i == 0)
      file = open_file(loop, path, PIER_OPEN_READ | PIER_OPEN_WRITE);
    else
      assert_status(pier_register(loop, sync_native__open_file(path, i == 1), NULL, &file), PIER_OK);
    pier_native native = pier_handle_native(file);
    bool moves = support__windows && i == 2;
    for (unsigned at = 0; at < 1000; at += 100) {
      sync_native__seek_file(native, 777 - at / 2);
      assert_int_equal(read_on(loop, file, buffer, 100), 100);
      assert_true(support__filled(buffer, 100, at));
      assert_int_equal(position_of(file), at + 100);
      assert_status(read_at_status(loop, file, 5), PIER_OK);
      assert_true(moves || sync_native__file_position(native) == 777 - at / 2);
    }
    assert_status(pier_file_seek(file, 500), PIER_OK);
    write_on(loop, file, "here", 4);
    assert_true(moves || sync_native__file_position(native) == 777 - 450);
    assert_status(pier_file_seek(file, 500), PIER_OK);
    assert_int_equal(read_on(loop, file, buffer, 4), 4);
    assert_memory_equal(buffer, "here", 4);
    support__close_handle(loop, file);
  }
  support__close(loop);
}

/* Several writes in flight at Pier's own position land one behind the other, in the order of their submits; so do
 * reads. */
static void b28_calls_in_flight_follow_on_one_another(void **state) {
  (void)state;
  enum { CALLS = 16, LENGTH = 1000 };
  pier_loop *loop = support__open();
  pier_handle file = open_new_file(loop);
  unsigned char *buffer = support__alloc(CALLS * LENGTH);
  support_outcome *written[CALLS], *read[CALLS];
  support__fill(buffer, CALLS * LENGTH, 0);
  for (unsigned i = 0; i < CALLS; i++) {
    written[i] = support__outcome();
    assert_true(pier_write(file, buffer + i * LENGTH, LENGTH, PIER_NO_DEADLINE, support__take, written[i]) != 0);
  }
  for (unsigned i = 0; i < CALLS; i++)
    await_status(loop, written[i], PIER_OK);
  assert_int_equal(position_of(file), CALLS * LENGTH);
  assert_status(pier_file_seek(file, 0), PIER_OK);
  memset(buffer, 0, CALLS * LENGTH);
  for (unsigned i = 0; i < CALLS; i++) {
    read[i] = support__outcome();
    assert_true(pier_read(file, buffer + i * LENGTH, LENGTH, PIER_NO_DEADLINE, support__take, read[i]) != 0);
  }
  for (unsigned i = 0; i < CALLS; i++)
    await_status(loop, read[i], PIER_OK);
  assert_true(support__filled(buffer, CALLS * LENGTH, 0));
  support__close_handle(loop, file);
  support__close(loop);
}

/* Writing behind the end leaves zeros between. */
static void b28_a_seek_behind_the_end_leaves_zeros(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle file = open_new_file(loop);
  unsigned char *buffer = support__alloc(1000);
  assert_status(pier_file_seek(file, 500), PIER_OK);
  assert_int_equal(read_on(loop, file, buffer, 10), 0);
  assert_int_equal(position_of(file), 500);
  write_on(loop, file, "end", 3);
  assert_status(pier_file_seek(file, 0), PIER_OK);
  assert_int_equal(read_on(loop, file, buffer, 1000), 503);
  for (unsigned i = 0; i < 500; i++)
    assert_int_equal(buffer[i], 0);
  assert_memory_equal(buffer + 500, "end", 3);
  assert_status(pier_file_seek(file, UINT64_MAX), PIER_EINVAL);
  assert_int_equal(position_of(file), 503);
  support__close_handle(loop, file);
  support__close(loop);
}

/* Appenders on handles of their own never overwrite one another: every record is there, whole and once. */
static void b28_appends_are_atomic(void **state) {
  (void)state;
  enum { FILES = 3, RECORDS = 60, LENGTH = 517 };
  pier_loop *loop = support__open();
  const char *path = support__temp_file(LENGTH);
  unsigned char *records = support__alloc(FILES * RECORDS * LENGTH),
                *all = support__alloc((FILES * RECORDS + 1) * LENGTH);
  support_outcome *outcomes[FILES * RECORDS];
  pier_handle files[FILES];
  for (unsigned f = 0; f < FILES; f++)
    files[f] = open_file(loop, path, PIER_OPEN_APPEND);
  for (unsigned i = 0; i < FILES * RECORDS; i++) {
    unsigned char *record = records + i * LENGTH;
    memset(record, (int)(i + 1), LENGTH);
    outcomes[i] = support__outcome();
    assert_true(pier_write(files[i % FILES], record, LENGTH, PIER_NO_DEADLINE, support__take, outcomes[i]) != 0);
  }
  for (unsigned i = 0; i < FILES * RECORDS; i++) {
    await_status(loop, outcomes[i], PIER_OK);
    assert_int_equal(outcomes[i]->got.bytes, LENGTH);
  }
  for (unsigned f = 0; f < FILES; f++)
    support__close_handle(loop, files[f]);
  pier_handle file = open_file(loop, path, PIER_OPEN_READ);
  assert_int_equal(read_on(loop, file, all, (FILES * RECORDS + 1) * LENGTH), (FILES * RECORDS + 1) * LENGTH);
  assert_int_equal(read_on(loop, file, all, 1), 0);
  assert_true(support__filled(all + 1, LENGTH - 1, 1));
  bool seen[256] = {false};
  for (unsigned i = 1; i <= FILES * RECORDS; i++) {
    unsigned char number = all[i * LENGTH];
    assert_in_range(number, 1, FILES * RECORDS);
    assert_false(seen[number]);
    seen[number] = true;
    for (unsigned at = 0; at < LENGTH; at++)
      assert_int_equal(all[i * LENGTH + at], number);
  }
  support__close_handle(loop, file);
  support__close(loop);
}

/* An appending handle writes at the end, whatever its position says, whatever position is given, and whatever else it
 * may do. */
static void b28_an_append_ignores_the_position(void **state) {
  (void)state;
  const unsigned flags[] = {PIER_OPEN_READ | PIER_OPEN_APPEND, PIER_OPEN_READ | PIER_OPEN_WRITE | PIER_OPEN_APPEND};
  pier_loop *loop = support__open();
  for (int i = 0; i < 2; i++) {
    unsigned char *buffer = support__alloc(200);
    pier_handle file = open_file(loop, support__temp_file(100), flags[i]);
    assert_int_equal(read_on(loop, file, buffer, 50), 50);
    write_on(loop, file, "tail", 4);
    assert_status(pier_file_seek(file, 0), PIER_OK);
    write_on(loop, file, "more", 4);
    assert_status(write_at_status(loop, file, 3), PIER_OK);
    assert_status(pier_file_seek(file, 90), PIER_OK);
    assert_int_equal(read_on(loop, file, buffer, 100), 19);
    assert_true(support__filled(buffer, 10, 90));
    assert_memory_equal(buffer + 10, "tailmorex", 9);
    assert_status(pier_file_seek(file, 0), PIER_OK);
    assert_int_equal(read_on(loop, file, buffer, 100), 100);
    assert_true(support__filled(buffer, 100, 0));
    support__close_handle(loop, file);
  }
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b27_offsets_beyond_4_gib_work),
      SUPPORT_TEST(b27_a_negative_offset_is_refused),
      SUPPORT_TEST(b27_a_position_on_a_pipe_or_socket_is_refused),
      SUPPORT_TEST_POOL(b27_a_position_on_a_pipe_or_socket_is_refused),
      SUPPORT_TEST(b28_the_own_position_moves_by_what_was_moved),
      SUPPORT_TEST_POOL(b28_the_own_position_moves_by_what_was_moved),
      SUPPORT_TEST(b28_other_calls_do_not_move_the_own_position),
      SUPPORT_TEST(b28_the_systems_file_pointer_is_nobodys),
      SUPPORT_TEST_POOL(b28_the_systems_file_pointer_is_nobodys),
      SUPPORT_TEST(b28_calls_in_flight_follow_on_one_another),
      SUPPORT_TEST_POOL(b28_calls_in_flight_follow_on_one_another),
      SUPPORT_TEST(b28_a_seek_behind_the_end_leaves_zeros),
      SUPPORT_TEST(b28_appends_are_atomic),
      SUPPORT_TEST_POOL(b28_appends_are_atomic),
      SUPPORT_TEST(b28_an_append_ignores_the_position),
  };
  return support__main(argc, argv, "position", tests, sizeof tests / sizeof tests[0]);
}
