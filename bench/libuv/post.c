#include "twin.h"

#include <uv.h>

struct pair;

struct end {
  uv_loop_t loop;
  uv_async_t async; /* wakes this end */
  struct pair *pair;
  uint64_t callbacks;
};

struct pair {
  struct end ends[2];
  uint64_t operations;
};

/* Each callback is answered by one of the other end; the last one of all is answered by none. */
static void on_async(uv_async_t *async) {
  struct end *mine = async->data;
  struct pair *pair = mine->pair;
  struct end *other = mine == &pair->ends[0] ? &pair->ends[1] : &pair->ends[0];

  mine->callbacks++;
  if (mine == &pair->ends[1] || mine->callbacks < pair->operations / 2) {
    twin_check(uv_async_send(&other->async), "uv_async_send");
  }
  if (mine->callbacks == pair->operations / 2) {
    uv_close((uv_handle_t *)async, NULL);
  }
}

static void end__run(void *argument) {
  struct end *end = argument;
  uv_run(&end->loop, UV_RUN_DEFAULT);
}

int twin_post_pair(const struct bench_options *options, struct bench_result *result) {
  struct pair *pair = bench_allocate(1, sizeof *pair);

  pair->operations = options->operations;
  for (int i = 0; i < 2; i++) {
    pair->ends[i].pair = pair;
    twin_check(uv_loop_init(&pair->ends[i].loop), "uv_loop_init");
    twin_check(uv_async_init(&pair->ends[i].loop, &pair->ends[i].async, on_async), "uv_async_init");
    pair->ends[i].async.data = &pair->ends[i];
  }
  void *thread = bench_thread_start(end__run, &pair->ends[1]);
  bench_begin(result);
  twin_check(uv_async_send(&pair->ends[1].async), "uv_async_send");
  end__run(&pair->ends[0]);
  bench_end(result);
  bench_thread_join(thread);
  result->operations = pair->ends[0].callbacks + pair->ends[1].callbacks;
  twin_check(uv_loop_close(&pair->ends[0].loop), "uv_loop_close");
  twin_check(uv_loop_close(&pair->ends[1].loop), "uv_loop_close");
  bench_release(pair);
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

/* An async handle is a flag, so the items go through a queue with a lock, which is how it is done with libuv. */
struct flood {
  uv_async_t async;
  uv_mutex_t mutex;
  struct item *first;
  struct item **last;
  struct item *items;
  uint64_t items_per_thread;
  uint64_t threads_started;
  uint64_t operations;
  struct bench_result *result;
};

static void flood__push(struct flood *flood, struct item *item) {
  item->next = NULL;
  uv_mutex_lock(&flood->mutex);
  bool wake = flood->first == NULL;
  *flood->last = item;
  flood->last = &item->next;
  uv_mutex_unlock(&flood->mutex);
  if (wake) {
    twin_check(uv_async_send(&flood->async), "uv_async_send");
  }
}

static void flood__thread(void *argument) {
  struct flood *flood = argument;

  uv_mutex_lock(&flood->mutex);
  uint64_t first = flood->threads_started++ * flood->items_per_thread;
  uv_mutex_unlock(&flood->mutex);
  for (uint64_t i = first; i < first + flood->items_per_thread; i++) {
    flood->items[i].run = on_item;
    flood->items[i].number = i;
    flood__push(flood, &flood->items[i]);
  }
}

static void on_flood(uv_async_t *async) {
  struct flood *flood = async->data;

  uv_mutex_lock(&flood->mutex);
  struct item *item = flood->first;
  flood->first = NULL;
  flood->last = &flood->first;
  uv_mutex_unlock(&flood->mutex);
  for (; item != NULL; item = item->next) {
    item->run(flood->result, item->number);
  }
  if (flood->result->operations == flood->operations) {
    uv_stop(async->loop);
  }
}

int twin_post_flood(const struct bench_options *options, struct bench_result *result) {
  struct flood flood = {.result = result, .items_per_thread = options->operations / options->threads};
  void **threads = bench_allocate(options->threads, sizeof *threads);
  uv_loop_t *loop = uv_default_loop();

  flood.last = &flood.first;
  flood.items = bench_allocate(options->operations, sizeof *flood.items);
  twin_check(uv_mutex_init(&flood.mutex), "uv_mutex_init");
  twin_check(uv_async_init(loop, &flood.async, on_flood), "uv_async_init");
  flood.async.data = &flood;
  bench_begin(result);
  for (uint64_t repeat = 0; repeat < options->repeats; repeat++) {
    flood.threads_started = 0;
    flood.operations += flood.items_per_thread * options->threads;
    for (uint64_t i = 0; i < options->threads; i++) {
      threads[i] = bench_thread_start(flood__thread, &flood);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    for (uint64_t i = 0; i < options->threads; i++) {
      bench_thread_join(threads[i]);
    }
  }
  bench_end(result);
  uv_close((uv_handle_t *)&flood.async, NULL);
  twin_check(uv_run(loop, UV_RUN_DEFAULT), "uv_run");
  uv_mutex_destroy(&flood.mutex);
  bench_release(flood.items);
  bench_release(threads);
  return uv_loop_close(loop);
}
