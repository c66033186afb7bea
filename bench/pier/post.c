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

struct poster {
  uint64_t first;
  uint64_t count;
};

static struct flood {
  pier_loop *loop;
  struct bench_result *result;
  uint64_t operations;
} flood;

/* What is handed over is a function and a number, as on the other sides; Pier keeps both, so there is nothing to lend it. */
static void on_item(const pier_result *result) {
  flood.result->checksum += (uint64_t)(uintptr_t)result->context;
  if (++flood.result->operations == flood.operations) {
    side_check(pier_loop_release(flood.loop), "pier_loop_release");
  }
}

static void poster__run(void *argument) {
  const struct poster poster = *(const struct poster *)argument;
  pier_loop *loop = flood.loop;

  for (uint64_t i = poster.first; i < poster.first + poster.count; i++) {
    if (pier_post(loop, on_item, (void *)(uintptr_t)i) == 0) {
      bench_check(false, "pier_post", (long long)i);
    }
  }
}

int side_post_flood(const struct bench_options *options, struct bench_result *result) {
  struct poster *posters = bench_allocate(options->threads, sizeof *posters);
  void **threads = bench_allocate(options->threads, sizeof *threads);
  struct side_counts counts;

  flood = (struct flood){.loop = side_loop_open(), .result = result};
  for (uint64_t i = 0; i < options->threads; i++) {
    posters[i].count = options->operations / options->threads;
    posters[i].first = i * posters[i].count;
  }
  side_counts_begin(&counts, flood.loop);
  bench_begin(result);
  for (uint64_t repeat = 0; repeat < options->repeats; repeat++) {
    flood.operations += posters[0].count * options->threads;
    side_check(pier_loop_hold(flood.loop), "pier_loop_hold");
    for (uint64_t i = 0; i < options->threads; i++) {
      threads[i] = bench_thread_start(poster__run, &posters[i]);
    }
    side_check(pier_loop_run(flood.loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
    for (uint64_t i = 0; i < options->threads; i++) {
      bench_thread_join(threads[i]);
    }
  }
  bench_end(result);
  side_counts_end(&counts, flood.loop, result, result->operations);
  side_loop_close(flood.loop);
  bench_release(posters);
  bench_release(threads);
  return 0;
}
