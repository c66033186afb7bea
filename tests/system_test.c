/* Locks and condition variables: what the library builds everything else on. */
#include "support.h"

#include "system.h"

enum { THREADS = 6, ROUNDS = 4000 };

typedef struct shared {
  struct mutex lock;
  struct condition changed;
  unsigned count;        /* under the lock */
  unsigned turn;         /* whose turn it is, under the lock */
  atomic_uint inside;
  atomic_uint crowded;   /* how often somebody met another one inside */
  atomic_uint waited;    /* for a lock that was taken */
} shared;

typedef struct member {
  shared *all;
  unsigned number;
} member;

static shared *shared__new(void) {
  shared *all = support__alloc(sizeof *all);
  mutex__init(&all->lock);
  condition__init(&all->changed);
  return all;
}

static void shared__free(shared *all) {
  condition__destroy(&all->changed);
  mutex__destroy(&all->lock);
}

/* Starts a member on each thread, and waits for all of them. */
static void shared__run(shared *all, void (*run)(void *context)) {
  member members[THREADS];
  support_thread *threads[THREADS];
  for (unsigned i = 0; i < THREADS; i++) {
    members[i] = (member){all, i};
    threads[i] = support__thread_start(run, &members[i]);
  }
  for (unsigned i = 0; i < THREADS; i++)
    support__thread_join(threads[i]);
}

static void count_up(void *context) {
  member *own = context;
  shared *all = own->all;
  for (unsigned i = 0; i < ROUNDS; i++) {
    if (!mutex__try_lock(&all->lock)) {
      atomic_fetch_add(&all->waited, 1);
      mutex__lock(&all->lock);
    }
    if (atomic_fetch_add(&all->inside, 1) != 0)
      atomic_fetch_add(&all->crowded, 1);
    all->count++;
    if (i % 8 == own->number) /* so that others come, find it taken and go to sleep */
      support__yield();
    atomic_fetch_sub(&all->inside, 1);
    mutex__unlock(&all->lock);
  }
}

/* One at a time is inside, whoever has to wait gets in, and nobody sleeps for ever. */
static void a_lock_lets_one_in_at_a_time(void **state) {
  (void)state;
  shared *all = shared__new();
  shared__run(all, count_up);
  print_message("found taken: %u of %u\n", atomic_load(&all->waited), THREADS * ROUNDS);
  assert_int_equal(all->count, THREADS * ROUNDS);
  assert_int_equal(atomic_load(&all->crowded), 0);
  assert_true(atomic_load(&all->waited) > 0);
  assert_true(mutex__try_lock(&all->lock));
  assert_false(mutex__try_lock(&all->lock));
  mutex__unlock(&all->lock);
  shared__free(all);
}

static void take_turns(void *context) {
  member *own = context;
  shared *all = own->all;
  mutex__lock(&all->lock);
  for (unsigned i = 0; i < ROUNDS / THREADS; i++) {
    while (all->turn != own->number)
      condition__wait(&all->changed, &all->lock);
    all->turn = (own->number + 1) % THREADS;
    all->count++;
    condition__broadcast(&all->changed);
  }
  mutex__unlock(&all->lock);
}

static void take_turns_in_pairs(void *context) {
  member *own = context;
  shared *all = own->all;
  if (own->number > 1)
    return;
  for (unsigned i = 0; i < ROUNDS; i++) {
    mutex__lock(&all->lock);
    while (all->turn != own->number)
      condition__wait(&all->changed, &all->lock);
    all->turn = 1 - own->number;
    all->count++;
    mutex__unlock(&all->lock);
    condition__signal(&all->changed); /* with the lock let go: the other may be about to wait */
  }
}

/* No signal is lost between the look at the state and the sleep. */
static void a_wait_ends_with_the_signal(void **state) {
  (void)state;
  shared *all = shared__new();
  shared__run(all, take_turns);
  assert_int_equal(all->count, ROUNDS / THREADS * THREADS);
  all->count = all->turn = 0;
  shared__run(all, take_turns_in_pairs);
  assert_int_equal(all->count, 2 * ROUNDS);
  shared__free(all);
}

/* A wait with a limit ends when nobody signals, not before its time, and has the lock again. */
static void a_wait_with_a_limit_ends_by_itself(void **state) {
  (void)state;
  shared *all = shared__new();
  mutex__lock(&all->lock);
  for (uint64_t limit_ns = 1; limit_ns < 10 * PIER_MILLISECOND; limit_ns *= 7) {
    uint64_t begin_ns = pier_now_ns();
    while (condition__wait_for(&all->changed, &all->lock, limit_ns)) {
    } /* a spurious return is allowed */
    assert_true(pier_now_ns() - begin_ns >= limit_ns);
    assert_false(mutex__try_lock(&all->lock));
  }
  mutex__unlock(&all->lock);
  shared__free(all);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(a_lock_lets_one_in_at_a_time),
      SUPPORT_TEST(a_wait_ends_with_the_signal),
      SUPPORT_TEST(a_wait_with_a_limit_ends_by_itself),
  };
  return support__main(argc, argv, "system", tests, sizeof tests / sizeof tests[0]);
}
