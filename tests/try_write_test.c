/* Writing here and now: what goes goes in order, what cannot go says so, and no write that was submitted is overtaken. */
#include "chunks.h"

#include <string.h>

/* Whether pier_try_write() ever writes to it. */
static bool fits(streams_sort sort) {
  if (support__windows)
    return sort == STREAMS_TCP || sort == STREAMS_UDP;
  return sort != STREAMS_MESSAGE_PIPE;
}

typedef void (*try_check)(pier_loop *loop, streams_sort sort, pier_handle ends[2]);

static void on_sorts(try_check check) {
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_loop *loop = support__open();
    pier_handle ends[2];
    streams__pair(loop, (streams_sort)sort, ends);
    check(loop, (streams_sort)sort, ends);
    streams__close_pair(loop, ends);
    support__close(loop);
  }
}

static void check_order(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  chunks *reader = chunks__new(0);
  unsigned char bytes[400];
  size_t sent = 0;
  if (!fits(sort))
    return;
  pier_operation operation = chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  for (unsigned i = 0; i < 100; i++) {
    size_t length = 1 + i * 3, written = 99;
    support__fill(bytes, length, sent);
    if (i % 4 == 3) {
      chunks__write(loop, ends[1], length, sent);
    } else {
      assert_status(pier_try_write(ends[1], bytes, length, &written), PIER_OK);
      assert_int_equal(written, length);
      memset(bytes, 0, length); /* they are ours again */
    }
    sent += length;
    if (i % 4 == 0 || i % 4 == 3)
      chunks__await_bytes(loop, reader, sent);
  }
  chunks__await_bytes(loop, reader, sent);
  assert_status(pier_cancel(operation), PIER_OK);
  await_last(loop, reader, PIER_ECANCELED);
}

/* On a stream nobody holds up, mixed with writes that are submitted: in the order of the calls. */
static void bytes_arrive_in_the_order_of_the_calls(void **state) {
  (void)state;
  on_sorts(check_order);
}

static void check_refusal(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  size_t written = 99;
  if (fits(sort))
    return;
  assert_status(pier_try_write(ends[1], "abc", 3, &written), PIER_EAGAIN);
  assert_int_equal(written, 0);
  streams__exchange(loop, ends[1], ends[0], 200, 1); /* nothing of it has gone */
}

static void what_is_never_written_so_says_again(void **state) {
  (void)state;
  on_sorts(check_refusal);
  pier_loop *loop = support__open();
  pier_handle file = 0;
  size_t written = 99;
  assert_status(pier_file_open_sync(loop, support__temp_file(10), PIER_OPEN_READ | PIER_OPEN_WRITE, &file), PIER_OK);
  assert_status(pier_try_write(file, "abc", 3, &written), PIER_EAGAIN);
  assert_int_equal(written, 0);
  support__close_handle(loop, file);
  support__close(loop);
}

/* ---- A stream that is full ---- */

enum { PIECE = 300000, PIECES_MAX = 200, REST = 500000 };

/* Nobody reads. Gives how many bytes have gone when nothing goes any more. */
static size_t fill_up(pier_handle to, unsigned char *bytes, bool *partly) {
  size_t sent = 0;
  for (unsigned i = 0; i < PIECES_MAX; i++) {
    size_t written = 99;
    support__fill(bytes, PIECE, sent);
    int status = pier_try_write(to, bytes, PIECE, &written);
    if (status == PIER_EAGAIN) {
      assert_int_equal(written, 0);
      return sent;
    }
    assert_status(status, PIER_OK);
    assert_true(written > 0 && written <= PIECE);
    *partly = *partly || written < PIECE;
    sent += written;
  }
  fail_msg("a stream that nobody reads takes more than %u bytes", PIECE * PIECES_MAX);
  return 0;
}

static void check_full(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  unsigned char *bytes = support__alloc(PIECE), *rest = support__alloc(REST);
  support_outcome *written = support__outcome();
  chunks *reader = chunks__new(0);
  bool partly = false;
  if (!fits(sort) || !streams__has_end(sort))
    return;
  size_t sent = fill_up(ends[1], bytes, &partly);
  if (!support__windows) /* there the system may take what it takes whole */
    assert_true(partly);
  support__fill(rest, REST, sent);
  assert_true(pier_write(ends[1], rest, REST, PIER_NO_DEADLINE, support__take, written) != 0);
  size_t more = 99;
  assert_status(pier_try_write(ends[1], "x", 1, &more), PIER_EAGAIN);
  assert_int_equal(more, 0);
  pier_operation operation = chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  chunks__await_bytes(loop, reader, sent + REST);
  await_status(loop, written, PIER_OK);
  assert_status(pier_try_write(ends[1], bytes, 0, &more), PIER_OK);
  support__fill(bytes, 5, sent + REST);
  assert_status(pier_try_write(ends[1], bytes, 5, &more), PIER_OK);
  assert_int_equal(more, 5);
  chunks__await_bytes(loop, reader, sent + REST + 5);
  assert_status(pier_cancel(operation), PIER_OK);
  await_last(loop, reader, PIER_ECANCELED);
}

/* It takes a part, then nothing; the rest goes with an operation, and every byte arrives. */
static void a_full_stream_takes_a_part_and_then_nothing(void **state) {
  (void)state;
  on_sorts(check_full);
}

enum { LONG = 8 << 20 };

typedef struct overtaker {
  pier_handle to;
  atomic_bool stop;
  atomic_uint overtaken;
  uint64_t from;
  size_t sent;
} overtaker;

static void try_and_try(void *context) {
  overtaker *self = context;
  while (!atomic_load(&self->stop) && self->sent < 100) {
    unsigned char byte;
    size_t written;
    support__fill(&byte, 1, self->from + self->sent);
    int status = pier_try_write(self->to, &byte, 1, &written);
    if (status == PIER_OK)
      self->sent += written;
    else if (status != PIER_EAGAIN)
      atomic_fetch_add(&self->overtaken, 1);
    support__yield();
  }
}

static void check_overtaking(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  unsigned char *bytes = support__alloc(LONG);
  support_outcome *written = support__outcome();
  chunks *reader = chunks__new(0);
  overtaker *other = support__alloc(sizeof *other);
  if (!fits(sort) || !streams__has_end(sort))
    return;
  support__fill(bytes, LONG, 0);
  assert_true(pier_write(ends[1], bytes, LONG, PIER_NO_DEADLINE, support__take, written) != 0);
  *other = (overtaker){.to = ends[1], .from = LONG};
  support_thread *thread = support__thread_start(try_and_try, other);
  pier_operation operation = chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  await_status(loop, written, PIER_OK);
  chunks__await_bytes(loop, reader, LONG + 100);
  atomic_store(&other->stop, true);
  support__thread_join(thread);
  assert_int_equal(atomic_load(&other->overtaken), 0);
  assert_status(pier_cancel(operation), PIER_OK);
  await_last(loop, reader, PIER_ECANCELED);
}

/* As long as a write that was submitted is on its way, nothing goes before the rest of it. */
static void a_submitted_write_is_never_overtaken(void **state) {
  (void)state;
  on_sorts(check_overtaking);
}

/* ---- Four threads at one stream ---- */

enum { THREADS = 4, RECORD = 40, RECORDS = 1500 };

/* A thread's bytes say whose they are and count on, so that they can be told apart wherever they are cut. */
typedef struct mixer {
  pier_handle to;
  unsigned number;
  uint64_t seed;
  atomic_uint parts, failed;
  atomic_uint *through;
  support_event *written;
} mixer;

typedef struct mixture {
  chunks reader; /* first */
  size_t have[THREADS];
  unsigned now, torn, disorder;
} mixture;

static unsigned char mixed_byte(unsigned number, size_t at) { return (unsigned char)(number << 6 | (at & 63)); }

static void take_mixture(chunks *self, const pier_result *result) {
  mixture *mix = (mixture *)(void *)self;
  const unsigned char *bytes = result->data;
  for (size_t i = 0; i < result->bytes; i++) {
    unsigned number = bytes[i] >> 6;
    if (number != mix->now && mix->have[mix->now] % RECORD)
      mix->torn++;
    mix->now = number;
    if (bytes[i] != mixed_byte(number, mix->have[number]++))
      mix->disorder++;
  }
}

static void take_mixed(const pier_result *result) {
  mixer *self = result->context;
  if (result->status != PIER_OK)
    atomic_fetch_add(&self->failed, 1);
  support__event_set(self->written);
}

static void mix_one(mixer *self, size_t at) {
  unsigned char record[RECORD];
  size_t written = 0;
  for (size_t i = 0; i < RECORD; i++)
    record[i] = mixed_byte(self->number, at + i);
  if (support__random_below(&self->seed, 3)) {
    int status = pier_try_write(self->to, record, RECORD, &written);
    if (status != PIER_OK && status != PIER_EAGAIN)
      atomic_fetch_add(&self->failed, 1);
    if (written && written < RECORD)
      atomic_fetch_add(&self->parts, 1);
  }
  if (written == RECORD)
    return;
  support__event_reset(self->written);
  if (!pier_write(self->to, record + written, RECORD - written, PIER_NO_DEADLINE, take_mixed, self)) {
    atomic_fetch_add(&self->failed, 1);
    return;
  }
  support__event_wait(self->written, PIER_NO_TIMEOUT);
}

static void mix(void *context) {
  mixer *self = context;
  for (size_t i = 0; i < RECORDS; i++)
    mix_one(self, i * RECORD);
  support__count(self->through);
}

static void check_mixture(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  mixture *got = support__alloc(sizeof *got);
  mixer *mixers = support__alloc(THREADS * sizeof *mixers);
  atomic_uint *through = support__alloc(sizeof *through);
  support_thread *threads[THREADS];
  unsigned parts = 0;
  if (!fits(sort) || !streams__has_end(sort))
    return;
  uint64_t seed = support__seed();
  got->reader.datagrams = true;
  got->reader.then = take_mixture;
  if (sort == STREAMS_TCP || sort == STREAMS_KEPT_TCP)
    assert_status(pier_tcp_set(ends[1], PIER_TCP_SEND_BUFFER_BYTES, 4096), PIER_OK); /* so that it is full now and then */
  pier_operation operation = chunks__read(&got->reader, ends[0], PIER_NO_DEADLINE);
  for (unsigned t = 0; t < THREADS; t++) {
    mixers[t] = (mixer){.to = ends[1], .number = t, .seed = support__random(&seed), .through = through, .written = support__event_open()};
    threads[t] = support__thread_start(mix, &mixers[t]);
  }
  chunks__await_bytes(loop, &got->reader, (size_t)THREADS * RECORDS * RECORD);
  assert_status(pier_cancel(operation), PIER_OK);
  await_last(loop, &got->reader, PIER_ECANCELED);
  support__until_count(loop, through, THREADS, "the last callbacks");
  for (unsigned t = 0; t < THREADS; t++) {
    support__thread_join(threads[t]);
    support__event_close(mixers[t].written);
    parts += atomic_load(&mixers[t].parts);
    assert_int_equal(atomic_load(&mixers[t].failed), 0);
    assert_int_equal(got->have[t], (size_t)RECORDS * RECORD);
  }
  assert_int_equal(got->disorder, 0);
  assert_true(got->torn <= parts);
}

/* Each thread's bytes arrive in its order and none is lost; what goes whole is not torn. */
static void four_threads_write_both_ways(void **state) {
  (void)state;
  on_sorts(check_mixture);
}

/* ---- Datagrams ---- */

static const size_t sizes[] = {1, 0, 1000, 9000, 60000};

static void check_datagram(chunks *self, const pier_result *result) {
  if (result->bytes != sizes[atomic_load(&self->calls) - 1] || !support__filled(result->data, result->bytes, result->bytes))
    atomic_fetch_add(&self->wrong, 1);
}

static void check_datagrams(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  unsigned char *bytes = support__alloc(70000);
  size_t written = 99;
  chunks *reader = chunks__new(0);
  if (!fits(sort) || streams__has_end(sort))
    return;
  reader->datagrams = true;
  reader->then = check_datagram;
  pier_operation operation = chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    support__fill(bytes, sizes[i], sizes[i]);
    assert_status(pier_try_write(ends[1], bytes, sizes[i], &written), PIER_OK);
    assert_int_equal(written, sizes[i]);
    support__until_count(loop, &reader->calls, i + 1, "a datagram");
  }
  assert_status(pier_try_write(ends[1], bytes, 70000, &written), PIER_EMSGSIZE);
  assert_int_equal(written, 0);
  assert_status(pier_cancel(operation), PIER_OK);
  await_last(loop, reader, PIER_ECANCELED);
}

/* A datagram goes to the connected peer, whole or not at all. */
static void datagrams_go_to_the_connected_peer(void **state) {
  (void)state;
  on_sorts(check_datagrams);
}

static int status_of_write(pier_loop *loop, pier_handle handle) {
  support_outcome *written = support__outcome();
  assert_true(pier_write(handle, "abc", 3, PIER_NO_DEADLINE, support__take, written) != 0);
  support__await(loop, written);
  return written->got.status;
}

/* ---- What goes wrong ---- */

static void bad_input_has_a_status(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle ends[2], listener = streams__tcp_listen(loop, &address), pipes = 0;
  size_t written = 99;
  assert_status(pier_pipe_listen(loop, support__pipe_name(), NULL, &pipes), PIER_OK);
  streams__pair(loop, STREAMS_TCP, ends);
  assert_status(pier_try_write(ends[0], "a", 1, NULL), PIER_EINVAL);
  assert_status(pier_try_write(ends[0], NULL, 1, &written), PIER_EINVAL);
  assert_status(pier_try_write(ends[0], NULL, 0, &written), PIER_OK);
  assert_int_equal(written, 0);
  assert_status(pier_try_write(listener, "a", 1, &written), PIER_EBADF);
  assert_status(pier_try_write(pipes, "a", 1, &written), PIER_EBADF);
  assert_status(pier_try_write(0, "a", 1, &written), PIER_EBADF);
  assert_status(pier_try_write(~(pier_handle)0, "a", 1, &written), PIER_EBADF);
  pier_operation read = pier_read(ends[0], &address, 1, PIER_NO_DEADLINE, NULL, NULL);
  assert_status(pier_try_write((pier_handle)read, "a", 1, &written), PIER_EBADF);
  streams__close_pair(loop, ends);
  written = 99;
  assert_status(pier_try_write(ends[0], "a", 1, &written), PIER_ECLOSED);
  assert_int_equal(written, 0);
  support__close_handle(loop, listener);
  support__close_handle(loop, pipes);
  support__close(loop);
}

/* What the system refuses is told as pier_write() would tell it. */
static void what_the_system_refuses_is_told(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2], lone;
  pier_address address;
  support_outcome *shut = support__outcome();
  size_t written = 99;
  streams__pair(loop, STREAMS_TCP, ends);
  assert_true(pier_tcp_shutdown(ends[0], PIER_NO_DEADLINE, support__take, shut) != 0);
  await_status(loop, shut, PIER_OK);
  assert_status(pier_try_write(ends[0], "abc", 3, &written), PIER_EPIPE);
  assert_int_equal(written, 0);
  assert_status(status_of_write(loop, ends[0]), PIER_EPIPE);
  streams__close_pair(loop, ends);
  lone = streams__udp_open(loop, &address); /* no peer */
  int status = pier_try_write(lone, "abc", 3, &written);
  assert_status(status, status_of_write(loop, lone));
  assert_int_equal(written, 0);
  support__close_handle(loop, lone);
  support__close(loop);
}

#define TRY_TEST(function) SUPPORT_TEST(function), SUPPORT_TEST_POOL(function)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      TRY_TEST(bytes_arrive_in_the_order_of_the_calls),
      TRY_TEST(what_is_never_written_so_says_again),
      TRY_TEST(a_full_stream_takes_a_part_and_then_nothing),
      TRY_TEST(a_submitted_write_is_never_overtaken),
      TRY_TEST(four_threads_write_both_ways),
      TRY_TEST(datagrams_go_to_the_connected_peer),
      TRY_TEST(bad_input_has_a_status),
      TRY_TEST(what_the_system_refuses_is_told),
  };
  return support__main(argc, argv, "try_write", tests, sizeof tests / sizeof tests[0]);
}
