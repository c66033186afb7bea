/* Several operations of one stream at once: they are served, and called back, in the order of their submits. */
#include "streams.h"

enum { AT_ONCE = 48, ROUNDS = 12 };

/* Callbacks of one direction, in the order in which they came. */
typedef struct parade {
  atomic_uint count;
  unsigned misplaced;
} parade;

typedef struct marcher {
  parade *home;
  unsigned number;
  char byte;
} marcher;

static void march_past(const pier_result *result) {
  marcher *self = result->context;
  if (result->status != PIER_OK || result->bytes != 1 || atomic_load(&self->home->count) != self->number)
    self->home->misplaced++;
  support__count(&self->home->count);
}

/* One round: writes and reads of a byte each, all submitted before the first is called back. */
static void pass_in_order(pier_loop *loop, const pier_handle ends[2], bool reads_first) {
  parade *written = support__alloc(sizeof *written), *read = support__alloc(sizeof *read);
  marcher *writers = support__alloc(AT_ONCE * sizeof *writers), *readers = support__alloc(AT_ONCE * sizeof *readers);
  for (unsigned part = 0; part < 2; part++) {
    for (unsigned i = 0; i < AT_ONCE; i++) {
      if ((part == 0) == reads_first) {
        readers[i] = (marcher){read, i, 0};
        assert_true(pier_read(ends[1], &readers[i].byte, 1, PIER_NO_DEADLINE, march_past, &readers[i]) != 0);
      } else {
        writers[i] = (marcher){written, i, (char)i};
        assert_true(pier_write(ends[0], &writers[i].byte, 1, PIER_NO_DEADLINE, march_past, &writers[i]) != 0);
      }
    }
  }
  support__until_count(loop, &written->count, AT_ONCE, "the writes");
  support__until_count(loop, &read->count, AT_ONCE, "the reads");
  assert_int_equal(written->misplaced, 0);
  assert_int_equal(read->misplaced, 0);
  for (unsigned i = 0; i < AT_ONCE; i++)
    assert_int_equal(readers[i].byte, (char)i);
}

/* On the port, on the event path and on worker threads alike: bytes arrive in the order of the writes, and fill the reads in theirs. */
static void b39_many_at_once_keep_their_order(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    streams__pair(loop, (streams_sort)sort, ends);
    for (int round = 0; round < ROUNDS; round++) {
      pass_in_order(loop, ends, round % 2);
      /* The other way round; a blocking pipe cannot write while it waits for something to read. */
      const pier_handle back[2] = {ends[1], ends[0]};
      pass_in_order(loop, back, sort != STREAMS_BLOCKING_PIPE && round % 2);
    }
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* What waits for its turn can be cancelled, and the others do not notice. */
static void b31_a_waiting_turn_is_cancelled(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    support_outcome *reads[3];
    pier_operation ids[3];
    char *bytes = support__alloc(3);
    streams__pair(loop, (streams_sort)sort, ends);
    for (int i = 0; i < 3; i++) {
      reads[i] = support__outcome();
      ids[i] = pier_read(ends[0], &bytes[i], 1, PIER_NO_DEADLINE, support__take, reads[i]);
      assert_true(ids[i] != 0);
    }
    assert_status(pier_cancel(ids[1]), PIER_OK);
    await_status(loop, reads[1], PIER_ECANCELED);
    assert_true(pier_write(ends[1], "a", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    assert_true(pier_write(ends[1], "b", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    await_status(loop, reads[0], PIER_OK);
    await_status(loop, reads[2], PIER_OK);
    assert_true(bytes[0] == 'a' && bytes[2] == 'b');
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b39_many_at_once_keep_their_order),
      SUPPORT_TEST_POOL(b39_many_at_once_keep_their_order),
      SUPPORT_TEST(b31_a_waiting_turn_is_cancelled),
      SUPPORT_TEST_POOL(b31_a_waiting_turn_is_cancelled),
  };
  return support__main(argc, argv, "lane", tests, sizeof tests / sizeof tests[0]);
}
