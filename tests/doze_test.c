/* A loop without a handle sleeps beside its port (poller/doze.h): that it does, that whatever comes ends it, and that nothing comes too late. */
#include "streams.h"

#include "hook.h"
#include "loop.h"

enum { ROUNDS = 200 };

typedef struct sleeper {
  pier_loop *loop;
  support_thread *thread; /* null: the loop has threads of its own */
  int status;
} sleeper;

static void run_it(void *context) {
  sleeper *self = context;
  self->status = pier_loop_run(self->loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT);
  support__signal();
}

static bool sleeps(void *context) {
  sleeper *self = context;
  return atomic_load(&loop__poller(self->loop)->doze.asleep) != 0;
}

static void run_held(sleeper *self) {
  assert_status(pier_loop_hold(self->loop), PIER_OK);
  self->thread = support__threads() ? NULL : support__thread_start(run_it, self);
}

static void release(sleeper *self) {
  assert_status(pier_loop_release(self->loop), PIER_OK);
  if (self->thread)
    support__thread_join(self->thread);
  assert_status(self->status, PIER_OK);
}

/* One of several threads that went to the port when there was a handle stays there until something comes. */
static void until_it_sleeps(sleeper *self) {
  support_outcome *posted = support__outcome();
  assert_true(pier_post(self->loop, support__take, posted) != 0);
  support__await(NULL, posted);
  support__until(NULL, sleeps, self, "the thread to sleep beside the port");
}

/* Where the poller threads have a ring each, each waits for that. */
static sleeper *begin(void) {
  sleeper *self = support__alloc(sizeof *self);
  self->loop = support__open();
  if (loop__poller(self->loop)->seats) {
    support__close(self->loop);
    support__skip("each thread of this loop has a ring");
  }
  run_held(self);
  until_it_sleeps(self);
  return self;
}

static void end(sleeper *self) {
  release(self);
  support__close(self->loop);
}

static void on_timer(pier_loop *loop, pier_timer timer, void *context) {
  (void)loop;
  (void)timer;
  support__count(context);
}

static int work_here(void *context) {
  (void)context;
  return PIER_OK;
}

/* What threads bring. */
static void it_is_called_by_posts_timers_and_work(void **state) {
  (void)state;
  sleeper *self = begin();
  atomic_uint *fired = support__alloc(sizeof *fired);
  for (unsigned i = 1; i <= ROUNDS; i++) {
    support_outcome *posted = support__outcome(), *worked = support__outcome();
    until_it_sleeps(self);
    assert_true(pier_post(self->loop, support__take, posted) != 0);
    support__await(NULL, posted);
    until_it_sleeps(self);
    assert_true(pier_work(self->loop, work_here, PIER_NO_DEADLINE, support__take, worked) != 0);
    support__await(NULL, worked);
    until_it_sleeps(self);
    assert_true(pier_timer_start(self->loop, PIER_MICROSECOND, 0, on_timer, fired) != 0);
    support__until_count(NULL, fired, i, "the timer");
  }
  end(self);
}

static void it_is_called_to_stop(void **state) {
  (void)state;
  sleeper *self = begin();
  if (!self->thread)
    support__skip("a loop with threads of its own has nobody to send away");
  for (unsigned i = 0; i < ROUNDS; i++) {
    until_it_sleeps(self);
    assert_status(pier_loop_stop(self->loop), PIER_OK);
    support__thread_join(self->thread);
    self->thread = support__thread_start(run_it, self);
  }
  end(self);
}

/* A round trip that nobody but the port tells of; `go_on`, if there is one, is set when all is under way. */
static void exchange_on(pier_loop *loop, support_event *go_on) {
  pier_handle ends[2];
  char byte = 0;
  support_outcome *read = support__outcome();
  assert_status(pier_pipe_pair(loop, NULL, ends), PIER_OK);
  assert_true(pier_read(ends[0], &byte, 1, PIER_NO_DEADLINE, support__take, read) != 0);
  pier_sync_result result;
  assert_status(pier_sync_write(pier_handle_native(ends[1]), "x", 1, PIER_NO_TIMEOUT, &result), PIER_OK);
  if (go_on)
    support__event_set(go_on);
  support__await(NULL, read);
  assert_status(read->got.status, PIER_OK);
  for (int i = 0; i < 2; i++)
    support__close_handle(NULL, ends[i]);
}

static void a_handle_ends_it(void **state) {
  (void)state;
  sleeper *self = begin();
  for (unsigned i = 0; i < ROUNDS; i++) {
    until_it_sleeps(self);
    exchange_on(self->loop, NULL);
  }
  end(self);
}

/* ---- Just before it says that it sleeps ---- */

static struct {
  pier_loop *loop;
  support_event *there, *go_on;
} crossing;

static void wait_there(struct poller *poller) {
  if (poller != loop__poller(crossing.loop))
    return;
  support__event_set(crossing.there);
  support__event_wait(crossing.go_on, PIER_NO_TIMEOUT);
}

static void a_handle_is_seen_that_comes_just_before(void **state) {
  (void)state;
  sleeper *self = begin();
  crossing.loop = self->loop;
  crossing.there = support__event_open();
  crossing.go_on = support__event_open();
  for (unsigned i = 0; i < 20; i++) {
    until_it_sleeps(self);
    support__event_reset(crossing.there);
    support__event_reset(crossing.go_on);
    pier_hook_dozing = wait_there;
    do /* Once round, to the hook; unless another thread was still at the posts, and took it as well. */
      assert_true(pier_post(self->loop, support__take, support__outcome()) != 0);
    while (!support__event_wait(crossing.there, 10 * PIER_MILLISECOND));
    pier_hook_dozing = NULL;
    exchange_on(self->loop, crossing.go_on);
  }
  support__event_close(crossing.there);
  support__event_close(crossing.go_on);
  end(self);
}

/* ---- The port is given away ---- */

static void it_is_over_when_the_port_is_given_away(void **state) {
  (void)state;
  sleeper *self = begin();
  assert_true(pier_loop_native(self->loop) != PIER_NATIVE_NONE);
  for (unsigned i = 0; i < ROUNDS; i++) {
    support_outcome *posted = support__outcome();
    assert_true(pier_post(self->loop, support__take, posted) != 0);
    support__await(NULL, posted);
    assert_true(!sleeps(self) || i == 0); /* it may not have got up yet */
  }
  end(self);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(it_is_called_by_posts_timers_and_work),
      SUPPORT_TEST_POOL(it_is_called_by_posts_timers_and_work),
      SUPPORT_TEST(it_is_called_to_stop),
      SUPPORT_TEST(a_handle_ends_it),
      SUPPORT_TEST_POOL(a_handle_ends_it),
      SUPPORT_TEST(a_handle_is_seen_that_comes_just_before),
      SUPPORT_TEST_POOL(a_handle_is_seen_that_comes_just_before),
      SUPPORT_TEST(it_is_over_when_the_port_is_given_away),
  };
  return support__main(argc, argv, "doze", tests, sizeof tests / sizeof tests[0]);
}
