/* Callbacks that take long, or wait for others, on a loop with threads of its own: what they need goes on beside them. */
#include "hook.h"
#include "streams.h"

#include <stdlib.h>
#include <string.h>

enum { PAIRS = 8 };

/* With io_uring as many of the loop's threads have handles as there are processors, and the others stand in. */
static void with_fewer_and_fewer_processors(void (*body)(void)) {
  uint32_t usual = pier_hook_processors;
  for (uint32_t processors = SUPPORT_THREADS; processors; processors /= 2) {
    pier_hook_processors = processors;
    body();
  }
  pier_hook_processors = usual;
}

/* A callback that stays inside until something else has happened. */
typedef struct stayer {
  support_event *leave;
  atomic_uint arrived, left, timed_out;
  pier_handle other; /* read from inside */
  uint64_t dawdle_ns;
  support_outcome *read;
  char byte, other_byte;
} stayer;

static stayer *stayer__open(void) {
  stayer *self = support__alloc(sizeof *self);
  self->leave = support__event_open();
  self->read = support__outcome();
  return self;
}

static void stay(const pier_result *result) {
  stayer *self = result->context;
  support__count(&self->arrived);
  if (!support__event_wait(self->leave, 10 * PIER_SECOND * support__patience))
    atomic_fetch_add(&self->timed_out, 1);
  support__count(&self->left);
}

static void take_and_let_go(const pier_result *result) {
  stayer *self = result->context;
  self->read->got = *result;
  support__event_set(self->leave);
  support__count(&self->read->calls);
}

/* Reads from inside, and waits there for the callback of that. */
static void read_and_stay(const pier_result *result) {
  stayer *self = result->context;
  if (self->dawdle_ns) /* long enough for whoever watches to have lost interest */
    support__event_wait(self->leave, self->dawdle_ns);
  if (pier_read(self->other, &self->other_byte, 1, PIER_NO_DEADLINE, take_and_let_go, self))
    stay(result);
}

static void open_pairs(pier_loop *loop, pier_handle ends[PAIRS][2]) {
  for (int i = 0; i < PAIRS; i++)
    streams__pair(loop, i % 2 ? STREAMS_PIPE : STREAMS_TCP, ends[i]);
}

static void close_pairs(pier_loop *loop, pier_handle ends[PAIRS][2]) {
  for (int i = 0; i < PAIRS; i++)
    streams__close_pair(loop, ends[i]);
}

static void wait_inside_for_a_read_ns(uint64_t dawdle_ns) {
  pier_loop *loop = support__open();
  pier_handle ends[PAIRS][2];
  open_pairs(loop, ends);
  for (int i = 0; i < PAIRS; i++) {
    stayer *self = stayer__open();
    self->other = ends[(i + 3) % PAIRS][1];
    self->dawdle_ns = dawdle_ns;
    assert_true(pier_read(ends[i][0], &self->byte, 1, PIER_NO_DEADLINE, read_and_stay, self) != 0);
    assert_true(pier_write(ends[i][1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    assert_true(pier_write(ends[(i + 3) % PAIRS][0], "y", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    support__until_count(loop, &self->left, 1, "the callback that waits for another's");
    support__await(loop, self->read);
    assert_int_equal(atomic_load(&self->timed_out), 0);
    assert_int_equal(self->other_byte, 'y');
    support__event_close(self->leave);
  }
  close_pairs(loop, ends);
  support__close(loop);
}

static void wait_inside_for_a_read(void) { wait_inside_for_a_read_ns(0); }
static void wait_inside_for_a_late_read(void) { wait_inside_for_a_read_ns(40 * PIER_MILLISECOND); }

/* What a callback has submitted is served while it is still running, by whichever thread. */
static void b40_a_callback_waits_for_what_it_has_submitted(void **state) {
  (void)state;
  with_fewer_and_fewer_processors(wait_inside_for_a_read);
}

static void b40_a_callback_submits_late_and_waits(void **state) {
  (void)state;
  with_fewer_and_fewer_processors(wait_inside_for_a_late_read);
}

static void fire(pier_loop *loop, pier_timer timer, void *context) {
  (void)loop;
  (void)timer;
  support__count(context);
}

/* One that is posted stays inside, then one of a timer: all handles and timers go on, whoever looks after them otherwise. */
static void stay_in_posts_and_timers(void) {
  enum { ROUNDS = 6 };
  pier_loop *loop = support__open();
  pier_handle ends[PAIRS][2];
  open_pairs(loop, ends);
  for (int round = 0; round < ROUNDS; round++) {
    stayer *self = stayer__open();
    atomic_uint *fired = support__alloc(sizeof *fired);
    assert_true(pier_post(loop, stay, self) != 0);
    support__until_count(loop, &self->arrived, 1, "the slow post");
    assert_true(pier_timer_start(loop, PIER_MILLISECOND, 0, fire, fired) != 0);
    for (int i = 0; i < PAIRS; i++)
      streams__exchange(loop, ends[i][0], ends[i][1], 100, (uint64_t)i);
    support__until_count(loop, fired, 1, "a timer beside the slow post");
    assert_int_equal(atomic_load(&self->left), 0);
    support__event_set(self->leave);
    support__until_count(loop, &self->left, 1, "the end of the slow post");
    assert_int_equal(atomic_load(&self->timed_out), 0);
    support__event_close(self->leave);
  }
  close_pairs(loop, ends);
  support__close(loop);
}

static void b40_posts_and_timers_may_be_slow(void **state) {
  (void)state;
  with_fewer_and_fewer_processors(stay_in_posts_and_timers);
}

typedef struct note {
  stayer *slow;
  uint64_t at_ns;
} note;

static void note_and_let_go(pier_loop *loop, pier_timer timer, void *context) {
  note *self = context;
  (void)loop;
  (void)timer;
  self->at_ns = pier_now_ns();
  support__event_set(self->slow->leave);
}

/* How long a timer waits that is due behind a slow post. */
static uint64_t wait_behind_a_slow_post_ns(pier_loop *loop) {
  stayer *self = stayer__open();
  note *behind = support__alloc(sizeof *behind);
  behind->slow = self;
  assert_true(pier_post(loop, stay, self) != 0);
  support__until_count(loop, &self->arrived, 1, "the slow post");
  uint64_t begun_ns = pier_now_ns();
  assert_true(pier_timer_start(loop, 0, 0, note_and_let_go, behind) != 0);
  support__until_count(loop, &self->left, 1, "the end of the slow post");
  assert_int_equal(atomic_load(&self->timed_out), 0);
  support__event_close(self->leave);
  return behind->at_ns - begun_ns;
}

static int compare_ns(const void *a, const void *b) {
  uint64_t left, right;
  memcpy(&left, a, sizeof left);
  memcpy(&right, b, sizeof right);
  return left < right ? -1 : left > right;
}

/* A loop with io_uring looks for slow callbacks each seven milliseconds, and each two when it has found one. Of many the better ones, for the
   machine may be busy; not the best, for now and then another thread is just about to look after the timers. */
static void after_a_slow_callback_the_next_is_noticed_soon(void **state) {
  enum { ROUNDS = 20, BETTER = ROUNDS / 4 };
  (void)state;
  pier_loop *loop = support__open();
  uint64_t waits_ns[ROUNDS];
  wait_behind_a_slow_post_ns(loop); /* the first one */
  for (int round = 0; round < ROUNDS; round++)
    waits_ns[round] = wait_behind_a_slow_post_ns(loop);
  qsort(waits_ns, ROUNDS, sizeof waits_ns[0], compare_ns);
  print_message("a timer behind a slow post waits for %.2f ms\n", (double)waits_ns[BETTER] / 1e6);
  assert_true(waits_ns[BETTER] < 5 * PIER_MILLISECOND);
  support__close(loop);
}

/* ---- Callbacks that all take long ---- */

enum { SLOW_NS = 300 * PIER_MICROSECOND };

typedef struct meeting {
  support_event *complete, *never;
  atomic_uint inside, left;
  unsigned wanted;
  uint64_t at_ns; /* when the last one had come */
  char bytes[SUPPORT_THREADS];
} meeting;

/* Waits inside for the others, and takes its time then. */
static void meet(const pier_result *result) {
  meeting *self = result->context;
  if (atomic_fetch_add(&self->inside, 1) + 1 == self->wanted) {
    self->at_ns = pier_now_ns();
    support__event_set(self->complete);
  }
  support__event_wait(self->complete, 10 * PIER_SECOND * support__patience);
  support__event_wait(self->never, SLOW_NS);
  support__count(&self->left);
}

static uint64_t meet_once_ns(pier_loop *loop, pier_handle ends[PAIRS][2]) {
  meeting *self = support__alloc(sizeof *self);
  self->complete = support__event_open();
  self->never = support__event_open();
  self->wanted = SUPPORT_THREADS;
  for (int i = 0; i < SUPPORT_THREADS; i++)
    assert_true(pier_read(ends[i][0], &self->bytes[i], 1, PIER_NO_DEADLINE, meet, self) != 0);
  uint64_t begun_ns = pier_now_ns();
  for (int i = 0; i < SUPPORT_THREADS; i++)
    assert_true(pier_write(ends[i][1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
  support__until_count(loop, &self->left, SUPPORT_THREADS, "callbacks that wait for one another");
  assert_int_equal(atomic_load(&self->inside), SUPPORT_THREADS);
  support__event_close(self->complete);
  support__event_close(self->never);
  return self->at_ns - begun_ns;
}

/* As many as there are threads, whichever threads their handles belong to; and when that is known, without delay: a loop with io_uring
   does not wait until it is found out each time, which takes nearly two milliseconds for each of them. */
static void meet_often(void) {
  enum { ROUNDS = 40, BETTER = ROUNDS / 4 };
  pier_loop *loop = support__open();
  pier_handle ends[PAIRS][2];
  uint64_t waits_ns[ROUNDS];
  open_pairs(loop, ends);
  for (int round = 0; round < ROUNDS; round++)
    waits_ns[round] = meet_once_ns(loop, ends);
  qsort(waits_ns, ROUNDS, sizeof waits_ns[0], compare_ns);
  print_message("all were inside after %.2f ms\n", (double)waits_ns[BETTER] / 1e6);
  assert_true(waits_ns[BETTER] < 1800 * PIER_MICROSECOND);
  close_pairs(loop, ends);
  support__close(loop);
}

static void all_threads_are_in_slow_callbacks_at_once(void **state) {
  (void)state;
  with_fewer_and_fewer_processors(meet_often);
}

typedef struct crowd {
  pier_loop *loop;
  pier_handle ends[PAIRS][2];
  support_event *never;
  atomic_uint callbacks, quiet, fired;
  atomic_bool over;
  unsigned before; /* callbacks that had run when the timer was started */
  unsigned between[64];
} crowd;

typedef struct walker {
  crowd *crowd;
  int index;
  char byte;
} walker;

static void walk(const pier_result *result);

static void walk_on(walker *self) {
  const pier_handle *pair = self->crowd->ends[self->index];
  bool ends = atomic_load(&self->crowd->over) || !pier_read(pair[0], &self->byte, 1, PIER_NO_DEADLINE, walk, self) ||
              !pier_write(pair[1], "x", 1, PIER_NO_DEADLINE, NULL, NULL);
  if (ends)
    support__count(&self->crowd->quiet);
}

static void walk(const pier_result *result) {
  walker *self = result->context;
  atomic_fetch_add(&self->crowd->callbacks, 1);
  support__event_wait(self->crowd->never, SLOW_NS);
  walk_on(self);
}

static void look_at_the_crowd(pier_loop *loop, pier_timer timer, void *context) {
  crowd *self = context;
  unsigned fired = atomic_load(&self->fired), now = atomic_load(&self->callbacks);
  (void)timer;
  self->between[fired] = now - self->before;
  self->before = now;
  if (fired + 1 < sizeof self->between / sizeof self->between[0])
    pier_timer_start(loop, PIER_MILLISECOND, 0, look_at_the_crowd, self);
  support__count(&self->fired);
}

static int compare_unsigned(const void *a, const void *b) {
  unsigned left, right;
  memcpy(&left, a, sizeof left);
  memcpy(&right, b, sizeof right);
  return left < right ? -1 : left > right;
}

/* All threads are in slow callbacks all the time, with more of them due than there are threads: whoever looks after timers and posts comes to
   it nevertheless. Counted in callbacks, for the machine may be busy. */
static void look_between_slow_callbacks(void) {
  crowd *self = support__alloc(sizeof *self);
  const unsigned looks = sizeof self->between / sizeof self->between[0];
  self->loop = support__open();
  self->never = support__event_open();
  open_pairs(self->loop, self->ends);
  for (int pair = 0; pair < PAIRS; pair++) {
    walker *walks = support__alloc(sizeof *walks);
    *walks = (walker){.crowd = self, .index = pair};
    walk_on(walks);
  }
  assert_true(pier_timer_start(self->loop, PIER_MILLISECOND, 0, look_at_the_crowd, self) != 0);
  support__until_count(self->loop, &self->fired, looks, "timers beside slow callbacks");
  atomic_store(&self->over, true);
  support__until_count(self->loop, &self->quiet, PAIRS, "the end of the slow callbacks");
  qsort(self->between, looks, sizeof self->between[0], compare_unsigned);
  print_message("%u callbacks, at most %u, between two timers\n", self->between[looks / 2], self->between[looks - 1]);
  assert_true(self->between[looks / 2] < 8 * PAIRS);
  close_pairs(self->loop, self->ends);
  support__event_close(self->never);
  support__close(self->loop);
}

static void timers_have_their_turn_beside_slow_callbacks(void **state) {
  (void)state;
  with_fewer_and_fewer_processors(look_between_slow_callbacks);
}

/* All threads but one are inside, on whichever handles: the last one does everything. */
static void leave_one_thread(void) {
  pier_loop *loop = support__open();
  pier_handle ends[PAIRS][2];
  stayer *stayers[SUPPORT_THREADS - 1];
  open_pairs(loop, ends);
  for (int first = 0; first < PAIRS; first++) {
    for (int i = 0; i < SUPPORT_THREADS - 1; i++) {
      pier_handle *pair = ends[(first + 2 * i) % PAIRS];
      stayers[i] = stayer__open();
      assert_true(pier_read(pair[0], &stayers[i]->byte, 1, PIER_NO_DEADLINE, stay, stayers[i]) != 0);
      assert_true(pier_write(pair[1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
      support__until_count(loop, &stayers[i]->arrived, 1, "a slow callback beside others");
    }
    for (int i = 0; i < PAIRS; i++)
      if (i != first && i != (first + 2) % PAIRS && i != (first + 4) % PAIRS)
        streams__exchange(loop, ends[i][0], ends[i][1], 100, (uint64_t)i);
    for (int i = 0; i < SUPPORT_THREADS - 1; i++) {
      support__event_set(stayers[i]->leave);
      support__until_count(loop, &stayers[i]->left, 1, "the end of a slow callback");
      assert_int_equal(atomic_load(&stayers[i]->timed_out), 0);
      support__event_close(stayers[i]->leave);
    }
  }
  close_pairs(loop, ends);
  support__close(loop);
}

static void b40_one_thread_left_is_enough(void **state) {
  (void)state;
  with_fewer_and_fewer_processors(leave_one_thread);
}

typedef struct caller {
  stayer *self;
  pier_loop *loop;
  pier_address address;
  support_outcome *connected;
} caller;

static void connect_and_stay(const pier_result *result) {
  caller *calls = result->context;
  if (pier_tcp_connect(calls->loop, &calls->address, NULL, PIER_NO_DEADLINE, support__take, calls->connected)) {
    pier_result inside = {.context = calls->self};
    stay(&inside);
  }
}

/* On a loop with a single thread: what a callback that does not return has submitted goes out all the same. */
static void a_single_thread_submits_and_stays(void **state) {
  (void)state;
  pier_loop *loop = support__open_with(&(pier_loop_options){.threads = 1});
  caller *calls = support__alloc(sizeof *calls);
  pier_native accepted;
  pier_sync_result got;
  *calls = (caller){.self = stayer__open(), .loop = loop, .connected = support__outcome()};
  pier_handle listener = streams__tcp_listen(loop, &calls->address);
  assert_true(pier_post(loop, connect_and_stay, calls) != 0);
  assert_status(pier_sync_accept(pier_handle_native(listener), 10 * PIER_SECOND, &accepted, &got), PIER_OK);
  assert_int_equal(atomic_load(&calls->self->left), 0);
  support__event_set(calls->self->leave);
  await_status(loop, calls->connected, PIER_OK);
  support__native_close_socket(accepted);
  support__close_handle(loop, calls->connected->got.opened);
  support__close_handle(loop, listener);
  assert_int_equal(atomic_load(&calls->self->timed_out), 0);
  support__event_close(calls->self->leave);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST_POOL(b40_a_callback_waits_for_what_it_has_submitted),
      SUPPORT_TEST_POOL(b40_a_callback_submits_late_and_waits),
      SUPPORT_TEST_POOL(b40_posts_and_timers_may_be_slow),
      SUPPORT_TEST_POOL(after_a_slow_callback_the_next_is_noticed_soon),
      SUPPORT_TEST_POOL(all_threads_are_in_slow_callbacks_at_once),
      SUPPORT_TEST_POOL(timers_have_their_turn_beside_slow_callbacks),
      SUPPORT_TEST_POOL(b40_one_thread_left_is_enough),
      SUPPORT_TEST(a_single_thread_submits_and_stays),
  };
  return support__main(argc, argv, "slow", tests, sizeof tests / sizeof tests[0]);
}
