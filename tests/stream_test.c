/* What flows over pipes and connections: both ways, in order, to the end, against deadlines, and when the peer goes
 * away. */
#include "streams.h"

/* Runs a check on a fresh pair of every sort of stream. */
typedef void (*stream_check)(pier_loop *loop, streams_sort sort, pier_handle ends[2]);

static void on_sorts(stream_check check, bool with_end) {
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    if (with_end && !streams__has_end((streams_sort)sort))
      continue;
    pier_loop *loop = support__open();
    pier_handle ends[2];
    streams__pair(loop, (streams_sort)sort, ends);
    check(loop, (streams_sort)sort, ends);
    for (int i = 0; i < 2; i++) {
      if (pier_handle_state(ends[i]) != PIER_STATE_NONE)
        support__close_handle(loop, ends[i]);
    }
    support__close(loop);
  }
}

static void on_every_sort(stream_check check) {
  on_sorts(check, false);
}

/* Where a peer can go away, and nothing is too large. */
static void on_every_stream(stream_check check) {
  on_sorts(check, true);
}

static support_outcome *read_from(pier_handle handle, void *buffer, size_t length, uint64_t deadline_ns) {
  support_outcome *read = support__outcome();
  assert_true(pier_read(handle, buffer, length, deadline_ns, support__take, read) != 0);
  return read;
}

static support_outcome *write_to(pier_handle handle, const void *buffer, size_t length, uint64_t deadline_ns) {
  support_outcome *written = support__outcome();
  assert_true(pier_write(handle, buffer, length, deadline_ns, support__take, written) != 0);
  return written;
}

static void check_both_ways(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  (void)sort;
  for (unsigned i = 0; i < 20; i++) {
    streams__exchange(loop, ends[0], ends[1], 1 + i * 97, i);
    streams__exchange(loop, ends[1], ends[0], 1 + i * 131, i);
  }
}

/* Bytes go both ways on every sort of stream. */
static void bytes_go_both_ways(void **state) {
  (void)state;
  on_every_sort(check_both_ways);
}

static void check_data_before_read(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  (void)sort;
  char *buffer = support__alloc(100);
  support_outcome *written = write_to(ends[1], "here", 4, PIER_NO_DEADLINE);
  await_status(loop, written, PIER_OK);
  support_outcome *read = read_from(ends[0], buffer, 100, PIER_NO_DEADLINE);
  /* It can be had at once, and still the callback is not run by the call. */
  if (support__threads() == 0)
    assert_false(support__called(read));
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, 4);
  assert_memory_equal(buffer, "here", 4);
  assert_true(read->got.handle == ends[0]);
  assert_false(read->got.end);
}

/* What is there already is read like anything else, with the callback on a later turn. */
static void data_that_is_there_comes_with_a_callback(void **state) {
  (void)state;
  on_every_sort(check_data_before_read);
}

static void check_zero_length(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  (void)sort;
  char *buffer = support__alloc(100);
  support_outcome *written = write_to(ends[1], "here", 4, PIER_NO_DEADLINE);
  await_status(loop, written, PIER_OK);
  for (int i = 0; i < 3; i++) {
    support_outcome *nothing = read_from(ends[0], i == 0 ? NULL : buffer, 0, PIER_NO_DEADLINE);
    support__await(loop, nothing);
    /* A message does not fit into nothing. */
    assert_true(nothing->got.status == PIER_OK ||
                (sort == STREAMS_MESSAGE_PIPE && nothing->got.status == PIER_EMSGSIZE));
    assert_int_equal(nothing->got.bytes, 0);
    assert_false(nothing->got.end);
  }
  support_outcome *read = read_from(ends[0], buffer, 100, PIER_NO_DEADLINE);
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, 4);
  assert_memory_equal(buffer, "here", 4);
}

/* A read of no length consumes nothing and is not the end. */
static void b26_a_zero_length_read_consumes_nothing(void **state) {
  (void)state;
  on_every_sort(check_zero_length);
}

static void check_end(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  (void)sort;
  char *buffer = support__alloc(100);
  support_outcome *waiting = read_from(ends[0], buffer, 100, PIER_NO_DEADLINE);
  support_outcome *written = write_to(ends[1], "last", 4, PIER_NO_DEADLINE);
  await_status(loop, waiting, PIER_OK);
  await_status(loop, written, PIER_OK);
  waiting = read_from(ends[0], buffer, 100, PIER_NO_DEADLINE);
  support__close_handle(loop, ends[1]);
  await_status(loop, waiting, PIER_OK);
  assert_int_equal(waiting->got.bytes, 0);
  assert_true(waiting->got.end);
  for (int i = 0; i < 3; i++) {
    support_outcome *again = read_from(ends[0], buffer, 100, PIER_NO_DEADLINE);
    await_status(loop, again, PIER_OK);
    assert_int_equal(again->got.bytes, 0);
    assert_true(again->got.end);
  }
}

/* A peer that closes is the end: success with 0 bytes, for the read that waits and for any later one. */
static void b24_the_peers_close_is_success_with_0_bytes(void **state) {
  (void)state;
  on_every_stream(check_end);
}

static void check_data_before_end(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  if (sort == STREAMS_KEPT_TCP || sort == STREAMS_TCP)
    assert_status(pier_tcp_set(ends[1], PIER_TCP_LINGER_SECONDS, -1), PIER_OK);
  char *buffer = support__alloc(100);
  support_outcome *written = write_to(ends[1], "kept", 4, PIER_NO_DEADLINE);
  await_status(loop, written, PIER_OK);
  support__close_handle(loop, ends[1]);
  support_outcome *read = read_from(ends[0], buffer, 100, PIER_NO_DEADLINE);
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, 4);
  assert_memory_equal(buffer, "kept", 4);
  read = read_from(ends[0], buffer, 100, PIER_NO_DEADLINE);
  await_status(loop, read, PIER_OK);
  assert_true(read->got.end);
}

/* What was written before the close is read first, then the end. */
static void b24_data_before_the_close_is_not_lost(void **state) {
  (void)state;
  on_every_stream(check_data_before_end);
}

static void check_write_after_close(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  (void)sort;
  support__close_handle(loop, ends[1]);
  int status = PIER_OK;
  /* A connection takes some bytes before it hears that nobody is there. */
  for (int i = 0; i < 200 && status == PIER_OK; i++) {
    support_outcome *written = write_to(ends[0], "x", 1, PIER_NO_DEADLINE);
    support__await(loop, written);
    status = written->got.status;
    if (status != PIER_OK)
      assert_true(written->got.system_code != 0);
  }
  assert_true(status == PIER_EPIPE || status == PIER_ECONNRESET || status == PIER_ECONNABORTED);
}

/* Writing to a peer that has gone says so. */
static void writing_to_nobody_fails(void **state) {
  (void)state;
  on_every_stream(check_write_after_close);
}

static void check_deadline(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  (void)sort;
  char *buffer = support__alloc(100);
  uint64_t late_most_ns = UINT64_MAX;
  for (uint64_t i = 0; i < 7; i++) {
    uint64_t deadline_ns = pier_deadline_in(i * 1500 * PIER_MICROSECOND);
    support_outcome *read = read_from(ends[0], buffer, 100, deadline_ns);
    await_status(loop, read, PIER_ETIMEDOUT);
    assert_true(read->at_ns >= deadline_ns);
    assert_int_equal(read->got.bytes, 0);
    uint64_t late_ns = read->at_ns - deadline_ns;
    late_most_ns = late_ns < late_most_ns ? late_ns : late_most_ns;
  }
  /* The best of seven, since other processes may take the processor at any single time. */
  if (late_most_ns >= 2 * PIER_MILLISECOND)
    fail_msg("%s: at best %u us late", streams__name(sort), (unsigned)(late_most_ns / 1000));
  streams__exchange(loop, ends[1], ends[0], 10, 0);
}

/* A read with a deadline ends with it: not before, within 2 ms, and the stream goes on to work. */
static void b33_a_deadline_ends_a_read(void **state) {
  (void)state;
  on_every_sort(check_deadline);
}

static void check_deadline_not_needed(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  (void)sort;
  char *buffer = support__alloc(100);
  for (int i = 0; i < 20; i++) {
    support_outcome *read = read_from(ends[0], buffer, 100, pier_deadline_in(30 * PIER_SECOND));
    support_outcome *written = write_to(ends[1], "in time", 7, pier_deadline_in(30 * PIER_SECOND));
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, 7);
    await_status(loop, written, PIER_OK);
  }
  /* No timer of a finished operation keeps the loop alive. */
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, 5 * PIER_SECOND), PIER_OK);
}

/* I/O that comes before its deadline is reported as if there were none. */
static void b33_io_that_wins_is_reported(void **state) {
  (void)state;
  on_every_sort(check_deadline_not_needed);
}

/* Lets the loop turn for a while, on this thread or on its own. */
static void pass_time(pier_loop *loop, uint64_t time_ns) {
  uint64_t end_ns = pier_now_ns() + time_ns;
  while (pier_now_ns() < end_ns) {
    if (support__threads() == 0)
      pier_loop_run(loop, PIER_RUN_NOWAIT, 0);
    else
      support__yield();
  }
}

static void check_deadline_race(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  enum { ROUNDS = 60 };
  uint64_t seed = support__seed();
  unsigned char *sent = support__alloc(ROUNDS), *received = support__alloc(ROUNDS);
  unsigned have = 0, timed_out = 0;
  support__fill(sent, ROUNDS, 3);
  for (unsigned i = 0; i < ROUNDS; i++) {
    support_outcome *read = read_from(ends[0], received + have, ROUNDS - have,
                                      pier_deadline_in(support__random_below(&seed, 300 * PIER_MICROSECOND)));
    pass_time(loop, support__random_below(&seed, 300 * PIER_MICROSECOND));
    support_outcome *written = write_to(ends[1], sent + i, 1, PIER_NO_DEADLINE);
    support__await(loop, read);
    await_status(loop, written, PIER_OK);
    assert_true(read->got.status == PIER_OK || read->got.status == PIER_ETIMEDOUT);
    assert_false(read->got.end);
    if (read->got.status == PIER_ETIMEDOUT) {
      timed_out++;
      assert_int_equal(read->got.bytes, 0);
      read = read_from(ends[0], received + have, ROUNDS - have, PIER_NO_DEADLINE);
      await_status(loop, read, PIER_OK);
    }
    assert_int_equal(read->got.bytes, 1);
    have++;
  }
  print_message("%s: %u of %d timed out\n", streams__name(sort), timed_out, ROUNDS);
  assert_true(support__filled(received, ROUNDS, 3));
}

/* Data and deadline race: whichever wins, no byte is lost or doubled. */
static void b33_no_byte_is_lost_in_the_race(void **state) {
  (void)state;
  on_every_sort(check_deadline_race);
}

static void check_much(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  enum { LENGTH = 2 << 20, WRITES = 16 };
  (void)sort;
  unsigned char *sent = support__alloc(LENGTH), *received = support__alloc(LENGTH);
  support_outcome *written[WRITES];
  uint64_t seed = 1;
  for (size_t at = 0; at < LENGTH; at += 8) {
    uint64_t value = support__random(&seed);
    for (unsigned b = 0; b < 8; b++)
      sent[at + b] = (unsigned char)(value >> 8 * b);
  }
  for (unsigned i = 0; i < WRITES; i++)
    written[i] = write_to(ends[1], sent + i * (LENGTH / WRITES), LENGTH / WRITES, PIER_NO_DEADLINE);
  for (size_t have = 0; have < LENGTH;) {
    support_outcome *read = read_from(ends[0], received + have, LENGTH - have, PIER_NO_DEADLINE);
    await_status(loop, read, PIER_OK);
    assert_true(read->got.bytes > 0);
    have += read->got.bytes;
  }
  for (unsigned i = 0; i < WRITES; i++) {
    await_status(loop, written[i], PIER_OK);
    assert_int_equal(written[i]->got.bytes, LENGTH / WRITES);
  }
  assert_memory_equal(received, sent, LENGTH);
}

/* Many large writes in flight arrive whole and in the order of their submits. */
static void large_writes_arrive_whole_and_in_order(void **state) {
  (void)state;
  on_every_stream(check_much);
}

/* A shutdown ends one direction: the peer reads what was written and then the end, and can still answer. */
static void a_shutdown_ends_one_direction(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  char *buffer = support__alloc(100);
  streams__pair(loop, STREAMS_TCP, ends);
  support_outcome *written = write_to(ends[1], "question", 8, PIER_NO_DEADLINE), *shut = support__outcome();
  assert_true(pier_tcp_shutdown(ends[1], PIER_NO_DEADLINE, support__take, shut) != 0);
  await_status(loop, written, PIER_OK);
  await_status(loop, shut, PIER_OK);
  support_outcome *read = read_from(ends[0], buffer, 100, PIER_NO_DEADLINE);
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, 8);
  read = read_from(ends[0], buffer, 100, PIER_NO_DEADLINE);
  await_status(loop, read, PIER_OK);
  assert_true(read->got.end);
  streams__exchange(loop, ends[0], ends[1], 5000, 2);
  support_outcome *refused = write_to(ends[1], "more", 4, PIER_NO_DEADLINE);
  await_status(loop, refused, PIER_EPIPE);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* A shutdown comes after the writes before it, however large: nothing of them is cut off. */
static void a_shutdown_waits_for_the_writes_before_it(void **state) {
  (void)state;
  enum { LENGTH = 4 << 20 };
  pier_loop *loop = support__open();
  pier_handle ends[2];
  char *sent = support__alloc(LENGTH), *received = support__alloc(LENGTH);
  streams__pair(loop, STREAMS_TCP, ends);
  support_outcome *written = write_to(ends[1], sent, LENGTH, PIER_NO_DEADLINE), *shut = support__outcome();
  assert_true(pier_tcp_shutdown(ends[1], PIER_NO_DEADLINE, support__take, shut) != 0);
  size_t have = 0;
  support_outcome *read;
  do {
    read = read_from(ends[0], received, LENGTH, PIER_NO_DEADLINE);
    await_status(loop, read, PIER_OK);
    have += read->got.bytes;
  } while (!read->got.end);
  assert_int_equal(have, LENGTH);
  await_status(loop, written, PIER_OK);
  await_status(loop, shut, PIER_OK);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* A peer that resets is told apart from one that ends, for the read that waits; a write fails too. */
static void a_reset_is_told(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  char *buffer = support__alloc(100);
  streams__pair(loop, STREAMS_TCP, ends);
  support_outcome *read = read_from(ends[0], buffer, 100, PIER_NO_DEADLINE);
  assert_status(pier_tcp_set(ends[1], PIER_TCP_LINGER_SECONDS, 0), PIER_OK);
  support__close_handle(loop, ends[1]);
  await_status(loop, read, PIER_ECONNRESET);
  assert_false(read->got.end);
  support_outcome *written = write_to(ends[0], "x", 1, PIER_NO_DEADLINE);
  support__await(loop, written);
  assert_true(written->got.status == PIER_ECONNRESET || written->got.status == PIER_EPIPE ||
              written->got.status == PIER_ECONNABORTED);
  support__close_handle(loop, ends[0]);
  support__close(loop);
}

/* A write that finds no room has a deadline too; what went out is counted. */
static void b33_a_deadline_ends_a_stuck_write(void **state) {
  (void)state;
  enum { LENGTH = 32 << 20 };
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_TCP};
  const size_t lengths[] = {1 << 20, LENGTH};
  char *sent = support__alloc(LENGTH);
  for (int i = 0; i < 2; i++) {
    pier_loop *loop = support__open();
    pier_handle ends[2];
    streams__pair(loop, sorts[i], ends);
    uint64_t deadline_ns = pier_deadline_in(30 * PIER_MILLISECOND);
    support_outcome *written = write_to(ends[0], sent, lengths[i], deadline_ns);
    await_status(loop, written, PIER_ETIMEDOUT);
    assert_true(written->at_ns >= deadline_ns);
    assert_true(written->got.bytes < lengths[i]);
    streams__close_pair(loop, ends);
    support__close(loop);
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(bytes_go_both_ways),
      SUPPORT_TEST_POOL(bytes_go_both_ways),
      SUPPORT_TEST(data_that_is_there_comes_with_a_callback),
      SUPPORT_TEST_POOL(data_that_is_there_comes_with_a_callback),
      SUPPORT_TEST(b26_a_zero_length_read_consumes_nothing),
      SUPPORT_TEST(b24_the_peers_close_is_success_with_0_bytes),
      SUPPORT_TEST_POOL(b24_the_peers_close_is_success_with_0_bytes),
      SUPPORT_TEST(b24_data_before_the_close_is_not_lost),
      SUPPORT_TEST(writing_to_nobody_fails),
      SUPPORT_TEST(b33_a_deadline_ends_a_read),
      SUPPORT_TEST_POOL(b33_a_deadline_ends_a_read),
      SUPPORT_TEST(b33_io_that_wins_is_reported),
      SUPPORT_TEST(b33_no_byte_is_lost_in_the_race),
      SUPPORT_TEST_POOL(b33_no_byte_is_lost_in_the_race),
      SUPPORT_TEST(large_writes_arrive_whole_and_in_order),
      SUPPORT_TEST_POOL(large_writes_arrive_whole_and_in_order),
      SUPPORT_TEST(a_shutdown_ends_one_direction),
      SUPPORT_TEST_POOL(a_shutdown_ends_one_direction),
      SUPPORT_TEST(a_shutdown_waits_for_the_writes_before_it),
      SUPPORT_TEST_POOL(a_shutdown_waits_for_the_writes_before_it),
      SUPPORT_TEST(a_reset_is_told),
      SUPPORT_TEST_POOL(a_reset_is_told),
      SUPPORT_TEST(b33_a_deadline_ends_a_stuck_write),
  };
  return support__main(argc, argv, "stream", tests, sizeof tests / sizeof tests[0]);
}
