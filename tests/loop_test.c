/* The loop: opening, running, stopping, holding and closing it. */
#include "streams.h"

#include <string.h>

#define LONG_NS (10 * PIER_SECOND)

static void count_callback(const pier_result *result) {
  support__count(result->context);
}

static atomic_uint *counter(void) {
  return support__alloc(sizeof(atomic_uint));
}

/* A loop that is opened and closed again leaves no kernel handle, thread or memory behind. */
static void open_and_close_leave_nothing_behind(void **state) {
  (void)state;
  /* What the C library keeps for the next thread is there after a few. */
  for (int i = 0; i < 4; i++)
    support__close(support__open());
  size_t handles = support__handle_count(), heap_bytes = support__heap_bytes(),
         committed_bytes = support__committed_bytes();
  for (int i = 0; i < 20; i++) {
    pier_loop *loop = support__open();
    atomic_uint *runs = counter();
    assert_true(pier_post(loop, count_callback, runs) != 0);
    support__close(loop);
    assert_int_equal(atomic_load(runs), 1);
  }
  assert_int_equal(support__handle_count(), handles);
  /* The C library keeps something for threads that have ended, now more and now less; the least part of a loop is more. */
  assert_true(support__heap_bytes() < heap_bytes + 20 * 512);
  /* The heaps may have grown by a page or two; a loop that is not unmapped would be more. */
  assert_true(support__committed_bytes() < committed_bytes + 20 * 16384);
}

/* Options out of their documented range are refused, and no loop comes of it. */
static void options_out_of_range_are_refused(void **state) {
  (void)state;
  const pier_loop_options bad[] = {
      {.threads = 65},           {.threads = UINT32_MAX},    {.workers_max = 257}, {.operations_max = 16777216},
      {.handles_max = 16777216}, {.timers_max = UINT32_MAX},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    pier_loop *loop = NULL;
    assert_status(pier_loop_open(&bad[i], &loop), PIER_EINVAL);
    assert_null(loop);
  }
  const pier_loop_options no_port = {.use_port = true, .port = PIER_NATIVE_NONE};
  pier_loop *loop = NULL;
  assert_true(pier_loop_open(&no_port, &loop) < 0);
  assert_null(loop);
  assert_status(pier_loop_open(NULL, NULL), PIER_EINVAL);
}

/* The largest documented options are accepted: address space is reserved for them, no memory. */
static void options_at_their_limits_are_accepted(void **state) {
  (void)state;
  const pier_loop_options most = {
      .threads = 64, .workers_max = 256, .operations_max = 16777215, .handles_max = 16777215, .timers_max = 16777215};
  pier_loop *loop = support__open_with(&most);
  atomic_uint *runs = counter();
  assert_true(pier_post(loop, count_callback, runs) != 0);
  support__close(loop);
  assert_int_equal(atomic_load(runs), 1);
}

/* At most 64 loops are open at once; the next one says so, and after a close there is room again. */
static void the_65th_loop_is_refused(void **state) {
  (void)state;
  pier_loop *loops[64], *extra = NULL;
  for (int i = 0; i < 64; i++)
    loops[i] = support__open();
  assert_status(pier_loop_open(NULL, &extra), PIER_EMFILE);
  assert_null(extra);
  support__close(loops[17]);
  loops[17] = support__open();
  for (int i = 0; i < 64; i++)
    support__close(loops[i]);
}

/* The backend has one of the documented names, and there is a native port. */
static void backend_and_port_are_told(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *backend = pier_loop_backend(loop);
  assert_true(!strcmp(backend, "iocp") || !strcmp(backend, "uring") || !strcmp(backend, "epoll"));
  assert_true(pier_loop_native(loop) != PIER_NATIVE_NONE);
  support__close(loop);
}

/* DEFAULT returns at once when nothing is alive; an open handle alone does not keep it. */
static void run_default_returns_when_nothing_is_alive(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, LONG_NS), PIER_OK);
  assert_status(pier_pipe_pair(loop, NULL, ends), PIER_OK);
  uint64_t before_ns = pier_now_ns();
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, LONG_NS), PIER_OK);
  assert_true(pier_now_ns() - before_ns < LONG_NS);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* DEFAULT goes on while it is held, not shorter than its timeout, and says that the time was up. */
static void run_default_ends_with_its_timeout(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  assert_status(pier_loop_hold(loop), PIER_OK);
  uint64_t before_ns = pier_now_ns();
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, 20 * PIER_MILLISECOND), PIER_ETIMEDOUT);
  assert_true(pier_now_ns() - before_ns >= 20 * PIER_MILLISECOND);
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, 0), PIER_ETIMEDOUT);
  assert_status(pier_loop_release(loop), PIER_OK);
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, LONG_NS), PIER_OK);
  support__close(loop);
}

/* ONCE runs what is there and returns; with nothing there it waits, but not longer than its timeout. */
static void run_once_is_one_turn(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  atomic_uint *runs = counter();
  assert_status(pier_loop_hold(loop), PIER_OK);
  assert_true(pier_post(loop, count_callback, runs) != 0);
  assert_true(pier_post(loop, count_callback, runs) != 0);
  assert_status(pier_loop_run(loop, PIER_RUN_ONCE, LONG_NS), PIER_OK);
  assert_int_equal(atomic_load(runs), 2);
  uint64_t before_ns = pier_now_ns();
  assert_status(pier_loop_run(loop, PIER_RUN_ONCE, 10 * PIER_MILLISECOND), PIER_ETIMEDOUT);
  assert_true(pier_now_ns() - before_ns >= 10 * PIER_MILLISECOND);
  assert_status(pier_loop_release(loop), PIER_OK);
  support__close(loop);
}

static void count_timer(pier_loop *loop, pier_timer timer, void *context) {
  (void)loop;
  (void)timer;
  support__count(context);
}

/* NOWAIT runs what is there, and does not wait for what is not. */
static void run_nowait_does_not_wait(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  atomic_uint *runs = counter(), *fired = counter();
  pier_timer timer = pier_timer_start(loop, LONG_NS, 0, count_timer, fired);
  assert_true(pier_post(loop, count_callback, runs) != 0);
  uint64_t before_ns = pier_now_ns();
  assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, PIER_NO_TIMEOUT), PIER_OK);
  assert_int_equal(atomic_load(runs), 1);
  assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, PIER_NO_TIMEOUT), PIER_OK);
  assert_true(pier_now_ns() - before_ns < LONG_NS);
  assert_int_equal(atomic_load(fired), 0);
  assert_status(pier_timer_stop(timer), PIER_OK);
  support__close(loop);
}

static void stop_callback(const pier_result *result) {
  support__count(result->context);
  pier_loop_stop(result->loop);
}

/* A stop from a callback ends the run that is going on, once; what is pending stays and finishes in a later run. */
static void stop_from_a_callback_ends_the_run(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  atomic_uint *runs = counter(), *fired = counter();
  assert_true(pier_timer_start(loop, 200 * PIER_MILLISECOND, 0, count_timer, fired) != 0);
  assert_true(pier_post(loop, stop_callback, runs) != 0);
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, LONG_NS), PIER_OK);
  assert_int_equal(atomic_load(runs), 1);
  assert_int_equal(atomic_load(fired), 0);
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, LONG_NS), PIER_OK);
  assert_int_equal(atomic_load(fired), 1);
  support__close(loop);
}

/* A stop made before the run counts for that run, and only for that one. */
static void stop_before_the_run_is_remembered_once(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  assert_status(pier_loop_hold(loop), PIER_OK);
  assert_status(pier_loop_stop(loop), PIER_OK);
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, LONG_NS), PIER_OK);
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_MILLISECOND), PIER_ETIMEDOUT);
  assert_status(pier_loop_release(loop), PIER_OK);
  support__close(loop);
}

static void stop_from_thread(void *context) {
  pier_loop_stop(context);
}

/* A stop from another thread wakes a run that waits without limit. */
static void stop_from_another_thread_wakes_the_run(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  assert_status(pier_loop_hold(loop), PIER_OK);
  for (int i = 0; i < 50; i++) {
    support_thread *thread = support__thread_start(stop_from_thread, loop);
    assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), PIER_OK);
    support__thread_join(thread);
  }
  assert_status(pier_loop_release(loop), PIER_OK);
  support__close(loop);
}

/* Holds count; one release too many is an error and does no harm. */
static void holds_count(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  uint64_t alive = pier_loop_alive(loop);
  assert_int_equal(alive, 0);
  assert_status(pier_loop_hold(loop), PIER_OK);
  assert_status(pier_loop_hold(loop), PIER_OK);
  assert_int_equal(pier_loop_alive(loop), 2);
  assert_status(pier_loop_release(loop), PIER_OK);
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_MILLISECOND), PIER_ETIMEDOUT);
  assert_status(pier_loop_release(loop), PIER_OK);
  assert_status(pier_loop_release(loop), PIER_EINVAL);
  assert_int_equal(pier_loop_alive(loop), 0);
  support__close(loop);
}

static void release_callback(const pier_result *result) {
  pier_loop_release(result->loop);
}

/* The last release, made by a callback, ends the run. */
static void release_from_a_callback_ends_the_run(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  assert_status(pier_loop_hold(loop), PIER_OK);
  assert_true(pier_post(loop, release_callback, NULL) != 0);
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, LONG_NS), PIER_OK);
  support__close(loop);
}

/* Everything that counts as alive keeps the loop from closing, and is unharmed by the attempt. */
static void b37_close_with_something_alive_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  support_outcome *read = support__outcome();
  char byte;
  assert_status(pier_loop_hold(loop), PIER_OK);
  assert_status(pier_loop_close(loop), PIER_EBUSY);
  assert_status(pier_loop_release(loop), PIER_OK);

  assert_status(pier_pipe_pair(loop, NULL, ends), PIER_OK);
  assert_status(pier_loop_close(loop), PIER_EBUSY);
  assert_true(pier_read(ends[0], &byte, 1, PIER_NO_DEADLINE, support__take, read) != 0);
  assert_status(pier_loop_close(loop), PIER_EBUSY);
  assert_false(support__called(read));
  support_outcome *written = support__outcome();
  assert_true(pier_write(ends[1], "x", 1, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, read, PIER_OK);
  assert_int_equal(byte, 'x');
  await_status(loop, written, PIER_OK);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* A post that has not run keeps the loop from closing; it runs later all the same. */
static void b37_close_before_a_post_has_run_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  atomic_uint *runs = counter();
  assert_true(pier_post(loop, count_callback, runs) != 0);
  assert_status(pier_loop_close(loop), PIER_EBUSY);
  assert_int_equal(atomic_load(runs), 0);
  support__close(loop);
  assert_int_equal(atomic_load(runs), 1);
}

/* Running timers do not keep a loop from closing, and are dropped without a callback. */
static void running_timers_are_dropped_by_close(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  atomic_uint *fired = counter();
  for (uint64_t i = 0; i < 100; i++)
    assert_true(pier_timer_start(loop, LONG_NS, i % 2, count_timer, fired) != 0);
  assert_true(pier_loop_alive(loop) >= 1);
  /* support__close() would wait for them. */
  assert_status(pier_loop_close(loop), PIER_OK);
  support__closed(loop);
  assert_int_equal(atomic_load(fired), 0);
}

typedef struct from_callback {
  int closed, ran;
  support_outcome outcome;
} from_callback;

static void close_and_run_callback(const pier_result *result) {
  from_callback *statuses = result->context;
  statuses->closed = pier_loop_close(result->loop);
  statuses->ran = pier_loop_run(result->loop, PIER_RUN_DEFAULT, 0);
  support__count(&statuses->outcome.calls);
}

/* From its own callbacks a loop can neither be closed nor run. */
static void close_and_run_from_a_callback_say_deadlock(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  from_callback *statuses = support__alloc(sizeof *statuses);
  assert_true(pier_post(loop, close_and_run_callback, statuses) != 0);
  support__until_count(loop, &statuses->outcome.calls, 1, "the callback");
  assert_status(statuses->closed, PIER_EDEADLK);
  assert_status(statuses->ran, PIER_EDEADLK);
  support__close(loop);
}

static void run_from_thread(void *context) {
  pier_loop_run(context, PIER_RUN_DEFAULT, LONG_NS);
}

/* While one thread drives a loop, another one is sent away. */
static void a_second_driver_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  support_outcome *began = support__outcome();
  assert_status(pier_loop_hold(loop), PIER_OK);
  support_thread *driver = support__thread_start(run_from_thread, loop);
  assert_true(pier_post(loop, support__take, began) != 0);
  /* A null loop: this thread waits for the other one's callback and must not drive. */
  support__until_count(NULL, &began->calls, 1, "the driver's callback");
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, 0), PIER_EBUSY);
  assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, 0), PIER_EBUSY);
  assert_true(began->thread != support__thread_id());
  pier_loop_stop(loop);
  support__thread_join(driver);
  assert_status(pier_loop_release(loop), PIER_OK);
  support__close(loop);
}

/* Modes that are none are refused; a loop with threads of its own takes DEFAULT only. */
static void run_modes_that_do_not_fit_are_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  assert_status(pier_loop_run(loop, (pier_run_mode)77, 0), PIER_EINVAL);
  if (support__threads()) {
    assert_status(pier_loop_run(loop, PIER_RUN_ONCE, 0), PIER_EINVAL);
    assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, 0), PIER_EINVAL);
  }
  support__close(loop);
}

/* Callbacks run on the driving thread, or on a thread that is none of the caller's. */
static void callbacks_run_on_the_right_thread(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int i = 0; i < 20; i++) {
    support_outcome *posted = support__outcome();
    assert_true(pier_post(loop, support__take, posted) != 0);
    support__await(loop, posted);
    assert_true((posted->thread == support__thread_id()) == (support__threads() == 0));
    assert_ptr_equal(posted->got.loop, loop);
  }
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(open_and_close_leave_nothing_behind),
      SUPPORT_TEST_POOL(open_and_close_leave_nothing_behind),
      SUPPORT_TEST(options_out_of_range_are_refused),
      SUPPORT_TEST(options_at_their_limits_are_accepted),
      SUPPORT_TEST(the_65th_loop_is_refused),
      SUPPORT_TEST(backend_and_port_are_told),
      SUPPORT_TEST(run_default_returns_when_nothing_is_alive),
      SUPPORT_TEST_POOL(run_default_returns_when_nothing_is_alive),
      SUPPORT_TEST(run_default_ends_with_its_timeout),
      SUPPORT_TEST_POOL(run_default_ends_with_its_timeout),
      SUPPORT_TEST(run_once_is_one_turn),
      SUPPORT_TEST(run_nowait_does_not_wait),
      SUPPORT_TEST(stop_from_a_callback_ends_the_run),
      SUPPORT_TEST_POOL(stop_from_a_callback_ends_the_run),
      SUPPORT_TEST(stop_before_the_run_is_remembered_once),
      SUPPORT_TEST_POOL(stop_before_the_run_is_remembered_once),
      SUPPORT_TEST(stop_from_another_thread_wakes_the_run),
      SUPPORT_TEST_POOL(stop_from_another_thread_wakes_the_run),
      SUPPORT_TEST(holds_count),
      SUPPORT_TEST_POOL(holds_count),
      SUPPORT_TEST(release_from_a_callback_ends_the_run),
      SUPPORT_TEST_POOL(release_from_a_callback_ends_the_run),
      SUPPORT_TEST(b37_close_with_something_alive_is_refused),
      SUPPORT_TEST_POOL(b37_close_with_something_alive_is_refused),
      SUPPORT_TEST(b37_close_before_a_post_has_run_is_refused),
      SUPPORT_TEST(running_timers_are_dropped_by_close),
      SUPPORT_TEST_POOL(running_timers_are_dropped_by_close),
      SUPPORT_TEST(close_and_run_from_a_callback_say_deadlock),
      SUPPORT_TEST_POOL(close_and_run_from_a_callback_say_deadlock),
      SUPPORT_TEST(a_second_driver_is_refused),
      SUPPORT_TEST(run_modes_that_do_not_fit_are_refused),
      SUPPORT_TEST_POOL(run_modes_that_do_not_fit_are_refused),
      SUPPORT_TEST(callbacks_run_on_the_right_thread),
      SUPPORT_TEST_POOL(callbacks_run_on_the_right_thread),
  };
  return support__main(argc, argv, "loop", tests, sizeof tests / sizeof tests[0]);
}
