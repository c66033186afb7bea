#include "pool.h"
#include "run.h"
#include <stdlib.h>

/* Callbacks between two looks at the port and the inbox while the line is never empty: who keeps finding something there for himself
   would keep the others out. */
#define POOL_CALLBACKS_MAX 16u

/* Under the lock: leads until something is due, or only has a look. */
static void pool__lead(struct pool *pool, pier_loop *loop, struct turn *turn) {
  uint64_t timeout_ns = pool->line.first ? 0 : UINT64_MAX;
  pool->led = true;
  pool->since_look = 0;
  mutex__unlock(&pool->lock);
  run__gather(loop, turn, timeout_ns);
  poller__count(&loop->poller, COUNTER_TURNS, 1);
  mutex__lock(&pool->lock);
  pool->led = false;
  ready_list__move(&pool->line, &turn->ready);
}

/* Under the lock: runs what is at the front of the line. */
static void pool__work(struct pool *pool, pier_loop *loop, struct turn *turn) {
  struct ready *ready = ready_list__take(&pool->line);
  /* Before it runs, for it may take long: somebody else for the rest of the line, or for the port. */
  if (pool->free && (pool->line.first || !pool->led))
    condition__signal(&pool->changed);
  pool->running++;
  mutex__unlock(&pool->lock);
  uint32_t ran = run__one(loop, ready, POOL_CALLBACKS_MAX);
  port__flush(&loop->poller);
  mutex__lock(&pool->lock);
  pool->running--;
  pool->since_look += ran;
  ready_list__move(&pool->line, &turn->ready);
  if (!pool->line.first && !pool->running && !loop__is_alive(loop))
    condition__broadcast(&pool->quiet);
}

static void pool__main(void *argument) {
  pier_loop *loop = argument;
  struct pool *pool = &loop->pool;
  struct turn turn;
  turn__begin(&turn, &loop->poller);
  poller__take_local(&loop->poller, &turn);
  mutex__lock(&pool->lock);
  while (!pool->stopping) {
    bool look = pool->since_look >= POOL_CALLBACKS_MAX && !pool->led;
    if (pool->line.first && !look) {
      pool__work(pool, loop, &turn);
    } else if (!pool->led) {
      pool__lead(pool, loop, &turn);
    } else {
      pool->free++;
      condition__wait(&pool->changed, &pool->lock);
      pool->free--;
    }
  }
  mutex__unlock(&pool->lock);
  poller__leave_local(&turn);
  turn__end(&turn);
}

void pool__look(struct pool *pool) {
  mutex__lock(&pool->lock);
  condition__broadcast(&pool->quiet);
  mutex__unlock(&pool->lock);
}

static void pool__join(struct pool *pool, pier_loop *loop, uint32_t started) {
  mutex__lock(&pool->lock);
  pool->stopping = true;
  condition__broadcast(&pool->changed);
  mutex__unlock(&pool->lock);
  if (started)
    poller__tell(&loop->poller);
  for (uint32_t i = 0; i < started; i++)
    thread__join(&pool->threads[i]);
}

static void pool__free(struct pool *pool) {
  condition__destroy(&pool->quiet);
  condition__destroy(&pool->changed);
  mutex__destroy(&pool->lock);
  free(pool->threads);
}

static int pool__start(struct pool *pool, pier_loop *loop) {
  int status = PIER_OK;
  pool->threads = calloc(pool->count, sizeof *pool->threads);
  if (!pool->threads)
    return PIER_ENOMEM;
  for (uint32_t i = 0; i < pool->count && status == PIER_OK; i++) {
    status = thread__start(&pool->threads[i], pool__main, loop);
    if (status != PIER_OK)
      pool__join(pool, loop, i);
  }
  return status;
}

int pool__open(struct pool *pool, pier_loop *loop, uint32_t count) {
  *pool = (struct pool){.kind = pool__kind(loop), .count = count};
  mutex__init(&pool->lock);
  condition__init(&pool->changed);
  condition__init(&pool->quiet);
  int status = PIER_OK;
  if (pool->kind)
    status = pool->kind->open(pool, loop, count);
  else if (count)
    status = pool__start(pool, loop);
  if (status != PIER_OK)
    pool__free(pool);
  return status;
}

void pool__close(struct pool *pool, pier_loop *loop) {
  if (pool->kind)
    pool->kind->close(pool);
  else
    pool__join(pool, loop, pool->count);
  pool__free(pool);
}

/* Under the lock. */
static bool pool__is_quiet(struct pool *pool, pier_loop *loop) {
  if (pool->kind)
    return pool->kind->is_quiet(pool);
  return !pool->running && !pool->line.first && !loop__is_alive(loop);
}

bool pool__wait(struct pool *pool, pier_loop *loop, uint64_t timeout_ns) {
  uint64_t deadline_ns = pier_deadline_in(timeout_ns);
  bool in_time = true;
  mutex__lock(&pool->lock);
  while (in_time && !atomic_load(&loop->stopped) && !pool__is_quiet(pool, loop)) {
    uint64_t now_ns = clock__now_ns();
    if (deadline_ns == PIER_NO_DEADLINE)
      condition__wait(&pool->quiet, &pool->lock);
    else if (now_ns < deadline_ns)
      condition__wait_for(&pool->quiet, &pool->lock, deadline_ns - now_ns);
    else
      in_time = false;
  }
  mutex__unlock(&pool->lock);
  return in_time;
}
