#include "support.h"
#include "hook.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOPS_MAX = 128, NAMES_MAX = 256, NAME_BYTES = 320 };

/* A wait that takes longer than this has failed; a whole case may take a few of them. */
#define WAIT_LIMIT_NS (15 * PIER_SECOND * support__patience)
#define CASE_LIMIT_NS (40 * PIER_SECOND * support__patience)
/* Conditions that change without a signal are looked at this often. */
#define WAIT_SLICE_NS (20 * PIER_MILLISECOND)

typedef union support_block {
  union support_block *next;
  max_align_t aligned;
} support_block;

static struct {
  const support_case *running;
  support_block *blocks;
  size_t block_bytes;
  struct {
    pier_loop *loop;
    unsigned threads;
  } loops[LOOPS_MAX];
  size_t loops_open;
  char names[NAMES_MAX][NAME_BYTES];
  size_t names_used;
  unsigned names_made;
  atomic_uint waiting;
} support;

unsigned support__threads(void) {
  return support.running ? support.running->threads : 0;
}

int support__begin(void **state) {
  support.running = *state;
  support.loops_open = 0;
  support.blocks = NULL;
  support.block_bytes = 0;
  support.names_used = 0;
  support__watch(support.running->name, CASE_LIMIT_NS + (uint64_t)(4e9 * support__stress_seconds(0)));
  return 0;
}

int support__end(void **state) {
  (void)state;
  support__watch(NULL, 0);
  for (size_t i = 0; i < support.names_used; i++)
    support__remove_file(support.names[i]);
  /* With a loop still open something may still be in flight, so the memory is not touched. */
  while (support.blocks && support.loops_open == 0) {
    support_block *next = support.blocks->next;
    free(support.blocks);
    support.blocks = next;
  }
  support.running = NULL;
  return 0;
}

/* Of a loop with threads on io_uring so many have handles, and the others stand in: both kinds are wanted, whatever this machine has. */
static void support__set_processors(void) {
  const char *wanted = getenv("PIER_PROCESSORS");
  pier_hook_processors = wanted ? (uint32_t)strtoul(wanted, NULL, 10) : SUPPORT_THREADS / 2;
}

int support__main(int argc, char **argv, const char *program, const struct CMUnitTest *tests, size_t count) {
  /* A program that is ended by the watchdog would lose what is buffered. */
  setvbuf(stdout, NULL, _IONBF, 0);
  setvbuf(stderr, NULL, _IONBF, 0);
  support__os_begin();
  support__set_processors();
  if (argc > 1)
    cmocka_set_test_filter(argv[1]);
  return _cmocka_run_group_tests(program, tests, count, NULL, NULL);
}

void support__skip(const char *reason) {
  print_message("skip: %s\n", reason);
  skip();
}

void *support__alloc(size_t length_bytes) {
  support_block *block = calloc(1, sizeof *block + length_bytes);
  assert_non_null(block);
  block->next = support.blocks;
  support.blocks = block;
  support.block_bytes += support__heap_cost_os(block, sizeof *block + length_bytes);
  return block + 1;
}

size_t support__heap_bytes(void) {
  size_t all_bytes = support__heap_bytes_os();
  return all_bytes > support.block_bytes ? all_bytes - support.block_bytes : 0; /* a sanitizer's heap says nothing */
}

pier_loop *support__open(void) {
  pier_loop_options options = {.threads = support__threads()};
  return support__open_with(&options);
}

pier_loop *support__open_with(const pier_loop_options *options) {
  pier_loop *loop = NULL;
  assert_status(pier_loop_open(options, &loop), PIER_OK);
  assert_non_null(loop);
  assert_true(support.loops_open < LOOPS_MAX);
  support.loops[support.loops_open].loop = loop;
  support.loops[support.loops_open++].threads = options ? options->threads : 0;
  return loop;
}

static size_t support__find(const pier_loop *loop) {
  size_t i = 0;
  while (i < support.loops_open && support.loops[i].loop != loop)
    i++;
  return i;
}

void support__close(pier_loop *loop) {
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, WAIT_LIMIT_NS), PIER_OK);
  pier_metrics metrics = support__metrics(loop);
  assert_int_equal(metrics.operations, 0);
  assert_int_equal(metrics.handles, 0);
  assert_int_equal(metrics.submitted, metrics.completed);
  assert_status(pier_loop_close(loop), PIER_OK);
  support__closed(loop);
}

void support__closed(pier_loop *loop) {
  size_t i = support__find(loop);
  assert_true(i < support.loops_open);
  support.loops[i] = support.loops[--support.loops_open];
}

void support__until(pier_loop *loop, support_condition condition, void *context, const char *what) {
  size_t i = support__find(loop);
  bool driven = loop && (i == support.loops_open || support.loops[i].threads == 0);
  uint64_t end_ns = pier_now_ns() + WAIT_LIMIT_NS;
  /* Who drives the loop runs its callbacks himself and needs no signal. */
  atomic_fetch_add(&support.waiting, !driven);
  while (!condition(context)) {
    if (pier_now_ns() >= end_ns) {
      atomic_fetch_sub(&support.waiting, !driven);
      fail_msg("waited %u s in vain for: %s", (unsigned)(WAIT_LIMIT_NS / PIER_SECOND), what);
    }
    if (driven)
      pier_loop_run(loop, PIER_RUN_ONCE, WAIT_SLICE_NS);
    else
      support__signal_wait_os(WAIT_SLICE_NS);
  }
  atomic_fetch_sub(&support.waiting, !driven);
}

typedef struct support_target {
  atomic_uint *counter;
  unsigned target;
} support_target;

static bool support__reached(void *context) {
  const support_target *wanted = context;
  return atomic_load(wanted->counter) >= wanted->target;
}

void support__until_count(pier_loop *loop, atomic_uint *counter, unsigned target, const char *what) {
  support_target wanted = {counter, target};
  support__until(loop, support__reached, &wanted, what);
}

void support__signal(void) {
  if (atomic_load(&support.waiting))
    support__signal_os();
}

void support__count(atomic_uint *counter) {
  atomic_fetch_add(counter, 1);
  support__signal();
}

support_outcome *support__outcome(void) {
  return support__alloc(sizeof(support_outcome));
}

void support__take(const pier_result *result) {
  support_outcome *outcome = result->context;
  outcome->got = *result;
  outcome->at_ns = pier_now_ns();
  outcome->thread = support__thread_id();
  support__count(&outcome->calls);
}

bool support__called(const support_outcome *outcome) {
  return atomic_load(&outcome->calls) > 0;
}

void support__await(pier_loop *loop, support_outcome *outcome) {
  support__until_count(loop, &outcome->calls, 1, "a callback");
  assert_int_equal(atomic_load(&outcome->calls), 1);
}

void support__assert_status(int actual, int expected, const char *what, const char *file, int line) {
  if (actual == expected)
    return;
  print_error("%s is %s (%s), expected %s\n", what, pier_error_name(actual), pier_error_text(actual),
              pier_error_name(expected));
  _fail(file, line);
}

void support__await_status(pier_loop *loop, support_outcome *outcome, int expected, const char *what, const char *file,
                           int line) {
  char place[NAME_BYTES];
  snprintf(place, sizeof place, "the callback of %s, %s:%d", what, file, line);
  support__until_count(loop, &outcome->calls, 1, place);
  assert_int_equal(atomic_load(&outcome->calls), 1);
  if (outcome->got.status != expected)
    print_error("system code %" PRIu32 "\n", outcome->got.system_code);
  support__assert_status(outcome->got.status, expected, what, file, line);
}

void support__close_handle(pier_loop *loop, pier_handle handle) {
  support_outcome *closed = support__outcome();
  assert_status(pier_close(handle, support__take, closed), PIER_OK);
  await_status(loop, closed, PIER_OK);
  assert_true(closed->got.handle == handle);
}

pier_metrics support__metrics(pier_loop *loop) {
  pier_metrics metrics;
  assert_status(pier_loop_metrics(loop, &metrics), PIER_OK);
  return metrics;
}

uint64_t support__seed(void) {
  const char *text = getenv("PIER_SEED");
  uint64_t seed = text ? strtoull(text, NULL, 10) : pier_now_ns() ^ ((uint64_t)support__process_id() << 40);
  print_message("seed %" PRIu64 " (PIER_SEED=%" PRIu64 " repeats it)\n", seed, seed);
  return seed;
}

/* SplitMix64 by Sebastiano Vigna, which is in the public domain: good with any seed, also 0. */
uint64_t support__random(uint64_t *state) {
  uint64_t value = *state += 0x9e3779b97f4a7c15u;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
  value = (value ^ value >> 27) * 0x94d049bb133111ebu;
  return value ^ value >> 31;
}

uint64_t support__random_below(uint64_t *state, uint64_t limit) {
  return limit ? support__random(state) % limit : 0;
}

static unsigned char support__pattern(uint64_t offset) {
  uint64_t state = offset / 8;
  return (unsigned char)(support__random(&state) >> 8 * (offset % 8));
}

void support__fill(void *buffer, size_t length, uint64_t offset) {
  unsigned char *bytes = buffer;
  for (size_t i = 0; i < length; i++)
    bytes[i] = support__pattern(offset + i);
}

bool support__filled(const void *buffer, size_t length, uint64_t offset) {
  const unsigned char *bytes = buffer;
  for (size_t i = 0; i < length; i++) {
    if (bytes[i] != support__pattern(offset + i)) {
      print_error("byte %lu is %u, expected %u\n", (unsigned long)i, bytes[i], support__pattern(offset + i));
      return false;
    }
  }
  return true;
}

double support__stress_seconds(double usual) {
  const char *text = getenv("PIER_STRESS_SECONDS");
  double seconds = text ? strtod(text, NULL) : 0;
  return seconds > 0 ? seconds : usual;
}

unsigned support__stress_rounds(void) {
  const char *wanted = getenv("PIER_STRESS_ROUNDS");
  return wanted ? (unsigned)strtoul(wanted, NULL, 10) : 0;
}

const char *support__temp_path(void) {
  char folder[NAME_BYTES - 64];
  assert_true(support.names_used < NAMES_MAX);
  support__temp_folder(folder, sizeof folder);
  char *name = support.names[support.names_used++];
  snprintf(name, NAME_BYTES, "%spier_test_%lu_%u", folder, support__process_id(), support.names_made++);
  return name;
}

const char *support__temp_file(size_t length) {
  const char *path = support__temp_path();
  unsigned char *bytes = malloc(length ? length : 1);
  FILE *file = fopen(path, "wb");
  assert_true(file && bytes);
  support__fill(bytes, length, 0);
  assert_int_equal(fwrite(bytes, 1, length, file), length);
  assert_int_equal(fclose(file), 0);
  free(bytes);
  return path;
}

const char *support__pipe_name(void) {
  char *name = support__alloc(NAME_BYTES);
  snprintf(name, NAME_BYTES, "pier_test_%lu_%u", support__process_id(), support.names_made++);
  return name;
}
