#include "floor.h"
#include "waker.h"

#include <stdatomic.h>

struct pair {
  _Atomic(struct floor_waker *) wakers[2];
  uint64_t callbacks[2];
  uint64_t operations;
};

/* One wake goes to and fro, so there is never more than one to be had. The first end begins, and the last wake of the second ends it. */
static void pair__run(struct pair *pair, size_t mine) {
  struct floor_waker *waker = pair->wakers[mine];
  struct floor_waker *other = pair->wakers[1 - mine];

  for (uint64_t i = 0; i < pair->operations / 2; i++) {
    if (mine == 0 || i > 0) {
      floor_waker_wake(other);
    }
    floor_waker_wait(waker, FLOOR_NO_TIMEOUT);
    pair->callbacks[mine]++;
  }
  if (mine == 1) {
    floor_waker_wake(other);
  }
}

static void pair__thread(void *argument) {
  struct pair *pair = argument;

  pair->wakers[1] = floor_waker_open();
  pair__run(pair, 1);
}

int floor_post_pair(const struct bench_options *options, struct bench_result *result) {
  struct pair pair = {.operations = options->operations};

  pair.wakers[0] = floor_waker_open();
  void *thread = bench_thread_start(pair__thread, &pair);
  while (pair.wakers[1] == NULL) {
    floor_waker_wait(pair.wakers[0], 1000000); /* for a millisecond: nobody wakes it yet */
  }
  bench_begin(result);
  pair__run(&pair, 0);
  bench_end(result);
  bench_thread_join(thread);
  result->operations = pair.callbacks[0] + pair.callbacks[1];
  floor_waker_close(pair.wakers[0]);
  floor_waker_close(pair.wakers[1]);
  return 0;
}

struct item {
  struct item *next;
  void (*run)(struct bench_result *result, uint64_t number);
  uint64_t number;
};

static void on_item(struct bench_result *result, uint64_t number) {
  result->checksum += number;
  result->operations++;
}

struct flood {
  struct floor_waker *waker;
  _Atomic(struct item *) head; /* newest first */
  struct item *items;
  uint64_t items_per_thread;
  _Atomic uint64_t threads_started;
};

/* The first item on an empty list wakes the loop; the others find it awake. */
static void flood__push(struct flood *flood, struct item *item) {
  struct item *head = atomic_load_explicit(&flood->head, memory_order_relaxed);

  do {
    item->next = head;
  } while (!atomic_compare_exchange_weak(&flood->head, &head, item));
  if (head == NULL) {
    floor_waker_wake(flood->waker);
  }
}

static void flood__thread(void *argument) {
  struct flood *flood = argument;
  uint64_t first = atomic_fetch_add(&flood->threads_started, 1) * flood->items_per_thread;

  for (uint64_t i = first; i < first + flood->items_per_thread; i++) {
    flood->items[i].run = on_item;
    flood->items[i].number = i;
    flood__push(flood, &flood->items[i]);
  }
}

static struct item *reversed(struct item *item) {
  struct item *first = NULL;

  while (item != NULL) {
    struct item *next = item->next;
    item->next = first;
    first = item;
    item = next;
  }
  return first;
}

static void flood__receive(struct flood *flood, struct bench_result *result, uint64_t until) {
  while (result->operations < until) {
    floor_waker_wait(flood->waker, FLOOR_NO_TIMEOUT);
    struct item *item = reversed(atomic_exchange(&flood->head, NULL));
    for (; item != NULL; item = item->next) {
      item->run(result, item->number);
    }
  }
}

int floor_post_flood(const struct bench_options *options, struct bench_result *result) {
  struct flood flood = {.waker = floor_waker_open(), .items_per_thread = options->operations / options->threads};
  void **threads = bench_allocate(options->threads, sizeof *threads);

  flood.items = bench_allocate(options->operations, sizeof *flood.items);
  bench_begin(result);
  for (uint64_t repeat = 0; repeat < options->repeats; repeat++) {
    flood.threads_started = 0;
    for (uint64_t i = 0; i < options->threads; i++) {
      threads[i] = bench_thread_start(flood__thread, &flood);
    }
    flood__receive(&flood, result, (repeat + 1) * flood.items_per_thread * options->threads);
    for (uint64_t i = 0; i < options->threads; i++) {
      bench_thread_join(threads[i]);
    }
  }
  bench_end(result);
  floor_waker_close(flood.waker);
  bench_release(flood.items);
  bench_release(threads);
  return 0;
}
