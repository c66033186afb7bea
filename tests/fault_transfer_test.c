/* Transfers that the system cuts short, interrupts, puts off or refuses. */
#include "descriptors.h"
#include "fault.h"
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LENGTH = 5000, CUT = 7, PARTS = 10, EVERY = 1000000 };

static pier_handle open_file(pier_loop *loop, const char *path, unsigned flags) {
  pier_handle file = 0;
  assert_status(pier_file_open_sync(loop, path, flags, &file), PIER_OK);
  return file;
}

/* Messages and datagrams go whole. */
static bool is_whole(int sort) {
  return sort == STREAMS_MESSAGE_PIPE || sort == STREAMS_UDP || sort == STREAMS_KEPT_UDP;
}

/* A fifo without a name, both ends registered: ends[0] reads. */
static void open_fifo(pier_loop *loop, pier_handle ends[2]) {
  int natives[2];
  assert_int_equal(pipe2(natives, O_CLOEXEC), 0);
  for (int i = 0; i < 2; i++)
    assert_status(pier_register(loop, (pier_native)natives[i], NULL, &ends[i]), PIER_OK);
}

/* ---- Short ---- */

/* A write is all of its bytes, however few the system takes at a time. */
static void short_writes_go_on_until_all_is_written(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    if (sort == STREAMS_MESSAGE_PIPE || !streams__has_end((streams_sort)sort))
      continue; /* a message or datagram goes whole */
    streams__pair(loop, (streams_sort)sort, ends);
    fault__clear();
    fault__cut(FAULT_SEND, 0, EVERY, CUT);
    streams__exchange(loop, ends[0], ends[1], LENGTH, 0);
    assert_true(fault__struck() >= LENGTH / CUT);
    fault__clear();
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* Of a socket that gave less than it was asked for epoll promises that it is empty, and Pier relies on it. */
static bool may_cut_reads(pier_loop *loop) {
  return pier_loop_backend(loop)[0] != 'e';
}

/* A read of a stream is what there was, and the rest comes with the next ones. */
static void short_reads_lose_nothing(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  if (!may_cut_reads(loop)) {
    support__close(loop);
    support__skip("with epoll a short read of a socket says that it is empty");
  }
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    if (sort == STREAMS_MESSAGE_PIPE || !streams__has_end((streams_sort)sort))
      continue;
    streams__pair(loop, (streams_sort)sort, ends);
    fault__clear();
    fault__cut(FAULT_RECEIVE, 0, EVERY, CUT);
    streams__exchange(loop, ends[0], ends[1], LENGTH, 0);
    assert_true(fault__struck() >= LENGTH / CUT);
    fault__clear();
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

static void read_three(pier_loop *loop, pier_handle end) {
  char got[12];
  for (int i = 0; i < 3; i++) {
    support_outcome *read = support__outcome();
    assert_true(pier_read(end, got, sizeof got, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, 4);
  }
}

/* A read ends where descriptors come with the bytes, though there is more behind them: with a tick; where none can be had (epoll); and
   where the stream does not say what it holds either. */
static void a_stream_with_descriptors_in_it_is_read_on(void **state) {
  (void)state;
  static const fault_call refused[] = {FAULT_CALLS, FAULT_EVENT, FAULT_CONTROL};
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    pier_loop *loop = support__open();
    pier_native natives[2];
    pier_handle end = 0;
    support__native_pipe_pair(false, true, true, natives);
    assert_status(pier_register(loop, natives[0], NULL, &end), PIER_OK);
    for (int j = 0; j < 3; j++)
      descriptors__send(natives[1], "abcd", 4);
    if (refused[i] != FAULT_CALLS)
      fault__fail(FAULT_EVENT, 0, EVERY, 0);
    if (refused[i] == FAULT_CONTROL)
      fault__fail(FAULT_CONTROL, 0, EVERY, 0);
    read_three(loop, end);
    /* Only epoll draws a conclusion from a single read. */
    assert_int_equal(fault__struck() > 0, refused[i] != FAULT_CALLS && !may_cut_reads(loop));
    fault__clear();
    support__native_close_pipe(natives[1]);
    support__close_handle(loop, end);
    support__close(loop);
  }
}

/* A fifo in packet mode gives what one write has put in, though there is more. */
static void a_fifo_of_packets_is_read_on(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  int natives[2];
  char got[64];
  pier_handle end = 0;
  assert_int_equal(pipe2(natives, O_CLOEXEC | O_DIRECT), 0);
  assert_status(pier_register(loop, (pier_native)natives[0], NULL, &end), PIER_OK);
  for (int i = 0; i < 3; i++)
    assert_int_equal(write(natives[1], "packet", 6), 6);
  for (int i = 0; i < 3; i++) {
    support_outcome *read = support__outcome();
    assert_true(pier_read(end, got, sizeof got, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, 6);
  }
  close(natives[1]);
  support__close_handle(loop, end);
  support__close(loop);
}

static void fifos_move_whole_streams_in_short_steps(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  open_fifo(loop, ends);
  fault__clear();
  fault__cut(FAULT_READ, 0, EVERY, CUT);
  fault__cut(FAULT_WRITE, 0, EVERY, CUT);
  streams__exchange(loop, ends[1], ends[0], LENGTH, 0);
  assert_true(fault__struck() >= LENGTH / CUT);
  fault__clear();
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* A file's write goes on after a short one; a short read of a file is the user's to see, and its position is behind what he got. */
static void files_keep_their_place_in_short_steps(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  unsigned char *bytes = support__alloc(LENGTH);
  uint64_t position = 0;
  pier_handle file = open_file(loop, support__temp_path(), PIER_OPEN_READ | PIER_OPEN_WRITE | PIER_OPEN_CREATE);
  support_outcome *written = support__outcome(), *read = support__outcome(), *rest = support__outcome();
  support__fill(bytes, LENGTH, 0);
  fault__clear();
  fault__cut(FAULT_WRITE, 0, EVERY, CUT);
  assert_true(pier_write(file, bytes, LENGTH, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, written, PIER_OK);
  assert_int_equal(written->got.bytes, LENGTH);
  assert_true(fault__struck() >= LENGTH / CUT);
  assert_status(pier_file_seek(file, 0), PIER_OK);
  fault__clear();
  /* What the submitting thread has found short is read again by a worker or by the ring: it may only have been short of the cache. */
  fault__cut(FAULT_READ, 0, 2, 100);
  assert_true(pier_read(file, bytes, LENGTH, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, 100);
  assert_false(read->got.end);
  assert_status(pier_file_position(file, &position), PIER_OK);
  assert_int_equal(position, 100);
  assert_true(pier_read(file, bytes + 100, LENGTH - 100, PIER_NO_DEADLINE, support__take, rest) != 0);
  await_status(loop, rest, PIER_OK);
  assert_int_equal(rest->got.bytes, LENGTH - 100);
  assert_true(support__filled(bytes, LENGTH, 0));
  support__close_handle(loop, file);
  support__close(loop);
}

/* Parts are cut in their middle, and the next call begins there. */
static void vectors_are_cut_anywhere(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  unsigned char *bytes = support__alloc(LENGTH), *got = support__alloc(LENGTH);
  pier_buffer parts[PARTS];
  support__fill(bytes, LENGTH, 0);
  for (int i = 0; i < PARTS; i++)
    parts[i] = (pier_buffer){bytes + i * (LENGTH / PARTS), LENGTH / PARTS};
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    support_outcome *written = support__outcome();
    if (sort == STREAMS_MESSAGE_PIPE || !streams__has_end((streams_sort)sort))
      continue;
    streams__pair(loop, (streams_sort)sort, ends);
    fault__clear();
    fault__cut(FAULT_SEND, 0, EVERY, LENGTH / PARTS - 3);
    if (may_cut_reads(loop))
      fault__cut(FAULT_RECEIVE, 0, EVERY, 11);
    assert_true(pier_writev(ends[0], parts, PARTS, PIER_NO_DEADLINE, support__take, written) != 0);
    for (size_t have = 0; have < LENGTH;) {
      const pier_buffer two[2] = {{got + have, 5}, {got + have + 5, LENGTH - have - 5}};
      support_outcome *read = support__outcome();
      assert_true(pier_readv(ends[1], two, have + 5 < LENGTH ? 2 : 1, PIER_NO_DEADLINE, support__take, read) != 0);
      await_status(loop, read, PIER_OK);
      have += read->got.bytes;
    }
    await_status(loop, written, PIER_OK);
    assert_int_equal(written->got.bytes, LENGTH);
    assert_true(support__filled(got, LENGTH, 0));
    assert_true(fault__struck() >= PARTS);
    fault__clear();
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* ---- Interrupted, and put off ---- */

/* A signal may come before anything was moved: the call is made again, as often as that happens. */
static void interrupted_calls_are_made_again(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    streams__pair(loop, (streams_sort)sort, ends);
    for (fault_call call = FAULT_RECEIVE; call <= FAULT_SEND; call++) {
      fault__clear();
      fault__fail(call, 0, 5, EINTR);
      streams__exchange(loop, ends[0], ends[1], 100, 0);
      assert_int_equal(fault__struck(), 5);
    }
    fault__clear();
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

static void interrupted_files_and_fifos_are_asked_again(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  unsigned char bytes[100];
  pier_handle ends[2];
  pier_handle file = open_file(loop, support__temp_path(), PIER_OPEN_READ | PIER_OPEN_WRITE | PIER_OPEN_CREATE);
  support_outcome *written = support__outcome(), *read = support__outcome();
  fault__clear();
  fault__fail(FAULT_WRITE, 0, 3, EINTR);
  fault__fail(FAULT_READ, 0, 3, EINTR);
  support__fill(bytes, sizeof bytes, 7);
  assert_true(pier_write_at(file, bytes, sizeof bytes, 0, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, written, PIER_OK);
  assert_true(pier_read_at(file, bytes, sizeof bytes, 0, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, sizeof bytes);
  assert_true(support__filled(bytes, sizeof bytes, 7));
  assert_int_equal(fault__struck(), 6);
  support__close_handle(loop, file);
  open_fifo(loop, ends);
  fault__clear();
  fault__fail(FAULT_WRITE, 0, 3, EINTR);
  fault__fail(FAULT_READ, 0, 3, EINTR);
  streams__exchange(loop, ends[1], ends[0], 100, 0);
  assert_int_equal(fault__struck(), 6);
  fault__clear();
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* "Would wait" where there was something: the operation waits for the next sign of it, and loses nothing. */
static void a_read_that_is_put_off_is_served_later(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    char got[2] = {0, 0};
    support_outcome *read = support__outcome(), *second = support__outcome();
    streams__pair(loop, (streams_sort)sort, ends);
    fault__clear();
    fault__fail(FAULT_RECEIVE, 0, 1, EAGAIN);
    assert_true(pier_write(ends[1], "a", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    assert_true(pier_read(ends[0], &got[0], 1, PIER_NO_DEADLINE, support__take, read) != 0);
    assert_true(pier_write(ends[1], "b", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    await_status(loop, read, PIER_OK);
    assert_true(pier_read(ends[0], &got[1], 1, PIER_NO_DEADLINE, support__take, second) != 0);
    await_status(loop, second, PIER_OK);
    assert_true(got[0] == 'a' && got[1] == 'b');
    assert_int_equal(fault__struck(), 1);
    fault__clear();
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

static void a_write_that_is_put_off_is_served_later(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    streams__pair(loop, (streams_sort)sort, ends);
    fault__clear();
    fault__fail(FAULT_SEND, 0, 1, EAGAIN);
    streams__exchange(loop, ends[0], ends[1], LENGTH, 3);
    assert_int_equal(fault__struck(), 1);
    fault__clear();
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* Drivers that cannot say "would wait" are asked whether they are ready, and then plainly. */
static void a_fifo_whose_driver_knows_no_nowait_is_asked_first(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  int codes[] = {EOPNOTSUPP, EINVAL};
  open_fifo(loop, ends);
  for (int i = 0; i < 2; i++) {
    support_outcome *read = support__outcome(), *written = support__outcome();
    unsigned char *sent = support__alloc(LENGTH), *got = support__alloc(LENGTH);
    support__fill(sent, LENGTH, 0);
    fault__clear();
    /* Only the first of each: the plain call that follows is the second. */
    fault__fail(FAULT_WRITE, 0, 1, codes[i]);
    assert_true(pier_write(ends[1], sent, LENGTH, PIER_NO_DEADLINE, support__take, written) != 0);
    await_status(loop, written, PIER_OK);
    assert_int_equal(written->got.bytes, LENGTH);
    if (pier_loop_backend(loop)[0] == 'e') /* a ring's read is not ours to make */
      fault__fail(FAULT_READ, 0, 1, codes[i]);
    assert_true(pier_read(ends[0], got, LENGTH, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, LENGTH);
    assert_true(support__filled(got, LENGTH, 0));
    assert_true(fault__struck() >= 1);
  }
  fault__clear();
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* ---- Refused ---- */

/* What the system says comes with the callback, with its own code beside it and the bytes that were through. */
static void errors_come_with_what_was_moved(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  uint64_t position = 0;
  unsigned char *bytes = support__alloc(LENGTH);
  support_outcome *written = support__outcome(), *read = support__outcome();
  pier_handle file = open_file(loop, support__temp_path(), PIER_OPEN_READ | PIER_OPEN_WRITE | PIER_OPEN_CREATE);
  fault__clear();
  fault__cut(FAULT_WRITE, 0, 1, 100);
  assert_true(pier_write(file, bytes, 100, PIER_NO_DEADLINE, NULL, NULL) != 0);
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_SECOND), PIER_OK);
  fault__fail(FAULT_WRITE, 0, 1, ENOSPC);
  assert_true(pier_write(file, bytes, LENGTH, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, written, PIER_ENOSPC);
  assert_int_equal(written->got.system_code, ENOSPC);
  assert_int_equal(written->got.bytes, 0);
  assert_status(pier_file_position(file, &position), PIER_OK);
  assert_int_equal(position, 100);
  fault__fail(FAULT_READ, 0, 1, EIO);
  assert_true(pier_read_at(file, bytes, 10, 0, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, PIER_EIO);
  assert_int_equal(read->got.system_code, EIO);
  fault__clear();
  support__close_handle(loop, file);
  support__close(loop);
}

/* A write that fails in its middle says how far it came. */
static void a_write_that_breaks_off_says_how_far_it_came(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  char *bytes = support__alloc(LENGTH);
  pier_handle ends[2];
  support_outcome *written = support__outcome();
  streams__pair(loop, STREAMS_TCP, ends);
  fault__clear();
  fault__cut(FAULT_SEND, 0, 1, 1000);
  assert_true(pier_write(ends[0], bytes, 1000, PIER_NO_DEADLINE, NULL, NULL) != 0);
  assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, 0), PIER_OK);
  fault__clear();
  fault__fail(FAULT_SEND, 0, 1, EPIPE);
  assert_true(pier_write(ends[0], bytes, LENGTH, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, written, PIER_EPIPE);
  assert_int_equal(written->got.bytes, 0);
  fault__clear();
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* A reset is an error of a connection, and the end of a pipe, whose other side need not have read everything. */
static void a_reset_is_a_pipes_end_and_a_connections_error(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  char byte;
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    support_outcome *read = support__outcome();
    bool error = sort == STREAMS_TCP || sort == STREAMS_KEPT_TCP || !streams__has_end((streams_sort)sort);
    if (is_whole(sort))
      continue; /* asked once more, for what was sent before: see message_linux.c */
    streams__pair(loop, (streams_sort)sort, ends);
    assert_true(pier_write(ends[1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    fault__clear();
    fault__fail(FAULT_RECEIVE, 0, 1, ECONNRESET);
    assert_true(pier_read(ends[0], &byte, 1, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, error ? PIER_ECONNRESET : PIER_OK);
    assert_true(error || (read->got.end && read->got.bytes == 0));
    assert_int_equal(fault__struck(), 1);
    fault__clear();
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* What a message pipe says of its peer's end is looked behind: the messages that were sent before are still there. */
static void a_reset_message_pipe_gives_what_is_there(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  streams__pair(loop, STREAMS_MESSAGE_PIPE, ends);
  fault__clear();
  fault__fail(FAULT_RECEIVE, 0, 2, ECONNRESET);
  streams__exchange(loop, ends[0], ends[1], 100, 0);
  assert_int_equal(fault__struck(), 2);
  fault__clear();
  streams__close_pair(loop, ends);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      FAULT_TEST(short_writes_go_on_until_all_is_written),
      FAULT_TEST(short_reads_lose_nothing),
      FAULT_TEST(a_stream_with_descriptors_in_it_is_read_on),
      FAULT_TEST(a_fifo_of_packets_is_read_on),
      FAULT_TEST(fifos_move_whole_streams_in_short_steps),
      FAULT_TEST(files_keep_their_place_in_short_steps),
      FAULT_TEST(vectors_are_cut_anywhere),
      FAULT_TEST(interrupted_calls_are_made_again),
      FAULT_TEST(interrupted_files_and_fifos_are_asked_again),
      FAULT_TEST(a_read_that_is_put_off_is_served_later),
      FAULT_TEST(a_write_that_is_put_off_is_served_later),
      FAULT_TEST(a_fifo_whose_driver_knows_no_nowait_is_asked_first),
      FAULT_TEST(errors_come_with_what_was_moved),
      FAULT_TEST(a_write_that_breaks_off_says_how_far_it_came),
      FAULT_TEST(a_reset_is_a_pipes_end_and_a_connections_error),
      FAULT_TEST(a_reset_message_pipe_gives_what_is_there),
  };
  return support__main(argc, argv, "fault_transfer", tests, sizeof tests / sizeof tests[0]);
}
