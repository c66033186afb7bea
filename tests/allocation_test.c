/* What runs allocates nothing, neither from the heap nor more memory for a slab: from the first operation on where the loop's port serves
 * the handle, and from the second round on where there is something to be had once, such as workers, events, or a queue that grows to its
 * size. */
#include "held.h"
#include "streams.h"

#define ROUNDS 500
#define MESSAGE_BYTES 64
#define WORKERS 2
#define BURST 2000
#define READS 16
#define READ_BYTES 4096

static pier_loop *open_loop(void) {
  const pier_loop_options options = {.threads = support__threads(), .workers_max = WORKERS};
  return support__open_with(&options);
}

/* Counts what runs until it is asked how many more there are. */
typedef struct countdown {
  pier_loop *loop;
  atomic_uint left;
  atomic_uint failures;
  atomic_uint done; /* how often it has come to its end */
} countdown;

static void count_down(countdown *count) {
  if (atomic_fetch_sub(&count->left, 1) == 1)
    support__count(&count->done);
}

static void begin(countdown *count, unsigned left) {
  atomic_store(&count->left, left);
}

static void end(countdown *count, unsigned times, const char *what) {
  support__until_count(count->loop, &count->done, times, what);
  assert_int_equal(atomic_load(&count->failures), 0);
}

static void on_counted(const pier_result *result) {
  countdown *count = result->context;
  atomic_fetch_add(&count->failures, result->status != PIER_OK);
  count_down(count);
}

/* What a case does again and again; what it needs itself is taken before. */
typedef void (*allocation_round)(void *context, unsigned times);

static void check_second_round(allocation_round round, void *context) {
  round(context, 1);
  size_t before = held__allocations();
  round(context, 2);
  assert_int_equal(held__allocations() - before, 0);
}

/* ---- Workers: all of them are started, for as many as there is something to do for at once ---- */

static atomic_uint workers_met;

static int meet(void *context) {
  (void)context;
  atomic_fetch_add(&workers_met, 1);
  while (atomic_load(&workers_met) < WORKERS)
    support__yield();
  return PIER_OK;
}

static void start_all_workers(pier_loop *loop) {
  countdown *count = support__alloc(sizeof *count);
  count->loop = loop;
  atomic_store(&workers_met, 0);
  begin(count, WORKERS);
  for (int i = 0; i < WORKERS; i++)
    assert_true(pier_work(loop, meet, PIER_NO_DEADLINE, on_counted, count) != 0);
  end(count, 1, "all workers");
  assert_int_equal(support__metrics(loop).workers, WORKERS);
}

static int do_nothing(void *context) {
  (void)context;
  return PIER_OK;
}

static void work_round(void *context, unsigned times) {
  countdown *count = context;
  begin(count, ROUNDS);
  for (int i = 0; i < ROUNDS; i++)
    assert_true(pier_work(count->loop, do_nothing, PIER_NO_DEADLINE, on_counted, count) != 0);
  end(count, times, "work");
}

/* Once the workers are there, work is handed to them and comes back without an allocation. */
static void work_allocates_nothing(void **state) {
  (void)state;
  pier_loop *loop = open_loop();
  countdown *count = support__alloc(sizeof *count);
  count->loop = loop;
  start_all_workers(loop);
  check_second_round(work_round, count);
  support__close(loop);
}

/* ---- Streams: a message goes to and fro ---- */

typedef struct dialogue {
  countdown count;
  pier_handle ends[2];
  bool deadlines;
  char heard[2][MESSAGE_BYTES];
  char said[2][MESSAGE_BYTES]; /* not the same: the answer may come before the call that said it has returned */
} dialogue;

static void on_message(const pier_result *result);

static uint64_t dialogue_deadline(const dialogue *held) {
  return held->deadlines ? pier_deadline_in(60 * PIER_SECOND) : PIER_NO_DEADLINE;
}

static void hear(dialogue *held, unsigned at) {
  if (!pier_read(held->ends[at], held->heard[at], MESSAGE_BYTES, dialogue_deadline(held), on_message, held))
    atomic_fetch_add(&held->count.failures, 1);
}

static void say(dialogue *held, unsigned from) {
  if (!pier_write(held->ends[from], held->said[from], MESSAGE_BYTES, dialogue_deadline(held), NULL, NULL))
    atomic_fetch_add(&held->count.failures, 1);
}

/* The second end answers, and listens again first if another one will come; the first end begins the next round. */
static void on_message(const pier_result *result) {
  dialogue *held = result->context;
  bool second = result->handle == held->ends[1];
  if (result->status != PIER_OK || result->bytes != MESSAGE_BYTES) {
    atomic_fetch_add(&held->count.failures, 1);
    support__count(&held->count.done);
    return;
  }
  bool last = atomic_load(&held->count.left) == 1;
  if (!last)
    hear(held, second);
  if (second || !last)
    say(held, second);
  if (!second)
    count_down(&held->count);
}

static void dialogue_round(void *context, unsigned times) {
  dialogue *held = context;
  begin(&held->count, ROUNDS);
  hear(held, 1);
  hear(held, 0);
  say(held, 0);
  end(&held->count, times, "the last message");
}

static dialogue *dialogue_open(streams_sort sort) {
  dialogue *held = support__alloc(sizeof *held);
  held->count.loop = open_loop();
  streams__pair(held->count.loop, sort, held->ends);
  return held;
}

static void dialogue_close(dialogue *held) {
  streams__close_pair(held->count.loop, held->ends);
  support__close(held->count.loop);
}

/* What is on the loop's port allocates nothing at all once it is open, the first read and write included. */
static void streams_on_the_port_allocate_nothing_once_open(void **state) {
  static const streams_sort sorts[] = {STREAMS_TCP, STREAMS_PIPE, STREAMS_UDP};
  (void)state;
  for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++) {
    dialogue *held = dialogue_open(sorts[i]);
    size_t before = held__allocations();
    dialogue_round(held, 1);
    assert_int_equal(held__allocations() - before, 0);
    dialogue_close(held);
  }
}

/* Every sort, deadlines included, has what it needs after a first round. */
static void streams_of_every_sort_allocate_nothing_later(void **state) {
  (void)state;
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    dialogue *held = dialogue_open((streams_sort)sort);
    held->deadlines = true;
    start_all_workers(held->count.loop);
    check_second_round(dialogue_round, held);
    dialogue_close(held);
  }
}

/* ---- Files ---- */

typedef struct reader {
  countdown count;
  pier_handle file;
  pier_native native;
  char buffers[READS][READ_BYTES];
} reader;

static void file_round(void *context, unsigned times) {
  reader *from = context;
  for (int round = 0; round < ROUNDS / READS; round++) {
    begin(&from->count, READS);
    for (int i = 0; i < READS; i++)
      assert_true(pier_read_at(from->file, from->buffers[i], READ_BYTES, (int64_t)i * READ_BYTES, PIER_NO_DEADLINE, on_counted, &from->count) != 0);
    end(&from->count, (times - 1) * (ROUNDS / READS) + (unsigned)round + 1, "the reads");
  }
}

static void sync_round(void *context, unsigned times) {
  reader *from = context;
  (void)times;
  for (int i = 0; i < ROUNDS; i++)
    assert_status(pier_sync_read_at(from->native, from->buffers[0], READ_BYTES, (int64_t)(i % READS) * READ_BYTES, PIER_NO_TIMEOUT, NULL), PIER_OK);
}

static void check_reads(allocation_round round) {
  reader *from = support__alloc(sizeof *from);
  from->count.loop = open_loop();
  assert_status(pier_file_open_sync(from->count.loop, support__temp_file((size_t)READS * READ_BYTES), PIER_OPEN_READ, &from->file), PIER_OK);
  from->native = pier_handle_native(from->file);
  start_all_workers(from->count.loop);
  check_second_round(round, from);
  support__close_handle(from->count.loop, from->file);
  support__close(from->count.loop);
}

static void file_reads_allocate_nothing(void **state) {
  (void)state;
  check_reads(file_round);
}

/* Not counted are the loop's: the handle is open, and these are plain calls on it. */
static void sync_reads_allocate_nothing(void **state) {
  (void)state;
  check_reads(sync_round);
}

/* ---- Posts and timers ---- */

/* The first burst is twice as long: where in a page one begins, and so how many pages it touches, depends on the one before. */
static void post_round(void *context, unsigned times) {
  countdown *count = context;
  unsigned posts = times == 1 ? 2 * BURST : BURST;
  begin(count, posts);
  for (unsigned i = 0; i < posts; i++)
    assert_true(pier_post(count->loop, on_counted, count) != 0);
  end(count, times, "posts");
}

static void on_timer(pier_loop *loop, pier_timer timer, void *context) {
  (void)loop;
  (void)timer;
  count_down(context);
}

/* Every other one is stopped again. */
static void timer_round(void *context, unsigned times) {
  countdown *count = context;
  begin(count, BURST);
  for (int i = 0; i < BURST; i++) {
    pier_timer stopped = pier_timer_start(count->loop, PIER_SECOND, 0, on_timer, count);
    assert_true(stopped != 0);
    assert_true(pier_timer_start(count->loop, 1, 0, on_timer, count) != 0);
    assert_status(pier_timer_stop(stopped), PIER_OK);
  }
  end(count, times, "timers");
}

static void check_loop(allocation_round round) {
  countdown *count = support__alloc(sizeof *count);
  count->loop = open_loop();
  check_second_round(round, count);
  support__close(count->loop);
}

/* The loop is not driven while they are posted, so the second burst finds the room that the first one needed. */
static void posts_allocate_nothing_later(void **state) {
  (void)state;
  check_loop(post_round);
}

static void timers_allocate_nothing_later(void **state) {
  (void)state;
  check_loop(timer_round);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(streams_on_the_port_allocate_nothing_once_open),
      SUPPORT_TEST_POOL(streams_on_the_port_allocate_nothing_once_open),
      SUPPORT_TEST(streams_of_every_sort_allocate_nothing_later),
      SUPPORT_TEST_POOL(streams_of_every_sort_allocate_nothing_later),
      SUPPORT_TEST(file_reads_allocate_nothing),
      SUPPORT_TEST_POOL(file_reads_allocate_nothing),
      SUPPORT_TEST(sync_reads_allocate_nothing),
      SUPPORT_TEST(work_allocates_nothing),
      SUPPORT_TEST_POOL(work_allocates_nothing),
      SUPPORT_TEST(posts_allocate_nothing_later),
      SUPPORT_TEST(timers_allocate_nothing_later),
  };
  return support__main(argc, argv, "allocation", tests, sizeof tests / sizeof tests[0]);
}
