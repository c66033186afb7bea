#include "run.h"

/* What follows on a strand waits behind what was due before it, so that no handle keeps the others out. */
static inline void run__strand(struct poller *poller, struct strand *strand) {
  struct ready *next = strand__next(strand);
  if (next)
    poller__enqueue(poller, next);
}

static void run__close(struct poller *poller, struct ready *ready) {
  struct handle *handle = handle__of_closing(ready);
  pier_callback callback;
  pier_result result;
  (void)poller;
  /* The last of its strand: nothing can come behind it, for nothing is in flight. */
  handle__end(handle, &callback, &result);
  if (callback)
    callback(&result);
}

static COLD void run__foreign(struct poller *poller, struct op *op) {
  struct handle *handle = op->handle;
  pier_packet packet = op->as.foreign.packet;
  pier_packet_callback callback = handle ? handle->on_foreign : poller->on_packet;
  void *context = handle ? handle->foreign_context : poller->packet_context;
  pier_handle id = handle ? handle__id(handle) : 0;
  if (handle)
    handle__leave(handle);
  op__release(poller, op);
  poller__count(poller, COUNTER_PASSED, 1);
  callback(poller->loop, id, &packet, context);
  if (handle)
    run__strand(poller, &handle->strand);
}

/* A buffer where the thread has none for itself; no smaller, or a datagram would be cut. */
#define SPARE_CHUNK_BYTES 65536u

/* What is the same in all results of one that goes on. */
static void run__begin_more(const struct poller *poller, const struct op *op, pier_result *result) {
  poller__begin_result(poller, result, op->context);
  result->operation = op__id(poller, op);
  result->handle = handle__id(op->handle);
  result->more = true;
}

static void run__call_back(const struct op *op, const struct chunk *chunk, pier_result *result) {
  result->data = chunk->data;
  result->bytes = chunk->bytes;
  if (op__is(op, OP_ADDRESSED))
    port__sender(op, &result->from);
  op->callback(result);
}

static uint32_t run__received(const struct poller *poller, struct op *op, struct chunk *chunk) {
  struct turn *turn = turn__here();
  pier_result result;
  uint32_t ran = 1;
  run__begin_more(poller, op, &result);
  turn->reading = op->handle;
  run__call_back(op, chunk, &result);
  for (; chunk->left && !handle__is_closing(op->handle); ran++) { /* who closes it wants no more */
    port__receive_next(op, chunk);
    run__call_back(op, chunk, &result);
  }
  turn->reading = NULL;
  return ran;
}

/* A stream that is ahead of its reader is caught up with, two MiB at a time: what its peer has in hand then goes out at once, not a buffer
   here and a buffer there. */
#define CHUNKS_IN_A_ROW 16u

static uint32_t run__chunks_in(pier_loop *loop, struct op *op, struct chunk chunk, uint32_t callbacks_max) {
  struct poller *poller = &loop->poller;
  struct handle *handle = op->handle;
  uint32_t most = callbacks_max < CHUNKS_IN_A_ROW ? callbacks_max : CHUNKS_IN_A_ROW;
  uint32_t ran = 0;
  enum receive received;
  op->slot.detail = (uint16_t)(op->slot.detail & ~OP_DUE);
  do {
    chunk.more = false;
    received = port__receive(op, &chunk);
    if (received == RECEIVE_CHUNK)
      ran += run__received(poller, op, &chunk);
  } while (chunk.more && ran < most);
  if (received != RECEIVE_OVER)
    port__resume(op, &chunk);
  /* Even if that was its end: what is behind it waits on the strand that is ours. */
  run__strand(poller, &handle->strand);
  return ran ? ran : 1;
}

static COLD uint32_t run__chunks_here(pier_loop *loop, struct op *op, uint32_t callbacks_max) {
  char buffer[SPARE_CHUNK_BYTES];
  return run__chunks_in(loop, op, (struct chunk){.buffer = buffer, .room_bytes = sizeof buffer}, callbacks_max);
}

static uint32_t run__chunks(pier_loop *loop, struct op *op, uint32_t callbacks_max) {
  struct local *local = poller__local(&loop->poller);
  if (!local || !local->chunk)
    return run__chunks_here(loop, op, callbacks_max);
  struct chunk chunk = {.buffer = local->chunk, .room_bytes = LOCAL_CHUNK_BYTES, .batch = &local->batch};
  return run__chunks_in(loop, op, chunk, callbacks_max);
}

static void run__operation(pier_loop *loop, struct op *op) {
  struct poller *poller = &loop->poller;
  struct handle *handle = op->handle;
  pier_callback callback = op->callback;
  pier_result result;
  op__result(poller, op, &result);
  if (op__is(op, OP_HAS_DEADLINE))
    timers__forget_deadline(&loop->timers);
  /* Out of the count before the callback: in it the handle may be idle, to be detached for instance. */
  if (handle)
    handle__leave(handle);
  op__release(poller, op);
  if (callback)
    callback(&result);
  else if (result.opened)
    pier_close(result.opened, NULL, NULL); /* nobody wants it */
  if (handle)
    run__strand(poller, &handle->strand);
}

/* So many posts in a row, then what is due behind them. */
#define POSTS_IN_A_ROW 64u

/* Somebody has the place at the front and has not published there. He is a few instructions further, so the posts go behind what
   else is due, and that many times; if he has lost the processor there the loop has better things to do, and looks again when as
   much time has gone by as he is late already. */
#define LATE_LOOKS 64u
#define LATE_NS (20 * PIER_MICROSECOND)
#define LATE_DOUBLINGS 9u /* up to 10 ms */

static void run__late(pier_loop *loop) {
  struct posts *posts = &loop->poller.posts;
  uint32_t looks = posts->looks++;
  if (looks >= LATE_LOOKS) {
    uint32_t doublings = looks - LATE_LOOKS < LATE_DOUBLINGS ? looks - LATE_LOOKS : LATE_DOUBLINGS;
    if (timers__add_look(&loop->timers, clock__now_ns() + (LATE_NS << doublings)))
      return;
  }
  poller__enqueue(&loop->poller, &posts->ready);
}

static uint32_t run__posts(pier_loop *loop, uint32_t callbacks_max) {
  struct posts *posts = &loop->poller.posts;
  uint32_t most = callbacks_max < POSTS_IN_A_ROW ? callbacks_max : POSTS_IN_A_ROW;
  uint32_t ran = 0, index = loop->poller.index;
  pier_result result = {.loop = loop, .status = PIER_OK}; /* one for all: of the next post only these two are others */
  enum posts_front front;
  while ((front = posts__look(posts)) == POSTS_DUE && ran < most) {
    struct posts_row row = posts__row(posts, most - ran);
    struct post post;
    while (posts__take(posts, &row, &post)) {
      result.context = post.context;
      result.operation = posts__id(index, row.taken);
      post.callback(&result);
    }
    ran += posts__pass(posts, &row);
  }
  if (front == POSTS_DUE)
    poller__enqueue(&loop->poller, &posts->ready);
  else if (front == POSTS_LATE)
    run__late(loop);
  return ran;
}

HOT uint32_t run__one(pier_loop *loop, struct ready *ready, uint32_t callbacks_max) {
  switch ((enum ready_kind)ready->kind) {
  case READY_OPERATION: {
    struct op *op = op__of_ready(ready);
    if (op__is(op, OP_DUE))
      return run__chunks(loop, op, callbacks_max);
    if (op->slot.kind == OP_FOREIGN)
      run__foreign(&loop->poller, op);
    else
      run__operation(loop, op);
    break;
  }
  case READY_CLOSE:
    run__close(&loop->poller, ready);
    break;
  case READY_TIMER:
    timers__run(&loop->timers, ready, loop);
    break;
  case READY_POSTS:
    return run__posts(loop, callbacks_max);
  }
  return 1;
}

uint32_t run__list(pier_loop *loop, struct turn *turn, uint32_t callbacks_max) {
  uint32_t ran = 0;
  struct ready *ready;
  while (ran < callbacks_max && (ready = ready_list__take(&turn->ready)))
    ran += run__one(loop, ready, callbacks_max - ran);
  return ran;
}

static bool run__collect(pier_loop *loop, struct turn *turn) {
  inbox__drain(&loop->poller.inbox, &turn->ready);
  timers__expire(&loop->timers);
  return turn->ready.first != NULL;
}

/* A turn of posts may be over in less time than a look takes. */
#define POSTS_LOOK_NS (10 * PIER_MICROSECOND)

static bool run__has_posts_only(const struct poller *poller, const struct turn *turn) {
  return turn->ready.first == &poller->posts.ready && turn->ready.last == turn->ready.first;
}

/* While there is always something due the port is looked at now and then only: where a look is a dear system call (see
   port__look_interval_ns()), or posts are all that is due, it would cost more than the callbacks between two of them. */
static bool run__should_look(struct poller *poller, const struct turn *turn) {
  uint64_t interval_ns = port__look_interval_ns(poller);
  if (!interval_ns && run__has_posts_only(poller, turn))
    interval_ns = POSTS_LOOK_NS;
  if (!interval_ns)
    return true;
  uint64_t now_ns = clock__now_ns();
  if (!poller->looked_ns) /* just now, by waiting there */
    poller->looked_ns = now_ns;
  if (now_ns - poller->looked_ns < interval_ns)
    return false;
  poller->looked_ns = now_ns;
  return true;
}

/* A doze has no end: a condition's may be as coarse as the system's clock. */
static void run__wait(struct poller *poller, uint64_t timeout_ns) {
  if (timeout_ns != UINT64_MAX || !doze__wait(poller))
    poller__wait(poller, timeout_ns);
}

void run__gather(pier_loop *loop, struct turn *turn, uint64_t timeout_ns) {
  struct poller *poller = &loop->poller;
  bool due = run__collect(loop, turn);
  if (timeout_ns == 0 || (due && run__should_look(poller, turn))) {
    poller__wait(poller, 0);
  } else if (!due && inbox__sleep(&poller->inbox)) {
    uint64_t due_in_ns = timers__due_in_ns(&loop->timers); /* asked for now: who adds an earlier one wakes us */
    run__wait(poller, due_in_ns < timeout_ns ? due_in_ns : timeout_ns);
    poller->looked_ns = 0;
  } else if (due) {
    return;
  }
  /* Or told of something since: the caller has to look too, it may be the order to stop. */
  inbox__rise(&poller->inbox);
  run__collect(loop, turn);
}
