/* The queue of posts, with threads held where it is unlucky: between the claim of a place and its publishing, and before the claim. */
#include "support.h"

#include "hook.h"
#include "loop.h"

enum { REPEATS = 1000, SEGMENT = 254, BEATS = 12 };

/* Holds the thread that says so at one of the hooks, until it is let go. */
static struct hold {
  atomic_uintptr_t thread;
  atomic_uint reached, released;
} hold;

static void hold__here(struct posts *posts) {
  (void)posts;
  if (atomic_load(&hold.thread) != support__thread_id())
    return;
  atomic_store(&hold.thread, 0);
  atomic_store(&hold.reached, 1);
  while (!atomic_load(&hold.released))
    support__yield();
}

static void hold__begin(void) {
  atomic_store(&hold.thread, 0);
  atomic_store(&hold.reached, 0);
  atomic_store(&hold.released, 0);
}

static void hold__reached(void) {
  while (!atomic_load(&hold.reached))
    support__yield();
}

/* What ran, by its number, in its order. */
typedef struct record {
  pier_loop *loop;
  atomic_uint count;
  atomic_uint awaited; /* which count is waited for */
  atomic_uint overlapping, inside;
  atomic_uint held, over;
  unsigned beats; /* of a timer, while nothing else happens */
  uintptr_t order[3 * SEGMENT + 8];
  uint64_t turns; /* of the loop while it had nothing but the post that was held */
  unsigned ran_meanwhile;
  support_thread *late;
} record;

typedef struct entry {
  record *record;
  uintptr_t number;
} entry;

static void take_down(const pier_result *result) {
  const entry *mine = result->context;
  record *all = mine->record;
  if (atomic_fetch_add(&all->inside, 1) != 0)
    atomic_fetch_add(&all->overlapping, 1);
  all->order[atomic_load(&all->count)] = mine->number;
  atomic_fetch_sub(&all->inside, 1);
  if (atomic_fetch_add(&all->count, 1) + 1 == atomic_load(&all->awaited))
    support__signal(); /* a signal for each would make this a test of signals */
}

static record *record__new(pier_loop *loop) {
  record *all = support__alloc(sizeof *all);
  all->loop = loop;
  return all;
}

static void record__until(record *all, unsigned count, const char *what) {
  atomic_store(&all->awaited, count);
  support__until_count(all->loop, &all->count, count, what);
}

static pier_operation post(record *all, uintptr_t number) {
  entry *mine = support__alloc(sizeof *mine);
  *mine = (entry){all, number};
  return pier_post(all->loop, take_down, mine);
}

static void post_held(void *context) {
  atomic_store(&hold.thread, support__thread_id());
  post(context, 1);
}

/* A loop whose posters can be held there. The hooks are set before there are threads. */
static pier_loop *open_with(struct hooks hooks) {
  pier_hooks = hooks;
  return support__open();
}

static void close_it(pier_loop *loop) {
  support__close(loop);
  pier_hooks = (struct hooks){0};
}

/* Posts what has the number 1 on a thread of its own, as far as the hook. */
static void record__hold(record *all) {
  hold__begin();
  all->late = support__thread_start(post_held, all);
  hold__reached();
}

static void record__let_go(record *all) {
  atomic_store(&hold.released, 1);
  support__thread_join(all->late);
}

static void assert_order(const record *all, unsigned count) {
  assert_int_equal(atomic_load(&all->count), count);
  assert_int_equal(atomic_load(&all->overlapping), 0);
  for (unsigned i = 0; i < count; i++)
    assert_int_equal(all->order[i], i + 1);
}

/* Whoever loses the processor between claim and publishing holds up what was posted behind him and nothing else: the loop
 * neither runs past him nor ends, and when he goes on all of it runs, in the order of the claims. Here his claim was awaited. */
static void a_late_publisher_is_waited_for_in_order(void **state) {
  (void)state;
  pier_loop *loop = open_with((struct hooks){.post_claimed = hold__here});
  for (unsigned i = 0; i < REPEATS; i++) {
    record *all = record__new(loop);
    record__hold(all);
    assert_true(post(all, 2) != 0);
    assert_true(post(all, 3) != 0);
    if (support__threads() == 0)
      assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, 0), PIER_OK);
    assert_int_equal(atomic_load(&all->count), 0);
    assert_int_equal(pier_loop_alive(loop), 3);
    assert_status(pier_loop_close(loop), PIER_EBUSY);
    record__let_go(all);
    record__until(all, 3, "what waited behind a late post");
    assert_order(all, 3);
  }
  close_it(loop);
}

/* Runs on the loop: from here to the end of this callback the posts are being run, so the claim that is held is not awaited. */
static void hold_another(const pier_result *result) {
  record *all = result->context;
  record__hold(all);
  assert_true(post(all, 2) != 0);
  assert_true(post(all, 3) != 0);
  atomic_store(&all->held, 1);
}

static void nothing_happens(pier_loop *loop, pier_timer timer, void *context) {
  record *all = context;
  (void)timer;
  if (all->beats++ == 0)
    all->turns = support__metrics(loop).turns;
  if (all->beats < BEATS)
    return;
  all->turns = support__metrics(loop).turns - all->turns;
  all->ran_meanwhile = atomic_load(&all->count);
  pier_timer_stop(timer);
  support__count(&all->over);
}

/* The same with a claim that nobody has awaited, for somebody ran the posts: he looks again until it is published. The loop goes on
 * with everything else meanwhile, and sleeps: it looks less often the later the post is. */
static void a_late_publisher_is_looked_for(void **state) {
  (void)state;
  pier_loop *loop = open_with((struct hooks){.post_claimed = hold__here});
  for (unsigned i = 0; i < REPEATS / 50; i++) {
    record *all = record__new(loop);
    assert_true(pier_post(loop, hold_another, all) != 0);
    assert_true(pier_timer_start(loop, 2 * PIER_MILLISECOND, 2 * PIER_MILLISECOND, nothing_happens, all) != 0);
    support__until_count(loop, &all->over, 1, "the time that a post is late");
    assert_int_equal(atomic_load(&all->held), 1);
    assert_int_equal(all->ran_meanwhile, 0);
    assert_true(all->turns <= 6 * BEATS);
    assert_true(pier_loop_alive(loop) >= 3); /* the timer may not have returned from its callback */
    assert_status(pier_loop_close(loop), PIER_EBUSY);
    record__let_go(all);
    record__until(all, 3, "a late post that was looked for, and what waited behind it");
    assert_order(all, 3);
  }
  close_it(loop);
}

typedef struct lull {
  record *record;
  uint64_t random;
} lull;

static void let_go_soon(void *context) {
  lull *mine = context;
  while (!atomic_load(&mine->record->held))
    support__yield();
  for (uint64_t left = support__random_below(&mine->random, 200); left > 0; left--)
    support__yield();
  record__let_go(mine->record);
}

/* It may come at any moment: between two looks, in one, while the loop goes to sleep for the next. */
static void a_late_publisher_comes_at_any_moment(void **state) {
  (void)state;
  uint64_t random = support__seed();
  pier_loop *loop = open_with((struct hooks){.post_claimed = hold__here});
  for (unsigned i = 0; i < REPEATS; i++) {
    record *all = record__new(loop);
    lull mine = {all, random + i};
    support_thread *sentry = support__thread_start(let_go_soon, &mine);
    assert_true(pier_post(loop, hold_another, all) != 0);
    record__until(all, 3, "a late post, and what waited behind it");
    support__thread_join(sentry);
    assert_order(all, 3);
  }
  close_it(loop);
}

/* A segment is used again although a thread that has its address has not claimed a place yet. Whatever has become of the segment
 * meanwhile (full, set aside, the last one again, once or twice round), the thread's post runs once, between what was posted
 * before and after it. */
static void a_late_claim_in_a_segment_used_again(void **state) {
  (void)state;
  enum { LATE = 1, BEFORE = 1000 };
  uint64_t random = support__seed();
  pier_loop *loop = open_with((struct hooks){.post_coming = hold__here});
  for (unsigned i = 0; i < REPEATS; i++) {
    record *all = record__new(loop);
    unsigned before = (unsigned)support__random_below(&random, 3 * SEGMENT), after = (unsigned)support__random_below(&random, 4);
    unsigned at_once = SEGMENT / 4 + (unsigned)support__random_below(&random, 2 * SEGMENT);
    record__hold(all);
    for (unsigned n = 0; n < before; n++) {
      assert_true(post(all, BEFORE + n) != 0);
      if (n % at_once == 0)
        record__until(all, n + 1, "the posts so far");
    }
    record__until(all, before, "the posts before");
    record__let_go(all);
    for (unsigned n = 0; n < after; n++)
      assert_true(post(all, LATE + 1 + n) != 0);
    record__until(all, before + 1 + after, "the late post, and those after it");
    for (unsigned n = 0; n < before; n++)
      assert_int_equal(all->order[n], BEFORE + n);
    for (unsigned n = 0; n <= after; n++)
      assert_int_equal(all->order[before + n], LATE + n);
    assert_int_equal(atomic_load(&all->overlapping), 0);
  }
  close_it(loop);
}

typedef struct burst {
  pier_loop *loop;
  atomic_uint *ran;
  uint64_t random;
} burst;

static void count_run(const pier_result *result) {
  support__count(result->context);
}

enum { BURSTS = 60, BURSTERS = 4 };

static void post_bursts(void *context) {
  burst *mine = context;
  for (unsigned i = 0; i < BURSTS; i++) {
    for (uint64_t left = support__random_below(&mine->random, 3) ? 1 : SEGMENT; left > 0; left--)
      if (!pier_post(mine->loop, count_run, mine->ran))
        support__count(mine->ran + 1);
    /* Until the loop has caught up, so that each burst may meet one that goes to sleep. */
    while (support__metrics(mine->loop).operations > SEGMENT)
      support__yield();
  }
  support__count(mine->ran + 2);
}

/* Bursts from four threads meet a loop that catches up and goes to sleep again and again: every post runs, every sleep ends. */
static void bursts_meet_a_loop_that_goes_to_sleep(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  atomic_uint *ran = support__alloc(3 * sizeof *ran); /* that, how many were refused, and which threads are done */
  burst bursts[BURSTERS];
  support_thread *threads[BURSTERS];
  uint64_t before = support__metrics(loop).submitted, seed = support__seed();
  for (unsigned t = 0; t < BURSTERS; t++) {
    bursts[t] = (burst){loop, ran, seed + t};
    threads[t] = support__thread_start(post_bursts, &bursts[t]);
  }
  support__until_count(loop, &ran[2], BURSTERS, "the bursts");
  for (unsigned t = 0; t < BURSTERS; t++)
    support__thread_join(threads[t]);
  assert_int_equal(atomic_load(&ran[1]), 0);
  unsigned posted = (unsigned)(support__metrics(loop).submitted - before);
  assert_true(posted >= BURSTERS * BURSTS);
  support__until_count(loop, ran, posted, "every post");
  assert_int_equal(support__metrics(loop).completed, support__metrics(loop).submitted);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(a_late_publisher_is_waited_for_in_order),
      SUPPORT_TEST_POOL(a_late_publisher_is_waited_for_in_order),
      SUPPORT_TEST(a_late_publisher_is_looked_for),
      SUPPORT_TEST_POOL(a_late_publisher_is_looked_for),
      SUPPORT_TEST(a_late_publisher_comes_at_any_moment),
      SUPPORT_TEST_POOL(a_late_publisher_comes_at_any_moment),
      SUPPORT_TEST(a_late_claim_in_a_segment_used_again),
      SUPPORT_TEST_POOL(a_late_claim_in_a_segment_used_again),
      SUPPORT_TEST(bursts_meet_a_loop_that_goes_to_sleep),
      SUPPORT_TEST_POOL(bursts_meet_a_loop_that_goes_to_sleep),
  };
  return support__main(argc, argv, "posts", tests, sizeof tests / sizeof tests[0]);
}
