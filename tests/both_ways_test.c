/* A sync operation and an asynchronous one on the same handle at the same time. */
#include "streams.h"
#include "sync_native.h"

#include <string.h>

static struct reader {
  pier_native native;
  char got[16];
  pier_sync_result result;
  atomic_uint begun;
} reader;

static void read_sync(void *context) {
  (void)context;
  atomic_store(&reader.begun, 1);
  pier_sync_read(reader.native, reader.got, sizeof reader.got, 5 * PIER_SECOND, &reader.result);
}

/* A pending asynchronous read is no matter to sync writes and time-outs, and a pending sync read none to async writes. */
static void b23_both_ways_on_a_stream(void **state) {
  (void)state;
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_TCP, STREAMS_KEPT_PIPE, STREAMS_KEPT_TCP};
  for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++) {
    pier_loop *loop = support__open();
    pier_handle ends[2];
    pier_sync_result result;
    char *buffer = support__alloc(16);
    support_outcome *read = support__outcome(), *written = support__outcome();
    streams__pair(loop, sorts[i], ends);
    pier_native natives[2] = {pier_handle_native(ends[0]), pier_handle_native(ends[1])};
    assert_true(pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
    assert_status(pier_sync_write(natives[0], "out", 3, PIER_SECOND, &result), PIER_OK);
    assert_status(pier_sync_read(natives[1], reader.got, 16, PIER_SECOND, &result), PIER_OK);
    assert_int_equal(result.bytes, 3);
    /* Its cancel is for its own operation only. */
    assert_status(pier_sync_read(natives[0], reader.got, 16, 2 * PIER_MILLISECOND, &result), PIER_ETIMEDOUT);
    assert_false(support__called(read));
    assert_status(pier_sync_write(natives[1], "in", 2, PIER_SECOND, &result), PIER_OK);
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, 2);
    assert_memory_equal(buffer, "in", 2);
    reader = (struct reader){.native = natives[0]};
    support_thread *thread = support__thread_start(read_sync, NULL);
    while (!atomic_load(&reader.begun))
      support__yield();
    sync_native__sleep_ms(2);
    assert_true(pier_write(ends[0], "async", 5, PIER_NO_DEADLINE, support__take, written) != 0);
    await_status(loop, written, PIER_OK);
    assert_status(pier_sync_read(natives[1], buffer, 16, PIER_SECOND, &result), PIER_OK);
    assert_memory_equal(buffer, "async", 5);
    assert_status(pier_sync_write(natives[1], "sync", 4, PIER_SECOND, &result), PIER_OK);
    support__thread_join(thread);
    assert_status(reader.result.status, PIER_OK);
    assert_int_equal(reader.result.bytes, 4);
    assert_memory_equal(reader.got, "sync", 4);
    streams__close_pair(loop, ends);
    support__close(loop);
  }
}

static struct file_reader {
  pier_native native;
  atomic_uint wrong;
} file_reader;

enum { LENGTH = 65536, READS = 300, READ_BYTES = 1000 };

static void read_file_sync(void *context) {
  (void)context;
  char buffer[READ_BYTES];
  pier_sync_result result;
  for (unsigned i = 0; i < READS; i++) {
    int64_t offset = (int64_t)(i * 211);
    int status = pier_sync_read_at(file_reader.native, buffer, sizeof buffer, offset, PIER_NO_TIMEOUT, &result);
    if (status != PIER_OK || result.bytes != sizeof buffer || !support__filled(buffer, sizeof buffer, (uint64_t)offset))
      atomic_fetch_add(&file_reader.wrong, 1);
  }
}

/* Sync and asynchronous reads of a file at different places each bring their own bytes. */
static void b23_both_ways_on_a_file(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle file = 0;
  char *buffer = support__alloc(READ_BYTES);
  assert_status(pier_file_open_sync(loop, support__temp_file(LENGTH), PIER_OPEN_READ, &file), PIER_OK);
  file_reader.native = pier_handle_native(file);
  atomic_store(&file_reader.wrong, 0);
  support_thread *thread = support__thread_start(read_file_sync, NULL);
  for (unsigned i = 0; i < READS; i++) {
    support_outcome *read = support__outcome();
    int64_t offset = (int64_t)((READS - i) * 197);
    assert_true(pier_read_at(file, buffer, READ_BYTES, offset, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, READ_BYTES);
    assert_true(support__filled(buffer, READ_BYTES, (uint64_t)offset));
  }
  support__thread_join(thread);
  assert_int_equal(atomic_load(&file_reader.wrong), 0);
  support__close_handle(loop, file);
  assert_int_equal(support__metrics(loop).packets_foreign, 0);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b23_both_ways_on_a_stream),
      SUPPORT_TEST_POOL(b23_both_ways_on_a_stream),
      SUPPORT_TEST(b23_both_ways_on_a_file),
      SUPPORT_TEST_POOL(b23_both_ways_on_a_file),
  };
  return support__main(argc, argv, "both_ways", tests, sizeof tests / sizeof tests[0]);
}
