/* Posts: functions that are handed to the loop from any thread. */
#include "support.h"

enum { POSTERS = 4 };
#define POSTS_OF_EACH 250000u

/* A post runs once, not inside the call that makes it, and gets its context and id. */
static void a_post_runs_once_and_later(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  support_outcome *posted = support__outcome();
  pier_operation id = pier_post(loop, support__take, posted);
  assert_true(id != 0);
  if (support__threads() == 0)
    assert_false(support__called(posted));
  await_status(loop, posted, PIER_OK);
  assert_true(posted->got.operation == id);
  assert_ptr_equal(posted->got.context, posted);
  assert_ptr_equal(posted->got.loop, loop);
  assert_true(posted->got.handle == 0 && posted->got.opened == 0);
  assert_int_equal(posted->got.bytes, 0);
  assert_status(pier_cancel(id), PIER_ENOENT);
  support__close(loop);
  assert_int_equal(atomic_load(&posted->calls), 1);
}

/* Without a loop or a callback there is nothing to post. */
static void a_post_of_nothing_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  assert_true(pier_post(loop, NULL, NULL) == 0);
  assert_true(pier_post(NULL, support__take, NULL) == 0);
  support__close(loop);
}

typedef struct poster {
  pier_loop *loop;
  atomic_uint *posted_all;
  atomic_uint next; /* the number that its next callback must have */
  atomic_uint out_of_order;
  atomic_uint inside; /* callbacks of this poster that run right now */
  atomic_uint overlapping;
  unsigned refused;
} poster;

typedef struct posting {
  poster posters[POSTERS];
  atomic_uint posted_all;
  atomic_uint ran;
} posting;

typedef struct numbered {
  posting *all;
  uint16_t poster;
  uint32_t number;
} numbered;

static void numbered_callback(const pier_result *result) {
  numbered *post = result->context;
  poster *from = &post->all->posters[post->poster];
  if (atomic_fetch_add(&from->inside, 1) != 0)
    atomic_fetch_add(&from->overlapping, 1);
  if (atomic_fetch_add(&from->next, 1) != post->number)
    atomic_fetch_add(&from->out_of_order, 1);
  atomic_fetch_sub(&from->inside, 1);
  if (atomic_fetch_add(&post->all->ran, 1) + 1 == POSTERS * POSTS_OF_EACH)
    support__signal();
}

static void post_all(void *context) {
  numbered *posts = context;
  poster *self = &posts->all->posters[posts->poster];
  for (unsigned i = 0; i < POSTS_OF_EACH; i++) {
    while (!pier_post(self->loop, numbered_callback, &posts[i])) {
      /* Every slot is taken: the loop has to come round first. */
      self->refused++;
      support__yield();
    }
  }
  support__count(self->posted_all);
}

/* A million posts from four threads: each runs once, those of one thread in their order, and one wake serves many. */
static void b42_a_million_posts_run_once_and_in_order(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  posting *all = support__alloc(sizeof *all);
  numbered *posts = support__alloc(POSTERS * POSTS_OF_EACH * sizeof *posts);
  support_thread *threads[POSTERS];
  for (unsigned t = 0; t < POSTERS; t++) {
    numbered *first = &posts[t * POSTS_OF_EACH];
    for (unsigned i = 0; i < POSTS_OF_EACH; i++)
      first[i] = (numbered){all, (uint16_t)t, i};
    all->posters[t].loop = loop;
    all->posters[t].posted_all = &all->posted_all;
  }
  for (unsigned t = 0; t < POSTERS; t++)
    threads[t] = support__thread_start(post_all, &posts[t * POSTS_OF_EACH]);
  support__until_count(loop, &all->ran, POSTERS * POSTS_OF_EACH, "a million posts");
  for (unsigned t = 0; t < POSTERS; t++) {
    support__thread_join(threads[t]);
    assert_int_equal(atomic_load(&all->posters[t].next), POSTS_OF_EACH);
    assert_int_equal(atomic_load(&all->posters[t].out_of_order), 0);
    assert_int_equal(atomic_load(&all->posters[t].overlapping), 0);
  }
  pier_metrics metrics = support__metrics(loop);
  print_message("%u posts, %u wakes, %u waits\n", POSTERS * POSTS_OF_EACH, (unsigned)metrics.wakes,
                (unsigned)metrics.waits);
  /* One wake packet is outstanding at most, so there cannot be more of them than waits that took them. */
  assert_true(metrics.wakes <= metrics.waits + 1);
  assert_int_equal(metrics.submitted, POSTERS * POSTS_OF_EACH);
  support__close(loop);
  assert_int_equal(atomic_load(&all->ran), POSTERS * POSTS_OF_EACH);
}

static void count_callback(const pier_result *result) {
  support__count(result->context);
}

/* A thousand posts to a loop that sleeps wake it once; a thousand posts from a callback need no wake beyond one. */
static void b42_wakes_are_coalesced(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  atomic_uint *runs = support__alloc(sizeof *runs);
  for (int i = 0; i < 1000; i++)
    assert_true(pier_post(loop, count_callback, runs) != 0);
  assert_true(support__metrics(loop).wakes <= 1);
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), PIER_OK);
  assert_int_equal(atomic_load(runs), 1000);
  assert_true(support__metrics(loop).wakes <= 1);
  support__close(loop);
}

typedef struct chain {
  unsigned left;
  atomic_uint runs;
  unsigned depth; /* more than 1 when a post runs inside another one */
  unsigned deepest;
} chain;

static void chain_callback(const pier_result *result) {
  chain *links = result->context;
  links->depth++;
  links->deepest = links->depth > links->deepest ? links->depth : links->deepest;
  if (links->left > 0) {
    links->left--;
    pier_post(result->loop, chain_callback, links);
  }
  links->depth--;
  support__count(&links->runs);
}

/* A post may post again: it runs later, never inside, as often as it likes. */
static void a_post_may_post_again(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  chain *links = support__alloc(sizeof *links);
  links->left = 5000;
  assert_true(pier_post(loop, chain_callback, links) != 0);
  support__until_count(loop, &links->runs, 5001, "the chain of posts");
  support__close(loop);
  assert_int_equal(links->deepest, 1);
  assert_int_equal(atomic_load(&links->runs), 5001);
}

static void stop_chain(pier_loop *loop, pier_timer timer, void *context) {
  chain *links = context;
  (void)loop;
  (void)timer;
  links->left = 0;
}

/* Posts that post themselves for ever starve neither timers nor a turn that does not wait. */
static void endless_posts_starve_nobody(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  chain *links = support__alloc(sizeof *links);
  links->left = UINT32_MAX;
  assert_true(pier_post(loop, chain_callback, links) != 0);
  assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, 0), PIER_OK);
  assert_status(pier_loop_run(loop, PIER_RUN_ONCE, PIER_NO_TIMEOUT), PIER_OK);
  assert_true(atomic_load(&links->runs) >= 1);
  assert_true(pier_timer_start(loop, 5 * PIER_MILLISECOND, 0, stop_chain, links) != 0);
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, 10 * PIER_SECOND), PIER_OK);
  assert_int_equal(links->left, 0);
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, 0), PIER_OK);
  support__close(loop);
}

/* A post cannot be cancelled: its id is found by nobody, before it has run or after, and it runs as if nothing had been. */
static void a_post_cannot_be_cancelled(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  support_outcome *outcomes[100];
  pier_operation ids[100];
  for (int i = 0; i < 100; i++) {
    outcomes[i] = support__outcome();
    ids[i] = pier_post(loop, support__take, outcomes[i]);
    assert_true(ids[i] != 0);
  }
  for (int i = 0; i < 100; i += 2)
    assert_status(pier_cancel(ids[i]), PIER_ENOENT);
  for (int i = 0; i < 100; i++) {
    await_status(loop, outcomes[i], PIER_OK);
    assert_true(outcomes[i]->got.operation == ids[i]);
    assert_true(i == 0 || ids[i] != ids[i - 1]);
    assert_status(pier_cancel(ids[i]), PIER_ENOENT);
  }
  support__close(loop);
}

typedef struct single {
  pier_loop *loop;
  support_outcome *outcome;
  pier_operation id;
} single;

static void post_single(void *context) {
  single *post = context;
  post->id = pier_post(post->loop, support__take, post->outcome);
}

/* A post from another thread wakes a loop that waits without limit, every time. */
static void a_post_wakes_a_waiting_loop(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  assert_status(pier_loop_hold(loop), PIER_OK);
  for (int i = 0; i < 100; i++) {
    single *post = support__alloc(sizeof *post);
    *post = (single){.loop = loop, .outcome = support__outcome()};
    support_thread *thread = support__thread_start(post_single, post);
    if (support__threads() == 0)
      assert_status(pier_loop_run(loop, PIER_RUN_ONCE, PIER_NO_TIMEOUT), PIER_OK);
    await_status(loop, post->outcome, PIER_OK);
    support__thread_join(thread);
    assert_true(post->outcome->got.operation == post->id);
  }
  assert_status(pier_loop_release(loop), PIER_OK);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(a_post_runs_once_and_later),
      SUPPORT_TEST_POOL(a_post_runs_once_and_later),
      SUPPORT_TEST(a_post_of_nothing_is_refused),
      SUPPORT_TEST(b42_a_million_posts_run_once_and_in_order),
      SUPPORT_TEST_POOL(b42_a_million_posts_run_once_and_in_order),
      SUPPORT_TEST(b42_wakes_are_coalesced),
      SUPPORT_TEST(a_post_may_post_again),
      SUPPORT_TEST_POOL(a_post_may_post_again),
      SUPPORT_TEST(endless_posts_starve_nobody),
      SUPPORT_TEST(a_post_cannot_be_cancelled),
      SUPPORT_TEST_POOL(a_post_cannot_be_cancelled),
      SUPPORT_TEST(a_post_wakes_a_waiting_loop),
      SUPPORT_TEST_POOL(a_post_wakes_a_waiting_loop),
  };
  return support__main(argc, argv, "post", tests, sizeof tests / sizeof tests[0]);
}
