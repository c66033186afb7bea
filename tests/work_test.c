/* Blocking work on the loop's worker threads. */
#include "support.h"

/* One context serves the function and the callback; the outcome comes first, so that support__take() finds it. */
typedef struct task {
  support_outcome outcome;
  support_event *gate; /* the function waits for it, if there is one */
  atomic_uint *inside, *most_inside;
  atomic_uint runs;
  uintptr_t worker;
  int value;
} task;

static int run_task(void *context) {
  task *self = context;
  self->worker = support__thread_id();
  support__count(&self->runs);
  if (self->inside) {
    unsigned now = atomic_fetch_add(self->inside, 1) + 1, most = atomic_load(self->most_inside);
    while (now > most && !atomic_compare_exchange_weak(self->most_inside, &most, now))
      support__yield();
  }
  if (self->gate)
    support__event_wait(self->gate, PIER_NO_TIMEOUT);
  if (self->inside)
    atomic_fetch_sub(self->inside, 1);
  return self->value;
}

static pier_loop *open_with_workers(unsigned workers_max) {
  const pier_loop_options options = {.threads = support__threads(), .workers_max = workers_max};
  return support__open_with(&options);
}

static pier_operation submit(pier_loop *loop, task *one, uint64_t deadline_ns) {
  pier_operation id = pier_work(loop, run_task, deadline_ns, support__take, one);
  assert_true(id != 0);
  return id;
}

/* Keeps a worker busy until its gate is opened; returns when it has begun. */
static task *occupy_a_worker(pier_loop *loop, pier_operation *id) {
  task *busy = support__alloc(sizeof *busy);
  busy->gate = support__event_open();
  *id = submit(loop, busy, PIER_NO_DEADLINE);
  support__until_count(NULL, &busy->runs, 1, "the worker to be busy");
  return busy;
}

static void leave_the_worker(pier_loop *loop, task *busy) {
  support__event_set(busy->gate);
  await_status(loop, &busy->outcome, PIER_OK);
  support__event_close(busy->gate);
}

/* The function runs on a thread of its own sort, the callback where callbacks run; what the function returns is the
 * status. */
static void work_runs_elsewhere_and_its_value_is_the_status(void **state) {
  (void)state;
  const int values[] = {PIER_OK, PIER_EIO, PIER_EUNKNOWN, PIER_ECANCELED};
  pier_loop *loop = support__open();
  for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++) {
    task *one = support__alloc(sizeof *one);
    one->value = values[i];
    pier_operation id = submit(loop, one, PIER_NO_DEADLINE);
    await_status(loop, &one->outcome, values[i]);
    assert_int_equal(atomic_load(&one->runs), 1);
    assert_true(one->worker != support__thread_id() && one->worker != one->outcome.thread);
    assert_true((one->outcome.thread == support__thread_id()) == (support__threads() == 0));
    assert_true(one->outcome.got.operation == id && one->outcome.got.handle == 0);
    assert_status(pier_cancel(id), PIER_ENOENT);
  }
  support__close(loop);
}

/* The callback is not run by the worker even when the loop is not driven for a while. */
static void the_callback_waits_for_the_loop(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  task *one = support__alloc(sizeof *one);
  submit(loop, one, PIER_NO_DEADLINE);
  support__until_count(NULL, &one->runs, 1, "the worker");
  assert_false(support__called(&one->outcome));
  await_status(loop, &one->outcome, PIER_OK);
  support__close(loop);
}

/* Not more than workers_max functions run at once, and with a free gate all of those do. */
static void not_more_than_workers_max_run_at_once(void **state) {
  (void)state;
  enum { WORKERS = 3, TASKS = 12 };
  pier_loop *loop = open_with_workers(WORKERS);
  atomic_uint *inside = support__alloc(sizeof *inside), *most = support__alloc(sizeof *most);
  support_event *gate = support__event_open();
  task *tasks = support__alloc(TASKS * sizeof *tasks);
  for (int i = 0; i < TASKS; i++) {
    tasks[i].gate = gate;
    tasks[i].inside = inside;
    tasks[i].most_inside = most;
    submit(loop, &tasks[i], PIER_NO_DEADLINE);
  }
  support__until_count(NULL, inside, WORKERS, "all workers to be busy");
  pier_metrics metrics = support__metrics(loop);
  assert_int_equal(metrics.workers, WORKERS);
  assert_int_equal(metrics.work_queued, TASKS - WORKERS);
  support__event_set(gate);
  for (int i = 0; i < TASKS; i++)
    await_status(loop, &tasks[i].outcome, PIER_OK);
  assert_int_equal(atomic_load(most), WORKERS);
  support__event_close(gate);
  support__close(loop);
}

/* Workers that sleep are all called for a row of items, though the submits call only the first of them: each round's items wait for
 * one another. */
static void sleeping_workers_are_all_called(void **state) {
  (void)state;
  enum { WORKERS = 3, ROUNDS = 200 };
  pier_loop *loop = open_with_workers(WORKERS);
  for (int round = 0; round < ROUNDS; round++) {
    atomic_uint *inside = support__alloc(sizeof *inside), *most = support__alloc(sizeof *most);
    support_event *gate = support__event_open();
    task *tasks = support__alloc(WORKERS * sizeof *tasks);
    for (int i = 0; i < WORKERS; i++) {
      tasks[i].gate = gate;
      tasks[i].inside = inside;
      tasks[i].most_inside = most;
      submit(loop, &tasks[i], PIER_NO_DEADLINE);
    }
    support__until_count(NULL, inside, WORKERS, "all workers to be busy");
    support__event_set(gate);
    for (int i = 0; i < WORKERS; i++)
      await_status(loop, &tasks[i].outcome, PIER_OK);
    support__event_close(gate);
  }
  support__close(loop);
}

/* Work that waits in line and is cancelled is called back at once, while the worker is still busy, and is never run. */
static void cancelled_work_in_line_is_never_run(void **state) {
  (void)state;
  pier_loop *loop = open_with_workers(1);
  pier_operation busy_id;
  task *busy = occupy_a_worker(loop, &busy_id), *first = support__alloc(sizeof *first),
       *second = support__alloc(sizeof *second);
  pier_operation id = submit(loop, first, PIER_NO_DEADLINE);
  submit(loop, second, PIER_NO_DEADLINE);
  assert_status(pier_cancel(id), PIER_OK);
  await_status(loop, &first->outcome, PIER_ECANCELED);
  assert_false(support__called(&busy->outcome));
  assert_status(pier_cancel(id), PIER_ENOENT);
  leave_the_worker(loop, busy);
  await_status(loop, &second->outcome, PIER_OK);
  support__close(loop);
  assert_int_equal(atomic_load(&first->runs), 0);
  assert_int_equal(atomic_load(&second->runs), 1);
}

/* The deadline of work that waits in line holds: called back at its time, not before, and never run. */
static void the_deadline_holds_in_line(void **state) {
  (void)state;
  pier_loop *loop = open_with_workers(1);
  pier_operation busy_id;
  task *busy = occupy_a_worker(loop, &busy_id), *one = support__alloc(sizeof *one),
       *past = support__alloc(sizeof *past);
  uint64_t deadline_ns = pier_deadline_in(10 * PIER_MILLISECOND);
  submit(loop, one, deadline_ns);
  submit(loop, past, 1);
  await_status(loop, &past->outcome, PIER_ETIMEDOUT);
  await_status(loop, &one->outcome, PIER_ETIMEDOUT);
  assert_true(one->outcome.at_ns >= deadline_ns);
  assert_false(support__called(&busy->outcome));
  leave_the_worker(loop, busy);
  support__close(loop);
  assert_int_equal(atomic_load(&one->runs) + atomic_load(&past->runs), 0);
}

/* Running work cannot be interrupted: a cancel says so, a deadline is too late, and the value is what counts. */
static void running_work_is_run_to_its_end(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  task *one = support__alloc(sizeof *one);
  one->gate = support__event_open();
  one->value = PIER_EROFS;
  /* A worker has to be there before it is up. */
  uint64_t deadline_ns = pier_deadline_in(50 * PIER_MILLISECOND * support__patience);
  pier_operation id = submit(loop, one, deadline_ns);
  support__until_count(NULL, &one->runs, 1, "the work to run");
  assert_status(pier_cancel(id), PIER_EBUSY);
  /* Its deadline goes by while the loop turns. */
  while (pier_now_ns() < deadline_ns + 2 * PIER_MILLISECOND) {
    support_outcome *posted = support__outcome();
    pier_post(loop, support__take, posted);
    support__await(loop, posted);
  }
  assert_status(pier_cancel(id), PIER_EBUSY);
  assert_false(support__called(&one->outcome));
  assert_status(pier_loop_close(loop), PIER_EBUSY);
  support__event_set(one->gate);
  await_status(loop, &one->outcome, PIER_EROFS);
  support__event_close(one->gate);
  support__close(loop);
}

typedef struct counted {
  atomic_uint runs, calls;
} counted;

static int count_run(void *context) {
  atomic_fetch_add(&((counted *)context)->runs, 1);
  return PIER_OK;
}

static void count_call(const pier_result *result) {
  support__count(&((counted *)result->context)->calls);
}

/* Thousands of items each run once and are each called back once. */
static void many_items_each_run_once(void **state) {
  (void)state;
  enum { ITEMS = 5000 };
  pier_loop *loop = support__open();
  counted *all = support__alloc(sizeof *all);
  for (int i = 0; i < ITEMS; i++)
    assert_true(pier_work(loop, count_run, PIER_NO_DEADLINE, count_call, all) != 0);
  support__until_count(loop, &all->calls, ITEMS, "all items");
  support__close(loop);
  assert_int_equal(atomic_load(&all->runs), ITEMS);
  assert_int_equal(atomic_load(&all->calls), ITEMS);
}

typedef struct relay {
  pier_loop *loop;
  unsigned left;
  atomic_uint runs, calls;
} relay;

static void relay_call(const pier_result *result);

static int relay_run(void *context) {
  relay *self = context;
  atomic_fetch_add(&self->runs, 1);
  /* From a worker, too, the loop can be used. */
  return pier_post(self->loop, relay_call, self) ? PIER_OK : PIER_ENOMEM;
}

static void relay_call(const pier_result *result) {
  relay *self = result->context;
  support__count(&self->calls);
}

static void relay_next(const pier_result *result) {
  relay *self = result->context;
  if (self->left > 0) {
    self->left--;
    pier_work(result->loop, relay_run, PIER_NO_DEADLINE, relay_next, self);
  }
  support__count(&self->calls);
}

/* Work submits posts, and callbacks submit work. */
static void workers_and_callbacks_may_submit(void **state) {
  (void)state;
  relay *self = support__alloc(sizeof *self);
  self->loop = support__open();
  self->left = 100;
  assert_true(pier_work(self->loop, relay_run, PIER_NO_DEADLINE, relay_next, self) != 0);
  support__until_count(self->loop, &self->calls, 202, "work and posts");
  support__close(self->loop);
  assert_int_equal(atomic_load(&self->runs), 101);
}

/* Nobody has to want the result; without a function or a loop there is no work. */
static void a_null_callback_is_allowed_a_null_function_is_not(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  counted *all = support__alloc(sizeof *all);
  assert_true(pier_work(loop, count_run, PIER_NO_DEADLINE, NULL, all) != 0);
  assert_true(pier_work(loop, NULL, PIER_NO_DEADLINE, count_call, all) == 0);
  assert_true(pier_work(NULL, count_run, PIER_NO_DEADLINE, count_call, all) == 0);
  support__close(loop);
  assert_int_equal(atomic_load(&all->runs), 1);
  assert_int_equal(atomic_load(&all->calls), 0);
}

typedef struct canceller {
  pier_operation *ids;
  unsigned count;
  uint64_t seed;
  atomic_uint cancelled, *done;
} canceller;

static void cancel_at_chance(void *context) {
  canceller *self = context;
  for (unsigned i = 0; i < self->count; i++) {
    pier_operation id = self->ids[support__random_below(&self->seed, self->count)];
    if (pier_cancel(id) == PIER_OK)
      atomic_fetch_add(&self->cancelled, 1);
  }
  support__count(self->done);
}

/* Cancels race with workers: each item is either run or cancelled, never both and never neither. */
static void cancels_race_with_workers(void **state) {
  (void)state;
  enum { ITEMS = 2000, THREADS = 3 };
  pier_loop *loop = support__open();
  uint64_t seed = support__seed();
  task *tasks = support__alloc(ITEMS * sizeof *tasks);
  pier_operation *ids = support__alloc(ITEMS * sizeof *ids);
  canceller *cancellers = support__alloc(THREADS * sizeof *cancellers);
  support_thread *threads[THREADS];
  atomic_uint *done = support__alloc(sizeof *done);
  for (int i = 0; i < ITEMS; i++)
    ids[i] = submit(loop, &tasks[i], PIER_NO_DEADLINE);
  for (int t = 0; t < THREADS; t++) {
    cancellers[t].ids = ids;
    cancellers[t].count = ITEMS;
    cancellers[t].seed = support__random(&seed);
    cancellers[t].done = done;
    threads[t] = support__thread_start(cancel_at_chance, &cancellers[t]);
  }
  support__until_count(loop, done, THREADS, "the cancelling threads");
  unsigned said = 0, seen = 0;
  for (int t = 0; t < THREADS; t++) {
    support__thread_join(threads[t]);
    said += atomic_load(&cancellers[t].cancelled);
  }
  for (int i = 0; i < ITEMS; i++) {
    support__await(loop, &tasks[i].outcome);
    bool cancelled = tasks[i].outcome.got.status == PIER_ECANCELED;
    assert_true(cancelled || tasks[i].outcome.got.status == PIER_OK);
    assert_int_equal(atomic_load(&tasks[i].runs), !cancelled);
    seen += cancelled;
  }
  assert_true(seen <= said);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(work_runs_elsewhere_and_its_value_is_the_status),
      SUPPORT_TEST_POOL(work_runs_elsewhere_and_its_value_is_the_status),
      SUPPORT_TEST(the_callback_waits_for_the_loop),
      SUPPORT_TEST(not_more_than_workers_max_run_at_once),
      SUPPORT_TEST_POOL(not_more_than_workers_max_run_at_once),
      SUPPORT_TEST(sleeping_workers_are_all_called),
      SUPPORT_TEST_POOL(sleeping_workers_are_all_called),
      SUPPORT_TEST(cancelled_work_in_line_is_never_run),
      SUPPORT_TEST_POOL(cancelled_work_in_line_is_never_run),
      SUPPORT_TEST(the_deadline_holds_in_line),
      SUPPORT_TEST_POOL(the_deadline_holds_in_line),
      SUPPORT_TEST(running_work_is_run_to_its_end),
      SUPPORT_TEST_POOL(running_work_is_run_to_its_end),
      SUPPORT_TEST(many_items_each_run_once),
      SUPPORT_TEST_POOL(many_items_each_run_once),
      SUPPORT_TEST(workers_and_callbacks_may_submit),
      SUPPORT_TEST_POOL(workers_and_callbacks_may_submit),
      SUPPORT_TEST(a_null_callback_is_allowed_a_null_function_is_not),
      SUPPORT_TEST(cancels_race_with_workers),
      SUPPORT_TEST_POOL(cancels_race_with_workers),
  };
  return support__main(argc, argv, "work", tests, sizeof tests / sizeof tests[0]);
}
