/* Handles that were not opened for overlapped I/O: told apart, served by workers, and never in anybody's way. */
#include <winsock2.h>

#include <windows.h>

#include "streams.h"

#include "standin_win.h"

#include <string.h>

static pier_handle add(pier_loop *loop, pier_native native, const pier_register_options *options) {
  pier_handle handle = 0;
  assert_status(pier_register(loop, native, options, &handle), PIER_OK);
  return handle;
}

static support_outcome *read_from(pier_handle handle, void *buffer, size_t length, uint64_t deadline_ns,
                                  pier_operation *id) {
  support_outcome *read = support__outcome();
  *id = pier_read(handle, buffer, length, deadline_ns, support__take, read);
  assert_true(*id != 0);
  return read;
}

static support_outcome *write_to(pier_handle handle, const void *bytes, size_t length) {
  support_outcome *written = support__outcome();
  assert_true(pier_write(handle, bytes, length, PIER_NO_DEADLINE, support__take, written) != 0);
  return written;
}

static HANDLE open_native_file(bool overlapped) {
  HANDLE native = CreateFileA(support__temp_file(1000), GENERIC_READ | GENERIC_WRITE, FILE_SHARE_DELETE, NULL,
                              OPEN_EXISTING, overlapped ? FILE_FLAG_OVERLAPPED : 0, NULL);
  assert_true(native != INVALID_HANDLE_VALUE);
  return native;
}

/* Files: with and without FILE_FLAG_OVERLAPPED they are told apart at the first use, and both are read and written. */
static void b15_files_are_told_apart(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int overlapped = 0; overlapped < 2; overlapped++) {
    unsigned char *buffer = support__alloc(1000);
    pier_handle file = add(loop, (pier_native)open_native_file(overlapped), NULL);
    support_outcome *written = support__outcome(), *read = support__outcome(), *end = support__outcome();
    assert_true(pier_write_at(file, "here", 4, 500, PIER_NO_DEADLINE, support__take, written) != 0);
    await_status(loop, written, PIER_OK);
    assert_int_equal(pier_handle_state(file), overlapped ? PIER_STATE_ASSOCIATED : PIER_STATE_BLOCKING);
    assert_int_equal(pier_handle_kind(file), PIER_KIND_FILE);
    assert_true(pier_read_at(file, buffer, 1000, 400, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, 600);
    assert_true(support__filled(buffer, 100, 400) && support__filled(buffer + 104, 496, 504));
    assert_memory_equal(buffer + 100, "here", 4);
    assert_true(pier_read_at(file, buffer, 10, 1000, PIER_NO_DEADLINE, support__take, end) != 0);
    await_status(loop, end, PIER_OK);
    assert_true(end->got.end && end->got.bytes == 0);
    support__close_handle(loop, file);
  }
  support__close(loop);
}

/* Pier's own position holds for a blocking file too, whatever the system's file pointer says. */
static void b28_the_own_position_of_a_blocking_file(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  HANDLE native = open_native_file(false);
  unsigned char *buffer = support__alloc(1000);
  pier_operation id;
  pier_handle file = add(loop, (pier_native)native, NULL);
  support_outcome *read = read_from(file, buffer, 300, PIER_NO_DEADLINE, &id);
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, 300);
  assert_true(support__filled(buffer, 300, 0));
  assert_int_equal(SetFilePointer(native, 7, NULL, FILE_BEGIN), 7);
  read = read_from(file, buffer, 300, PIER_NO_DEADLINE, &id);
  await_status(loop, read, PIER_OK);
  assert_true(support__filled(buffer, 300, 300));
  assert_status(pier_file_seek(file, 900), PIER_OK);
  read = read_from(file, buffer, 300, PIER_NO_DEADLINE, &id);
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, 100);
  assert_true(support__filled(buffer, 100, 900));
  support__close_handle(loop, file);
  support__close(loop);
}

/* Pipes: each end for itself is told apart, by byte and by message. */
static void b15_pipes_are_told_apart(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int i = 0; i < 8; i++) {
    bool message = i & 1, overlapped[2] = {(i & 2) != 0, (i & 4) != 0};
    pier_native natives[2];
    support__native_pipe_pair(message, overlapped[0], overlapped[1], natives);
    pier_handle ends[2] = {add(loop, natives[0], NULL), add(loop, natives[1], NULL)};
    streams__exchange(loop, ends[0], ends[1], 500, 0);
    for (int end = 0; end < 2; end++) {
      assert_int_equal(pier_handle_state(ends[end]), overlapped[end] ? PIER_STATE_ASSOCIATED : PIER_STATE_BLOCKING);
      assert_int_equal(pier_handle_kind(ends[end]), message ? PIER_KIND_MESSAGE_PIPE : PIER_KIND_PIPE);
    }
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

#define CLASS_MODE 16u

static NTSTATUS NTAPI refuse_query(HANDLE file, struct nt_io_status *io, void *information, ULONG length_bytes, ULONG file_class) {
  if (file_class == CLASS_MODE)
    return (NTSTATUS)0xC0000022; /* STATUS_ACCESS_DENIED */
  return nt__system()->query_information_file(file, io, information, length_bytes, file_class);
}

static int end_refusing(void **state) {
  nt__replace(standin__table());
  return support__end(state);
}

/* Where the system does not tell how it was opened, a worker can serve any handle, and the port only some: so it counts as blocking. A socket is
 * served by the port unless the system says no. */
static void b15_a_failed_query_means_blocking(void **state) {
  (void)state;
  struct nt_table *table = standin__table();
  table->query_information_file = refuse_query;
  nt__replace(table);
  pier_loop *loop = support__open();
  for (int i = 0; i < 3; i++) {
    pier_native natives[2];
    if (i == 2)
      support__native_tcp_pair(natives);
    else
      support__native_pipe_pair(false, i, i, natives);
    pier_handle ends[2] = {add(loop, natives[0], NULL), add(loop, natives[1], NULL)};
    streams__exchange(loop, ends[0], ends[1], 500, 0);
    streams__exchange(loop, ends[1], ends[0], 500, 1);
    for (int end = 0; end < 2; end++)
      assert_int_equal(pier_handle_state(ends[end]), i == 2 ? PIER_STATE_ASSOCIATED : PIER_STATE_BLOCKING);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

typedef struct stuck_read {
  HANDLE native;
  char byte;
  DWORD bytes;
} stuck_read;

static void read_natively(void *context) {
  stuck_read *self = context;
  if (!ReadFile(self->native, &self->byte, 1, &self->bytes, NULL))
    self->bytes = 0;
}

/* Nothing tells from outside that the thread is inside ReadFile(); if it is not yet, the case shows less but does not
 * fail. */
static void let_it_get_stuck(void) {
  for (int i = 0; i < 50; i++)
    support__yield();
}

/* With a read stuck in another thread nothing hangs: registering, asking, detaching and closing need no answer from the
 * handle. */
static void b16_a_read_stuck_elsewhere_holds_nothing_up(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const pier_association associations[] = {PIER_ASSOCIATE_LAZY, PIER_ASSOCIATE_NEVER};
  for (int i = 0; i < 2; i++) {
    pier_native natives[2];
    pier_sync_result result;
    const pier_register_options options = {.keep_open = true, .association = associations[i]};
    support__native_pipe_pair(false, false, true, natives);
    stuck_read *stuck = support__alloc(sizeof *stuck);
    stuck->native = (HANDLE)natives[0];
    support_thread *thread = support__thread_start(read_natively, stuck);
    let_it_get_stuck();
    uint64_t before_ns = pier_now_ns();
    pier_handle handle = add(loop, natives[0], &options);
    assert_true(pier_handle_state(handle) != PIER_STATE_NONE);
    pier_handle_detach(handle);
    support__close_handle(loop, handle);
    assert_true(pier_now_ns() - before_ns < 5 * PIER_SECOND);
    assert_status(pier_sync_write(natives[1], "x", 1, PIER_NO_TIMEOUT, &result), PIER_OK);
    support__thread_join(thread);
    assert_int_equal(stuck->bytes, 1);
    support__native_close_pipe(natives[0]);
    support__native_close_pipe(natives[1]);
  }
  support__close(loop);
}

static void end_by_cancel(pier_loop *loop, pier_handle ends[2], char *buffer) {
  pier_operation id;
  support_outcome *read = read_from(ends[0], buffer, 1, PIER_NO_DEADLINE, &id), *posted = support__outcome();
  /* The loop turns while the worker is stuck. */
  assert_true(pier_post(loop, support__take, posted) != 0);
  await_status(loop, posted, PIER_OK);
  assert_false(support__called(read));
  assert_status(pier_cancel(id), PIER_OK);
  await_status(loop, read, PIER_ECANCELED);
}

static void end_by_deadline(pier_loop *loop, pier_handle ends[2], char *buffer) {
  pier_operation id;
  uint64_t deadline_ns = pier_deadline_in(10 * PIER_MILLISECOND);
  support_outcome *read = read_from(ends[0], buffer, 1, deadline_ns, &id);
  await_status(loop, read, PIER_ETIMEDOUT);
  assert_true(read->at_ns >= deadline_ns && read->at_ns < deadline_ns + 2 * PIER_SECOND);
}

/* A read that is stuck in a worker ends promptly by a cancel, by its deadline and by a close, and the pipe stays whole.
 */
static void b17_a_stuck_worker_is_freed(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  char *buffer = support__alloc(16);
  streams__pair(loop, STREAMS_BLOCKING_PIPE, ends);
  for (int i = 0; i < 10; i++) {
    end_by_cancel(loop, ends, buffer);
    end_by_deadline(loop, ends, buffer);
    streams__exchange(loop, ends[1], ends[0], 10, 0);
  }
  pier_operation id;
  support_outcome *read = read_from(ends[0], buffer, 1, PIER_NO_DEADLINE, &id);
  uint64_t before_ns = pier_now_ns();
  support__close_handle(loop, ends[0]);
  assert_true(pier_now_ns() - before_ns < 2 * PIER_SECOND);
  assert_int_equal(atomic_load(&read->calls), 1);
  assert_status(read->got.status, PIER_ECLOSED);
  support__close_handle(loop, ends[1]);
  support__close(loop);
}

/* While a worker is stuck, and while it is being freed, no thread of the loop goes round and round: it waits on the port. */
static void b17_nobody_spins_beside_a_stuck_worker(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  char *buffer = support__alloc(16);
  pier_operation id;
  streams__pair(loop, STREAMS_BLOCKING_PIPE, ends);
  streams__exchange(loop, ends[1], ends[0], 5, 0); /* it is known from its first use on */
  support_outcome *read = read_from(ends[0], buffer, 1, pier_deadline_in(150 * PIER_MILLISECOND), &id);
  uint64_t waits = support__metrics(loop).waits;
  await_status(loop, read, PIER_ETIMEDOUT);
  waits = support__metrics(loop).waits - waits;
  print_message("%u waits in 150 ms\n", (unsigned)waits);
  /* The case itself looks every 20 ms. A loop that spins comes round thousands of times. */
  assert_true(waits < 60);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* More stuck reads than there are workers: those in line end at once too, and other handles' operations go on. */
static void b17_more_stuck_reads_than_workers(void **state) {
  (void)state;
  enum { PIPES = 12 };
  const pier_loop_options options = {.threads = support__threads(), .workers_max = 3};
  pier_loop *loop = support__open_with(&options);
  pier_handle ends[PIPES][2], quick[2];
  pier_operation ids[PIPES];
  support_outcome *reads[PIPES];
  char *buffer = support__alloc(PIPES);
  for (int i = 0; i < PIPES; i++) {
    streams__pair(loop, STREAMS_BLOCKING_PIPE, ends[i]);
    reads[i] = read_from(ends[i][0], &buffer[i], 1,
                         i % 3 == 2 ? pier_deadline_in(20 * PIER_MILLISECOND) : PIER_NO_DEADLINE, &ids[i]);
  }
  streams__pair(loop, STREAMS_PIPE, quick);
  streams__exchange(loop, quick[0], quick[1], 100, 0);
  /* The last ones first: they are in line behind all the others. */
  for (int i = PIPES - 1; i >= 0; i--) {
    if (i % 3 == 0) {
      assert_status(pier_cancel(ids[i]), PIER_OK);
      await_status(loop, reads[i], PIER_ECANCELED);
    } else if (i % 3 == 1) {
      support__close_handle(loop, ends[i][0]);
      await_status(loop, reads[i], PIER_ECLOSED);
    } else {
      await_status(loop, reads[i], PIER_ETIMEDOUT);
    }
  }
  for (int i = 0; i < PIPES; i++) {
    if (i % 3 != 1)
      support__close_handle(loop, ends[i][0]);
    support__close_handle(loop, ends[i][1]);
  }
  streams__close_pair(loop, quick);
  support__close(loop);
}

/* An anonymous pipe of the system's, which is never overlapped, one end for reading and one for writing. */
static void b18_anonymous_pipes_carry_the_right_bytes(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  HANDLE reading = NULL, writing = NULL;
  char *buffer = support__alloc(100);
  pier_operation id;
  assert_true(CreatePipe(&reading, &writing, NULL, 0));
  pier_handle reader = add(loop, (pier_native)reading, NULL), writer = add(loop, (pier_native)writing, NULL);
  support_outcome *waiting = read_from(reader, buffer, 100, PIER_NO_DEADLINE, &id);
  await_status(loop, write_to(writer, "anonymous", 9), PIER_OK);
  await_status(loop, waiting, PIER_OK);
  assert_int_equal(waiting->got.bytes, 9);
  assert_memory_equal(buffer, "anonymous", 9);
  support_outcome *wrong = read_from(writer, buffer, 1, PIER_NO_DEADLINE, &id);
  await_status(loop, wrong, PIER_EACCES);
  support__close_handle(loop, writer);
  support_outcome *end = read_from(reader, buffer, 100, PIER_NO_DEADLINE, &id);
  await_status(loop, end, PIER_OK);
  assert_true(end->got.end);
  support__close_handle(loop, reader);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b15_files_are_told_apart),
      SUPPORT_TEST_POOL(b15_files_are_told_apart),
      SUPPORT_TEST(b28_the_own_position_of_a_blocking_file),
      SUPPORT_TEST(b15_pipes_are_told_apart),
      SUPPORT_TEST_POOL(b15_pipes_are_told_apart),
      {"b15_a_failed_query_means_blocking", b15_a_failed_query_means_blocking, support__begin, end_refusing,
       &(support_case){"b15_a_failed_query_means_blocking", 0}},
      SUPPORT_TEST(b16_a_read_stuck_elsewhere_holds_nothing_up),
      SUPPORT_TEST(b17_a_stuck_worker_is_freed),
      SUPPORT_TEST_POOL(b17_a_stuck_worker_is_freed),
      SUPPORT_TEST(b17_nobody_spins_beside_a_stuck_worker),
      SUPPORT_TEST_POOL(b17_nobody_spins_beside_a_stuck_worker),
      SUPPORT_TEST(b17_more_stuck_reads_than_workers),
      SUPPORT_TEST_POOL(b17_more_stuck_reads_than_workers),
      SUPPORT_TEST(b18_anonymous_pipes_carry_the_right_bytes),
  };
  return support__main(argc, argv, "blocking", tests, sizeof tests / sizeof tests[0]);
}
