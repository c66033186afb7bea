/* The io_uring backend's own: who drives the ring, and what its queues hold. */
#include "streams.h"

#include "loop.h"

#include <fcntl.h>
#include <poll.h>

typedef struct driver {
  pier_loop *loop;
  pier_handle handle;
  support_outcome *read;
  char *byte;
} driver;

/* One turn, so that the kernel has the read; then the thread ends, and with it what it has in the kernel. */
static void submit_and_end(void *context) {
  driver *self = context;
  if (!pier_read(self->handle, self->byte, 1, PIER_NO_DEADLINE, support__take, self->read))
    return;
  for (int i = 0; i < 3; i++)
    pier_loop_run(self->loop, PIER_RUN_NOWAIT, 0);
}

/* B36: an operation outlives the thread that drove the loop when it was submitted. */
static void b36_the_driver_ends_and_its_operations_go_on(void **state) {
  (void)state;
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_loop *loop = support__open();
    pier_handle ends[2];
    streams__pair(loop, (streams_sort)sort, ends);
    driver *self = support__alloc(sizeof *self);
    *self = (driver){.loop = loop, .handle = ends[0], .read = support__outcome(), .byte = support__alloc(1)};
    support__thread_join(support__thread_start(submit_and_end, self));
    for (int i = 0; i < 3; i++)
      pier_loop_run(loop, PIER_RUN_NOWAIT, 0);
    assert_false(support__called(self->read));
    assert_true(pier_write(ends[1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    await_status(loop, self->read, PIER_OK);
    assert_int_equal(*self->byte, 'x');
    streams__close_pair(loop, ends);
    support__close(loop);
  }
}

/* Before anybody has driven the loop: a thread submits and cancels, and has ended when the loop is driven first. */
typedef struct early {
  pier_handle handles[2];
  support_outcome *cancelled, *kept;
  char bytes[2];
  int status;
} early;

static void submit_and_cancel(void *context) {
  early *self = context;
  pier_operation id = pier_read(self->handles[0], &self->bytes[0], 1, PIER_NO_DEADLINE, support__take, self->cancelled);
  self->status = pier_cancel(id);
  pier_read(self->handles[1], &self->bytes[1], 1, PIER_NO_DEADLINE, support__take, self->kept);
}

static void b36_submits_and_cancels_before_the_first_drive(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle first[2], second[2];
  assert_status(pier_pipe_pair(loop, NULL, first), PIER_OK);
  assert_status(pier_pipe_pair(loop, NULL, second), PIER_OK);
  early *self = support__alloc(sizeof *self);
  *self = (early){.handles = {first[0], second[0]}, .cancelled = support__outcome(), .kept = support__outcome()};
  support__thread_join(support__thread_start(submit_and_cancel, self));
  assert_status(self->status, PIER_OK);
  await_status(loop, self->cancelled, PIER_ECANCELED);
  assert_true(pier_write(second[1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
  await_status(loop, self->kept, PIER_OK);
  assert_int_equal(self->bytes[1], 'x');
  streams__close_pair(loop, first);
  streams__close_pair(loop, second);
  support__close(loop);
}

/* ---- One thread in the place of another ---- */

static void drive_once(void *context) {
  pier_loop_run(context, PIER_RUN_ONCE, PIER_NO_TIMEOUT);
}

static bool waits(void *context) {
  return atomic_load(&loop__poller(context)->inbox.state) == INBOX_ASLEEP && atomic_load(&((pier_loop *)context)->driver);
}

/* The system gives a thread the stack of the one that ended, and its address for a name. What wakes the ring has ended with that one. */
static void b36_a_thread_in_anothers_place_is_woken(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle listener = streams__tcp_listen(loop, &address);
  support_outcome *accepted = support__outcome();
  assert_true(pier_tcp_accept(listener, PIER_NO_DEADLINE, support__take, accepted) != 0);
  for (unsigned i = 0; i < 100; i++) {
    support_outcome *posted = support__outcome();
    support_thread *thread = support__thread_start(drive_once, loop);
    support__until(NULL, waits, loop, "the loop to wait");
    assert_true(pier_post(loop, support__take, posted) != 0);
    support__await(NULL, posted);
    support__thread_join(thread);
  }
  support__close_handle(loop, listener);
  await_status(loop, accepted, PIER_ECLOSED);
  support__close(loop);
}

/* Two threads drive in turn while traffic runs: nothing is lost at a change. */
typedef struct turns {
  pier_loop *loop;
  support_event *mine, *theirs;
  atomic_uint *ended;
} turns;

static void drive_in_turn(void *context) {
  turns *self = context;
  while (!atomic_load(self->ended)) {
    support__event_wait(self->mine, PIER_NO_TIMEOUT);
    support__event_reset(self->mine);
    for (int i = 0; i < 3; i++)
      pier_loop_run(self->loop, PIER_RUN_NOWAIT, 0);
    support__event_set(self->theirs);
  }
  support__event_set(self->theirs);
}

typedef struct relay {
  pier_handle from, to;
  atomic_uint *passed, *ended;
  char byte;
} relay;

static void pass_on(const pier_result *result);
static void read_again(const pier_result *result) {
  relay *self = result->context;
  support__count(self->passed);
  if (result->status == PIER_OK && !atomic_load(self->ended))
    pier_read(self->from, &self->byte, 1, PIER_NO_DEADLINE, pass_on, self);
}
static void pass_on(const pier_result *result) {
  relay *self = result->context;
  if (result->status == PIER_OK && result->bytes)
    pier_write(self->to, &self->byte, 1, PIER_NO_DEADLINE, read_again, self);
}

static void b36_two_threads_drive_in_turn(void **state) {
  (void)state;
  enum { RELAYS = 4, PASSES = 2000 };
  pier_loop *loop = support__open();
  atomic_uint *passed = support__alloc(sizeof *passed), *ended = support__alloc(sizeof *ended);
  relay *relays = support__alloc(2 * RELAYS * sizeof *relays);
  pier_handle ends[RELAYS][2];
  for (int i = 0; i < RELAYS; i++) {
    streams__pair(loop, i % 2 ? STREAMS_PIPE : STREAMS_TCP, ends[i]);
    for (int e = 0; e < 2; e++) {
      relay *self = &relays[2 * i + e];
      *self = (relay){.from = ends[i][e], .to = ends[i][e], .passed = passed, .ended = ended};
      assert_true(pier_read(self->from, &self->byte, 1, PIER_NO_DEADLINE, pass_on, self) != 0);
    }
    assert_true(pier_write(ends[i][0], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
  }
  turns *other = support__alloc(sizeof *other);
  *other = (turns){.loop = loop, .mine = support__event_open(), .theirs = support__event_open(), .ended = ended};
  support_thread *thread = support__thread_start(drive_in_turn, other);
  uint64_t end_ns = pier_now_ns() + 15 * PIER_SECOND * support__patience;
  while (atomic_load(passed) < PASSES && pier_now_ns() < end_ns) {
    support__event_set(other->mine);
    support__event_wait(other->theirs, PIER_NO_TIMEOUT);
    support__event_reset(other->theirs);
    for (int i = 0; i < 3; i++)
      pier_loop_run(loop, PIER_RUN_NOWAIT, 0);
  }
  assert_true(atomic_load(passed) >= PASSES);
  atomic_store(ended, 1);
  support__event_set(other->mine);
  support__thread_join(thread);
  support__event_close(other->mine);
  support__event_close(other->theirs);
  for (int i = 0; i < RELAYS; i++)
    streams__close_pair(loop, ends[i]);
  support__close(loop);
}

/* ---- A host that waits for the loop's descriptor ---- */

static void post_one(void *context) {
  void **both = context;
  pier_post(both[0], support__take, both[1]);
}

/* It has not called pier_loop_dispatch() yet, and is woken for what a thread brings all the same. */
static void a_host_is_woken_before_its_first_dispatch(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  support_outcome *posted = support__outcome();
  void *both[] = {loop, posted};
  size_t none = 0;
  struct pollfd wanted = {.fd = (int)pier_loop_native(loop), .events = POLLIN};
  assert_int_equal(poll(&wanted, 1, 0), 0);
  support__thread_join(support__thread_start(post_one, both));
  assert_int_equal(poll(&wanted, 1, 10000), 1);
  assert_status(pier_loop_dispatch(loop, NULL, &none), PIER_OK);
  assert_true(support__called(posted));
  support__close(loop);
}

/* ---- Queues that are full ---- */

enum { MANY = 12000, BLOCK = 64 };

typedef struct flood {
  pier_loop *loop;
  pier_handle file;
  atomic_uint served, wrong, submitted;
  struct flood_block {
    struct flood *all;
    unsigned number;
    char bytes[BLOCK];
  } blocks[MANY];
} flood;

static void take_block(const pier_result *result) {
  struct flood_block *block = result->context;
  if (result->status != PIER_OK || result->bytes != BLOCK || !support__filled(block->bytes, BLOCK, (uint64_t)block->number * BLOCK))
    atomic_fetch_add(&block->all->wrong, 1);
  support__count(&block->all->served);
}

static void submit_all(const pier_result *result) {
  flood *all = result->context;
  for (unsigned i = 0; i < MANY; i++) {
    all->blocks[i] = (struct flood_block){.all = all, .number = i};
    if (pier_read_at(all->file, all->blocks[i].bytes, BLOCK, (int64_t)i * BLOCK, PIER_NO_DEADLINE, take_block, &all->blocks[i]))
      atomic_fetch_add(&all->submitted, 1);
  }
}

/* Many more operations from one callback than either queue of a ring has room for (256 and 4,096): the kernel is handed the one in between,
   and keeps what does not fit into the other. Nothing is lost and nothing comes twice. */
static void more_operations_than_the_queues_hold(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *path = support__temp_file(MANY * BLOCK);
  flood *all = support__alloc(sizeof *all);
  all->loop = loop;
  /* One that Pier has not opened: its reads are not tried outside the ring. */
  assert_status(pier_register(loop, (pier_native)open(path, O_RDONLY | O_CLOEXEC), NULL, &all->file), PIER_OK);
  assert_true(pier_post(loop, submit_all, all) != 0);
  support__until_count(loop, &all->submitted, MANY, "all submits");
  support__until_count(loop, &all->served, MANY, "all reads");
  assert_int_equal(atomic_load(&all->served), MANY);
  assert_int_equal(atomic_load(&all->wrong), 0);
  support__close_handle(loop, all->file);
  support__close(loop);
}

/* The same of cancels: as many reads that wait, all ended by a callback. */
enum { WAITERS = 1500 };

typedef struct waiters {
  pier_operation ids[WAITERS];
  atomic_uint cancelled, other, through;
  unsigned refused; /* when it is through */
} waiters;

static void take_cancelled(const pier_result *result) {
  waiters *all = result->context;
  support__count(result->status == PIER_ECANCELED ? &all->cancelled : &all->other);
}

static void cancel_all(const pier_result *result) {
  waiters *all = result->context;
  for (int i = 0; i < WAITERS; i++)
    all->refused += pier_cancel(all->ids[i]) != PIER_OK;
  support__count(&all->through);
}

static void more_cancels_than_the_queue_holds(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  waiters *all = support__alloc(sizeof *all);
  pier_handle(*ends)[2] = support__alloc(WAITERS * sizeof *ends);
  static char bytes[WAITERS];
  for (int i = 0; i < WAITERS; i++) {
    assert_status(pier_pipe_pair(loop, NULL, ends[i]), PIER_OK);
    all->ids[i] = pier_read(ends[i][0], &bytes[i], 1, PIER_NO_DEADLINE, take_cancelled, all);
  }
  if (!support__threads())
    pier_loop_run(loop, PIER_RUN_NOWAIT, 0); /* so that the kernel has them */
  assert_true(pier_post(loop, cancel_all, all) != 0);
  support__until_count(loop, &all->cancelled, WAITERS, "all cancelled reads");
  support__until_count(loop, &all->through, 1, "the callback that cancels");
  assert_int_equal(atomic_load(&all->other), 0);
  assert_int_equal(all->refused, 0);
  for (int i = 0; i < WAITERS; i++)
    for (int e = 0; e < 2; e++)
      assert_status(pier_close(ends[i][e], NULL, NULL), PIER_OK);
  support__close(loop);
}

/* ---- Reads of what is in memory ---- */

enum { TOGETHER = 64, SEVERAL = 4 };

typedef struct batch {
  pier_handle file;
  unsigned count;
  atomic_uint served, wrong;
  struct batch_block {
    struct batch *all;
    unsigned number;
    char bytes[BLOCK];
  } blocks[TOGETHER];
} batch;

static void take_one(const pier_result *result) {
  struct batch_block *block = result->context;
  if (result->status != PIER_OK || result->bytes != BLOCK || !support__filled(block->bytes, BLOCK, (uint64_t)block->number * BLOCK))
    support__count(&block->all->wrong);
  support__count(&block->all->served);
}

static void read_batch(batch *all) {
  for (unsigned i = 0; i < all->count; i++) {
    all->blocks[i] = (struct batch_block){.all = all, .number = i};
    assert_true(pier_read_at(all->file, all->blocks[i].bytes, BLOCK, (int64_t)i * BLOCK, PIER_NO_DEADLINE, take_one, &all->blocks[i]) != 0);
  }
}

static void read_batch_in_callback(const pier_result *result) {
  read_batch(result->context);
}

/* Gives what the loop has counted for it. */
static pier_metrics play_batch(pier_loop *loop, pier_handle file, unsigned count, bool in_callback) {
  batch *all = support__alloc(sizeof *all);
  pier_metrics before = support__metrics(loop);
  all->file = file;
  all->count = count;
  if (in_callback)
    assert_true(pier_post(loop, read_batch_in_callback, all) != 0);
  else
    read_batch(all);
  support__until_count(loop, &all->served, count, "all reads");
  assert_int_equal(atomic_load(&all->wrong), 0);
  pier_metrics after = support__metrics(loop);
  return (pier_metrics){.immediate = after.immediate - before.immediate, .system_calls = after.system_calls - before.system_calls};
}

/* A few that a callback submits are made at once; of many all but the first go to the kernel together. From outside there is somebody to
   be woken for that, so all are made at once. */
static void many_reads_of_a_file_go_to_the_kernel_together(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *path = support__temp_file(TOGETHER * BLOCK);
  pier_handle file = 0;
  if (pier_loop_backend(loop)[0] != 'u') {
    support__close(loop);
    support__skip("there is no ring");
  }
  assert_status(pier_file_open_sync(loop, path, PIER_OPEN_READ, &file), PIER_OK);
  assert_int_equal(play_batch(loop, file, SEVERAL, true).immediate, SEVERAL);
  assert_int_equal(play_batch(loop, file, TOGETHER, false).immediate, TOGETHER);
  pier_metrics together = play_batch(loop, file, TOGETHER, true);
  assert_true(together.immediate >= SEVERAL && together.immediate < TOGETHER / 4);
  assert_true(together.system_calls - together.immediate < TOGETHER / 8);
  support__close_handle(loop, file);
  support__close(loop);
}

enum { MESSAGES = 100, MESSAGE = 8 };

typedef struct asker {
  char bytes[MESSAGE];
  atomic_uint served;
} asker;

static void ask_again(const pier_result *result) {
  asker *self = result->context;
  if (result->status != PIER_OK)
    return; /* it is closed */
  assert_int_equal(result->bytes, MESSAGE);
  assert_true(pier_read(result->handle, self->bytes, MESSAGE, PIER_NO_DEADLINE, ask_again, self) != 0);
  support__count(&self->served);
}

/* A read that was full may have left something behind. The kernel says that it has not, and nobody asks in vain. */
static void messages_as_long_as_the_buffer_cost_no_call_in_vain(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  pier_sync_result sent;
  asker *self = support__alloc(sizeof *self);
  if (pier_loop_backend(loop)[0] != 'u') {
    support__close(loop);
    support__skip("there is no ring");
  }
  streams__pair(loop, STREAMS_TCP, ends);
  assert_true(pier_read(ends[0], self->bytes, MESSAGE, PIER_NO_DEADLINE, ask_again, self) != 0);
  pier_metrics before = support__metrics(loop);
  for (unsigned i = 1; i <= MESSAGES; i++) {
    assert_status(pier_sync_write(pier_handle_native(ends[1]), "message", MESSAGE, PIER_NO_TIMEOUT, &sent), PIER_OK);
    support__until_count(loop, &self->served, i, "the message");
  }
  pier_metrics after = support__metrics(loop);
  assert_true(after.system_calls - before.system_calls < MESSAGES + MESSAGES / 2);
  streams__close_pair(loop, ends);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b36_the_driver_ends_and_its_operations_go_on),
      SUPPORT_TEST(b36_submits_and_cancels_before_the_first_drive),
      SUPPORT_TEST(b36_a_thread_in_anothers_place_is_woken),
      SUPPORT_TEST(b36_two_threads_drive_in_turn),
      SUPPORT_TEST(a_host_is_woken_before_its_first_dispatch),
      SUPPORT_TEST(more_operations_than_the_queues_hold),
      SUPPORT_TEST_POOL(more_operations_than_the_queues_hold),
      SUPPORT_TEST(many_reads_of_a_file_go_to_the_kernel_together),
      SUPPORT_TEST(messages_as_long_as_the_buffer_cost_no_call_in_vain),
      SUPPORT_TEST(more_cancels_than_the_queue_holds),
      SUPPORT_TEST_POOL(more_cancels_than_the_queue_holds),
  };
  return support__main(argc, argv, "uring_linux", tests, sizeof tests / sizeof tests[0]);
}
