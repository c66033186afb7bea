/* Moving a handle off the port and on it, while others submit and close: nothing slips in between the look and the move. */
#include "streams.h"

#include "hook.h"
#include "loop.h"
#include "movable.h"

#include <string.h>

enum { ROUNDS = 250, CLOSES = 100 };

/* ---- Held between the look and the move ---- */

static struct held {
  pier_handle handle; /* the moves of this one are held */
  support_event *entered, *go_on;
} held;

static void hold_the_move(struct handle *handle) {
  if (handle__id(handle) != held.handle)
    return;
  support__event_set(held.entered);
  support__event_wait(held.go_on, 10 * PIER_SECOND);
}

/* What a thread does meanwhile, and what came of it. */
typedef struct deed {
  int (*act)(struct deed *self);
  pier_handle handle;
  support_outcome *outcome;
  char *buffer;
  atomic_uint begun, done;
  int status;
} deed;

static int detach(deed *self) {
  return pier_handle_detach(self->handle);
}
static int associate(deed *self) {
  return pier_handle_associate(self->handle);
}
static int submit(deed *self) {
  return pier_read(self->handle, self->buffer, 16, PIER_NO_DEADLINE, support__take, self->outcome) ? PIER_OK : PIER_EBADF;
}
static int close_it(deed *self) {
  return pier_close(self->handle, support__take, self->outcome);
}

static void act(void *context) {
  deed *self = context;
  atomic_store(&self->begun, 1);
  self->status = self->act(self);
  atomic_store(&self->done, 1);
}

static deed *new_deed(int (*how)(deed *self), pier_handle handle) {
  deed *made = support__alloc(sizeof *made);
  made->act = how;
  made->handle = handle;
  made->outcome = support__outcome();
  made->buffer = support__alloc(16);
  return made;
}

static void assert_held(const deed *one, pier_handle handle) {
  while (!atomic_load(&((deed *)one)->begun))
    support__yield();
  for (int i = 0; i < 200; i++)
    support__yield();
  assert_int_equal(atomic_load(&((deed *)one)->done), 0);
  assert_int_equal(pier_handle_in_flight(handle), 0);
}

/* One move is held; what another thread does in the middle of it waits, and then finds the handle where it is by then. */
static void meet(pier_loop *loop, int (*move)(deed *self), int (*meanwhile)(deed *self)) {
  pier_handle ends[2];
  streams__pair(loop, move == detach ? STREAMS_PIPE : STREAMS_KEPT_PIPE, ends);
  pier_state before = pier_handle_state(ends[0]), after = move == detach ? PIER_STATE_DETACHED : PIER_STATE_ASSOCIATED;
  deed *mover = new_deed(move, ends[0]), *other = new_deed(meanwhile, ends[0]);
  support__event_reset(held.entered);
  support__event_reset(held.go_on);
  held.handle = ends[0];
  support_thread *threads[2] = {support__thread_start(act, mover), NULL};
  assert_true(support__event_wait(held.entered, 5 * PIER_SECOND));
  threads[1] = support__thread_start(act, other);
  assert_held(other, ends[0]);
  /* Who would move it too is told, and does not wait. */
  assert_status(pier_handle_detach(ends[0]), PIER_EBUSY);
  assert_status(pier_handle_associate(ends[0]), before == PIER_STATE_ASSOCIATED ? PIER_OK : PIER_EBUSY);
  assert_int_equal(pier_handle_state(ends[0]), before);
  support__event_set(held.go_on);
  for (int i = 0; i < 2; i++)
    support__thread_join(threads[i]);
  assert_status(mover->status, PIER_OK);
  assert_status(other->status, PIER_OK);
  held.handle = 0;
  if (meanwhile == submit) {
    assert_int_equal(pier_handle_state(ends[0]), after);
    assert_true(pier_write(ends[1], "after", 5, PIER_NO_DEADLINE, NULL, NULL) != 0);
    await_status(loop, other->outcome, PIER_OK);
    assert_memory_equal(other->buffer, "after", 5);
    support__close_handle(loop, ends[0]);
  } else {
    await_status(loop, other->outcome, PIER_OK);
  }
  assert_status(pier_handle_associate(ends[0]), PIER_ECLOSED);
  support__close_handle(loop, ends[1]);
}

static void while_a_handle_moves_nothing_comes_in(void **state) {
  (void)state;
  movable__begin();
  pier_loop *loop = support__open();
  held = (struct held){.entered = support__event_open(), .go_on = support__event_open()};
  pier_hooks = (struct hooks){.moving = hold_the_move};
  meet(loop, detach, submit);
  meet(loop, associate, submit);
  meet(loop, detach, close_it);
  meet(loop, associate, close_it);
  pier_hooks = (struct hooks){0};
  support__event_close(held.entered);
  support__event_close(held.go_on);
  support__close(loop);
  movable__end();
}

/* ---- An operation on its way is in flight ---- */

static struct between {
  pier_handle handle;
  atomic_uint calls;
  int associated, detached;
  pier_state state;
} between;

static void move_in_between(struct op *op) {
  if (!op->handle || handle__id(op->handle) != between.handle || atomic_fetch_add(&between.calls, 1))
    return;
  between.detached = pier_handle_detach(between.handle);
  between.state = pier_handle_state(between.handle);
  between.associated = pier_handle_associate(between.handle);
}

/* Before its call and after, a fresh handle's first operation, and one of a kept handle. */
static void in_the_midst_of_a_submit_nothing_moves(void **state) {
  (void)state;
  movable__begin();
  pier_loop *loop = support__open();
  const struct hooks moments[] = {{.before_launch = move_in_between}, {.started = move_in_between}};
  const pier_association associations[] = {PIER_ASSOCIATE_LAZY, PIER_ASSOCIATE_NEVER};
  const pier_state states[2][2] = {{PIER_STATE_FRESH, PIER_STATE_ASSOCIATED}, {PIER_STATE_KEPT, PIER_STATE_KEPT}};
  for (int a = 0; a < 2; a++) {
    for (int m = 0; m < 2; m++) {
      pier_native natives[2];
      pier_handle ends[2];
      support_outcome *read = support__outcome();
      char *buffer = support__alloc(16);
      const pier_register_options options = {.association = associations[a], .mode = PIER_MODE_OVERLAPPED};
      support__native_pipe_pair(false, true, true, natives);
      for (int i = 0; i < 2; i++)
        assert_status(pier_register(loop, natives[i], &options, &ends[i]), PIER_OK);
      between = (struct between){.handle = ends[0]};
      pier_hooks = moments[m];
      assert_true(pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
      assert_true(pier_write(ends[1], "data", 4, PIER_NO_DEADLINE, NULL, NULL) != 0);
      await_status(loop, read, PIER_OK);
      pier_hooks = (struct hooks){0};
      assert_true(atomic_load(&between.calls) > 0);
      assert_status(between.detached, PIER_EBUSY);
      assert_int_equal(between.state, states[a][m]);
      assert_status(between.associated, states[a][m] == PIER_STATE_ASSOCIATED ? PIER_OK : PIER_EBUSY);
      streams__close_pair(loop, ends);
    }
  }
  support__close(loop);
  movable__end();
}

/* ---- Races ---- */

/* One end that two threads move and two use; its peer is used by hand. */
static struct race {
  _Atomic pier_handle handle;
  pier_native peer;
  atomic_bool stop;
  atomic_uint moved[2], busy[2], strange;
  atomic_uint intruders; /* operations that were in flight in the middle of a move */
  atomic_uint users;
} race;

static void look_for_intruders(struct handle *handle) {
  if (handle__id(handle) != atomic_load(&race.handle))
    return;
  for (int i = 0; i < 3; i++) {
    if (atomic_load(&handle->slot.word) & HANDLE_FLIGHTS)
      atomic_fetch_add(&race.intruders, 1);
    support__yield();
  }
}

typedef struct mover {
  int index; /* 0 takes off, 1 puts on */
  bool closes; /* others close it meanwhile */
} mover;

static void move_about(void *context) {
  const mover *self = context;
  while (!atomic_load(&race.stop)) {
    int status = self->index ? pier_handle_associate(atomic_load(&race.handle)) : pier_handle_detach(atomic_load(&race.handle));
    if (status == PIER_OK)
      atomic_fetch_add(&race.moved[self->index], 1);
    else if (status == PIER_EBUSY)
      atomic_fetch_add(&race.busy[self->index], 1);
    else if (!self->closes || status != PIER_ECLOSED)
      atomic_fetch_add(&race.strange, 1);
    support__yield();
  }
}

typedef struct user {
  bool reads;
  uint64_t seed;
  char buffer;
  support_outcome outcomes[ROUNDS];
} user;

/* One byte: out through the handle and in by hand, or the other way round. */
static bool use_once(user *self, support_outcome *outcome, char byte) {
  pier_sync_result result;
  pier_handle handle = atomic_load(&race.handle);
  char got = 0;
  if (self->reads && (pier_sync_write(race.peer, &byte, 1, 5 * PIER_SECOND, &result) != PIER_OK ||
                      !pier_read(handle, &self->buffer, 1, PIER_NO_DEADLINE, support__take, outcome)))
    return false;
  self->buffer = self->reads ? self->buffer : byte;
  if (!self->reads && !pier_write(handle, &self->buffer, 1, PIER_NO_DEADLINE, support__take, outcome))
    return false;
  while (!support__called(outcome))
    support__yield();
  if (outcome->got.status != PIER_OK || outcome->got.bytes != 1)
    return false;
  if (!self->reads && (pier_sync_read(race.peer, &got, 1, 5 * PIER_SECOND, &result) != PIER_OK || got != byte))
    return false;
  return !self->reads || self->buffer == byte;
}

static void use_over_and_over(void *context) {
  user *self = context;
  for (unsigned i = 0; i < ROUNDS; i++) {
    if (!use_once(self, &self->outcomes[i], (char)i)) {
      atomic_fetch_add(&race.strange, 1);
      break;
    }
    for (uint64_t pause = support__random_below(&self->seed, 4); pause > 0; pause--)
      support__yield();
  }
  support__count(&race.users);
}

static void race_on(pier_loop *loop, streams_sort sort, uint64_t *seed) {
  pier_handle ends[2];
  mover movers[2] = {{0, false}, {1, false}};
  user *users[2];
  support_thread *threads[4];
  memset(&race, 0, sizeof race);
  streams__pair(loop, sort, ends);
  race.handle = ends[0];
  race.peer = pier_handle_native(ends[1]);
  for (int i = 0; i < 2; i++) {
    users[i] = support__alloc(sizeof *users[i]);
    users[i]->reads = i;
    users[i]->seed = support__random(seed);
    threads[i] = support__thread_start(use_over_and_over, users[i]);
    threads[2 + i] = support__thread_start(move_about, &movers[i]);
  }
  support__until_count(loop, &race.users, 2, "both users");
  atomic_store(&race.stop, true);
  for (int i = 0; i < 4; i++)
    support__thread_join(threads[i]);
  assert_int_equal(atomic_load(&race.strange), 0);
  assert_int_equal(atomic_load(&race.intruders), 0);
  for (int i = 0; i < 2; i++)
    for (unsigned o = 0; o < ROUNDS; o++)
      assert_int_equal(atomic_load(&users[i]->outcomes[o].calls), 1);
  print_message("%s: off %u times and %u times busy, on %u and %u\n", streams__name(sort), atomic_load(&race.moved[0]),
                atomic_load(&race.busy[0]), atomic_load(&race.moved[1]), atomic_load(&race.busy[1]));
  streams__close_pair(loop, ends);
}

/* Two threads move a handle and two use it: each operation ends once, with its byte, wherever the handle was. */
static void b4_moves_and_submits_race(void **state) {
  (void)state;
  movable__begin();
  uint64_t seed = support__seed();
  pier_loop *loop = support__open();
  pier_hooks = (struct hooks){.moving = look_for_intruders};
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_TCP, STREAMS_KEPT_PIPE};
  for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++)
    race_on(loop, sorts[i], &seed);
  pier_hooks = (struct hooks){0};
  support__close(loop);
  movable__end();
}

/* Two threads move a handle and this one closes it, with an operation in flight or without: the close is called back, last, and afterwards
 * nothing moves any more. */
static void moves_and_a_close_race(void **state) {
  (void)state;
  movable__begin();
  uint64_t seed = support__seed();
  pier_loop *loop = support__open();
  mover movers[2] = {{0, true}, {1, true}};
  support_thread *threads[2];
  pier_handle next[2];
  memset(&race, 0, sizeof race);
  streams__pair(loop, STREAMS_KEPT_PIPE, next);
  atomic_store(&race.handle, next[0]);
  for (int i = 0; i < 2; i++)
    threads[i] = support__thread_start(move_about, &movers[i]);
  for (int round = 0; round < CLOSES; round++) {
    pier_handle ends[2] = {next[0], next[1]};
    support_outcome *read = support__outcome(), *closed = support__outcome();
    char *buffer = support__alloc(1);
    bool reads = support__random_below(&seed, 2);
    streams__pair(loop, round % 2 ? STREAMS_PIPE : STREAMS_KEPT_PIPE, next);
    for (uint64_t pause = support__random_below(&seed, 4); pause > 0; pause--)
      support__yield();
    if (reads)
      assert_true(pier_read(ends[0], buffer, 1, PIER_NO_DEADLINE, support__take, read) != 0);
    assert_status(pier_close(ends[0], support__take, closed), PIER_OK);
    await_status(loop, closed, PIER_OK);
    assert_int_equal(atomic_load(&read->calls), reads);
    if (reads)
      assert_status(read->got.status, PIER_ECLOSED);
    assert_status(pier_handle_associate(ends[0]), PIER_ECLOSED);
    atomic_store(&race.handle, next[0]);
    support__close_handle(loop, ends[1]);
  }
  atomic_store(&race.stop, true);
  for (int i = 0; i < 2; i++)
    support__thread_join(threads[i]);
  assert_int_equal(atomic_load(&race.strange), 0);
  streams__close_pair(loop, next);
  support__close(loop);
  movable__end();
}

#define BOTH(function) SUPPORT_TEST(function), SUPPORT_TEST_POOL(function)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      BOTH(while_a_handle_moves_nothing_comes_in),
      BOTH(in_the_midst_of_a_submit_nothing_moves),
      BOTH(b4_moves_and_submits_race),
      BOTH(moves_and_a_close_race),
  };
  return support__main(argc, argv, "associate_race", tests, sizeof tests / sizeof tests[0]);
}
