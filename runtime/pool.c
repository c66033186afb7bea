#include "pool.h"
#include "run.h"
#include <stdlib.h>

/* Callbacks between two looks at the port and the inbox while the line is never empty: who keeps finding something there for himself
   would keep the others out. */
#define POOL_CALLBACKS_MAX 16u

/* How long a callback is waited for before what it has found done goes to others. */
#define POOL_TICK_NS PIER_MILLISECOND

/* ---- Who does not come back ---- */

/* Under the lock: takes what is due there, now and from now on. */
static void pool__leave_behind(struct pool *pool, struct pool_thread *thread) {
  mutex__lock(&thread->share.lock);
  thread->share.away = true;
  ready_list__move(&pool->line, &thread->turn.ready);
  mutex__unlock(&thread->share.lock);
  pool->away++;
}

/* Under the lock. */
static void pool__watch(struct pool *pool) {
  uint64_t now_ns = clock__now_ns();
  if (now_ns - pool->watched_ns < POOL_TICK_NS)
    return;
  pool->watched_ns = now_ns;
  for (uint32_t i = 0; i < pool->count; i++) {
    struct pool_thread *thread = &pool->threads[i];
    if (thread->inside && thread->beat == thread->beat_seen && !thread->share.away)
      pool__leave_behind(pool, thread);
    thread->beat_seen = thread->beat;
  }
}

static void pool__enter_callback(struct pool *pool, struct pool_thread *self) {
  self->beat++;
  self->inside = true;
  self->turn.share = &self->share;
  pool->running++;
}

static void pool__leave_callback(struct pool *pool, struct pool_thread *self) {
  pool->running--;
  pool->away -= self->share.away;
  self->share.away = false; /* who sets it has the pool's lock */
  self->turn.share = NULL;
  self->inside = false;
  ready_list__move(&pool->line, &self->turn.ready);
}

/* ---- A thread ---- */

/* Under the lock: leads until something is due, or only has a look. */
static void pool__lead(struct pool *pool, struct pool_thread *self) {
  bool watches = pool->running > pool->away;
  uint64_t timeout_ns = pool->line.first ? 0 : watches ? POOL_TICK_NS : UINT64_MAX;
  pool->led = true;
  pool->since_look = 0;
  mutex__unlock(&pool->lock);
  run__gather(pool->loop, &self->turn, timeout_ns);
  poller__count(&pool->loop->poller, COUNTER_TURNS, 1);
  mutex__lock(&pool->lock);
  pool->led = false;
  ready_list__move(&pool->line, &self->turn.ready);
  if (watches)
    pool__watch(pool);
}

/* Under the lock: runs what is at the front of the line. */
static void pool__work(struct pool *pool, struct pool_thread *self) {
  struct ready *ready = ready_list__take(&pool->line);
  /* Before it runs, for it may take long: somebody else for the rest of the line, or for the port. */
  if (pool->free && (pool->line.first || !pool->led))
    condition__signal(&pool->changed);
  pool__enter_callback(pool, self);
  mutex__unlock(&pool->lock);
  uint32_t ran = run__one(pool->loop, ready, POOL_CALLBACKS_MAX);
  port__flush(&pool->loop->poller);
  mutex__lock(&pool->lock);
  pool__leave_callback(pool, self);
  pool->since_look += ran;
  if (!pool->line.first && !pool->running && !loop__is_alive(pool->loop))
    condition__broadcast(&pool->quiet);
}

static void pool__main(void *argument) {
  struct pool_thread *self = argument;
  struct pool *pool = self->pool;
  struct poller *poller = &pool->loop->poller;
  turn__begin(&self->turn, poller);
  poller__take_local(poller, &self->turn);
  mutex__lock(&pool->lock);
  while (!pool->stopping) {
    bool look = pool->since_look >= POOL_CALLBACKS_MAX && !pool->led;
    if (pool->line.first && !look) {
      pool__work(pool, self);
    } else if (!pool->led) {
      pool__lead(pool, self);
    } else {
      pool->free++;
      condition__wait(&pool->changed, &pool->lock);
      pool->free--;
    }
  }
  mutex__unlock(&pool->lock);
  poller__leave_local(&self->turn);
  turn__end(&self->turn);
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
    thread__join(&pool->threads[i].thread);
}

static void pool__free(struct pool *pool) {
  for (uint32_t i = 0; pool->threads && i < pool->count; i++)
    mutex__destroy(&pool->threads[i].share.lock);
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
  for (uint32_t i = 0; i < pool->count; i++) {
    pool->threads[i].pool = pool;
    mutex__init(&pool->threads[i].share.lock);
  }
  for (uint32_t i = 0; i < pool->count && status == PIER_OK; i++) {
    status = thread__start(&pool->threads[i].thread, pool__main, &pool->threads[i]);
    if (status != PIER_OK)
      pool__join(pool, loop, i);
  }
  return status;
}

int pool__open(struct pool *pool, pier_loop *loop, uint32_t count) {
  *pool = (struct pool){.loop = loop, .kind = pool__kind(loop), .count = count};
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
