/* A host drives: on a port of its own, or on Pier's, with packets of its own among Pier's. */
#include <winsock2.h>

#include <windows.h>

#include "streams.h"

#include <string.h>

enum { BATCH = 16, HOST_KEY = 4711 };

/* What a host does: waits on the port, gives everything to Pier, and keeps what comes back. */
typedef struct host {
  HANDLE port;
  pier_loop *loop;
  unsigned own;   /* packets that were the host's */
  uintptr_t next; /* the number that its next packet must have */
  unsigned out_of_order;
} host;

static void turn(host *self, DWORD timeout_ms) {
  OVERLAPPED_ENTRY entries[BATCH];
  ULONG dequeued = 0;
  if (!GetQueuedCompletionStatusEx(self->port, entries, BATCH, &dequeued, timeout_ms, FALSE))
    dequeued = 0;
  size_t count = dequeued;
  assert_status(pier_loop_dispatch(self->loop, (pier_packet *)(void *)entries, &count), PIER_OK);
  assert_true(count <= dequeued);
  for (size_t i = 0; i < count; i++) {
    if (entries[i].lpCompletionKey != HOST_KEY || (uintptr_t)entries[i].lpOverlapped != self->next++)
      self->out_of_order++;
    self->own++;
  }
}

static DWORD patience(const host *self) {
  uint64_t timeout_ns = pier_loop_timeout_ns(self->loop);
  return timeout_ns > 20 * PIER_MILLISECOND ? 20 : (DWORD)(timeout_ns / PIER_MILLISECOND);
}

static void host_until(host *self, atomic_uint *counter, unsigned target) {
  uint64_t end_ns = pier_deadline_in(10 * PIER_SECOND);
  while (atomic_load(counter) < target) {
    if (pier_now_ns() > end_ns)
      fail_msg("the host waited 10 s in vain");
    turn(self, patience(self));
  }
}

static host open_host(bool own_port) {
  host self = {0};
  self.next = 1;
  pier_loop_options options = {0};
  if (own_port) {
    self.port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    assert_non_null(self.port);
    options.use_port = true;
    options.port = (pier_native)self.port;
  }
  self.loop = support__open_with(&options);
  if (own_port)
    assert_true(pier_loop_native(self.loop) == (pier_native)self.port);
  self.port = (HANDLE)pier_loop_native(self.loop);
  return self;
}

static void close_handle(host *self, pier_handle handle) {
  support_outcome *closed = support__outcome();
  assert_status(pier_close(handle, support__take, closed), PIER_OK);
  host_until(self, &closed->calls, 1);
}

static void read_and_write(host *self, pier_handle ends[2], unsigned rounds) {
  char *buffer = support__alloc(16);
  for (unsigned i = 0; i < rounds; i++) {
    support_outcome *read = support__outcome(), *written = support__outcome();
    assert_true(pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
    assert_true(pier_write(ends[1], "for host", 8, PIER_NO_DEADLINE, support__take, written) != 0);
    host_until(self, &read->calls, 1);
    host_until(self, &written->calls, 1);
    assert_status(read->got.status, PIER_OK);
    assert_int_equal(read->got.bytes, 8);
    assert_true(read->thread == support__thread_id());
  }
}

static void serve(bool own_port) {
  host self = open_host(own_port);
  uintptr_t posted = 0;
  for (int s = 0; s < 2; s++) {
    pier_handle ends[2];
    pier_native natives[2];
    support__native_pipe_pair(false, true, true, natives);
    for (int i = 0; i < 2; i++) {
      const pier_register_options options = {.association = s == 0 ? PIER_ASSOCIATE_NOW : PIER_ASSOCIATE_NEVER};
      assert_status(pier_register(self.loop, natives[i], &options, &ends[i]), PIER_OK);
    }
    for (int i = 0; i < 10; i++) {
      assert_true(PostQueuedCompletionStatus(self.port, 0, HOST_KEY, (OVERLAPPED *)++posted));
      read_and_write(&self, ends, 3);
      assert_true(PostQueuedCompletionStatus(self.port, 0, HOST_KEY, (OVERLAPPED *)++posted));
    }
    close_handle(&self, ends[0]);
    close_handle(&self, ends[1]);
  }
  turn(&self, 0);
  assert_int_equal(self.own, posted);
  assert_int_equal(self.out_of_order, 0);
  support__close(self.loop);
  if (own_port) {
    /* The host's port outlives the loop. */
    assert_true(PostQueuedCompletionStatus(self.port, 0, HOST_KEY, NULL));
    assert_true(CloseHandle(self.port));
  }
}

/* On the host's own port Pier's I/O goes on, and the host's packets come back untouched and in order; the port stays
 * the host's. */
static void a_host_drives_on_its_own_port(void **state) {
  (void)state;
  serve(true);
}

/* On Pier's port too. */
static void a_host_drives_on_piers_port(void **state) {
  (void)state;
  serve(false);
}

static void count_timer(pier_loop *loop, pier_timer timer, void *context) {
  (void)loop;
  (void)timer;
  support__count(context);
}

/* Timers, posts, work and deadlines come through the dispatch, with no packet at all if need be. */
static void dispatch_runs_timers_posts_and_work(void **state) {
  (void)state;
  host self = open_host(true);
  atomic_uint *fired = support__alloc(sizeof *fired);
  support_outcome *posted = support__outcome(), *read = support__outcome();
  pier_handle ends[2];
  char *buffer = support__alloc(4);
  size_t none = 0;
  assert_int_equal(pier_loop_timeout_ns(self.loop), PIER_NO_TIMEOUT);
  assert_true(pier_timer_start(self.loop, 0, 0, count_timer, fired) != 0);
  assert_true(pier_post(self.loop, support__take, posted) != 0);
  assert_int_equal(pier_loop_timeout_ns(self.loop), 0);
  assert_status(pier_loop_dispatch(self.loop, NULL, &none), PIER_OK);
  assert_int_equal(atomic_load(fired), 1);
  assert_true(support__called(posted));
  assert_true(pier_timer_start(self.loop, 5 * PIER_MILLISECOND, 0, count_timer, fired) != 0);
  assert_true(pier_loop_timeout_ns(self.loop) <= 5 * PIER_MILLISECOND);
  host_until(&self, fired, 2);
  assert_status(pier_pipe_pair(self.loop, NULL, ends), PIER_OK);
  uint64_t deadline_ns = pier_deadline_in(5 * PIER_MILLISECOND);
  assert_true(pier_read(ends[0], buffer, 4, deadline_ns, support__take, read) != 0);
  assert_true(pier_loop_timeout_ns(self.loop) <= 5 * PIER_MILLISECOND);
  host_until(&self, &read->calls, 1);
  assert_status(read->got.status, PIER_ETIMEDOUT);
  assert_true(read->at_ns >= deadline_ns);
  close_handle(&self, ends[0]);
  close_handle(&self, ends[1]);
  support__close(self.loop);
  CloseHandle(self.port);
}

typedef struct late_post {
  pier_loop *loop;
  support_outcome *outcome;
} late_post;

static void post_late(void *context) {
  late_post *self = context;
  pier_post(self->loop, support__take, self->outcome);
}

/* A post from another thread wakes a host that waits on the port without limit. */
static void a_post_wakes_a_waiting_host(void **state) {
  (void)state;
  host self = open_host(true);
  for (int i = 0; i < 50; i++) {
    late_post *post = support__alloc(sizeof *post);
    *post = (late_post){self.loop, support__outcome()};
    support_thread *thread = support__thread_start(post_late, post);
    while (!support__called(post->outcome))
      turn(&self, INFINITE);
    support__thread_join(thread);
  }
  support__close(self.loop);
  CloseHandle(self.port);
}

typedef struct host_thread {
  host *shared;
  atomic_bool *stop;
  unsigned strange;
} host_thread;

static void dispatch_on_a_thread(void *context) {
  host_thread *self = context;
  while (!atomic_load(self->stop)) {
    OVERLAPPED_ENTRY entries[BATCH];
    ULONG dequeued = 0;
    if (!GetQueuedCompletionStatusEx(self->shared->port, entries, BATCH, &dequeued, 5, FALSE))
      dequeued = 0;
    size_t count = dequeued;
    self->strange +=
        pier_loop_dispatch(self->shared->loop, (pier_packet *)(void *)entries, &count) != PIER_OK || count != 0;
  }
}

/* Several host threads may dispatch at once: each callback still comes once. */
static void several_host_threads_may_dispatch(void **state) {
  (void)state;
  enum { THREADS = 3, ROUNDS = 300, PAIRS = 4 };
  host self = open_host(true);
  atomic_bool *stop = support__alloc(sizeof *stop);
  host_thread *hosts = support__alloc(THREADS * sizeof *hosts);
  support_thread *threads[THREADS];
  pier_handle ends[PAIRS][2];
  char *buffer = support__alloc(PAIRS);
  for (int i = 0; i < PAIRS; i++)
    assert_status(pier_pipe_pair(self.loop, NULL, ends[i]), PIER_OK);
  for (int t = 0; t < THREADS; t++) {
    hosts[t] = (host_thread){.shared = &self, .stop = stop};
    threads[t] = support__thread_start(dispatch_on_a_thread, &hosts[t]);
  }
  for (int round = 0; round < ROUNDS; round++) {
    support_outcome *outcomes[2 * PAIRS + 1];
    for (int i = 0; i < 2 * PAIRS + 1; i++)
      outcomes[i] = support__outcome();
    for (int i = 0; i < PAIRS; i++) {
      assert_true(pier_read(ends[i][0], &buffer[i], 1, PIER_NO_DEADLINE, support__take, outcomes[2 * i]) != 0);
      assert_true(pier_write(ends[i][1], "x", 1, PIER_NO_DEADLINE, support__take, outcomes[2 * i + 1]) != 0);
    }
    assert_true(pier_post(self.loop, support__take, outcomes[2 * PAIRS]) != 0);
    for (int i = 0; i < 2 * PAIRS + 1; i++)
      support__await(NULL, outcomes[i]);
  }
  atomic_store(stop, true);
  for (int t = 0; t < THREADS; t++) {
    support__thread_join(threads[t]);
    assert_int_equal(hosts[t].strange, 0);
  }
  for (int i = 0; i < PAIRS; i++) {
    close_handle(&self, ends[i][0]);
    close_handle(&self, ends[i][1]);
  }
  support__close(self.loop);
  CloseHandle(self.port);
}

/* A host's port is the host's to wait on: poller threads of the loop's own are refused there. */
static void poller_threads_on_a_hosts_port_are_refused(void **state) {
  (void)state;
  HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
  const pier_loop_options options = {.threads = 2, .use_port = true, .port = (pier_native)port};
  pier_loop *loop = NULL;
  assert_status(pier_loop_open(&options, &loop), PIER_EINVAL);
  assert_null(loop);
  assert_true(PostQueuedCompletionStatus(port, 0, HOST_KEY, NULL));
  CloseHandle(port);
}

/* Arguments that cannot be are refused; a loop with threads of its own is not dispatched. */
static void dispatch_refuses_what_cannot_be(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const pier_loop_options pooled = {.threads = 1};
  pier_loop *pool = support__open_with(&pooled);
  size_t none = 0, some = 1;
  assert_status(pier_loop_dispatch(NULL, NULL, &none), PIER_EINVAL);
  assert_status(pier_loop_dispatch(loop, NULL, NULL), PIER_EINVAL);
  assert_status(pier_loop_dispatch(loop, NULL, &some), PIER_EINVAL);
  assert_status(pier_loop_dispatch(pool, NULL, &none), PIER_EINVAL);
  support__close(loop);
  support__close(pool);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(a_host_drives_on_its_own_port),       SUPPORT_TEST(a_host_drives_on_piers_port),
      SUPPORT_TEST(dispatch_runs_timers_posts_and_work), SUPPORT_TEST(a_post_wakes_a_waiting_host),
      SUPPORT_TEST(several_host_threads_may_dispatch),   SUPPORT_TEST(poller_threads_on_a_hosts_port_are_refused),
      SUPPORT_TEST(dispatch_refuses_what_cannot_be),
  };
  return support__main(argc, argv, "host", tests, sizeof tests / sizeof tests[0]);
}
