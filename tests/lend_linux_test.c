/* Seats that are lent (runtime/lend.c): whose thread looks after which handles while there is little to do, and when there is much. */
#include "streams.h"

#include "hook.h"
#include "loop.h"
#include "seats.h"
#include "uring.h"

#include <fcntl.h>
#include <sched.h>

enum { PAIRS = 4 * SUPPORT_THREADS, ROUNDS = 40, DEPTH = 12, FILE_READS = 400, FILE_BYTES = 65536, READ_BYTES = 512 };

static pier_loop *open_with(uint32_t processors, unsigned threads) {
  uint32_t usual = pier_hook_processors;
  pier_hook_processors = processors;
  pier_loop *loop = support__open_with(&(pier_loop_options){.threads = threads});
  pier_hook_processors = usual;
  if (!loop__poller(loop)->seats) {
    support__close(loop);
    support__skip("its threads have no seats");
  }
  return loop;
}

static struct seat *seat_at(pier_loop *loop, uint32_t index) { return &loop->pool.seats->seat[index]; }
static bool is_lent(pier_loop *loop, uint32_t index) { return atomic_load(&seat_at(loop, index)->lent); }
static uint32_t seat_of(pier_loop *loop, pier_handle handle) { return id__slot(handle) % loop__poller(loop)->homes; }

/* ---- Who lends to whom ---- */

static bool all_rest(void *context) {
  pier_loop *loop = context;
  bool rest = true;
  for (uint32_t i = 0; i < loop__poller(loop)->homes; i++)
    rest = rest && is_lent(loop, i) == (i % 4 != 0);
  return rest;
}

static void until_all_rest(pier_loop *loop) { support__until(loop, all_rest, loop, "a thread for each four seats"); }

static void three_of_four_lend_to_the_first(void **state) {
  (void)state;
  for (uint32_t seats = 1; seats <= 10; seats += 3) {
    pier_loop *loop = open_with(seats, seats);
    struct uring *uring = uring__of(loop__poller(loop));
    until_all_rest(loop);
    for (uint32_t i = 0; i < seats; i++)
      assert_int_equal(atomic_load(&uring->rings[i].tender), i - i % 4);
    support__close(loop);
  }
}

/* ---- Bytes that go to and fro ---- */

typedef struct rally {
  uintptr_t thread;      /* who ran the first callback */
  atomic_bool by_others; /* somebody else has run one */
  atomic_bool over;
  atomic_uint calls, ended;
} rally;

static void hit_back(const pier_result *result) {
  rally *self = result->context;
  size_t written;
  if (!result->more) {
    support__count(&self->ended);
    return;
  }
  if (support__thread_id() != self->thread)
    atomic_store(&self->by_others, true);
  support__count(&self->calls);
  if (!atomic_load(&self->over))
    pier_try_write(result->handle, result->data, result->bytes, &written);
}

static void note_thread(const pier_result *result) {
  rally *self = result->context;
  self->thread = support__thread_id();
  support__count(&self->calls);
}

/* The first thread is the one that runs a post: the keeper's, which is the first seat's. */
static rally *begin_rallies(pier_loop *loop, pier_handle ends[PAIRS][2]) {
  rally *self = support__alloc(sizeof *self);
  for (unsigned i = 0; i < PAIRS; i++)
    streams__pair(loop, STREAMS_TCP, ends[i]);
  until_all_rest(loop);
  assert_true(pier_post(loop, note_thread, self) != 0);
  support__until_count(loop, &self->calls, 1, "a post");
  size_t written;
  for (unsigned i = 0; i < PAIRS; i++) {
    for (unsigned end = 0; end < 2; end++)
      assert_true(pier_read_multishot(ends[i][end], PIER_NO_DEADLINE, hit_back, self) != 0);
    assert_status(pier_try_write(ends[i][0], "xyz", 3, &written), PIER_OK);
  }
  return self;
}

static void end_rallies(pier_loop *loop, rally *self, pier_handle ends[PAIRS][2]) {
  atomic_store(&self->over, true);
  for (unsigned i = 0; i < PAIRS; i++)
    streams__close_pair(loop, ends[i]);
  support__until_count(loop, &self->ended, 2 * PAIRS, "the end of the rallies");
}

static bool others_help(void *context) { return atomic_load(&((rally *)context)->by_others); }

/* A little to do at each seat: one that nothing comes to does not find out that it is idle. */
static bool is_calm(void *context) {
  pier_loop *loop = context;
  pier_handle ends[SUPPORT_THREADS][2];
  for (unsigned i = 0; i < SUPPORT_THREADS; i++)
    streams__pair(loop, STREAMS_TCP, ends[i]);
  for (unsigned i = 0; i < SUPPORT_THREADS; i++) {
    streams__exchange(loop, ends[i][0], ends[i][1], 100, i);
    streams__exchange(loop, ends[i][1], ends[i][0], 100, i);
  }
  for (unsigned i = 0; i < SUPPORT_THREADS; i++)
    streams__close_pair(loop, ends[i]);
  return all_rest(context);
}

/* Too much for one thread: others take their seats back. And lend them again when it is over. */
static void who_finds_no_time_to_sleep_gets_help(void **state) {
  (void)state;
  for (uint32_t processors = 2; processors <= SUPPORT_THREADS; processors++) {
    pier_loop *loop = open_with(processors, SUPPORT_THREADS);
    pier_handle ends[PAIRS][2];
    rally *self = begin_rallies(loop, ends);
    support__until(loop, others_help, self, "a second thread");
    end_rallies(loop, self, ends);
    support__until(loop, is_calm, loop, "a thread for each four seats again");
    support__close(loop);
  }
}

static bool is_patient(void *context) {
  struct seat *seat = context;
  return atomic_load(&seat->load.patience_ns) >= 160 * PIER_MILLISECOND;
}

/* Where there is no second processor, two threads do no more than one, and that is found out. */
static void they_part_in_vain_more_and_more_seldom(void **state) {
  cpu_set_t usual, one;
  (void)state;
  assert_int_equal(sched_getaffinity(0, sizeof usual, &usual), 0);
  size_t first = 0;
  while (!CPU_ISSET(first, &usual))
    first++;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  pier_loop *loop = open_with(2, 2); /* its threads are where this one is now */
  assert_int_equal(sched_setaffinity(0, sizeof usual, &usual), 0);
  pier_handle ends[PAIRS][2];
  rally *self = begin_rallies(loop, ends);
  support__until(loop, is_patient, seat_at(loop, 0), "a loop that does not part again at once");
  assert_true(atomic_load(&self->by_others));
  end_rallies(loop, self, ends);
  support__close(loop);
}

/* ---- What is lent works as before ---- */

typedef struct reader {
  pier_handle file;
  atomic_uint begun, done, wrong;
} reader;

typedef struct page {
  reader *reader;
  char bytes[READ_BYTES];
} page;

static void read_on(const pier_result *result);

static void read_next(page *into) {
  reader *self = into->reader;
  unsigned number = atomic_fetch_add(&self->begun, 1);
  if (number >= FILE_READS)
    return;
  int64_t offset = (int64_t)number * 7919 % (FILE_BYTES - READ_BYTES);
  if (!pier_read_at(self->file, into->bytes, READ_BYTES, offset, PIER_NO_DEADLINE, read_on, into))
    support__count(&self->wrong);
}

static void read_on(const pier_result *result) {
  page *into = result->context;
  if (result->status != PIER_OK || result->bytes != READ_BYTES)
    support__count(&into->reader->wrong);
  read_next(into);
  support__count(&into->reader->done);
}

/* From callbacks, many at a time: what goes to the kernel together, on behalf of rings that are not the thread's own. */
static void read_files(pier_loop *loop) {
  reader *readers[SUPPORT_THREADS];
  const char *path = support__temp_file(FILE_BYTES);
  for (unsigned i = 0; i < SUPPORT_THREADS; i++) {
    readers[i] = support__alloc(sizeof *readers[i]);
    assert_status(pier_file_open_sync(loop, path, PIER_OPEN_READ, &readers[i]->file), PIER_OK);
  }
  for (unsigned i = 0; i < SUPPORT_THREADS; i++)
    for (unsigned depth = 0; depth < DEPTH; depth++) {
      page *into = support__alloc(sizeof *into);
      into->reader = readers[i];
      read_next(into);
    }
  for (unsigned i = 0; i < SUPPORT_THREADS; i++) {
    support__until_count(loop, &readers[i]->done, FILE_READS, "reads of a file");
    assert_int_equal(atomic_load(&readers[i]->wrong), 0);
    support__close_handle(loop, readers[i]->file);
  }
}

static void what_is_lent_works_as_before(void **state) {
  (void)state;
  for (uint32_t processors = 2; processors <= SUPPORT_THREADS; processors++) {
    pier_loop *loop = open_with(processors, SUPPORT_THREADS);
    pier_handle ends[PAIRS][2];
    until_all_rest(loop);
    for (unsigned i = 0; i < PAIRS; i++)
      streams__pair(loop, i % 2 ? STREAMS_TCP : STREAMS_PIPE, ends[i]);
    for (unsigned round = 0; round < ROUNDS; round++)
      for (unsigned i = 0; i < PAIRS; i++)
        streams__exchange(loop, ends[i][round % 2], ends[i][1 - round % 2], 300 * (i + 1), round);
    read_files(loop);
    for (unsigned i = 0; i < PAIRS; i++)
      streams__close_pair(loop, ends[i]);
    support__until(loop, is_calm, loop, "a thread for each four seats");
    support__close(loop);
  }
}

/* ---- The keeper ---- */

typedef struct stayer {
  support_event *leave;
  atomic_uint arrived, left;
} stayer;

static void stay(pier_loop *loop, pier_timer timer, void *context) {
  stayer *self = context;
  (void)loop;
  (void)timer;
  support__count(&self->arrived);
  support__event_wait(self->leave, PIER_NO_TIMEOUT);
  support__count(&self->left);
}

static bool the_second_keeps(void *context) { return atomic_load(&loop__poller(context)->keeper) == 1; }

static void fire(pier_loop *loop, pier_timer timer, void *context) {
  (void)loop;
  (void)timer;
  support__count(context);
}

static atomic_uint *begin_timer(pier_loop *loop, uint64_t in_ns) {
  atomic_uint *fired = support__alloc(sizeof *fired);
  assert_true(pier_timer_start(loop, in_ns, 0, fire, fired) != 0);
  return fired;
}

static void tell_the_time(pier_loop *loop) {
  support_outcome *posted = support__outcome();
  support__until_count(loop, begin_timer(loop, PIER_MILLISECOND), 1, "a timer");
  assert_true(pier_post(loop, support__take, posted) != 0);
  support__await(loop, posted);
}

/* It has become keeper while it stood in, and lends its seat: others look after posts and timers, one that has not come yet among them. */
static void who_lends_does_not_keep(void **state) {
  (void)state;
  pier_loop *loop = open_with(2, 2);
  stayer *self = support__alloc(sizeof *self);
  self->leave = support__event_open();
  for (unsigned round = 0; round < ROUNDS / 4; round++) {
    until_all_rest(loop);
    support__event_reset(self->leave);
    assert_true(pier_timer_start(loop, 0, 0, stay, self) != 0);
    support__until_count(loop, &self->arrived, round + 1, "a callback that stays");
    tell_the_time(loop);
    support__until(loop, the_second_keeps, loop, "who stands in and keeps");
    atomic_uint *fired = begin_timer(loop, 60 * PIER_MILLISECOND);
    support__event_set(self->leave);
    support__until_count(loop, &self->left, round + 1, "the end of that callback");
    support__until(loop, is_calm, loop, "a lent seat");
    assert_int_equal(atomic_load(&loop__poller(loop)->keeper), 0);
    tell_the_time(loop);
    support__until_count(loop, fired, 1, "a timer that was the keeper's before");
  }
  support__event_close(self->leave);
  support__close(loop);
}

/* ---- What comes while somebody looks ---- */

static struct crossing {
  pier_loop *loop;
  support_event *there, *go_on;
} crossing;

/* At the lent seat, when what was handed over there has been taken. */
static void wait_there(struct poller *poller) {
  if (poller->loop != crossing.loop || turn__here()->seat != 1 || !is_lent(crossing.loop, 1))
    return;
  pier_hook_rising = NULL;
  support__event_set(crossing.there);
  support__event_wait(crossing.go_on, PIER_NO_TIMEOUT);
}

static pier_handle end_at(pier_loop *loop, pier_handle ends[PAIRS][2], uint32_t seat, unsigned skip) {
  for (unsigned i = 0; i < PAIRS; i++)
    for (unsigned end = 0; end < 2; end++)
      if (seat_of(loop, ends[i][end]) == seat && !skip--)
        return ends[i][end];
  fail();
  return 0;
}

static pier_handle other_end(pier_handle ends[PAIRS][2], pier_handle of) {
  for (unsigned i = 0; i < PAIRS; i++)
    for (unsigned end = 0; end < 2; end++)
      if (ends[i][end] == of)
        return ends[i][1 - end];
  fail();
  return 0;
}

static support_outcome *begin_read(pier_handle handle, char *byte) {
  support_outcome *read = support__outcome();
  assert_true(pier_read(handle, byte, 1, PIER_NO_DEADLINE, support__take, read) != 0);
  return read;
}

static void what_is_handed_over_while_somebody_looks_is_seen(void **state) {
  (void)state;
  pier_loop *loop = crossing.loop = open_with(2, 2);
  pier_handle ends[PAIRS][2];
  char bytes[2];
  crossing.there = support__event_open();
  crossing.go_on = support__event_open();
  for (unsigned i = 0; i < PAIRS; i++)
    streams__pair(loop, STREAMS_TCP, ends[i]);
  for (unsigned round = 0; round < ROUNDS / 4; round++) {
    pier_handle one = end_at(loop, ends, 1, 0), two = end_at(loop, ends, 1, 1);
    support__until(loop, is_calm, loop, "a lent seat");
    support__event_reset(crossing.there);
    support__event_reset(crossing.go_on);
    pier_hook_rising = wait_there;
    support_outcome *first = begin_read(one, &bytes[0]);
    assert_true(support__event_wait(crossing.there, 10 * PIER_SECOND));
    support_outcome *second = begin_read(two, &bytes[1]);
    support__event_set(crossing.go_on);
    /* The write is not handed over: nothing else brings anybody to that seat, but the read itself. */
    size_t written;
    assert_status(pier_try_write(other_end(ends, two), "x", 1, &written), PIER_OK);
    await_status(loop, second, PIER_OK);
    assert_status(pier_try_write(other_end(ends, one), "x", 1, &written), PIER_OK);
    await_status(loop, first, PIER_OK);
  }
  for (unsigned i = 0; i < PAIRS; i++)
    streams__close_pair(loop, ends[i]);
  support__event_close(crossing.there);
  support__event_close(crossing.go_on);
  support__close(loop);
}

/* The seat is taken back between the look at who tends the ring and the place in its line. */
static void take_back_there(struct poller *poller) {
  struct uring_ring *ring = &uring__of(poller)->rings[1];
  if (poller->loop != crossing.loop || turn__here()->home != 0)
    return;
  pier_hook_pushing = NULL;
  lend__want_back(seat_at(crossing.loop, 1));
  while (atomic_load(&ring->tender) != 1 || atomic_load(&ring->inbox.state) != INBOX_ASLEEP)
    thread__yield();
  support__event_wait(crossing.go_on, 5 * PIER_MILLISECOND); /* it says so shortly before it sleeps */
}

static void read_there(const pier_result *result) {
  page *into = result->context;
  pier_hook_pushing = take_back_there;
  read_next(into);
}

static void what_is_put_in_line_meanwhile_goes_to_the_kernel(void **state) {
  (void)state;
  pier_loop *loop = crossing.loop = open_with(2, 2);
  const char *path = support__temp_file(FILE_BYTES);
  page *into = support__alloc(sizeof *into);
  into->reader = support__alloc(sizeof *into->reader);
  crossing.go_on = support__event_open();
  atomic_store(&into->reader->begun, FILE_READS - 1); /* one is left */
  pier_handle files[2];
  for (unsigned i = 0; i < 2; i++) { /* not opened by Pier: its reads are not tried outside the ring */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    assert_status(pier_register(loop, (pier_native)descriptor, NULL, &files[i]), PIER_OK);
  }
  into->reader->file = files[seat_of(loop, files[0]) == 1 ? 0 : 1];
  assert_int_equal(seat_of(loop, into->reader->file), 1);
  until_all_rest(loop);
  assert_true(pier_post(loop, read_there, into) != 0);
  support__until_count(loop, &into->reader->done, 1, "a read in a ring that has been taken back");
  assert_int_equal(atomic_load(&into->reader->wrong), 0);
  assert_false(is_lent(loop, 1));
  for (unsigned i = 0; i < 2; i++)
    support__close_handle(loop, files[i]);
  support__event_close(crossing.go_on);
  support__close(loop);
}

/* ---- Who looks at many rings is away ---- */

typedef struct dawdler {
  support_event *go_on, *leave;
  pier_handle other;
  support_outcome *read;
  atomic_uint arrived, submitted, left;
  char byte, other_byte;
} dawdler;

static void take_and_let_go(const pier_result *result) {
  dawdler *self = result->context;
  support__event_set(self->leave);
  self->read->got = *result;
  support__count(&self->read->calls);
}

static void dawdle_and_read(const pier_result *result) {
  dawdler *self = result->context;
  support__count(&self->arrived);
  support__event_wait(self->go_on, PIER_NO_TIMEOUT);
  if (pier_read(self->other, &self->other_byte, 1, PIER_NO_DEADLINE, take_and_let_go, self))
    support__count(&self->submitted);
  if (support__event_wait(self->leave, 10 * PIER_SECOND * support__patience))
    support__count(&self->left);
}

/* Somebody stands in, and has looked at a ring that was lent to it: what it submits there after that goes out all the same. */
static void who_stays_away_still_reaches_what_is_lent(void **state) {
  (void)state;
  pier_loop *loop = open_with(2, 3);
  pier_handle ends[PAIRS][2];
  char byte;
  for (unsigned i = 0; i < PAIRS; i++)
    streams__pair(loop, STREAMS_TCP, ends[i]);
  for (unsigned round = 0; round < ROUNDS / 4; round++) {
    dawdler *self = support__alloc(sizeof *self);
    pier_handle door = end_at(loop, ends, 0, 0), lent = end_at(loop, ends, 1, 2);
    *self = (dawdler){.go_on = support__event_open(), .leave = support__event_open(), .read = support__outcome(), .other = end_at(loop, ends, 1, 0)};
    support__until(loop, is_calm, loop, "a lent seat");
    assert_true(pier_read(door, &self->byte, 1, PIER_NO_DEADLINE, dawdle_and_read, self) != 0);
    assert_true(pier_write(other_end(ends, door), "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    support__until_count(loop, &self->arrived, 1, "a callback that stays");
    support_outcome *brought = begin_read(lent, &byte);
    size_t written; /* no operation, which would bring somebody to its own ring */
    assert_status(pier_try_write(other_end(ends, lent), "z", 1, &written), PIER_OK);
    await_status(loop, brought, PIER_OK);
    support__event_set(self->go_on);
    support__until_count(loop, &self->submitted, 1, "a read from inside");
    assert_status(pier_try_write(other_end(ends, self->other), "y", 1, &written), PIER_OK);
    await_status(loop, self->read, PIER_OK);
    support__until_count(loop, &self->left, 1, "the end of that callback");
    support__event_close(self->go_on);
    support__event_close(self->leave);
  }
  for (unsigned i = 0; i < PAIRS; i++)
    streams__close_pair(loop, ends[i]);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST_POOL(three_of_four_lend_to_the_first),
      SUPPORT_TEST_POOL(who_finds_no_time_to_sleep_gets_help),
      SUPPORT_TEST_POOL(they_part_in_vain_more_and_more_seldom),
      SUPPORT_TEST_POOL(what_is_lent_works_as_before),
      SUPPORT_TEST_POOL(who_lends_does_not_keep),
      SUPPORT_TEST_POOL(what_is_handed_over_while_somebody_looks_is_seen),
      SUPPORT_TEST_POOL(what_is_put_in_line_meanwhile_goes_to_the_kernel),
      SUPPORT_TEST_POOL(who_stays_away_still_reaches_what_is_lent),
  };
  return support__main(argc, argv, "lend_linux", tests, sizeof tests / sizeof tests[0]);
}
