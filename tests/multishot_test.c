/* An operation that keeps reading: every byte once and in order, and one last callback. */
#include "chunks.h"

#include <string.h>

typedef void (*multishot_check)(pier_loop *loop, streams_sort sort, pier_handle ends[2]);

static void on_sorts(multishot_check check, bool with_end) {
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    if (!chunks__fit((streams_sort)sort) || (with_end && !streams__has_end((streams_sort)sort)))
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

/* ---- Streams ---- */

static void check_every_byte(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  chunks *reader = chunks__new(7);
  size_t sent = 0;
  (void)sort;
  pier_operation operation = chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  for (unsigned i = 0; i < 40; i++) {
    size_t length = i % 8 == 7 ? 200000 : 1 + i * 37;
    chunks__write(loop, ends[1], length, 7 + sent);
    sent += length;
    if (i % 3 == 0)
      chunks__await_bytes(loop, reader, sent);
  }
  chunks__await_bytes(loop, reader, sent);
  assert_int_equal(atomic_load(&reader->last_calls), 0);
  support__close_handle(loop, ends[1]);
  await_last(loop, reader, PIER_OK);
  assert_true(reader->last.end);
  assert_true(reader->last.handle == ends[0]);
  assert_true(reader->last.operation == operation);
  assert_int_equal(atomic_load(&reader->bytes), sent);
  assert_status(pier_cancel(operation), PIER_ENOENT);
}

/* Every byte of a long stream comes once and in order, with `more`; then the end, without. */
static void b24_every_byte_comes_once_and_then_the_end(void **state) {
  (void)state;
  on_sorts(check_every_byte, true);
}

static void check_data_before(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  chunks *reader = chunks__new(0);
  (void)sort;
  chunks__write(loop, ends[1], 100, 0);
  chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  if (support__threads() == 0)
    assert_int_equal(atomic_load(&reader->calls), 0);
  chunks__await_bytes(loop, reader, 100);
  chunks__write(loop, ends[1], 100, 100);
  chunks__await_bytes(loop, reader, 200);
  support__close_handle(loop, ends[1]);
  await_last(loop, reader, PIER_OK);
  chunks *again = chunks__new(0);
  chunks__read(again, ends[0], PIER_NO_DEADLINE);
  await_last(loop, again, PIER_OK);
  assert_int_equal(atomic_load(&again->calls), 0);
}

/* What is there already comes with a callback, not inside the call; a stream that has ended says so again. */
static void data_that_is_there_comes_with_a_callback(void **state) {
  (void)state;
  on_sorts(check_data_before, true);
}

enum { AT_ONCE_ROUNDS = 40 };

static void end_with_data(pier_loop *loop, streams_sort sort, uint64_t *seed) {
  pier_handle ends[2];
  chunks *reader = chunks__new(0);
  size_t length = 1 + (size_t)support__random_below(seed, 3000);
  unsigned char *bytes = support__alloc(length);
  bool before = support__random_below(seed, 2);
  streams__pair(loop, sort, ends);
  if (sort == STREAMS_TCP || sort == STREAMS_KEPT_TCP)
    assert_status(pier_tcp_set(ends[1], PIER_TCP_LINGER_SECONDS, -1), PIER_OK);
  support__fill(bytes, length, 0);
  if (before)
    chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  if (before && support__random_below(seed, 2))
    for (unsigned i = 0; i < 3 && support__threads() == 0; i++)
      pier_loop_run(loop, PIER_RUN_NOWAIT, 0);
  support_outcome *written = support__outcome();
  assert_true(pier_write(ends[1], bytes, length, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, written, PIER_OK);
  support__close_handle(loop, ends[1]);
  if (!before)
    chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  await_last(loop, reader, PIER_OK);
  assert_int_equal(atomic_load(&reader->bytes), length);
  support__close_handle(loop, ends[0]);
}

/* A peer that writes and closes at once: a short read must not be taken for all that there is. */
static void b24_an_end_that_comes_with_data_is_not_missed(void **state) {
  (void)state;
  uint64_t seed = support__seed();
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++)
    for (int round = 0; round < AT_ONCE_ROUNDS && chunks__fit((streams_sort)sort) && streams__has_end((streams_sort)sort); round++)
      end_with_data(loop, (streams_sort)sort, &seed);
  support__close(loop);
}

static void check_nothing_written(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  chunks *reader = chunks__new(0);
  (void)sort;
  chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  for (unsigned i = 0; i < 3; i++) {
    chunks__write(loop, ends[1], 0, 0);
    chunks__write(loop, ends[1], 10, i * 10);
    chunks__await_bytes(loop, reader, 10 + i * 10);
  }
  support__close_handle(loop, ends[1]);
  await_last(loop, reader, PIER_OK);
}

/* Windows has a read of a pipe end with nothing then. */
static void a_write_of_nothing_is_not_the_end(void **state) {
  (void)state;
  on_sorts(check_nothing_written, true);
}

static void check_reset(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  chunks *reader = chunks__new(0);
  if (sort != STREAMS_TCP && sort != STREAMS_KEPT_TCP)
    return;
  chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  if (!support__is_wine()) { /* a reset between two reads it may tell as an end: its server has asked the socket for the error */
    chunks__write(loop, ends[1], 10, 0);
    chunks__await_bytes(loop, reader, 10);
  }
  assert_status(pier_tcp_set(ends[1], PIER_TCP_LINGER_SECONDS, 0), PIER_OK);
  support__close_handle(loop, ends[1]);
  await_last(loop, reader, PIER_ECONNRESET);
  assert_true(reader->last.system_code != 0);
}

static void a_peers_reset_is_the_last_word(void **state) {
  (void)state;
  on_sorts(check_reset, true);
}

/* ---- Others who read ---- */

static void check_who_waits(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  chunks *first = chunks__new(0), *second = chunks__new(24);
  support_outcome *read = support__outcome();
  char *buffer = support__alloc(8);
  if (!chunks__come_first(sort))
    return;
  pier_operation operation = chunks__read(first, ends[0], PIER_NO_DEADLINE);
  assert_true(pier_read(ends[0], buffer, 8, PIER_NO_DEADLINE, support__take, read) != 0);
  pier_operation behind = chunks__read(second, ends[0], PIER_NO_DEADLINE);
  for (unsigned i = 0; i < 2; i++) {
    chunks__write(loop, ends[1], 8, i * 8);
    chunks__await_bytes(loop, first, 8 + i * 8);
  }
  assert_false(support__called(read));
  assert_status(pier_cancel(operation), PIER_OK);
  await_last(loop, first, PIER_ECANCELED);
  chunks__write(loop, ends[1], 8, 16);
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, 8);
  assert_true(support__filled(buffer, 8, 16));
  for (unsigned i = 0; i < 4; i++) {
    chunks__write(loop, ends[1], 8, 24 + i * 8);
    chunks__await_bytes(loop, second, 8 + i * 8);
  }
  assert_status(pier_cancel(behind), PIER_OK);
  await_last(loop, second, PIER_ECANCELED);
  assert_int_equal(atomic_load(&first->bytes), 16);
}

/* Other reads get their turn when it has ended. */
static void b39_reads_behind_it_get_their_turn_after_it(void **state) {
  (void)state;
  on_sorts(check_who_waits, false);
}

static void check_turns(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  chunks *reader = chunks__new(0);
  support_outcome *read = support__outcome();
  char *buffer = support__alloc(8);
  if (chunks__come_first(sort))
    return;
  reader->datagrams = true;
  pier_operation operation = chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  assert_true(pier_read(ends[0], buffer, 8, PIER_NO_DEADLINE, support__take, read) != 0);
  for (unsigned i = 0; !support__called(read); i++) {
    if (i == 20)
      fail_msg("%s: the read beside it never had its turn", streams__name(sort));
    chunks__write(loop, ends[1], 8, i * 8);
    while (atomic_load(&reader->bytes) + (support__called(read) ? read->got.bytes : 0) < 8 + i * 8)
      support__threads() ? support__yield() : (void)pier_loop_run(loop, PIER_RUN_ONCE, PIER_MILLISECOND);
  }
  assert_status(read->got.status, PIER_OK);
  assert_int_equal(read->got.bytes, 8);
  assert_status(pier_cancel(operation), PIER_OK);
  await_last(loop, reader, PIER_ECANCELED);
}

/* Where the system has the reads in line each gets its share: nothing is lost, and nobody waits in vain. */
static void reads_beside_it_take_turns_with_it(void **state) {
  (void)state;
  on_sorts(check_turns, false);
}

/* ---- Datagrams ---- */

enum { DATAGRAMS = 60 };
static const size_t sizes[] = {0, 1, 100, 1400, 9000, 20000, 60000};

static size_t size_of(size_t i) { return sizes[i % (sizeof sizes / sizeof sizes[0])]; }

static void check_datagram(chunks *self, const pier_result *result) {
  size_t i = atomic_load(&self->calls) - 1;
  const pier_address *sender = self->context;
  if (result->bytes != size_of(i) || !support__filled(result->data, result->bytes, i))
    atomic_fetch_add(&self->wrong, 1);
  if (result->from.family != sender->family || result->from.port != sender->port || memcmp(result->from.bytes, sender->bytes, sizeof sender->bytes) != 0)
    atomic_fetch_add(&self->wrong, 1);
}

static void check_datagrams(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  chunks *reader = chunks__new(0);
  pier_address sender;
  if (sort != STREAMS_UDP && sort != STREAMS_KEPT_UDP)
    return;
  assert_status(pier_udp_local_address(ends[1], &sender), PIER_OK);
  reader->datagrams = true;
  reader->context = &sender;
  reader->then = check_datagram;
  pier_operation operation = chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  for (unsigned i = 0; i < DATAGRAMS; i++) {
    chunks__write(loop, ends[1], size_of(i), i);
    /* A few wait together, now and then; never so many that one is lost. */
    if (i % 3 == 0)
      support__until_count(loop, &reader->calls, i + 1, "a datagram");
  }
  support__until_count(loop, &reader->calls, DATAGRAMS, "the datagrams");
  assert_int_equal(atomic_load(&reader->calls), DATAGRAMS);
  assert_status(pier_cancel(operation), PIER_OK);
  await_last(loop, reader, PIER_ECANCELED);
}

/* Each datagram is a chunk, whole, empty ones too, and says where it came from. */
static void each_datagram_comes_whole_and_with_its_sender(void **state) {
  (void)state;
  on_sorts(check_datagrams, false);
}

/* ---- What it is refused for ---- */

static void expect_refusal(pier_loop *loop, pier_handle handle, int status) {
  chunks *reader = chunks__new(0);
  chunks__read(reader, handle, PIER_NO_DEADLINE);
  if (support__threads() == 0)
    assert_int_equal(atomic_load(&reader->last_calls), 0);
  await_last(loop, reader, status);
  assert_int_equal(atomic_load(&reader->calls), 0);
}

static void what_it_cannot_read_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle file = 0, ends[2], listener = streams__tcp_listen(loop, &address), pipe_listener = 0;
  assert_status(pier_file_open_sync(loop, support__temp_file(10), PIER_OPEN_READ, &file), PIER_OK);
  assert_status(pier_pipe_listen(loop, support__pipe_name(), NULL, &pipe_listener), PIER_OK);
  streams__pair(loop, STREAMS_MESSAGE_PIPE, ends);
  expect_refusal(loop, file, PIER_ENOTSUP);
  expect_refusal(loop, ends[0], PIER_ENOTSUP);
  expect_refusal(loop, listener, PIER_EBADF);
  expect_refusal(loop, pipe_listener, PIER_EBADF);
  streams__close_pair(loop, ends);
  expect_refusal(loop, ends[0], PIER_ECLOSED);
  assert_int_equal(pier_read_multishot(0, PIER_NO_DEADLINE, chunks__take, NULL), 0);
  assert_int_equal(pier_read_multishot(~file, PIER_NO_DEADLINE, chunks__take, NULL), 0);
  support__close_handle(loop, file);
  support__close_handle(loop, listener);
  support__close_handle(loop, pipe_listener);
  support__close(loop);
}

/* Nobody could be given the bytes: it takes none. */
static void without_a_callback_it_takes_nothing(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  streams__pair(loop, STREAMS_TCP, ends);
  assert_true(pier_read_multishot(ends[0], PIER_NO_DEADLINE, NULL, NULL) != 0);
  streams__exchange(loop, ends[1], ends[0], 1000, 3);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* ---- What it counts as ---- */

static void check_count(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  chunks *reader = chunks__new(0);
  uint64_t alive = pier_loop_alive(loop);
  (void)sort;
  pier_operation operation = chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  for (unsigned i = 0; i < 3; i++) {
    chunks__write(loop, ends[1], 10, i * 10);
    chunks__await_bytes(loop, reader, 10 + i * 10);
    assert_int_equal(pier_handle_in_flight(ends[0]), 1);
    assert_true(pier_loop_alive(loop) > alive);
    assert_status(pier_handle_detach(ends[0]), PIER_EBUSY);
  }
  assert_status(pier_cancel(operation), PIER_OK);
  await_last(loop, reader, PIER_ECANCELED);
  assert_int_equal(pier_handle_in_flight(ends[0]), 0);
  assert_int_equal(pier_loop_alive(loop), alive);
}

/* It is one operation in flight from its submit to its last callback, in which it is none any more. */
static void it_counts_as_one_operation(void **state) {
  (void)state;
  on_sorts(check_count, false);
}

/* ---- Many at once ---- */

enum { HANDLES = 24, STREAM_BYTES = 60000, WRITES = 12 };

static void b40_many_are_read_side_by_side(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[HANDLES][2];
  chunks *readers[HANDLES];
  unsigned char *bytes = support__alloc(STREAM_BYTES);
  support_outcome *written[HANDLES * WRITES];
  support__fill(bytes, STREAM_BYTES, 5);
  for (unsigned i = 0; i < HANDLES; i++) {
    streams__pair(loop, i % 2 ? STREAMS_TCP : STREAMS_PIPE, ends[i]);
    readers[i] = chunks__new(5);
    chunks__read(readers[i], ends[i][0], PIER_NO_DEADLINE);
  }
  for (unsigned w = 0; w < WRITES; w++) {
    for (unsigned i = 0; i < HANDLES; i++) {
      size_t length = STREAM_BYTES / WRITES;
      written[w * HANDLES + i] = support__outcome();
      assert_true(pier_write(ends[i][1], bytes + w * length, length, PIER_NO_DEADLINE, support__take, written[w * HANDLES + i]) != 0);
    }
  }
  for (unsigned i = 0; i < HANDLES; i++)
    chunks__await_bytes(loop, readers[i], STREAM_BYTES);
  for (unsigned i = 0; i < HANDLES * WRITES; i++)
    await_status(loop, written[i], PIER_OK);
  for (unsigned i = 0; i < HANDLES; i++) {
    support__close_handle(loop, ends[i][1]);
    await_last(loop, readers[i], PIER_OK);
    support__close_handle(loop, ends[i][0]);
  }
  support__close(loop);
}

/* ---- Answering from inside ---- */

static void answer(chunks *self, const pier_result *result) {
  size_t written = 0;
  if (pier_try_write(result->handle, result->data, result->bytes, &written) != PIER_OK || written != result->bytes)
    atomic_fetch_add(&self->wrong, 1);
}

static void it_answers_from_inside_the_callback(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  chunks *server = chunks__new(0), *client = chunks__new(0);
  streams__pair(loop, STREAMS_TCP, ends);
  server->then = answer;
  chunks__read(server, ends[0], PIER_NO_DEADLINE);
  chunks__read(client, ends[1], PIER_NO_DEADLINE);
  for (unsigned i = 0; i < 200; i++) {
    chunks__write(loop, ends[1], 50, i * 50);
    chunks__await_bytes(loop, client, 50 + i * 50);
  }
  support__close_handle(loop, ends[0]);
  await_last(loop, server, PIER_ECLOSED);
  await_last(loop, client, PIER_OK);
  support__close_handle(loop, ends[1]);
  support__close(loop);
}

typedef struct visits {
  pier_handle other;
  int own, others, closing, closed;
  size_t written;
} visits;

static void visit_and_close(chunks *self, const pier_result *result) {
  visits *said = self->context;
  said->own = pier_try_write(result->handle, "own", 3, &said->written);
  said->others = pier_try_write(said->other, "others", 6, &said->written);
  said->closing = pier_close(result->handle, NULL, NULL);
  said->written = 99;
  said->closed = pier_try_write(result->handle, "closed", 6, &said->written);
}

/* There the handle is not counted in once more: what is said must be what is said elsewhere. */
static void calls_from_inside_the_callback_know_their_handle(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2], others[2];
  visits said = {0};
  chunks *reader = chunks__new(0);
  support_outcome *own = support__outcome(), *elsewhere = support__outcome();
  char bytes[2][8];
  streams__pair(loop, STREAMS_TCP, ends);
  streams__pair(loop, STREAMS_TCP, others);
  said.other = others[0];
  reader->then = visit_and_close;
  reader->context = &said;
  chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  chunks__write(loop, ends[1], 1, 0);
  await_last(loop, reader, PIER_ECLOSED);
  assert_status(said.own, PIER_OK);
  assert_status(said.others, PIER_OK);
  assert_status(said.closing, PIER_OK);
  assert_status(said.closed, PIER_ECLOSED);
  assert_int_equal(said.written, 0);
  pier_read(ends[1], bytes[0], sizeof bytes[0], PIER_NO_DEADLINE, support__take, own);
  pier_read(others[1], bytes[1], sizeof bytes[1], PIER_NO_DEADLINE, support__take, elsewhere);
  await_status(loop, own, PIER_OK);
  await_status(loop, elsewhere, PIER_OK);
  assert_int_equal(own->got.bytes, 3);
  assert_memory_equal(bytes[0], "own", 3);
  assert_int_equal(elsewhere->got.bytes, 6);
  assert_memory_equal(bytes[1], "others", 6);
  assert_status(pier_try_write(ends[0], "late", 4, &said.written), PIER_ECLOSED);
  support__close_handle(loop, ends[1]);
  streams__close_pair(loop, others);
  support__close(loop);
}

#define MULTISHOT_TEST(function) SUPPORT_TEST(function), SUPPORT_TEST_POOL(function)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      MULTISHOT_TEST(b24_every_byte_comes_once_and_then_the_end),
      MULTISHOT_TEST(data_that_is_there_comes_with_a_callback),
      MULTISHOT_TEST(b24_an_end_that_comes_with_data_is_not_missed),
      MULTISHOT_TEST(a_write_of_nothing_is_not_the_end),
      MULTISHOT_TEST(a_peers_reset_is_the_last_word),
      MULTISHOT_TEST(b39_reads_behind_it_get_their_turn_after_it),
      MULTISHOT_TEST(reads_beside_it_take_turns_with_it),
      MULTISHOT_TEST(each_datagram_comes_whole_and_with_its_sender),
      MULTISHOT_TEST(what_it_cannot_read_is_refused),
      MULTISHOT_TEST(without_a_callback_it_takes_nothing),
      MULTISHOT_TEST(it_counts_as_one_operation),
      MULTISHOT_TEST(b40_many_are_read_side_by_side),
      SUPPORT_CASE(b40_many_are_read_side_by_side, "_on_one_thread", 1),
      SUPPORT_CASE(b40_many_are_read_side_by_side, "_on_two_threads", 2),
      MULTISHOT_TEST(it_answers_from_inside_the_callback),
      MULTISHOT_TEST(calls_from_inside_the_callback_know_their_handle),
  };
  return support__main(argc, argv, "multishot", tests, sizeof tests / sizeof tests[0]);
}
