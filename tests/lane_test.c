/* Several operations of one stream at once: they are served, and called back, in the order of their submits. */
#include "streams.h"

#include <string.h>

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

/* ---- More writes than the stream has room for ---- */

enum { CROWD = 3000, WRITE_MAX = 1600, CANCEL_EACH = 7 };

typedef struct crowd_write {
  struct crowd *all;
  pier_operation id;
  size_t length, written, received;
  int status;
} crowd_write;

typedef struct crowd {
  pier_handle to;
  atomic_uint submitted, called, misplaced;
  unsigned char bytes[256][WRITE_MAX];
  crowd_write writes[CROWD];
} crowd;

static void note_write(const pier_result *result) {
  crowd_write *self = result->context;
  self->status = result->status;
  self->written = result->bytes;
  /* What was cancelled may come before its turn. */
  if (result->status == PIER_OK && self > self->all->writes && self[-1].status > 0)
    atomic_fetch_add(&self->all->misplaced, 1);
  support__count(&self->all->called);
}

/* All from one callback, so that each finds the one before it still waiting. */
static void write_all(const pier_result *result) {
  crowd *all = result->context;
  for (unsigned i = 0; i < CROWD; i++) {
    crowd_write *self = &all->writes[i];
    self->all = all;
    self->status = 1; /* no status yet */
    self->length = 1 + i * 37 % WRITE_MAX;
    self->id = pier_write(all->to, all->bytes[i % 256], self->length, PIER_NO_DEADLINE, note_write, self);
    atomic_fetch_add(&all->submitted, self->id != 0);
  }
}

/* Takes what the writes have left, up to the end of the last one, which nobody cancels. */
static void read_and_compare(pier_loop *loop, pier_handle from, crowd *all) {
  unsigned char *got = support__alloc(65536);
  size_t at = 0;
  while (at < CROWD) {
    support_outcome *read = support__outcome();
    assert_true(pier_read(from, got, 65536, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_false(read->got.end);
    for (size_t i = 0; i < read->got.bytes; i++) {
      while (at < CROWD && got[i] != at % 256)
        at++; /* that one was cut short, or never begun */
      assert_true(at < CROWD);
      all->writes[at].received++;
      if (all->writes[at].received == all->writes[at].length)
        at++;
    }
  }
}

static void crowd_on(streams_sort sort) {
  pier_loop *loop = support__open();
  pier_handle ends[2];
  crowd *all = support__alloc(sizeof *all);
  streams__pair(loop, sort, ends);
  all->to = ends[0];
  for (int i = 0; i < 256; i++)
    memset(all->bytes[i], i, WRITE_MAX);
  assert_true(pier_post(loop, write_all, all) != 0);
  support__until_count(loop, &all->submitted, CROWD, "all submits");
  for (unsigned i = CROWD / 2; i < CROWD - 1; i += CANCEL_EACH)
    pier_cancel(all->writes[i].id);
  read_and_compare(loop, ends[1], all);
  support__until_count(loop, &all->called, CROWD, "the callbacks of all writes");
  assert_int_equal(atomic_load(&all->misplaced), 0);
  unsigned cancelled = 0;
  for (unsigned i = 0; i < CROWD; i++) {
    assert_true(all->writes[i].status == PIER_OK || all->writes[i].status == PIER_ECANCELED);
    assert_int_equal(all->writes[i].received, all->writes[i].written);
    assert_true(all->writes[i].status != PIER_OK || all->writes[i].written == all->writes[i].length);
    cancelled += all->writes[i].status != PIER_OK;
  }
  print_message("%s: %u cancelled\n", streams__name(sort), cancelled);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* Far more than there is room for, some of them cancelled while they wait: what arrives is what the callbacks say, in the order of the
 * submits. */
static void b39_a_crowd_of_writes_keeps_its_order(void **state) {
  (void)state;
  crowd_on(STREAMS_PIPE);
  crowd_on(STREAMS_TCP);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b39_many_at_once_keep_their_order),
      SUPPORT_TEST_POOL(b39_many_at_once_keep_their_order),
      SUPPORT_TEST(b31_a_waiting_turn_is_cancelled),
      SUPPORT_TEST_POOL(b31_a_waiting_turn_is_cancelled),
      SUPPORT_TEST(b39_a_crowd_of_writes_keeps_its_order),
      SUPPORT_TEST_POOL(b39_a_crowd_of_writes_keeps_its_order),
  };
  return support__main(argc, argv, "lane", tests, sizeof tests / sizeof tests[0]);
}
