/* Events that the thread which drives the loop waits for itself, where the system has no wait-completion packets. */
#include <winsock2.h>

#include <windows.h>

#include "standin_win.h"

#include "loop.h"
#include "streams.h"

#include <string.h>

enum { ROUNDS = 200, MANY = 90 };

static pier_loop *open_with_list(void) {
  pier_loop *loop = support__open();
  if (!loop__poller(loop)->waitlist) {
    support__close(loop);
    support__skip(standin__has_packets() ? "this system has wait-completion packets: nobody waits for events"
                                         : "this system does not show whether a port holds a packet");
  }
  return loop;
}

/* A read that is submitted by a callback, and so by the thread that drives. */
typedef struct errand {
  pier_handle handle;
  char *buffer;
  size_t length;
  uint64_t deadline_ns;
  support_outcome *read;
  pier_operation id;
} errand;

static void submit_inside(const pier_result *result) {
  errand *self = result->context;
  self->id = pier_read(self->handle, self->buffer, self->length, self->deadline_ns, support__take, self->read);
}

static errand *read_inside(pier_loop *loop, pier_handle handle, uint64_t deadline_ns) {
  errand *self = support__alloc(sizeof *self);
  *self = (errand){.handle = handle, .buffer = support__alloc(64), .length = 64, .deadline_ns = deadline_ns, .read = support__outcome()};
  assert_true(pier_post(loop, submit_inside, self) != 0);
  while (!self->id)
    assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, 0), PIER_OK);
  return self;
}

static void sync_write(pier_handle to, const char *text) {
  pier_sync_result result;
  assert_status(pier_sync_write(pier_handle_native(to), text, strlen(text), PIER_NO_TIMEOUT, &result), PIER_OK);
}

/* Bytes that go to and fro, from callback to callback. */
typedef struct game {
  pier_handle ends[2];
  unsigned left, strange;
  atomic_uint ended;
  char byte;
} game;

static void play(const pier_result *result);

static void answer(const pier_result *result) {
  game *self = result->context;
  pier_handle other = self->ends[result->handle == self->ends[0]];
  self->strange += result->status != PIER_OK || result->bytes != 1;
  if (--self->left == 0)
    support__count(&self->ended);
  else if (!pier_read(result->handle, &self->byte, 1, PIER_NO_DEADLINE, answer, self) || !pier_write(other, &self->byte, 1, PIER_NO_DEADLINE, play, self))
    self->strange++;
}

static void play(const pier_result *result) {
  game *self = result->context;
  self->strange += result->status != PIER_OK;
}

static void begin_game(const pier_result *result) {
  game *self = result->context;
  pier_read(self->ends[0], &self->byte, 1, PIER_NO_DEADLINE, answer, self);
  pier_write(self->ends[1], &self->byte, 1, PIER_NO_DEADLINE, play, self);
}

static uint64_t wakes_of_a_game(pier_loop *loop, streams_sort sort) {
  game *self = support__alloc(sizeof *self);
  streams__pair(loop, sort, self->ends);
  self->left = ROUNDS;
  uint64_t wakes = support__metrics(loop).wakes;
  assert_true(pier_post(loop, begin_game, self) != 0);
  support__until_count(loop, &self->ended, 1, "the game");
  wakes = support__metrics(loop).wakes - wakes;
  assert_int_equal(self->strange, 0);
  streams__close_pair(loop, self->ends);
  return wakes;
}

/* From callback to callback nobody has to wake the loop, until a host has asked for its port: then it is woken for what goes pending. */
static void the_driving_thread_is_not_woken_by_others(void **state) {
  (void)state;
  const streams_sort sorts[] = {STREAMS_KEPT_PIPE, STREAMS_KEPT_TCP, STREAMS_KEPT_UDP};
  for (int i = 0; i < 3; i++) {
    pier_loop *loop = open_with_list();
    uint64_t alone = wakes_of_a_game(loop, sorts[i]);
    uint64_t events = support__metrics(loop).events_created;
    alone += wakes_of_a_game(loop, sorts[i]);
    assert_true(support__metrics(loop).events_created <= events + 2);
    assert_true(pier_loop_native(loop) != PIER_NATIVE_NONE);
    uint64_t hosted = wakes_of_a_game(loop, sorts[i]);
    print_message("%s: %u wakes, and %u with a host\n", streams__name(sorts[i]), (unsigned)alone, (unsigned)hosted);
    assert_true(alone <= 4);
    support__close(loop);
  }
}

static void cancel_it(void *context) {
  errand *self = context;
  if (pier_cancel(self->id) != PIER_OK)
    self->id = 0;
}

/* Cancels, deadlines and closes find them there, from the loop's thread and from others. */
static void they_end_when_they_are_asked_to(void **state) {
  (void)state;
  pier_loop *loop = open_with_list();
  const streams_sort sorts[] = {STREAMS_KEPT_PIPE, STREAMS_KEPT_TCP, STREAMS_KEPT_UDP};
  for (int i = 0; i < 30; i++) {
    pier_handle ends[2];
    streams__pair(loop, sorts[i % 3], ends);
    errand *cancelled = read_inside(loop, ends[0], PIER_NO_DEADLINE);
    if (i % 2)
      support__thread_join(support__thread_start(cancel_it, cancelled));
    else
      cancel_it(cancelled);
    assert_true(cancelled->id != 0);
    await_status(loop, cancelled->read, PIER_ECANCELED);
    uint64_t deadline_ns = pier_deadline_in(3 * PIER_MILLISECOND);
    errand *late = read_inside(loop, ends[0], deadline_ns);
    await_status(loop, late->read, PIER_ETIMEDOUT);
    assert_true(late->read->at_ns >= deadline_ns);
    errand *served = read_inside(loop, ends[0], PIER_NO_DEADLINE);
    sync_write(ends[1], "served");
    await_status(loop, served->read, PIER_OK);
    assert_int_equal(served->read->got.bytes, 6);
    errand *closed = read_inside(loop, ends[0], PIER_NO_DEADLINE);
    support__close_handle(loop, ends[0]);
    assert_status(closed->read->got.status, PIER_ECLOSED);
    assert_int_equal(atomic_load(&closed->read->calls), 1);
    support__close_handle(loop, ends[1]);
  }
  support__close(loop);
}

/* More than one wait can have, in any order; posts and packets of the user's come in between. */
static void more_than_one_wait_can_have(void **state) {
  (void)state;
  pier_loop *loop = open_with_list();
  uint64_t seed = support__seed();
  pier_handle ends[MANY][2];
  errand *errands[MANY];
  for (int i = 0; i < MANY; i++) {
    streams__pair(loop, STREAMS_KEPT_PIPE, ends[i]);
    errands[i] = read_inside(loop, ends[i][0], PIER_NO_DEADLINE);
  }
  for (int i = 0; i < MANY; i++) {
    int at = (int)support__random_below(&seed, MANY);
    support_outcome *posted = support__outcome();
    while (!errands[at])
      at = (at + 1) % MANY;
    sync_write(ends[at][1], "x");
    if (i % 3 == 0) {
      assert_true(pier_post(loop, support__take, posted) != 0);
      await_status(loop, posted, PIER_OK);
    }
    await_status(loop, errands[at]->read, PIER_OK);
    errands[at] = NULL;
  }
  for (int i = 0; i < MANY; i++)
    streams__close_pair(loop, ends[i]);
  support__close(loop);
}

/* Several are over at once, and all are served with one wait or two. */
static void what_is_over_at_once_is_served_at_once(void **state) {
  (void)state;
  enum { SOME = 40 };
  pier_loop *loop = open_with_list();
  pier_handle ends[SOME][2];
  errand *errands[SOME];
  for (int i = 0; i < SOME; i++) {
    streams__pair(loop, STREAMS_KEPT_PIPE, ends[i]);
    errands[i] = read_inside(loop, ends[i][0], PIER_NO_DEADLINE);
  }
  for (int i = 0; i < SOME; i++)
    sync_write(ends[i][1], "x");
  uint64_t waits = support__metrics(loop).waits;
  for (int i = 0; i < SOME; i++)
    await_status(loop, errands[i]->read, PIER_OK);
  waits = support__metrics(loop).waits - waits;
  print_message("%u waits for %u reads\n", (unsigned)waits, SOME);
  for (int i = 0; i < SOME; i++)
    streams__close_pair(loop, ends[i]);
  support__close(loop);
}

static void post_later(void *context) {
  Sleep(20);
  pier_post(context, support__take, support__outcome());
}

static void post_packet_later(void *context) {
  Sleep(20);
  PostQueuedCompletionStatus((HANDLE)context, 1, 2, (OVERLAPPED *)3);
}

/* While the thread waits for events, what comes to the port wakes it as ever: a post from another thread. */
static void the_port_is_heard_beside_them(void **state) {
  (void)state;
  pier_loop *loop = open_with_list();
  pier_handle ends[2];
  streams__pair(loop, STREAMS_KEPT_PIPE, ends);
  errand *waiting = read_inside(loop, ends[0], PIER_NO_DEADLINE);
  for (int i = 0; i < 5; i++) {
    uint64_t began_ns = pier_now_ns();
    support_thread *thread = support__thread_start(post_later, loop);
    assert_status(pier_loop_run(loop, PIER_RUN_ONCE, 10 * PIER_SECOND), PIER_OK);
    assert_true(pier_now_ns() - began_ns < 5 * PIER_SECOND);
    support__thread_join(thread);
    /* And the time is kept. */
    began_ns = pier_now_ns();
    assert_status(pier_loop_run(loop, PIER_RUN_ONCE, 5 * PIER_MILLISECOND), PIER_ETIMEDOUT);
    assert_in_range(pier_now_ns() - began_ns, 5 * PIER_MILLISECOND, PIER_SECOND);
  }
  sync_write(ends[1], "x");
  await_status(loop, waiting->read, PIER_OK);
  streams__close_pair(loop, ends);
  support__close(loop);
}

static void drive_until_called(void *context) {
  errand *self = context;
  pier_loop *loop = pier_handle_loop(self->handle);
  while (!support__called(self->read))
    pier_loop_run(loop, PIER_RUN_ONCE, PIER_MILLISECOND);
}

/* One thread has submitted, another one drives. */
static void the_next_driver_waits_for_them(void **state) {
  (void)state;
  pier_loop *loop = open_with_list();
  pier_handle ends[2];
  streams__pair(loop, STREAMS_KEPT_PIPE, ends);
  for (int i = 0; i < 5; i++) {
    errand *waiting = read_inside(loop, ends[0], PIER_NO_DEADLINE);
    support_thread *thread = support__thread_start(drive_until_called, waiting);
    Sleep(5);
    sync_write(ends[1], "x");
    support__thread_join(thread);
    assert_status(waiting->read->got.status, PIER_OK);
  }
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* Dispatches what the host's own wait on the port brings, until the read is called back. */
static void host_until_called(pier_loop *loop, HANDLE port, const support_outcome *read) {
  uint64_t end_ns = pier_now_ns() + 10 * PIER_SECOND;
  while (!support__called(read)) {
    pier_packet packets[8];
    ULONG count = 0;
    assert_true(pier_now_ns() < end_ns);
    if (!GetQueuedCompletionStatusEx(port, (OVERLAPPED_ENTRY *)(void *)packets, 8, &count, 2000, FALSE))
      count = 0;
    size_t left = count;
    assert_status(pier_loop_dispatch(loop, packets, &left), PIER_OK);
    assert_int_equal(left, 0);
  }
}

/* Some are on the list when a host asks for the port, and waits there from then on: it is woken, and gets all of them. */
static void a_host_takes_over(void **state) {
  (void)state;
  enum { SOME = 5 };
  for (int round = 0; round < 10; round++) {
    pier_loop *loop = open_with_list();
    pier_handle ends[SOME][2];
    errand *errands[SOME];
    for (int i = 0; i < SOME; i++) {
      streams__pair(loop, i % 2 ? STREAMS_KEPT_TCP : STREAMS_KEPT_PIPE, ends[i]);
      errands[i] = read_inside(loop, ends[i][0], i == 3 ? pier_deadline_in(30 * PIER_SECOND) : PIER_NO_DEADLINE);
    }
    if (round % 2)
      sync_write(ends[1][1], "before"); /* over, and nobody has looked */
    HANDLE port = (HANDLE)pier_loop_native(loop);
    for (int i = 0; i < SOME; i++) {
      if (i == 4)
        assert_status(pier_cancel(errands[i]->id), PIER_OK);
      else if (i != 1 || round % 2 == 0)
        sync_write(ends[i][1], "after");
      host_until_called(loop, port, errands[i]->read);
      assert_status(errands[i]->read->got.status, i == 4 ? PIER_ECANCELED : PIER_OK);
      assert_int_equal(atomic_load(&errands[i]->read->calls), 1);
    }
    for (int i = 0; i < SOME; i++)
      streams__close_pair(loop, ends[i]);
    support__close(loop);
  }
}

/* The host asks from another thread while this one drives: nothing is lost, whoever is there. */
static void ask_for_the_port(void *context) {
  Sleep(5);
  pier_loop_native(context);
}

static void a_host_asks_while_the_loop_is_driven(void **state) {
  (void)state;
  for (int round = 0; round < 20; round++) {
    pier_loop *loop = open_with_list();
    game *self = support__alloc(sizeof *self);
    streams__pair(loop, STREAMS_KEPT_PIPE, self->ends);
    self->left = ROUNDS;
    support_thread *thread = support__thread_start(ask_for_the_port, loop);
    assert_true(pier_post(loop, begin_game, self) != 0);
    support__until_count(loop, &self->ended, 1, "the game");
    support__thread_join(thread);
    assert_int_equal(self->strange, 0);
    errand *waiting = read_inside(loop, self->ends[0], PIER_NO_DEADLINE);
    sync_write(self->ends[1], "x");
    host_until_called(loop, (HANDLE)pier_loop_native(loop), waiting->read);
    streams__close_pair(loop, self->ends);
    support__close(loop);
  }
}

/* A packet of the user's on the port, with a thread that waits for events beside it. */
static atomic_uint packets_seen;

static void see_packet(pier_loop *loop, pier_handle handle, const pier_packet *packet, void *context) {
  (void)loop;
  (void)handle;
  (void)packet;
  (void)context;
  support__count(&packets_seen);
}

static void a_packet_of_the_users_is_heard(void **state) {
  (void)state;
  const pier_loop_options options = {.on_packet = see_packet};
  pier_loop *loop = support__open_with(&options);
  pier_handle ends[2];
  atomic_store(&packets_seen, 0);
  streams__pair(loop, STREAMS_KEPT_PIPE, ends);
  errand *waiting = read_inside(loop, ends[0], PIER_NO_DEADLINE);
  HANDLE port = (HANDLE)loop__poller(loop)->port; /* learnt without asking */
  support_thread *thread = support__thread_start(post_packet_later, port);
  assert_status(pier_loop_hold(loop), PIER_OK);
  support__until_count(loop, &packets_seen, 1, "the packet");
  assert_status(pier_loop_release(loop), PIER_OK);
  support__thread_join(thread);
  assert_false(support__called(waiting->read));
  streams__close_pair(loop, ends);
  assert_status(waiting->read->got.status, PIER_ECLOSED);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(the_driving_thread_is_not_woken_by_others), SUPPORT_TEST(they_end_when_they_are_asked_to),
      SUPPORT_TEST(more_than_one_wait_can_have),               SUPPORT_TEST(what_is_over_at_once_is_served_at_once),
      SUPPORT_TEST(the_port_is_heard_beside_them),             SUPPORT_TEST(the_next_driver_waits_for_them),
      SUPPORT_TEST(a_host_takes_over),                         SUPPORT_TEST(a_host_asks_while_the_loop_is_driven),
      SUPPORT_TEST(a_packet_of_the_users_is_heard),
  };
  return support__main(argc, argv, "waitlist", tests, sizeof tests / sizeof tests[0]);
}
