/* A loop that is short of memory or threads, or interrupted while it waits. */
#include "fault.h"
#include "streams.h"

#include <errno.h>
#include <string.h>

enum { HEAP_FIRST = 256, EVERY = 1000000 };

#define FAR_NS (3600 * PIER_SECOND)

static void count_timer(pier_loop *loop, pier_timer timer, void *context) {
  (void)loop;
  (void)timer;
  support__count(context);
}

static bool is_uring(pier_loop *loop) {
  return strcmp(pier_loop_backend(loop), "uring") == 0;
}

/* ---- Waiting ---- */

/* A signal ends the wait, the loop looks at the clock and waits for the rest. */
static void a_wait_that_is_interrupted_is_taken_up_again(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  atomic_uint *fired = support__alloc(sizeof *fired);
  uint64_t begin_ns = pier_now_ns();
  fault__clear();
  fault__fail(is_uring(loop) ? FAULT_ENTER : FAULT_WAIT, 0, 20, is_uring(loop) ? EINTR : 0);
  assert_true(pier_timer_start(loop, 50 * PIER_MILLISECOND, 0, count_timer, fired) != 0);
  support__until_count(loop, fired, 1, "the timer");
  assert_true(pier_now_ns() - begin_ns >= 50 * PIER_MILLISECOND);
  assert_true(fault__struck() > 0);
  fault__clear();
  support__close(loop);
}

/* Before Linux 5.11 epoll waits by the millisecond: later then, and never early. For the rest of the process, so it comes last. */
static void without_a_fine_wait_timers_are_not_early(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  atomic_uint *fired = support__alloc(sizeof *fired);
  if (strcmp(pier_loop_backend(loop), "epoll") != 0) {
    support__close(loop);
    support__skip("only epoll has a coarser wait");
  }
  fault__clear();
  fault__fail(FAULT_WAIT, 0, 1, ENOSYS);
  for (unsigned i = 1; i <= 5; i++) {
    uint64_t begin_ns = pier_now_ns();
    assert_true(pier_timer_start(loop, 1500000, 0, count_timer, fired) != 0);
    support__until_count(loop, fired, i, "the timer");
    assert_true(pier_now_ns() - begin_ns >= 1500000);
  }
  assert_int_equal(fault__struck(), 1);
  fault__clear();
  support__close(loop);
}

/* ---- Workers ---- */

static int give_seven(void *context) {
  (void)context;
  return -7;
}

static void work_without_a_thread_says_so(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  support_outcome *refused = support__outcome(), *done = support__outcome();
  fault__clear();
  fault__fail(FAULT_THREAD, 0, 1, 0);
  assert_true(pier_work(loop, give_seven, PIER_NO_DEADLINE, support__take, refused) != 0);
  await_status(loop, refused, PIER_ENOMEM);
  fault__fail(FAULT_MEMORY, 0, 1, 0);
  support_outcome *again = support__outcome();
  assert_true(pier_work(loop, give_seven, PIER_NO_DEADLINE, support__take, again) != 0);
  await_status(loop, again, PIER_ENOMEM);
  assert_true(pier_work(loop, give_seven, PIER_NO_DEADLINE, support__take, done) != 0);
  await_status(loop, done, -7);
  fault__clear();
  support__close(loop);
}

/* Where there is one worker and no other can be had, it does everything. */
static void one_worker_does_what_others_cannot(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  support_outcome *done[20];
  for (int i = 0; i < 20; i++)
    done[i] = support__outcome();
  assert_true(pier_work(loop, give_seven, PIER_NO_DEADLINE, support__take, done[0]) != 0);
  await_status(loop, done[0], -7);
  fault__clear();
  fault__fail(FAULT_THREAD, 0, EVERY, 0);
  for (int i = 1; i < 20; i++)
    assert_true(pier_work(loop, give_seven, PIER_NO_DEADLINE, support__take, done[i]) != 0);
  for (int i = 1; i < 20; i++)
    await_status(loop, done[i], -7);
  assert_int_equal(support__metrics(loop).workers, 1);
  fault__clear();
  support__close(loop);
}

/* ---- Timers and deadlines ---- */

/* Starts timers until the next one would need more memory. */
static void fill_heap(pier_loop *loop, pier_timer *timers, atomic_uint *fired) {
  for (int i = 0; i < HEAP_FIRST; i++) {
    timers[i] = pier_timer_start(loop, FAR_NS, 0, count_timer, fired);
    assert_true(timers[i] != 0);
  }
}

static void a_restart_without_memory_leaves_the_timer_as_it_was(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_timer timers[HEAP_FIRST];
  atomic_uint *fired = support__alloc(sizeof *fired);
  fill_heap(loop, timers, fired);
  assert_status(pier_timer_stop(timers[1]), PIER_OK);
  timers[1] = 0;
  fault__clear();
  fault__fail(FAULT_MEMORY, 0, EVERY, 0);
  assert_true(pier_timer_start(loop, FAR_NS, 0, count_timer, fired) == 0);
  assert_status(pier_timer_restart(timers[0], PIER_MILLISECOND), PIER_ENOMEM);
  assert_true(pier_timer_due_in_ns(timers[0]) > FAR_NS / 2);
  fault__clear();
  assert_int_equal(support__metrics(loop).timers, HEAP_FIRST - 1);
  assert_status(pier_timer_restart(timers[0], PIER_MILLISECOND), PIER_OK);
  support__until_count(loop, fired, 1, "the restarted timer");
  for (int i = 2; i < HEAP_FIRST; i++)
    assert_status(pier_timer_stop(timers[i]), PIER_OK);
  support__close(loop);
  assert_int_equal(atomic_load(fired), 1);
}

typedef struct crowd {
  atomic_uint beats;
  atomic_uint fired;
  unsigned started;
} crowd;

/* Takes the room that its timer had, while there is no more. */
static void crowd_in(pier_loop *loop, pier_timer timer, void *context) {
  crowd *all = context;
  (void)timer;
  if (atomic_load(&all->beats) == 0) {
    fault__fail(FAULT_MEMORY, 1, EVERY, 0); /* after the first of the heap's */
    while (all->started < 2 * HEAP_FIRST && pier_timer_start(loop, PIER_MILLISECOND, 0, count_timer, &all->fired))
      all->started++;
  }
  if (atomic_fetch_add(&all->beats, 1) + 1 == 3)
    assert_status(pier_timer_stop(timer), PIER_OK);
}

/* A timer that beats needs no memory for its next beat, whatever is started meanwhile. */
static void a_beat_has_its_place_kept(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  crowd *all = support__alloc(sizeof *all);
  fault__clear();
  assert_true(pier_timer_start(loop, 0, PIER_MILLISECOND, crowd_in, all) != 0);
  support__until_count(loop, &all->beats, 3, "three beats");
  assert_true(fault__struck() > 0);
  assert_true(all->started >= HEAP_FIRST - 1);
  fault__clear();
  support__until_count(loop, &all->fired, all->started, "the others");
  support__close(loop);
}

/* An operation whose deadline cannot be noted is refused: it would wait without one. */
static void a_deadline_without_memory_refuses_the_operation(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  char byte;
  support_outcome *read = support__outcome(), *worked = support__outcome();
  streams__pair(loop, STREAMS_PIPE, ends);
  fault__clear();
  fault__fail(FAULT_MEMORY, 0, 2, 0);
  assert_true(pier_read(ends[0], &byte, 1, pier_deadline_in(FAR_NS), support__take, read) != 0);
  await_status(loop, read, PIER_ENOMEM);
  assert_true(pier_work(loop, give_seven, pier_deadline_in(FAR_NS), support__take, worked) != 0);
  await_status(loop, worked, PIER_ENOMEM);
  assert_int_equal(fault__struck(), 2);
  fault__clear();
  streams__exchange(loop, ends[0], ends[1], 100, 0);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* ---- Slots ---- */

static void count_post(const pier_result *result) {
  support__count(result->context);
}

/* Slots come in steps. When there is no memory for the next step the submit says so, and what was submitted is not touched. */
static void a_slab_that_cannot_grow_refuses_and_goes_on(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  atomic_uint *counter = support__alloc(sizeof *counter);
  unsigned reads = 0;
  char byte;
  pier_handle ends[2];
  streams__pair(loop, STREAMS_PIPE, ends);
  streams__exchange(loop, ends[0], ends[1], 1, 0); /* there is memory for the first step now */
  fault__clear();
  fault__fail(FAULT_MAP, 0, EVERY, 0);
  while (pier_read(ends[0], &byte, 1, PIER_NO_DEADLINE, count_post, counter))
    reads++;
  assert_true(reads > 100);
  assert_true(fault__struck() > 0);
  assert_int_equal(support__metrics(loop).operations, reads);
  fault__clear();
  assert_true(pier_read(ends[0], &byte, 1, PIER_NO_DEADLINE, count_post, counter) != 0);
  support__close_handle(loop, ends[0]);
  support__until_count(loop, counter, reads + 1, "every read that was taken");
  support__close_handle(loop, ends[1]);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      FAULT_TEST(a_wait_that_is_interrupted_is_taken_up_again),
      FAULT_TEST(work_without_a_thread_says_so),
      FAULT_TEST(one_worker_does_what_others_cannot),
      FAULT_TEST(a_restart_without_memory_leaves_the_timer_as_it_was),
      FAULT_TEST(a_beat_has_its_place_kept),
      FAULT_TEST(a_deadline_without_memory_refuses_the_operation),
      FAULT_TEST_POOL(a_deadline_without_memory_refuses_the_operation),
      FAULT_TEST(a_slab_that_cannot_grow_refuses_and_goes_on),
      FAULT_TEST(without_a_fine_wait_timers_are_not_early),
  };
  return support__main(argc, argv, "fault_loop", tests, sizeof tests / sizeof tests[0]);
}
