#include "side.h"

struct pair;

struct end {
  pier_loop *loop;
  struct pair *pair;
  uint64_t callbacks;
};

struct pair {
  struct end ends[2];
  uint64_t operations;
};

/* Each callback is answered by one of the other end; the last one of all is answered by none. */
static void on_pair(const pier_result *result) {
  struct end *mine = result->context;
  struct pair *pair = mine->pair;
  struct end *other = mine == &pair->ends[0] ? &pair->ends[1] : &pair->ends[0];

  mine->callbacks++;
  if (mine == &pair->ends[1] || mine->callbacks < pair->operations / 2) {
    pier_operation post = pier_post(other->loop, on_pair, other);
    bench_check(post != 0, "pier_post", 0);
  }
  if (mine->callbacks == pair->operations / 2) {
    side_check(pier_loop_release(mine->loop), "pier_loop_release");
  }
}

static void end__run(void *argument) {
  struct end *end = argument;
  side_check(pier_loop_run(end->loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
}

int side_post_pair(const struct bench_options *options, struct bench_result *result) {
  struct pair *pair = bench_allocate(1, sizeof *pair);
  struct side_counts counts;

  pair->operations = options->operations;
  for (int i = 0; i < 2; i++) {
    pair->ends[i].pair = pair;
    pair->ends[i].loop = side_loop_open();
    side_check(pier_loop_hold(pair->ends[i].loop), "pier_loop_hold");
  }
  void *thread = bench_thread_start(end__run, &pair->ends[1]);
  side_counts_begin(&counts, pair->ends[0].loop);
  bench_begin(result);
  pier_operation post = pier_post(pair->ends[1].loop, on_pair, &pair->ends[1]);
  bench_check(post != 0, "pier_post", 0);
  end__run(&pair->ends[0]);
  bench_end(result);
  side_counts_end(&counts, pair->ends[0].loop, result, pair->ends[0].callbacks);
  bench_thread_join(thread);
  result->operations = pair->ends[0].callbacks + pair->ends[1].callbacks;
  side_loop_close(pair->ends[0].loop);
  side_loop_close(pair->ends[1].loop);
  bench_release(pair);
  return 0;
}

struct flood {
  pier_loop *loop;
  uint64_t items_per_thread;
  uint64_t operations;
  uint64_t received;
  uint64_t checksum;
};

struct poster {
  struct flood *flood;
  uint64_t first;
};

struct item {
  struct flood *flood;
  uint64_t number;
};

static struct item *items;

static void on_item(const pier_result *result) {
  const struct item *item = result->context;
  struct flood *flood = item->flood;

  flood->checksum += item->number;
  if (++flood->received == flood->operations) {
    side_check(pier_loop_release(flood->loop), "pier_loop_release");
  }
}

static void poster__run(void *argument) {
  const struct poster *poster = argument;

  for (uint64_t i = poster->first; i < poster->first + poster->flood->items_per_thread; i++) {
    items[i].flood = poster->flood;
    items[i].number = i;
    pier_operation post = pier_post(poster->flood->loop, on_item, &items[i]);
    bench_check(post != 0, "pier_post has no slot", (long long)i);
  }
}

int side_post_flood(const struct bench_options *options, struct bench_result *result) {
  struct flood flood = {.loop = side_loop_open(), .items_per_thread = options->operations / options->threads};
  struct poster *posters = bench_allocate(options->threads, sizeof *posters);
  void **threads = bench_allocate(options->threads, sizeof *threads);
  struct side_counts counts;

  items = bench_allocate(options->operations, sizeof *items);
  side_counts_begin(&counts, flood.loop);
  bench_begin(result);
  for (uint64_t repeat = 0; repeat < options->repeats; repeat++) {
    flood.operations += flood.items_per_thread * options->threads;
    side_check(pier_loop_hold(flood.loop), "pier_loop_hold");
    for (uint64_t i = 0; i < options->threads; i++) {
      posters[i].flood = &flood;
      posters[i].first = i * flood.items_per_thread;
      threads[i] = bench_thread_start(poster__run, &posters[i]);
    }
    side_check(pier_loop_run(flood.loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
    for (uint64_t i = 0; i < options->threads; i++) {
      bench_thread_join(threads[i]);
    }
  }
  bench_end(result);
  result->operations = flood.received;
  result->checksum = flood.checksum;
  side_counts_end(&counts, flood.loop, result, result->operations);
  side_loop_close(flood.loop);
  bench_release(items);
  bench_release(posters);
  bench_release(threads);
  return 0;
}
