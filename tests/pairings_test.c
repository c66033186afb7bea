/* Two ends, opened for overlapped I/O or not, used with callbacks or synchronously: every pairing carries the right bytes. */
#include "streams.h"
#include "sync_native.h"

#include <string.h>

enum { LENGTH = 3000 };

/* One end of a pairing. */
typedef struct side {
  pier_native native;
  pier_handle handle;
  bool synchronous;
  bool positioned; /* a file: from its beginning on */
} side;

static side add(pier_loop *loop, pier_native native, bool synchronous, bool positioned) {
  side made = {.native = native, .synchronous = synchronous, .positioned = positioned};
  const pier_register_options options = {.keep_open = false};
  assert_status(pier_register(loop, native, &options, &made.handle), PIER_OK);
  return made;
}

static void put(pier_loop *loop, const side *to, const void *bytes) {
  support_outcome *written = support__outcome();
  pier_sync_result result;
  if (to->synchronous) {
    assert_status(to->positioned ? pier_sync_write_at(to->native, bytes, LENGTH, 0, PIER_NO_TIMEOUT, &result)
                                 : pier_sync_write(to->native, bytes, LENGTH, PIER_NO_TIMEOUT, &result),
                  PIER_OK);
    assert_int_equal(result.bytes, LENGTH);
    return;
  }
  assert_true((to->positioned ? pier_write_at(to->handle, bytes, LENGTH, 0, PIER_NO_DEADLINE, support__take, written)
                              : pier_write(to->handle, bytes, LENGTH, PIER_NO_DEADLINE, support__take, written)) != 0);
  await_status(loop, written, PIER_OK);
  assert_int_equal(written->got.bytes, LENGTH);
}

static size_t get_some(pier_loop *loop, const side *from, unsigned char *bytes, size_t have) {
  support_outcome *read = support__outcome();
  pier_sync_result result;
  if (from->synchronous) {
    assert_status(from->positioned ? pier_sync_read_at(from->native, bytes + have, LENGTH - have, (int64_t)have, PIER_NO_TIMEOUT, &result)
                                   : pier_sync_read(from->native, bytes + have, LENGTH - have, PIER_NO_TIMEOUT, &result),
                  PIER_OK);
    return result.bytes;
  }
  assert_true((from->positioned ? pier_read_at(from->handle, bytes + have, LENGTH - have, (int64_t)have, PIER_NO_DEADLINE, support__take, read)
                                : pier_read(from->handle, bytes + have, LENGTH - have, PIER_NO_DEADLINE, support__take, read)) != 0);
  await_status(loop, read, PIER_OK);
  return read->got.bytes;
}

static void carry(pier_loop *loop, const side *from, const side *to, uint64_t pattern) {
  unsigned char *sent = support__alloc(LENGTH), *received = support__alloc(LENGTH);
  support__fill(sent, LENGTH, pattern);
  put(loop, from, sent);
  for (size_t have = 0; have < LENGTH;) {
    size_t more = get_some(loop, to, received, have);
    assert_true(more > 0);
    have += more;
  }
  assert_memory_equal(received, sent, LENGTH);
}

/* Named pipes (on Linux, local sockets; overlapped is non-blocking there). */
static void b18_pipes_in_all_pairings(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (unsigned i = 0; i < 32; i++) {
    pier_native natives[2];
    support__native_pipe_pair(i & 16, i & 1, i & 2, natives);
    const side ends[2] = {add(loop, natives[0], i & 4, false), add(loop, natives[1], i & 8, false)};
    carry(loop, &ends[0], &ends[1], i);
    carry(loop, &ends[1], &ends[0], i + 1);
    support__close_handle(loop, ends[0].handle);
    support__close_handle(loop, ends[1].handle);
  }
  support__close(loop);
}

/* Anonymous pipes. */
static void b18_anonymous_pipes_in_all_pairings(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (unsigned i = 0; i < 4; i++) {
    pier_native natives[2];
    sync_native__anonymous_pipe(natives);
    const side reads = add(loop, natives[0], i & 1, false), writes = add(loop, natives[1], i & 2, false);
    for (unsigned round = 0; round < 3; round++)
      carry(loop, &writes, &reads, round);
    support__close_handle(loop, reads.handle);
    support__close_handle(loop, writes.handle);
  }
  support__close(loop);
}

/* One file, opened twice. */
static void b18_files_in_all_pairings(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *path = support__temp_file(LENGTH);
  for (unsigned i = 0; i < 16; i++) {
    const side ends[2] = {add(loop, sync_native__open_file(path, i & 1), i & 4, true), add(loop, sync_native__open_file(path, i & 2), i & 8, true)};
    carry(loop, &ends[0], &ends[1], 10 * i);
    carry(loop, &ends[1], &ends[0], 10 * i + 1);
    support__close_handle(loop, ends[0].handle);
    support__close_handle(loop, ends[1].handle);
  }
  support__close(loop);
}

#define BOTH(function) SUPPORT_TEST(function), SUPPORT_TEST_POOL(function)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      BOTH(b18_pipes_in_all_pairings),
      BOTH(b18_anonymous_pipes_in_all_pairings),
      BOTH(b18_files_in_all_pairings),
  };
  return support__main(argc, argv, "pairings", tests, sizeof tests / sizeof tests[0]);
}
