/* Operations that keep reading from streams that have much to say: chunks as large as they come, one buffer for all, and a stop or an end in the
 * midst of it that loses nothing. */
#include "chunks.h"

#include <string.h>

enum { STREAMS = 12, STREAM_BYTES = 1 << 20, FULL = 131072, BUFFERS_MAX = 64 };

static const streams_sort sorts[] = {STREAMS_TCP, STREAMS_KEPT_TCP};

/* ---- Where it is received ---- */

/* Where full chunks were seen, and how many. */
static struct {
  const void *_Atomic places[BUFFERS_MAX];
  atomic_uint chunks[BUFFERS_MAX];
} buffers;

static void note_place(chunks *self, const pier_result *result) {
  (void)self;
  for (unsigned i = 0; result->bytes == FULL && i < BUFFERS_MAX; i++) {
    const void *seen = NULL;
    if (atomic_compare_exchange_strong(&buffers.places[i], &seen, result->data) || seen == result->data) {
      atomic_fetch_add(&buffers.chunks[i], 1);
      return;
    }
  }
}

/* How many of them came to so many places, those with the most. */
static unsigned buffers__most(unsigned places) {
  unsigned sum = 0;
  while (places--) {
    unsigned most = 0;
    for (unsigned i = 1; i < BUFFERS_MAX; i++)
      most = atomic_load(&buffers.chunks[i]) > atomic_load(&buffers.chunks[most]) ? i : most;
    sum += atomic_exchange(&buffers.chunks[most], 0);
  }
  return sum;
}

/* Those of streams that are behind; the first of each may have been waited for with a buffer of its own. */
static void busy_streams_go_through_the_threads_buffers(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[STREAMS][2];
  chunks *readers[STREAMS];
  support_outcome *written[STREAMS];
  unsigned threads = support__threads() ? support__threads() : 1;
  memset(&buffers, 0, sizeof buffers);
  for (unsigned i = 0; i < STREAMS; i++) {
    streams__pair(loop, STREAMS_TCP, ends[i]);
    readers[i] = chunks__new(i);
    readers[i]->then = note_place;
    written[i] = chunks__begin_write(ends[i][1], STREAM_BYTES, i);
  }
  for (unsigned i = 0; i < STREAMS; i++)
    chunks__read(readers[i], ends[i][0], PIER_NO_DEADLINE);
  for (unsigned i = 0; i < STREAMS; i++) {
    chunks__await_bytes(loop, readers[i], STREAM_BYTES);
    await_status(loop, written[i], PIER_OK);
    support__close_handle(loop, ends[i][1]);
    await_last(loop, readers[i], PIER_OK);
    support__close_handle(loop, ends[i][0]);
  }
  unsigned shared = buffers__most(threads), others = buffers__most(BUFFERS_MAX);
  print_message("full chunks: %u in %u places, %u in others\n", shared, threads, others);
  assert_true(support__threads() ? shared > 0 : 2 * shared > others);
  support__close(loop);
}

/* ---- The end ---- */

static void note_empty(chunks *self, const pier_result *result) {
  if (!result->bytes)
    atomic_fetch_add(&self->wrong, 1);
}

static void end_behind(pier_loop *loop, streams_sort sort, size_t length) {
  pier_handle ends[2];
  chunks *reader = chunks__new(length);
  streams__pair(loop, sort, ends);
  reader->then = note_empty;
  chunks__write(loop, ends[1], length, length);
  support__close_handle(loop, ends[1]);
  chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  await_last(loop, reader, PIER_OK);
  assert_int_equal(atomic_load(&reader->bytes), length);
  support__close_handle(loop, ends[0]);
}

/* Also where what is there fills just so many buffers. */
static void b24_the_end_comes_behind_all_of_it(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (unsigned s = 0; s < 2; s++) {
    for (unsigned full = 0; full < 4; full++) {
      for (unsigned more = 0; more < 3; more++) {
        end_behind(loop, sorts[s], full * FULL + more + 1);
        end_behind(loop, sorts[s], 17 * 1024 + full * FULL + more - 1);
      }
    }
  }
  support__close(loop);
}

/* A buffer that is full and a stream that has no more: whoever finds that out waits for no one. */
static void one_that_has_filled_its_buffer_waits_all_the_same(void **state) {
  (void)state;
  const size_t lengths[] = {17 * 1024, 17 * 1024 + FULL, FULL, 2 * FULL};
  pier_loop *loop = support__open();
  for (unsigned s = 0; s < 2; s++) {
    for (unsigned i = 0; i < 4; i++) {
      pier_handle ends[2];
      chunks *reader = chunks__new(0);
      size_t sent = 0;
      streams__pair(loop, sorts[s], ends);
      reader->then = note_empty;
      chunks__read(reader, ends[0], PIER_NO_DEADLINE);
      for (unsigned round = 0; round < 5; round++) {
        chunks__write(loop, ends[1], lengths[i], sent);
        sent += lengths[i];
        chunks__await_bytes(loop, reader, sent);
      }
      support__close_handle(loop, ends[0]);
      await_last(loop, reader, PIER_ECLOSED);
      support__close_handle(loop, ends[1]);
    }
  }
  support__close(loop);
}

static void a_reset_is_not_missed(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (unsigned s = 0; s < 2; s++) {
    pier_handle ends[2];
    chunks *reader = chunks__new(0);
    streams__pair(loop, sorts[s], ends);
    chunks__read(reader, ends[0], PIER_NO_DEADLINE);
    chunks__write(loop, ends[1], STREAM_BYTES, 0);
    assert_status(pier_tcp_set(ends[1], PIER_TCP_LINGER_SECONDS, 0), PIER_OK);
    support__close_handle(loop, ends[1]);
    support__until_count(loop, &reader->last_calls, 1, "the last callback");
    /* Wine may tell a reset between two reads as an end. */
    if (!support__is_wine())
      assert_status(reader->last.status, PIER_ECONNRESET);
    assert_int_equal(atomic_load(&reader->wrong), 0);
    support__close_handle(loop, ends[0]);
  }
  support__close(loop);
}

/* ---- A stop ---- */

typedef struct stop {
  unsigned at;      /* in this callback */
  bool elsewhere;   /* by another thread, which this one waits for; otherwise in the callback itself */
  bool closes;
  int status;
  pier_operation operation;
  pier_handle handle;
} stop;

static void stop__do(void *context) {
  stop *self = context;
  self->status = self->closes ? pier_close(self->handle, NULL, NULL) : pier_cancel(self->operation);
}

static void stop_there(chunks *reader, const pier_result *result) {
  stop *self = reader->context;
  if (atomic_load(&reader->calls) != self->at)
    return;
  self->operation = result->operation;
  self->handle = result->handle;
  if (self->elsewhere)
    support__thread_join(support__thread_start(stop__do, self));
  else
    stop__do(self);
}

/* No callback comes after the stop but the last, and another reader goes on where that was. */
static void stop_in(pier_loop *loop, streams_sort sort, stop how) {
  pier_handle ends[2];
  streams__pair(loop, sort, ends);
  chunks *reader = chunks__new(3);
  how.status = 1;
  reader->then = stop_there;
  reader->context = &how;
  support_outcome *written = chunks__begin_write(ends[1], STREAM_BYTES, 3);
  chunks__read(reader, ends[0], PIER_NO_DEADLINE);
  await_last(loop, reader, how.closes ? PIER_ECLOSED : PIER_ECANCELED);
  assert_status(how.status, PIER_OK);
  assert_int_equal(atomic_load(&reader->calls), how.at);
  if (!how.closes) {
    size_t taken = atomic_load(&reader->bytes);
    chunks *second = chunks__new(3 + taken);
    chunks__read(second, ends[0], PIER_NO_DEADLINE);
    chunks__await_bytes(loop, second, STREAM_BYTES - taken);
    await_status(loop, written, PIER_OK);
    support__close_handle(loop, ends[0]);
    await_last(loop, second, PIER_ECLOSED);
  }
  support__close_handle(loop, ends[1]);
}

static void b31_a_stop_in_the_midst_loses_nothing(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (unsigned s = 0; s < 2; s++) {
    for (unsigned at = 1; at < 6; at++) {
      for (unsigned way = 0; way < 4; way++)
        stop_in(loop, sorts[s], (stop){.at = at, .elsewhere = way & 1, .closes = way & 2});
    }
  }
  support__close(loop);
}

#define BULK_TEST(function) SUPPORT_TEST(function), SUPPORT_TEST_POOL(function)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      BULK_TEST(busy_streams_go_through_the_threads_buffers),
      BULK_TEST(b24_the_end_comes_behind_all_of_it),
      BULK_TEST(one_that_has_filled_its_buffer_waits_all_the_same),
      BULK_TEST(a_reset_is_not_missed),
      BULK_TEST(b31_a_stop_in_the_midst_loses_nothing),
  };
  return support__main(argc, argv, "multishot_bulk", tests, sizeof tests / sizeof tests[0]);
}
