/* Readers that go on and are waited for in an epoll set beside the ring (poller/uring_set.c): that they are there, and that whoever waits,
 * and whatever comes, is noticed all the same. */
#include "chunks.h"

#include "loop.h"
#include "uring.h"

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MORE = 20, ROUNDS = 20, HOST_MS = 5000, CROWD = 20 * SUPPORT_THREADS, NEIGHBOURS = 4, PAIRS_MAX = 64 };

typedef struct reader {
  pier_handle ends[2];
  chunks *books;
  pier_operation read;
  size_t sent;
} reader;

static pier_loop *open_with_a_ring(void) {
  pier_loop *loop = support__open();
  if (strcmp(pier_loop_backend(loop), "uring") != 0) {
    support__close(loop);
    support__skip("there is no ring");
  }
  return loop;
}

/* Of all seats. */
static unsigned in_set(pier_loop *loop) {
  struct uring *uring = uring__of(loop__poller(loop));
  unsigned readers = 0;
  for (uint32_t i = 0; i < uring->count; i++)
    readers += atomic_load(&uring->rings[i].readers);
  return readers;
}

typedef struct awaited {
  pier_loop *loop;
  unsigned readers;
} awaited;

static bool are_in_set(void *context) {
  awaited *self = context;
  return in_set(self->loop) == self->readers;
}

/* With poller threads a reader goes in and out where its ring is tended. */
static void await_in_set(pier_loop *loop, unsigned readers) {
  awaited self = {loop, readers};
  support__until(loop, are_in_set, &self, "readers in the sets");
}

static void start(pier_loop *loop, reader *self, uint64_t deadline_ns) {
  self->books = chunks__new(0);
  self->books->datagrams = true; /* single bytes, which nobody compares */
  self->sent = 0;
  self->read = chunks__read(self->books, self->ends[0], deadline_ns);
  if (!support__threads())
    assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, 0), PIER_OK);
}

static reader *begin(pier_loop *loop, streams_sort sort) {
  reader *self = support__alloc(sizeof *self);
  streams__pair(loop, sort, self->ends);
  start(loop, self, PIER_NO_DEADLINE);
  return self;
}

static void send_one(reader *self) {
  pier_sync_result result;
  assert_status(pier_sync_write(pier_handle_native(self->ends[1]), "x", 1, PIER_NO_TIMEOUT, &result), PIER_OK);
  self->sent++;
}

static void exchange(pier_loop *loop, reader *self) {
  send_one(self);
  chunks__await_bytes(loop, self->books, self->sent);
}

static void close_it(const pier_result *result) {
  reader *self = result->context;
  pier_close(self->ends[0], NULL, NULL);
}

/* Its peer is quiet and stays open: nothing but the close itself ends it, by a thread that tends the ring. */
static void finish(pier_loop *loop, reader *self) {
  assert_true(pier_post(loop, close_it, self) != 0);
  await_last(loop, self->books, PIER_ECLOSED);
  support__close_handle(loop, self->ends[1]);
}

/* They go into it and out of it with their reads, whatever they are. */
static void readers_are_in_the_set(void **state) {
  (void)state;
  pier_loop *loop = open_with_a_ring();
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_TCP, STREAMS_UDP, STREAMS_KEPT_TCP};
  reader *readers[MORE];
  for (unsigned i = 0; i < MORE; i++) {
    readers[i] = begin(loop, sorts[i % 4]);
    assert_int_equal(in_set(loop), i + 1);
  }
  for (unsigned round = 0; round < ROUNDS; round++) {
    for (unsigned i = 0; i < MORE; i++)
      send_one(readers[i]);
    for (unsigned i = 0; i < MORE; i++)
      chunks__await_bytes(loop, readers[i]->books, readers[i]->sent);
  }
  finish(loop, readers[0]);
  assert_int_equal(in_set(loop), MORE - 1);
  reader *next = begin(loop, STREAMS_PIPE);
  assert_int_equal(in_set(loop), MORE);
  finish(loop, next);
  for (unsigned i = 1; i < MORE; i++)
    finish(loop, readers[i]);
  assert_int_equal(in_set(loop), 0);
  support__close(loop);
}

/* A cancel and a deadline end it there, with nothing taken, and it can begin again. */
static void one_that_is_ended_leaves_it(void **state) {
  (void)state;
  pier_loop *loop = open_with_a_ring();
  reader *self = begin(loop, STREAMS_KEPT_TCP);
  for (unsigned round = 0; round < ROUNDS; round++) {
    bool cancelled = round % 2 == 0;
    assert_int_equal(in_set(loop), 1);
    exchange(loop, self);
    if (cancelled)
      assert_status(pier_cancel(self->read), PIER_OK);
    await_last(loop, self->books, cancelled ? PIER_ECANCELED : PIER_ETIMEDOUT);
    assert_int_equal(in_set(loop), 0);
    start(loop, self, cancelled ? pier_deadline_in(20 * PIER_MILLISECOND) : PIER_NO_DEADLINE);
  }
  finish(loop, self);
  support__close(loop);
}

/* What comes later to a descriptor that is the user's again concerns nobody: it has been taken out. */
static void a_descriptor_that_is_kept_is_taken_out(void **state) {
  (void)state;
  pier_loop *loop = open_with_a_ring();
  const pier_register_options options = {.keep_open = true};
  pier_native natives[2];
  reader *other = begin(loop, STREAMS_TCP), *self = support__alloc(sizeof *self);
  support__native_tcp_pair(natives);
  assert_status(pier_register(loop, natives[0], &options, &self->ends[0]), PIER_OK);
  assert_status(pier_register(loop, natives[1], NULL, &self->ends[1]), PIER_OK);
  start(loop, self, PIER_NO_DEADLINE);
  exchange(loop, self);
  assert_int_equal(in_set(loop), 2);
  support__close_handle(loop, self->ends[0]);
  await_last(loop, self->books, PIER_ECLOSED);
  assert_int_equal(in_set(loop), 1);
  uint64_t packets = support__metrics(loop).packets;
  send_one(self);
  exchange(loop, other);
  assert_int_equal(support__metrics(loop).packets, packets + 1);
  assert_status(pier_register(loop, natives[0], NULL, &self->ends[0]), PIER_OK);
  streams__close_pair(loop, self->ends);
  finish(loop, other);
  support__close(loop);
}

/* A set tells two registrations of a descriptor apart only by another number for it: the second is the ring's. */
static void a_descriptor_is_in_it_once(void **state) {
  (void)state;
  pier_loop *loop = open_with_a_ring();
  const pier_register_options options = {.keep_open = true};
  reader *first = begin(loop, STREAMS_TCP), *second = support__alloc(sizeof *second);
  assert_status(pier_register(loop, pier_handle_native(first->ends[0]), &options, &second->ends[0]), PIER_OK);
  start(loop, second, PIER_NO_DEADLINE);
  assert_int_equal(in_set(loop), 1);
  for (unsigned i = 1; i <= ROUNDS; i++) {
    send_one(first);
    while (atomic_load(&first->books->bytes) + atomic_load(&second->books->bytes) < i)
      assert_status(pier_loop_run(loop, PIER_RUN_ONCE, PIER_NO_TIMEOUT), PIER_OK);
  }
  support__close_handle(loop, second->ends[0]);
  await_last(loop, second->books, PIER_ECLOSED);
  finish(loop, first);
  support__close(loop);
}

/* ---- The thread waits for the set ---- */

typedef struct caller {
  pier_loop *loop;
  support_outcome *posted;
  pier_address address;
} caller;

static void post_later(void *context) {
  caller *self = context;
  pier_post(self->loop, support__take, self->posted);
}

static void connect_later(void *context) {
  caller *self = context;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(self->address.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int client = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(client, (const struct sockaddr *)&to, sizeof to) == 0)
    close(client);
}

/* A post, a completion of the ring, a timer. */
static void it_is_woken_by_what_is_not_in_the_set(void **state) {
  (void)state;
  pier_loop *loop = open_with_a_ring();
  reader *self = begin(loop, STREAMS_TCP);
  caller *other = support__alloc(sizeof *other);
  other->loop = loop;
  pier_handle listener = streams__tcp_listen(loop, &other->address);
  for (unsigned i = 0; i < ROUNDS; i++) {
    support_outcome *accepted = support__outcome();
    other->posted = support__outcome();
    support_thread *thread = support__thread_start(post_later, other);
    while (!support__called(other->posted))
      assert_status(pier_loop_run(loop, PIER_RUN_ONCE, PIER_NO_TIMEOUT), PIER_OK);
    support__thread_join(thread);
    assert_true(pier_tcp_accept(listener, PIER_NO_DEADLINE, support__take, accepted) != 0);
    thread = support__thread_start(connect_later, other);
    while (!support__called(accepted))
      assert_status(pier_loop_run(loop, PIER_RUN_ONCE, PIER_NO_TIMEOUT), PIER_OK);
    support__thread_join(thread);
    support__close_handle(loop, accepted->got.opened);
    uint64_t begin_ns = pier_now_ns();
    assert_status(pier_loop_run(loop, PIER_RUN_ONCE, 5 * PIER_MILLISECOND), PIER_ETIMEDOUT);
    assert_true(pier_now_ns() - begin_ns >= 5 * PIER_MILLISECOND);
    exchange(loop, self);
  }
  support__close_handle(loop, listener);
  finish(loop, self);
  support__close(loop);
}

/* ---- A host waits for the ring ---- */

static void host_until(pier_loop *loop, reader *self) {
  while (atomic_load(&self->books->bytes) < self->sent) {
    struct pollfd asked = {.fd = (int)pier_loop_native(loop), .events = POLLIN};
    size_t none = 0;
    assert_int_equal(poll(&asked, 1, HOST_MS), 1); /* or the descriptor says nothing of it */
    assert_status(pier_loop_dispatch(loop, NULL, &none), PIER_OK);
  }
}

static void dispatch_elsewhere(void *context) {
  size_t none = 0;
  pier_loop_dispatch(context, NULL, &none);
}

/* The ring shows what is in the set; also when the thread ends that had the ring do so. */
static void a_host_who_comes_later_sees_them(void **state) {
  (void)state;
  pier_loop *loop = open_with_a_ring();
  reader *early = begin(loop, STREAMS_TCP), *late;
  struct pollfd asked = {.events = POLLIN};
  exchange(loop, early);
  assert_int_equal(in_set(loop), 1);
  asked.fd = (int)pier_loop_native(loop);
  late = begin(loop, STREAMS_TCP);
  assert_int_equal(in_set(loop), 1);
  for (unsigned i = 0; i < ROUNDS; i++) {
    send_one(early);
    host_until(loop, early);
    send_one(late);
    host_until(loop, late);
    assert_int_equal(poll(&asked, 1, 0), 0); /* neither keeps the other ready */
    if (i % 5 == 4)
      support__thread_join(support__thread_start(dispatch_elsewhere, loop));
    exchange(loop, early);
  }
  finish(loop, early);
  finish(loop, late);
  support__close(loop);
}

static struct {
  pier_loop *loop;
  support_event *done;
  support_thread *thread;
} crossing;

static void ask_for_the_ring(void *context) {
  (void)context;
  pier_loop_native(crossing.loop);
  support__event_set(crossing.done);
}

/* Whoever asks now is either done at once, and then has not seen the reader, or waits until that is counted. */
static void have_a_host_come(struct poller *poller) {
  (void)poller;
  crossing.thread = support__thread_start(ask_for_the_ring, NULL);
  support__event_wait(crossing.done, 20 * PIER_MILLISECOND);
}

/* That he came is told to the thread that is in its turn already. */
static void until_he_has_it(struct poller *poller) {
  (void)poller;
  support__event_wait(crossing.done, PIER_NO_TIMEOUT);
}

static void a_host_who_comes_in_between_sees_them(void **state) {
  (void)state;
  pier_loop *loop = open_with_a_ring();
  pier_handle ends[2];
  streams__pair(loop, STREAMS_TCP, ends);
  reader *self = support__alloc(sizeof *self);
  crossing.loop = loop;
  crossing.done = support__event_open();
  memcpy(self->ends, ends, sizeof ends);
  pier_hooks = (struct hooks){.set_admitting = have_a_host_come, .set_admitted = until_he_has_it};
  start(loop, self, PIER_NO_DEADLINE);
  pier_hooks = (struct hooks){0};
  support__thread_join(crossing.thread);
  send_one(self);
  host_until(loop, self);
  finish(loop, self);
  support__event_close(crossing.done);
  support__close(loop);
}

static void with_a_host_from_the_start_nothing_is_in_it(void **state) {
  (void)state;
  pier_loop *loop = open_with_a_ring();
  assert_true(pier_loop_native(loop) != PIER_NATIVE_NONE);
  reader *self = begin(loop, STREAMS_TCP);
  assert_int_equal(in_set(loop), 0);
  send_one(self);
  host_until(loop, self);
  finish(loop, self);
  support__close(loop);
}

/* ---- A seat's set ---- */

static uint32_t seat_of(pier_loop *loop, pier_handle handle) { return id__slot(handle) % loop__poller(loop)->homes; }

/* One whose handle belongs to that seat, not begun yet. Pairs that do not are kept until then, for their slots would come again. */
static reader *open_at(pier_loop *loop, uint32_t seat) {
  reader *self = support__alloc(sizeof *self);
  pier_handle pairs[PAIRS_MAX][2];
  unsigned last = 0;
  for (;; last++) {
    assert_true(last < PAIRS_MAX);
    streams__pair(loop, STREAMS_TCP, pairs[last]);
    if (seat_of(loop, pairs[last][0]) == seat || seat_of(loop, pairs[last][1]) == seat)
      break;
  }
  unsigned reading = seat_of(loop, pairs[last][0]) == seat ? 0 : 1;
  self->ends[0] = pairs[last][reading];
  self->ends[1] = pairs[last][1 - reading];
  for (unsigned i = 0; i < last; i++)
    streams__close_pair(loop, pairs[i]);
  return self;
}

/* However many they are. */
static void a_seat_has_all_its_readers_in_its_set(void **state) {
  (void)state;
  pier_loop *loop = open_with_a_ring();
  reader *readers[CROWD];
  for (unsigned i = 0; i < CROWD; i++)
    readers[i] = begin(loop, i % 2 ? STREAMS_TCP : STREAMS_KEPT_TCP);
  await_in_set(loop, CROWD);
  for (unsigned round = 0; round < ROUNDS; round++) {
    for (unsigned i = 0; i < CROWD; i++)
      send_one(readers[i]);
    for (unsigned i = 0; i < CROWD; i++)
      chunks__await_bytes(loop, readers[i]->books, readers[i]->sent);
  }
  for (unsigned i = 0; i < CROWD; i++)
    finish(loop, readers[i]);
  await_in_set(loop, 0);
  support__close(loop);
}

typedef struct visitor {
  support_event *leave;
  atomic_uint arrived, left;
  reader *late; /* begun from inside */
  char byte;
} visitor;

static void begin_another_and_stay(const pier_result *result) {
  visitor *self = result->context;
  support__event_wait(self->leave, 40 * PIER_MILLISECOND); /* until somebody stands in */
  self->late->read = chunks__read(self->late->books, self->late->ends[0], PIER_NO_DEADLINE);
  support__count(&self->arrived);
  support__event_wait(self->leave, PIER_NO_TIMEOUT);
  support__count(&self->left);
}

/* A callback stays, and with it the thread whose set it is: who stands in is told of those that were in it, and of the one that comes. */
static void stay_beside(unsigned neighbours) {
  pier_loop *loop = open_with_a_ring();
  reader *readers[NEIGHBOURS];
  visitor *self = support__alloc(sizeof *self);
  pier_handle door[2];
  streams__pair(loop, STREAMS_TCP, door);
  self->leave = support__event_open();
  self->late = open_at(loop, seat_of(loop, door[0]));
  self->late->books = chunks__new(0);
  self->late->books->datagrams = true;
  for (unsigned i = 0; i < neighbours; i++)
    start(loop, readers[i] = open_at(loop, seat_of(loop, door[0])), PIER_NO_DEADLINE);
  await_in_set(loop, neighbours);
  assert_true(pier_read(door[0], &self->byte, 1, PIER_NO_DEADLINE, begin_another_and_stay, self) != 0);
  assert_true(pier_write(door[1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
  support__until_count(loop, &self->arrived, 1, "the callback that stays");
  for (unsigned round = 0; round < ROUNDS; round++) {
    exchange(loop, self->late);
    for (unsigned i = 0; i < neighbours; i++)
      exchange(loop, readers[i]);
  }
  assert_int_equal(atomic_load(&self->left), 0);
  support__event_set(self->leave);
  support__until_count(loop, &self->left, 1, "its end");
  for (unsigned i = 0; i < neighbours; i++)
    finish(loop, readers[i]);
  finish(loop, self->late);
  streams__close_pair(loop, door);
  support__event_close(self->leave);
  support__close(loop);
}

static void who_stands_in_is_told_of_those_in_the_set(void **state) {
  (void)state;
  stay_beside(NEIGHBOURS);
}

static void who_stands_in_is_told_of_the_first_in_the_set(void **state) {
  (void)state;
  stay_beside(0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(readers_are_in_the_set),
      SUPPORT_TEST(one_that_is_ended_leaves_it),
      SUPPORT_TEST(a_descriptor_that_is_kept_is_taken_out),
      SUPPORT_TEST(a_descriptor_is_in_it_once),
      SUPPORT_TEST(it_is_woken_by_what_is_not_in_the_set),
      SUPPORT_TEST(a_host_who_comes_later_sees_them),
      SUPPORT_TEST(a_host_who_comes_in_between_sees_them),
      SUPPORT_TEST(with_a_host_from_the_start_nothing_is_in_it),
      SUPPORT_TEST_POOL(a_seat_has_all_its_readers_in_its_set),
      SUPPORT_TEST_POOL(who_stands_in_is_told_of_those_in_the_set),
      SUPPORT_TEST_POOL(who_stands_in_is_told_of_the_first_in_the_set),
  };
  return support__main(argc, argv, "set_linux", tests, sizeof tests / sizeof tests[0]);
}
