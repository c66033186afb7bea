/* What may come between the parts of a submit, forced by hooks: a cancel, a close, a deadline. */
#include "streams.h"

#include "hook.h"
#include "loop.h"

/* What a hook does, once, to the operation that comes by first on the handle that is meant. */
static struct intruder {
  pier_handle handle;
  pier_loop *loop;
  support_outcome *closed;
  int status;
  atomic_uint calls;
} intruder;

static bool intruder__is_meant(const struct op *op) {
  if (!op->handle || handle__id(op->handle) != intruder.handle || atomic_load(&intruder.calls))
    return false;
  atomic_fetch_add(&intruder.calls, 1);
  return true;
}

static void intruder__begin(pier_loop *loop, pier_handle handle) {
  intruder = (struct intruder){.handle = handle, .loop = loop, .status = 1};
}

static void intruder__end(void) {
  pier_hooks = (struct hooks){0};
  assert_int_equal(atomic_load(&intruder.calls), 1);
}

static void cancel_in_between(struct op *op) {
  if (intruder__is_meant(op))
    intruder.status = pier_cancel(op__id(op->handle->poller, op));
}

static void close_in_between(struct op *op) {
  if (intruder__is_meant(op))
    intruder.status = pier_close(intruder.handle, support__take, intruder.closed);
}

static void wait_for_the_deadline(struct op *op) {
  if (!intruder__is_meant(op))
    return;
  uint64_t end_ns = pier_now_ns() + 5 * PIER_SECOND;
  while (op__asked_to_end(op) == PIER_OK && pier_now_ns() < end_ns)
    support__yield();
  intruder.status = op__asked_to_end(op);
}

/* A read that nothing answers, of one sort of stream, with a hook on its way. */
static support_outcome *read_with(pier_loop *loop, pier_handle handle, struct hooks hooks, uint64_t deadline_ns) {
  support_outcome *read = support__outcome();
  char *buffer = support__alloc(8);
  intruder__begin(loop, handle);
  intruder.closed = support__outcome();
  pier_hooks = hooks;
  assert_true(pier_read(handle, buffer, 8, deadline_ns, support__take, read) != 0);
  return read;
}

/* A cancel that comes before the system call has gone pending cannot ask the system: the submitter finds its mark. */
static void b31_a_cancel_inside_the_submit(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const struct hooks moments[] = {{.before_launch = cancel_in_between}, {.started = cancel_in_between}};
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    for (int moment = 0; moment < 2; moment++) {
      pier_handle ends[2];
      streams__pair(loop, (streams_sort)sort, ends);
      support_outcome *read = read_with(loop, ends[0], moments[moment], PIER_NO_DEADLINE);
      await_status(loop, read, PIER_ECANCELED);
      intruder__end();
      assert_status(intruder.status, PIER_OK);
      assert_int_equal(atomic_load(&read->calls), 1);
      streams__close_pair(loop, ends);
    }
  }
  support__close(loop);
}

/* In the loop's own thread a submit may be over when it returns, and nobody sees to it afterwards: an accept, whose end is asked for before its
   call is made, there or in another thread. */
typedef struct own_thread {
  pier_loop *loop;
  pier_handle listener;
  support_outcome *accepted;
  pier_operation operation;
  void (*intrude)(struct op *op);
} own_thread;

static void submit_an_accept(const pier_result *result) {
  own_thread *self = result->context;
  intruder__begin(self->loop, self->listener);
  intruder.closed = support__outcome();
  pier_hooks = (struct hooks){.before_launch = self->intrude};
  self->operation = pier_tcp_accept(self->listener, PIER_NO_DEADLINE, support__take, self->accepted);
}

static void intrude_elsewhere(struct op *op, void (*intrude)(void *)) {
  if (intruder__is_meant(op)) {
    pier_operation id = op__id(op->handle->poller, op);
    support__thread_join(support__thread_start(intrude, &id));
  }
}
static void cancel_it(void *context) { intruder.status = pier_cancel(*(pier_operation *)context); }
static void close_its_handle(void *context) {
  (void)context;
  intruder.status = pier_close(intruder.handle, support__take, intruder.closed);
}
static void cancel_elsewhere(struct op *op) { intrude_elsewhere(op, cancel_it); }
static void close_elsewhere(struct op *op) { intrude_elsewhere(op, close_its_handle); }

/* The accept's outcome; the listener is left as the intruder has it. */
static support_outcome *accept_with(pier_loop *loop, pier_handle listener, void (*intrude)(struct op *op)) {
  own_thread *self = support__alloc(sizeof *self);
  *self = (own_thread){.loop = loop, .listener = listener, .accepted = support__outcome(), .intrude = intrude};
  assert_true(pier_post(loop, submit_an_accept, self) != 0);
  support__await(loop, self->accepted);
  assert_true(self->operation != 0);
  assert_int_equal(atomic_load(&self->accepted->calls), 1);
  assert_status(intruder.status, PIER_OK);
  return self->accepted;
}

static void b31_a_cancel_inside_the_submit_of_the_loops_thread(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle listener = streams__tcp_listen(loop, &address);
  await_status(loop, accept_with(loop, listener, cancel_in_between), PIER_ECANCELED);
  intruder__end();
  await_status(loop, accept_with(loop, listener, cancel_elsewhere), PIER_ECANCELED);
  intruder__end();
  support__close_handle(loop, listener);
  support__close(loop);
}

static void b34_a_close_inside_the_submit_of_the_loops_thread(void **state) {
  (void)state;
  void (*const intruders[])(struct op *) = {close_in_between, close_elsewhere};
  pier_loop *loop = support__open();
  for (int i = 0; i < 2; i++) {
    pier_address address;
    support_outcome *accepted = accept_with(loop, streams__tcp_listen(loop, &address), intruders[i]);
    await_status(loop, accepted, PIER_ECLOSED);
    await_status(loop, intruder.closed, PIER_OK);
    assert_true(accepted->at_ns <= intruder.closed->at_ns);
    intruder__end();
  }
  support__close(loop);
}

/* The same with a close: the read ends, and the close is called back after it. */
static void b34_a_close_inside_the_submit(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const struct hooks moments[] = {{.before_launch = close_in_between}, {.started = close_in_between}};
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    for (int moment = 0; moment < 2; moment++) {
      pier_handle ends[2];
      streams__pair(loop, (streams_sort)sort, ends);
      support_outcome *read = read_with(loop, ends[0], moments[moment], PIER_NO_DEADLINE);
      await_status(loop, intruder.closed, PIER_OK);
      assert_true(support__called(read));
      await_status(loop, read, PIER_ECLOSED);
      assert_true(read->at_ns <= intruder.closed->at_ns);
      intruder__end();
      assert_status(intruder.status, PIER_OK);
      support__close_handle(loop, ends[1]);
    }
  }
  support__close(loop);
}

/* A deadline that passes after it was armed and before the system call: poller threads cancel while the submitter is held. */
static void b33_a_deadline_inside_the_submit(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    streams__pair(loop, (streams_sort)sort, ends);
    support_outcome *read = read_with(loop, ends[0], (struct hooks){.before_launch = wait_for_the_deadline}, pier_now_ns() + PIER_MILLISECOND);
    await_status(loop, read, PIER_ETIMEDOUT);
    intruder__end();
    assert_status(intruder.status, PIER_ETIMEDOUT);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* ---- A completion before the submit returns ---- */

/* Holds a submit until somebody else has had the operation's completion. */
static struct overtaken {
  _Atomic pier_handle handle;
  pier_handle other_end;
  support_outcome *read;
  atomic_uint calls;
  bool is_over, called;
} overtaken;

static void hold_until_it_is_over(struct op *op) {
  if (!op->handle || handle__id(op->handle) != atomic_load(&overtaken.handle) || atomic_fetch_add(&overtaken.calls, 1))
    return;
  /* Now the read is pending: data for it, and a thread of the loop takes what that brings. */
  pier_write(overtaken.other_end, "early", 5, PIER_NO_DEADLINE, NULL, NULL);
  uint64_t end_ns = pier_now_ns() + 5 * PIER_SECOND * support__patience;
  uint64_t word;
  do {
    support__yield();
    word = atomic_load(&op->slot.word);
    overtaken.is_over = (word & OP_EARLY) || !(word & OP_KERNEL);
  } while (!overtaken.is_over && pier_now_ns() < end_ns);
  for (int i = 0; i < 100; i++)
    support__yield();
  overtaken.called = support__called(overtaken.read);
}

/* Its callback comes once, and not before the submit has done with the operation. */
static void b41_a_completion_before_the_submit_returns(void **state) {
  (void)state;
  atomic_store(&overtaken.handle, 0);
  pier_hooks = (struct hooks){.started = hold_until_it_is_over}; /* before there are threads that look at it */
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    char *buffer = support__alloc(16);
    streams__pair(loop, (streams_sort)sort, ends);
    streams__exchange(loop, ends[1], ends[0], 5, 0); /* a registered one is known from its first use on */
    overtaken.other_end = ends[1];
    overtaken.read = support__outcome();
    atomic_store(&overtaken.calls, 0);
    atomic_store(&overtaken.handle, ends[0]);
    pier_operation id = pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, overtaken.read);
    atomic_store(&overtaken.handle, 0);
    assert_true(overtaken.is_over && !overtaken.called);
    await_status(loop, overtaken.read, PIER_OK);
    assert_int_equal(overtaken.read->got.bytes, 5);
    assert_memory_equal(buffer, "early", 5);
    assert_true(overtaken.read->got.operation == id);
    streams__close_pair(loop, ends);
    assert_int_equal(atomic_load(&overtaken.read->calls), 1);
  }
  support__close(loop);
  pier_hooks = (struct hooks){0};
}

/* ---- Timers ---- */

static struct holdup {
  support_event *taken, *go;
  atomic_uint calls;
} holdup;

static void hold_up(struct timers *timers) {
  (void)timers;
  if (atomic_fetch_add(&holdup.calls, 1) == 0) {
    support__event_set(holdup.taken);
    support__event_wait(holdup.go, 10 * PIER_SECOND);
  }
}

static void count_timer(pier_loop *loop, pier_timer timer, void *context) {
  (void)loop;
  (void)timer;
  support__count(context);
}

static bool loop_sleeps(void *context) {
  return atomic_load(&loop__poller(context)->inbox.state) == INBOX_ASLEEP;
}

/* One thread has a timer to run and another waits on the port without end, when the timer is moved: it fires at its new time. */
static void a_timer_that_is_moved_on_its_way_wakes_who_waits(void **state) {
  (void)state;
  atomic_uint *fired = support__alloc(sizeof *fired);
  atomic_store(&holdup.calls, 0);
  holdup.taken = support__event_open();
  holdup.go = support__event_open();
  pier_hooks = (struct hooks){.timer_taken = hold_up}; /* before there are threads that look at it */
  pier_loop *loop = support__open();
  pier_timer timer = pier_timer_start(loop, 0, 0, count_timer, fired);
  assert_true(timer != 0);
  assert_true(support__event_wait(holdup.taken, 10 * PIER_SECOND));
  support__until(NULL, loop_sleeps, loop, "another thread that waits on the port");
  assert_status(pier_timer_restart(timer, 5 * PIER_MILLISECOND), PIER_OK);
  support__event_set(holdup.go);
  support__until_count(loop, fired, 1, "the timer that was moved");
  assert_int_equal(atomic_load(&holdup.calls), 2);
  support__close(loop);
  pier_hooks = (struct hooks){0};
  support__event_close(holdup.taken);
  support__event_close(holdup.go);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b31_a_cancel_inside_the_submit),     SUPPORT_TEST_POOL(b31_a_cancel_inside_the_submit),
      SUPPORT_TEST(b34_a_close_inside_the_submit),      SUPPORT_TEST_POOL(b34_a_close_inside_the_submit),
      SUPPORT_TEST(b31_a_cancel_inside_the_submit_of_the_loops_thread),
      SUPPORT_TEST(b34_a_close_inside_the_submit_of_the_loops_thread),
      SUPPORT_TEST_POOL(b33_a_deadline_inside_the_submit),
      SUPPORT_TEST_POOL(b41_a_completion_before_the_submit_returns),
      SUPPORT_TEST_POOL(a_timer_that_is_moved_on_its_way_wakes_who_waits),
  };
  return support__main(argc, argv, "handshake", tests, sizeof tests / sizeof tests[0]);
}
