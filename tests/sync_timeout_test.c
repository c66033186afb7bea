/* The timeouts of the sync path. */
#include "sync_native.h"

#include <string.h>

enum { RACES = 400, DEAD_BYTES = 8192 };

static void b21_a_timeout_on_a_silent_pipe_comes_close_to_the_time_asked(void **state) {
  (void)state;
  const uint64_t asked_ns[] = {0, PIER_MILLISECOND, 50 * PIER_MILLISECOND};
  char buffer[8];
  sync_pair pipe = sync_native__open_pair(false);
  pier_sync_result result;

  for (unsigned i = 0; i < 3; i++) {
    uint64_t began_ns = pier_now_ns();
    assert_status(pier_sync_read(pipe.ends[0], buffer, sizeof buffer, asked_ns[i], &result), PIER_ETIMEDOUT);
    uint64_t took_ns = pier_now_ns() - began_ns;
    assert_int_equal(result.bytes, 0);
    assert_true(took_ns >= asked_ns[i]);
    /* A tick of 15.6 ms is what the system's wait can do; the rest is for a busy machine. */
    assert_true(took_ns < asked_ns[i] + 150 * PIER_MILLISECOND);
  }
  sync_native__write_all(pipe.ends[1], "after");
  sync_native__read_is(pipe.ends[0], 100, PIER_OK, "after", false);
  sync_native__close_pair(&pipe);
}

static void b21_with_a_timeout_of_0_what_is_there_is_read(void **state) {
  (void)state;
  char buffer[8] = "";
  sync_pair pipe = sync_native__open_pair(false);

  sync_native__write_all(pipe.ends[1], "here");
  assert_status(pier_sync_read(pipe.ends[0], buffer, sizeof buffer, 0, NULL), PIER_OK);
  assert_string_equal(buffer, "here");
  sync_native__close_pair(&pipe);
}

typedef struct racing {
  pier_native end;
  uint64_t seed;
  atomic_uint stop;
  unsigned written;
} racing;

/* Bytes that count upwards, at random moments around the ends of the reader's timeouts. */
static void write_at_random(void *context) {
  racing *self = context;

  while (!atomic_load(&self->stop)) {
    unsigned char bytes[16];
    size_t length = 1 + (size_t)support__random_below(&self->seed, sizeof bytes);
    for (size_t i = 0; i < length; i++) {
      bytes[i] = (unsigned char)self->written++;
    }
    sync_native__write(self->end, bytes, length);
    sync_native__sleep_ms((unsigned)support__random_below(&self->seed, 4));
  }
}

/* Lies where the frames of the call before lay: a kernel that still writes there is caught. */
static bool dead_frames_stay_as_they_are(uint64_t *seed) {
  volatile unsigned char dead[DEAD_BYTES];
  unsigned changed = 0;

  for (unsigned i = 0; i < DEAD_BYTES; i++) {
    dead[i] = 0xA5;
  }
  sync_native__sleep_ms((unsigned)support__random_below(seed, 3));
  for (unsigned i = 0; i < DEAD_BYTES; i++) {
    changed += dead[i] != 0xA5;
  }
  return changed == 0;
}

typedef struct guarded {
  unsigned char before[64];
  unsigned char buffer[32];
  unsigned char after[64];
} guarded;

static bool guards_are_whole(const guarded *here, size_t used) {
  bool whole = true;

  for (size_t i = 0; i < sizeof here->before; i++) {
    whole = whole && here->before[i] == 0x5A && here->after[i] == 0x5A;
  }
  for (size_t i = used; i < sizeof here->buffer; i++) {
    whole = whole && here->buffer[i] == 0x5A;
  }
  return whole;
}

static void race_timeouts_with_data(const pier_native ends[2]) {
  uint64_t seed = support__seed();
  racing *race = support__alloc(sizeof *race);
  pier_sync_result result;
  unsigned timeouts = 0;
  unsigned read = 0;
  guarded here;

  *race = (racing){.end = ends[1], .seed = support__random(&seed)};
  support_thread *thread = support__thread_start(write_at_random, race);
  for (unsigned i = 0; i < RACES; i++) {
    memset(&here, 0x5A, sizeof here);
    uint64_t timeout_ns = support__random_below(&seed, 3 * PIER_MILLISECOND);
    int status = pier_sync_read(ends[0], here.buffer, sizeof here.buffer, timeout_ns, &result);
    bool dead_whole = dead_frames_stay_as_they_are(&seed);
    assert_true(status == PIER_OK || status == PIER_ETIMEDOUT);
    assert_true(dead_whole);
    assert_true(guards_are_whole(&here, result.bytes));
    assert_true((status == PIER_OK) == (result.bytes > 0));
    timeouts += status == PIER_ETIMEDOUT;
    for (size_t j = 0; j < result.bytes; j++) {
      assert_int_equal(here.buffer[j], (unsigned char)read++);
    }
  }
  atomic_store(&race->stop, 1);
  support__thread_join(thread);
  while (read < race->written) {
    assert_status(pier_sync_read(ends[0], here.buffer, 1, PIER_SECOND, &result), PIER_OK);
    assert_int_equal(here.buffer[0], (unsigned char)read++);
  }
  print_message("%u reads, of which %u timed out; %u bytes\n", RACES, timeouts, read);
  assert_true(timeouts > 0 && timeouts < RACES);
}

static void b21_timeout_on_a_pipe_never_writes_to_a_dead_frame_and_loses_no_byte(void **state) {
  (void)state;
  sync_pair pipe = sync_native__open_pair(false);

  race_timeouts_with_data(pipe.ends);
  sync_native__close_pair(&pipe);
}

static void b21_timeout_on_a_socket_never_writes_to_a_dead_frame_and_loses_no_byte(void **state) {
  (void)state;
  pier_native ends[2];

  support__native_tcp_pair(ends);
  race_timeouts_with_data(ends);
  support__native_close_socket(ends[0]);
  support__native_close_socket(ends[1]);
}

static void b21_a_write_that_nobody_takes_times_out_and_says_how_far_it_came(void **state) {
  (void)state;
  const size_t length = 64 << 20;
  unsigned char *bytes = support__alloc(length);
  pier_native ends[2];
  pier_sync_result result;

  support__native_tcp_pair(ends);
  assert_status(pier_sync_write(ends[0], bytes, length, 50 * PIER_MILLISECOND, &result), PIER_ETIMEDOUT);
  assert_true(result.bytes < length);
  support__native_close_socket(ends[0]);
  support__native_close_socket(ends[1]);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b21_a_timeout_on_a_silent_pipe_comes_close_to_the_time_asked),
      SUPPORT_TEST(b21_with_a_timeout_of_0_what_is_there_is_read),
      SUPPORT_TEST(b21_timeout_on_a_pipe_never_writes_to_a_dead_frame_and_loses_no_byte),
      SUPPORT_TEST(b21_timeout_on_a_socket_never_writes_to_a_dead_frame_and_loses_no_byte),
      SUPPORT_TEST(b21_a_write_that_nobody_takes_times_out_and_says_how_far_it_came),
  };
  return support__main(argc, argv, "sync_timeout", tests, sizeof tests / sizeof tests[0]);
}
