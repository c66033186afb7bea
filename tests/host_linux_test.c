/* A host drives the loop: it waits for the loop's descriptor itself, as long as the loop lets it, and has the loop dispatch. */
#include "streams.h"

#include <liburing.h>
#include <poll.h>
#include <string.h>

#define OURS_NS (20 * PIER_MILLISECOND)
enum { HOST_MS = 5000 }; /* longer than a round may ever take that has something to do */

static bool is_uring(pier_loop *loop) {
  return strcmp(pier_loop_backend(loop), "uring") == 0;
}

/* One round of the host's. */
static void host_turn(pier_loop *loop, int most_ms) {
  struct pollfd asked = {.fd = (int)pier_loop_native(loop), .events = POLLIN};
  uint64_t left_ns = pier_loop_timeout_ns(loop);
  size_t count = 0;
  poll(&asked, 1, left_ns < (uint64_t)most_ms * PIER_MILLISECOND ? (int)(left_ns / PIER_MILLISECOND + 1) : most_ms);
  assert_status(pier_loop_dispatch(loop, NULL, &count), PIER_OK);
  assert_int_equal(count, 0);
}

static void host_until(pier_loop *loop, const atomic_uint *counter, unsigned target) {
  uint64_t begin_ns = pier_now_ns();
  while (atomic_load(counter) < target) {
    assert_true(pier_now_ns() - begin_ns < HOST_MS * PIER_MILLISECOND); /* the descriptor has said nothing */
    host_turn(loop, HOST_MS);
  }
}

static void count_timer(pier_loop *loop, pier_timer timer, void *context) {
  (void)loop;
  (void)timer;
  support__count(context);
}

static void a_host_runs_posts_and_timers(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  support_outcome *posted = support__outcome();
  atomic_uint *fired = support__alloc(sizeof *fired);
  assert_true(pier_loop_timeout_ns(loop) == PIER_NO_TIMEOUT);
  assert_true(pier_post(loop, support__take, posted) != 0);
  host_until(loop, &posted->calls, 1);
  uint64_t begin_ns = pier_now_ns();
  assert_true(pier_timer_start(loop, OURS_NS, 0, count_timer, fired) != 0);
  assert_true(pier_loop_timeout_ns(loop) <= OURS_NS);
  host_until(loop, fired, 1);
  assert_true(pier_now_ns() - begin_ns >= OURS_NS);
  assert_true(pier_loop_timeout_ns(loop) == PIER_NO_TIMEOUT);
  support__close(loop);
}

/* What is submitted between two rounds shows at the descriptor, and a read that waits is served when the bytes come. */
static void a_host_moves_bytes(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    char byte = 0;
    streams__pair(loop, (streams_sort)sort, ends);
    for (int round = 0; round < 20; round++) {
      support_outcome *read = support__outcome(), *written = support__outcome();
      assert_true(pier_read(ends[0], &byte, 1, PIER_NO_DEADLINE, support__take, read) != 0);
      host_turn(loop, 0);
      assert_false(support__called(read));
      assert_true(pier_write(ends[1], "h", 1, PIER_NO_DEADLINE, support__take, written) != 0);
      host_until(loop, &read->calls, 1);
      host_until(loop, &written->calls, 1);
      assert_int_equal(read->got.status, PIER_OK);
      assert_true(byte == 'h');
    }
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* ---- Packets ---- */

typedef struct packets {
  atomic_uint count;
  pier_handle handle;
  pier_packet last;
} packets;

static void take_packet(pier_loop *loop, pier_handle handle, const pier_packet *packet, void *context) {
  packets *all = context;
  (void)loop;
  all->handle = handle;
  all->last = *packet;
  support__count(&all->count);
}

/* Sends the loop's ring a completion that nothing of the loop's stands behind, as another ring may. */
static void send_packet(pier_loop *loop, uint64_t key, unsigned status) {
  struct io_uring ring;
  struct io_uring_cqe *done;
  assert_int_equal(io_uring_queue_init(4, &ring, 0), 0);
  struct io_uring_sqe *entry = io_uring_get_sqe(&ring);
  io_uring_prep_msg_ring(entry, (int)pier_loop_native(loop), status, key, 0);
  assert_int_equal(io_uring_submit_and_wait(&ring, 1), 1);
  assert_int_equal(io_uring_peek_cqe(&ring, &done), 0);
  assert_int_equal(done->res, 0);
  io_uring_queue_exit(&ring);
}

static bool dropped_one(void *context) {
  return support__metrics(context).packets_dropped > 0;
}

/* Completions that others have sent to the ring go to on_packet as they are; without one they are counted and dropped. */
static void packets_of_others_reach_on_packet(void **state) {
  enum { KEYS = 9 };
  const uint64_t keys[KEYS] = {77, 0, 1, 2, 3, 4, 5, 0x100, UINT64_MAX};
  (void)state;
  packets *all = support__alloc(sizeof *all);
  const pier_loop_options options = {.on_packet = take_packet, .packet_context = all};
  pier_loop *loop = support__open_with(&options), *plain = support__open();
  if (!is_uring(loop)) {
    support__close(loop);
    support__close(plain);
    support__skip("a set of epoll takes no packets");
  }
  assert_status(pier_loop_hold(loop), PIER_OK); /* a loop that waits for nothing of its own does not wait at all */
  assert_status(pier_loop_hold(plain), PIER_OK);
  assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, 0), PIER_OK);
  send_packet(loop, 0x123456789, 42);
  support__until_count(loop, &all->count, 1, "the packet");
  assert_true(all->last.key == 0x123456789 && all->last.status == 42 && all->handle == 0);
  for (unsigned i = 0; i < KEYS; i++) { /* none is Pier's, not the lowest either */
    send_packet(loop, keys[i], 1);
    host_until(loop, &all->count, 2 + i);
    assert_true(all->last.key == keys[i]);
  }
  assert_int_equal(support__metrics(loop).packets_foreign, 1 + KEYS);
  assert_int_equal(support__metrics(loop).packets_dropped, 0);
  assert_status(pier_loop_run(plain, PIER_RUN_NOWAIT, 0), PIER_OK);
  send_packet(plain, 5, 5);
  support__until(plain, dropped_one, plain, "the packet that nobody wants");
  assert_status(pier_loop_release(loop), PIER_OK);
  assert_status(pier_loop_release(plain), PIER_OK);
  support__close(loop);
  support__close(plain);
}

/* The array of packets is the host's of a port: those that Pier does not know are given back. */
static void dispatched_packets_that_are_not_ours_come_back(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  streams__pair(loop, STREAMS_PIPE, ends);
  pier_packet given[3] = {{.key = 3, .status = 1}, {.key = ends[0], .status = 2}, {.key = 4, .status = 3}};
  size_t count = 3;
  assert_status(pier_loop_dispatch(loop, given, &count), PIER_OK);
  assert_int_equal(count, 2); /* one had the key of a handle here: it was never the host's, and nobody wants it */
  assert_true(given[0].key == 3 && given[1].key == 4);
  assert_int_equal(support__metrics(loop).packets_foreign, 3);
  assert_int_equal(support__metrics(loop).packets_dropped, 1);
  count = 1;
  assert_status(pier_loop_dispatch(loop, NULL, &count), PIER_EINVAL);
  streams__close_pair(loop, ends);
  support__close(loop);
}

static void a_port_is_nothing_that_this_system_has(void **state) {
  (void)state;
  const pier_loop_options options = {.use_port = true, .port = 5};
  pier_loop *loop = NULL;
  assert_status(pier_loop_open(&options, &loop), PIER_ENOTSUP);
  assert_null(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(a_host_runs_posts_and_timers),
      SUPPORT_TEST(a_host_moves_bytes),
      SUPPORT_TEST(packets_of_others_reach_on_packet),
      SUPPORT_TEST(dispatched_packets_that_are_not_ours_come_back),
      SUPPORT_TEST(a_port_is_nothing_that_this_system_has),
  };
  return support__main(argc, argv, "host_linux", tests, sizeof tests / sizeof tests[0]);
}
