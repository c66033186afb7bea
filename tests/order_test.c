/* Poller threads: callbacks of one handle come in order and never overlap, those of many handles run at the same time.
 */
#include "streams.h"

enum { IN_FLIGHT = 8, CHUNK = 64 };

typedef struct lane lane;

typedef struct lane_read {
  lane *home;
  unsigned char byte;
} lane_read;

/* One busy handle with several reads in flight, each of one byte of a sequence. */
struct lane {
  pier_handle handle;
  uint64_t seed;
  bool again;        /* each callback submits the next read */
  unsigned expected; /* written by callbacks only; they do not overlap, or the case fails */
  atomic_uint calls, inside, overlapping, out_of_order, strange;
  lane_read reads[IN_FLIGHT];
};

static unsigned char sequence(unsigned number) {
  return (unsigned char)(number % 251);
}

static void take_in_order(const pier_result *result) {
  lane_read *read = result->context;
  lane *home = read->home;
  if (result->status == PIER_ECLOSED)
    return;
  if (atomic_fetch_add(&home->inside, 1) != 0)
    atomic_fetch_add(&home->overlapping, 1);
  if (result->status != PIER_OK || result->bytes != 1)
    atomic_fetch_add(&home->strange, 1);
  if (read->byte != sequence(home->expected++))
    atomic_fetch_add(&home->out_of_order, 1);
  /* Some callbacks take longer than others, so that an unguarded next one would overtake. */
  for (uint64_t i = support__random_below(&home->seed, 3000); i > 0; i--)
    atomic_load(&home->inside);
  if (support__random_below(&home->seed, 16) == 0)
    support__yield();
  atomic_fetch_sub(&home->inside, 1);
  if (home->again)
    pier_read(home->handle, &read->byte, 1, PIER_NO_DEADLINE, take_in_order, read);
  support__count(&home->calls);
}

static lane *open_lane(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  lane *home = support__alloc(sizeof *home);
  streams__pair(loop, sort, ends);
  home->handle = ends[0];
  home->seed = support__seed();
  for (int i = 0; i < IN_FLIGHT; i++)
    home->reads[i].home = home;
  return home;
}

static void send_sequence(pier_loop *loop, pier_handle to, unsigned from, unsigned count) {
  unsigned char *sent = support__alloc(count);
  support_outcome *written = support__outcome();
  for (unsigned i = 0; i < count; i++)
    sent[i] = sequence(from + i);
  assert_true(pier_write(to, sent, count, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, written, PIER_OK);
}

static void judge(const lane *home, streams_sort sort, bool in_order) {
  unsigned out_of_order = atomic_load(&home->out_of_order);
  if (atomic_load(&home->overlapping) || (in_order && out_of_order) || atomic_load(&home->strange))
    fail_msg("%s: %u callbacks overlap, %u are out of order, %u are strange", streams__name(sort),
             atomic_load(&home->overlapping), out_of_order, atomic_load(&home->strange));
}

/* Eight reads are submitted by this thread, then their data comes; over and over. */
static void flow_in_rounds(pier_loop *loop, streams_sort sort, unsigned bytes, bool in_order) {
  pier_handle ends[2];
  lane *home = open_lane(loop, sort, ends);
  for (unsigned at = 0; at < bytes; at += IN_FLIGHT) {
    for (int i = 0; i < IN_FLIGHT; i++)
      assert_true(pier_read(ends[0], &home->reads[i].byte, 1, PIER_NO_DEADLINE, take_in_order, &home->reads[i]) != 0);
    send_sequence(loop, ends[1], at, IN_FLIGHT);
    support__until_count(loop, &home->calls, at + IN_FLIGHT, "every byte");
  }
  streams__close_pair(loop, ends);
  judge(home, sort, in_order);
  assert_int_equal(atomic_load(&home->calls), bytes);
}

/* Each callback submits the next read, so that some find their data there and some wait. False: out of order, on a
   system that is known for it. */
static bool flow_from_callbacks(pier_loop *loop, streams_sort sort, unsigned bytes) {
  pier_handle ends[2];
  lane *home = open_lane(loop, sort, ends);
  home->again = true;
  for (int i = 0; i < IN_FLIGHT; i++)
    assert_true(pier_read(ends[0], &home->reads[i].byte, 1, PIER_NO_DEADLINE, take_in_order, &home->reads[i]) != 0);
  for (unsigned at = 0; at < bytes; at += CHUNK)
    send_sequence(loop, ends[1], at, CHUNK);
  support__until_count(loop, &home->calls, bytes, "every byte");
  streams__close_pair(loop, ends);
  bool excused = support__is_wine() && support__threads() > 0;
  judge(home, sort, !excused);
  assert_int_equal(atomic_load(&home->calls), bytes);
  return atomic_load(&home->out_of_order) == 0;
}

/* With eight reads in flight on one busy handle the callbacks never overlap and come in the order of the completions.
 */
static void b39_callbacks_of_a_handle_come_in_order(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  flow_in_rounds(loop, STREAMS_PIPE, 4096, true);
  flow_in_rounds(loop, STREAMS_TCP, 4096, true);
  print_message("callbacks left to a busy thread: %u\n", (unsigned)support__metrics(loop).strand_hand_overs);
  support__close(loop);
}

/* The same when the callbacks themselves submit the next reads: none that finds its data there overtakes one that
 * waited. */
static void b39_reads_from_callbacks_stay_in_order(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  bool pipe = flow_from_callbacks(loop, STREAMS_PIPE, 4096), tcp = flow_from_callbacks(loop, STREAMS_TCP, 4096);
  support__close(loop);
  if (!pipe || !tcp)
    support__skip(
        "no callbacks overlapped, but Wine queues the packets of reads that different threads made out of order");
}

typedef struct arrivals {
  atomic_uint count;
  unsigned order[4];
} arrivals;

typedef struct arrival {
  arrivals *all;
  unsigned number;
  char byte;
} arrival;

static void note_arrival(const pier_result *result) {
  arrival *one = result->context;
  one->all->order[atomic_load(&one->all->count)] = one->number;
  support__count(&one->all->count);
}

/* A read that finds its data inside its own call is not called back before one that waited longer and whose packet is
 * on its way. */
static void b39_a_read_that_is_done_at_once_does_not_overtake(void **state) {
  (void)state;
  enum { READS = 4, WAITING = 2 };
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_TCP};
  for (int s = 0; s < 2; s++) {
    pier_loop *loop = support__open();
    pier_handle ends[2];
    streams__pair(loop, sorts[s], ends);
    for (int round = 0; round < 100; round++) {
      arrivals *all = support__alloc(sizeof *all);
      arrival *reads = support__alloc(READS * sizeof *reads);
      pier_sync_result written;
      for (unsigned i = 0; i < READS; i++) {
        reads[i].all = all;
        reads[i].number = i;
        /* By a call that needs no turn of the loop, so that the first reads are done and their packets still wait. */
        if (i == WAITING)
          assert_status(pier_sync_write(pier_handle_native(ends[1]), "abcd", READS, PIER_NO_TIMEOUT, &written),
                        PIER_OK);
        assert_true(pier_read(ends[0], &reads[i].byte, 1, PIER_NO_DEADLINE, note_arrival, &reads[i]) != 0);
      }
      support__until_count(loop, &all->count, READS, "all reads");
      for (unsigned i = 0; i < READS; i++) {
        assert_int_equal(reads[i].byte, "abcd"[i]);
        assert_int_equal(all->order[i], i);
      }
    }
    streams__close_pair(loop, ends);
    support__close(loop);
  }
}

/* On the event path they do not overlap either, and come in order, though the system may see the events of one handle in any. */
static void b39_callbacks_of_the_event_path_come_in_order(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  flow_in_rounds(loop, STREAMS_KEPT_PIPE, 1024, true);
  flow_in_rounds(loop, STREAMS_KEPT_TCP, 1024, true);
  support__close(loop);
}

typedef struct guest {
  support_event *leave;
  atomic_uint *inside;
  atomic_uint arrived, left, timed_out;
  char byte;
} guest;

/* Stays inside until it is let go. */
static void stay(const pier_result *result) {
  guest *self = result->context;
  atomic_fetch_add(self->inside, 1);
  support__count(&self->arrived);
  if (!support__event_wait(self->leave, 10 * PIER_SECOND))
    atomic_fetch_add(&self->timed_out, 1);
  support__count(&self->left);
}

/* As many slow callbacks as there are threads, each of a handle of its own, are inside at the same time. */
static void b40_callbacks_of_many_handles_run_in_parallel(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[SUPPORT_THREADS][2];
  guest *guests[SUPPORT_THREADS];
  atomic_uint *inside = support__alloc(sizeof *inside);
  support_event *leave = support__event_open();
  for (int i = 0; i < SUPPORT_THREADS; i++) {
    guests[i] = support__alloc(sizeof *guests[i]);
    guests[i]->leave = leave;
    guests[i]->inside = inside;
    streams__pair(loop, i % 2 ? STREAMS_PIPE : STREAMS_TCP, ends[i]);
    assert_true(pier_read(ends[i][0], &guests[i]->byte, 1, PIER_NO_DEADLINE, stay, guests[i]) != 0);
  }
  for (int i = 0; i < SUPPORT_THREADS; i++) {
    assert_true(pier_write(ends[i][1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    /* The next one comes only when this one is inside, so no thread can have taken both at once. */
    support__until_count(loop, &guests[i]->arrived, 1, "the next callback beside the slow ones");
  }
  assert_int_equal(atomic_load(inside), SUPPORT_THREADS);
  support__event_set(leave);
  for (int i = 0; i < SUPPORT_THREADS; i++) {
    support__until_count(loop, &guests[i]->left, 1, "the slow callbacks");
    assert_int_equal(atomic_load(&guests[i]->timed_out), 0);
    streams__close_pair(loop, ends[i]);
  }
  support__event_close(leave);
  support__close(loop);
}

static void fire(pier_loop *loop, pier_timer timer, void *context) {
  (void)loop;
  (void)timer;
  support__count(context);
}

/* While one handle's callback takes its time and more arrives for it, other handles, timers and posts go on. */
static void b40_a_slow_callback_starves_nobody(void **state) {
  (void)state;
  enum { MORE = 6 };
  pier_loop *loop = support__open();
  pier_handle slow[2], quick[2];
  atomic_uint *inside = support__alloc(sizeof *inside), *fired = support__alloc(sizeof *fired);
  guest *first = support__alloc(sizeof *first);
  support_outcome *queued[MORE], *posted = support__outcome();
  char *bytes = support__alloc(MORE);
  first->leave = support__event_open();
  first->inside = inside;
  streams__pair(loop, STREAMS_PIPE, slow);
  streams__pair(loop, STREAMS_PIPE, quick);
  assert_true(pier_read(slow[0], &first->byte, 1, PIER_NO_DEADLINE, stay, first) != 0);
  for (int i = 0; i < MORE; i++) {
    queued[i] = support__outcome();
    assert_true(pier_read(slow[0], &bytes[i], 1, PIER_NO_DEADLINE, support__take, queued[i]) != 0);
  }
  assert_true(pier_write(slow[1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
  support__until_count(loop, &first->arrived, 1, "the slow callback");
  assert_true(pier_write(slow[1], "123456", MORE, PIER_NO_DEADLINE, NULL, NULL) != 0);
  for (int i = 0; i < 30; i++)
    streams__exchange(loop, quick[i % 2], quick[1 - i % 2], 100, (uint64_t)i);
  assert_true(pier_timer_start(loop, PIER_MILLISECOND, 0, fire, fired) != 0);
  support__until_count(loop, fired, 1, "a timer beside the slow callback");
  assert_true(pier_post(loop, support__take, posted) != 0);
  support__await(loop, posted);
  for (int i = 0; i < MORE; i++)
    assert_false(support__called(queued[i]));
  support__event_set(first->leave);
  for (int i = 0; i < MORE; i++) {
    await_status(loop, queued[i], PIER_OK);
    assert_int_equal(bytes[i], '1' + i);
  }
  assert_int_equal(atomic_load(&first->timed_out), 0);
  support__event_close(first->leave);
  streams__close_pair(loop, slow);
  streams__close_pair(loop, quick);
  support__close(loop);
}

typedef struct crowd {
  atomic_uint calls, inside, most_inside;
  support_event *never;
} crowd;

typedef struct crowd_member {
  crowd *all;
  pier_handle handle;
  atomic_uint calls, inside, overlapping;
  char byte;
} crowd_member;

static void work_a_while(const pier_result *result) {
  crowd_member *self = result->context;
  if (result->status != PIER_OK)
    return;
  if (atomic_fetch_add(&self->inside, 1) != 0)
    atomic_fetch_add(&self->overlapping, 1);
  unsigned now = atomic_fetch_add(&self->all->inside, 1) + 1, most = atomic_load(&self->all->most_inside);
  while (now > most && !atomic_compare_exchange_weak(&self->all->most_inside, &most, now))
    support__yield();
  /* Stands for work that blocks; nothing waits for its end. */
  support__event_wait(self->all->never, PIER_MILLISECOND);
  atomic_fetch_sub(&self->all->inside, 1);
  atomic_fetch_sub(&self->inside, 1);
  atomic_fetch_add(&self->calls, 1);
  pier_read(self->handle, &self->byte, 1, PIER_NO_DEADLINE, work_a_while, self);
  support__count(&self->all->calls);
}

/* Many busy handles with callbacks that take time share the threads: several run at once, and each handle gets its
 * turn. */
static void b40_no_handle_is_starved(void **state) {
  (void)state;
  enum { HANDLES = 16, EACH = 24 };
  pier_loop *loop = support__open();
  pier_handle ends[HANDLES][2];
  crowd *all = support__alloc(sizeof *all);
  crowd_member *members = support__alloc(HANDLES * sizeof *members);
  char *bytes = support__alloc(EACH);
  all->never = support__event_open();
  for (int i = 0; i < HANDLES; i++) {
    streams__pair(loop, STREAMS_PIPE, ends[i]);
    members[i].all = all;
    members[i].handle = ends[i][0];
    assert_true(pier_write(ends[i][1], bytes, EACH, PIER_NO_DEADLINE, NULL, NULL) != 0);
  }
  for (int i = 0; i < HANDLES; i++)
    assert_true(pier_read(ends[i][0], &members[i].byte, 1, PIER_NO_DEADLINE, work_a_while, &members[i]) != 0);
  support__until_count(loop, &all->calls, HANDLES * EACH / 2, "half of the callbacks");
  for (int i = 0; i < HANDLES; i++)
    assert_true(atomic_load(&members[i].calls) > 0);
  support__until_count(loop, &all->calls, HANDLES * EACH, "all callbacks");
  print_message("%u callbacks at once at most\n", atomic_load(&all->most_inside));
  assert_in_range(atomic_load(&all->most_inside), 2, SUPPORT_THREADS);
  for (int i = 0; i < HANDLES; i++) {
    assert_int_equal(atomic_load(&members[i].overlapping), 0);
    streams__close_pair(loop, ends[i]);
  }
  support__event_close(all->never);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b39_callbacks_of_a_handle_come_in_order),
      SUPPORT_TEST_POOL(b39_callbacks_of_a_handle_come_in_order),
      SUPPORT_TEST(b39_reads_from_callbacks_stay_in_order),
      SUPPORT_TEST_POOL(b39_reads_from_callbacks_stay_in_order),
      SUPPORT_TEST(b39_a_read_that_is_done_at_once_does_not_overtake),
      SUPPORT_TEST_POOL(b39_a_read_that_is_done_at_once_does_not_overtake),
      SUPPORT_TEST_POOL(b39_callbacks_of_the_event_path_come_in_order),
      SUPPORT_TEST_POOL(b40_callbacks_of_many_handles_run_in_parallel),
      SUPPORT_TEST_POOL(b40_a_slow_callback_starves_nobody),
      SUPPORT_TEST_POOL(b40_no_handle_is_starved),
  };
  return support__main(argc, argv, "order", tests, sizeof tests / sizeof tests[0]);
}
