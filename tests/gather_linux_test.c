/* Writes that wait in line for a stream to have room: they go out together, and each is called back as if it had gone alone. */
#include "streams.h"

#include <string.h>

enum { WAITING = 1500, PLUG_BYTES = 4 << 20, LARGE_BYTES = 1 << 20, SMALL_BYTES_MAX = 200, READ_BYTES = 65536, LONG_LINE = 20 };

static const streams_sort sorts[] = {STREAMS_TCP, STREAMS_PIPE, STREAMS_KEPT_TCP, STREAMS_KEPT_PIPE};
enum { SORTS = sizeof sorts / sizeof sorts[0] };

/* The callbacks of one line of writes. */
typedef struct line {
  atomic_uint count;
  unsigned misplaced;
} line;

typedef struct one_write {
  line *home;
  unsigned number;
  size_t length;
  int status;
  pier_operation id;
  pier_buffer parts[2];
} one_write;

static void count_in_order(const pier_result *result) {
  one_write *self = result->context;
  if (atomic_load(&self->home->count) != self->number || (result->status == PIER_OK && result->bytes != self->length))
    self->home->misplaced++;
  self->status = result->status;
  support__count(&self->home->count);
}

/* What is read at the other end, compared on its way. */
typedef struct sink {
  pier_handle from;
  uint64_t bytes, wanted;
  bool wrong, ended;
  atomic_uint done;
  char buffer[READ_BYTES];
} sink;

static void sink__took(const pier_result *result);

static void sink__read(sink *self) { pier_read(self->from, self->buffer, sizeof self->buffer, PIER_NO_DEADLINE, sink__took, self); }

static void sink__took(const pier_result *result) {
  sink *self = result->context;
  self->wrong = self->wrong || !support__filled(self->buffer, result->bytes, self->bytes);
  self->bytes += result->bytes;
  self->ended = result->end || result->status != PIER_OK;
  if (self->bytes < self->wanted && !self->ended)
    sink__read(self);
  else
    support__count(&self->done);
}

static sink *sink__open(pier_handle from, uint64_t wanted_bytes) {
  sink *self = support__alloc(sizeof *self);
  self->from = from;
  self->wanted = wanted_bytes;
  return self;
}

/* Small buffers, so that the plug fills them, however large the system would let them grow. */
static void open_pair(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  streams__pair(loop, sort, ends);
  for (int i = 0; i < 2; i++) {
    pier_tcp_set(ends[i], PIER_TCP_SEND_BUFFER_BYTES, READ_BYTES);
    pier_tcp_set(ends[i], PIER_TCP_RECEIVE_BUFFER_BYTES, READ_BYTES);
  }
}

static size_t length_of(unsigned number, uint64_t *seed) {
  if (number == 0)
    return PLUG_BYTES;
  if (number == WAITING / 2)
    return LARGE_BYTES;
  return number % 100 == 99 ? 0 : 1 + (size_t)support__random_below(seed, SMALL_BYTES_MAX);
}

/* The first is more than the stream holds, so all the others wait. One is large, some are empty, some have two parts. */
static uint64_t submit_line(pier_handle handle, one_write *writes, line *home, uint64_t *seed) {
  uint64_t at = 0;
  for (unsigned i = 0; i < WAITING; i++) {
    size_t length = length_of(i, seed);
    char *bytes = support__alloc(length + 1);
    support__fill(bytes, length, at);
    writes[i] = (one_write){.home = home, .number = i, .length = length};
    writes[i].parts[0] = (pier_buffer){bytes, length / 2};
    writes[i].parts[1] = (pier_buffer){bytes + length / 2, length - length / 2};
    writes[i].id = i % 50 == 25 ? pier_writev(handle, writes[i].parts, 2, PIER_NO_DEADLINE, count_in_order, &writes[i])
                                : pier_write(handle, bytes, length, PIER_NO_DEADLINE, count_in_order, &writes[i]);
    assert_true(writes[i].id != 0);
    at += length;
  }
  return at;
}

/* Every byte arrives in its place, every write is called back in its turn with all of its bytes, and it took far fewer calls than there were
 * writes. */
static void b39_writes_that_wait_go_out_together_and_in_order(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  uint64_t seed = support__seed();
  for (int sort = 0; sort < SORTS; sort++) {
    pier_handle ends[2];
    line *home = support__alloc(sizeof *home);
    one_write *writes = support__alloc(WAITING * sizeof *writes);
    open_pair(loop, sorts[sort], ends);
    uint64_t bytes = submit_line(ends[0], writes, home, &seed);
    assert_int_equal(atomic_load(&home->count), 0);
    uint64_t calls = support__metrics(loop).system_calls;
    sink *taken = sink__open(ends[1], bytes);
    sink__read(taken);
    support__until_count(loop, &taken->done, 1, "all bytes");
    support__until_count(loop, &home->count, WAITING, "all writes");
    calls = support__metrics(loop).system_calls - calls;
    assert_false(taken->wrong);
    assert_true(taken->bytes == bytes);
    assert_int_equal(home->misplaced, 0);
    for (int i = 0; i < WAITING; i++)
      assert_status(writes[i].status, PIER_OK);
    /* The reads among them. Each by itself, the writes alone would be more than WAITING. */
    assert_true(calls < WAITING * 2 / 3);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* One that is cancelled while it waits sends nothing; its neighbours go out together all the same. */
static void b31_a_write_in_the_middle_of_the_line_is_cancelled(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < SORTS; sort++) {
    pier_handle ends[2];
    char *plug = support__alloc(PLUG_BYTES);
    support_outcome *plugged = support__outcome(), *outcomes[LONG_LINE];
    char *bytes = support__alloc(LONG_LINE);
    uint64_t at = PLUG_BYTES;
    open_pair(loop, sorts[sort], ends);
    support__fill(plug, PLUG_BYTES, 0);
    assert_true(pier_write(ends[0], plug, PLUG_BYTES, PIER_NO_DEADLINE, support__take, plugged) != 0);
    for (int i = 0; i < LONG_LINE; i++) {
      outcomes[i] = support__outcome();
      support__fill(&bytes[i], 1, at);
      pier_operation id = pier_write(ends[0], &bytes[i], 1, PIER_NO_DEADLINE, support__take, outcomes[i]);
      if (i % 3 == 1)
        assert_status(pier_cancel(id), PIER_OK);
      else
        at++;
    }
    sink *taken = sink__open(ends[1], at);
    sink__read(taken);
    support__until_count(loop, &taken->done, 1, "all bytes");
    await_status(loop, plugged, PIER_OK);
    for (int i = 0; i < LONG_LINE; i++)
      await_status(loop, outcomes[i], i % 3 == 1 ? PIER_ECANCELED : PIER_OK);
    assert_true(taken->bytes == at && !taken->wrong);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* Where the line ends before it has gone out, each of it is called back once, and none of them with success. */
static void end_a_full_line(pier_loop *loop, streams_sort sort, unsigned end, bool own) {
  pier_handle ends[2];
  uint64_t seed = support__seed();
  line *home = support__alloc(sizeof *home);
  one_write *writes = support__alloc(WAITING * sizeof *writes);
  open_pair(loop, sort, ends);
  submit_line(ends[0], writes, home, &seed);
  support__close_handle(loop, ends[end]);
  support__until_count(loop, &home->count, WAITING, "all writes");
  for (int i = 0; i < WAITING; i++)
    assert_true(own ? writes[i].status == PIER_ECLOSED : writes[i].status != PIER_OK || writes[i].length == 0);
  support__close_handle(loop, ends[1 - end]);
}

static void a_peer_that_goes_away_ends_the_whole_line(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < SORTS; sort++)
    end_a_full_line(loop, sorts[sort], 1, false);
  support__close(loop);
}

static void a_close_ends_the_whole_line(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < SORTS; sort++)
    end_a_full_line(loop, sorts[sort], 0, true);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b39_writes_that_wait_go_out_together_and_in_order),
      SUPPORT_TEST_POOL(b39_writes_that_wait_go_out_together_and_in_order),
      SUPPORT_TEST(b31_a_write_in_the_middle_of_the_line_is_cancelled),
      SUPPORT_TEST_POOL(b31_a_write_in_the_middle_of_the_line_is_cancelled),
      SUPPORT_TEST(a_peer_that_goes_away_ends_the_whole_line),
      SUPPORT_TEST_POOL(a_peer_that_goes_away_ends_the_whole_line),
      SUPPORT_TEST(a_close_ends_the_whole_line),
      SUPPORT_TEST_POOL(a_close_ends_the_whole_line),
  };
  return support__main(argc, argv, "gather", tests, sizeof tests / sizeof tests[0]);
}
