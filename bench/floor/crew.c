#include "crew.h"

#include "lock.h"
#include "waker.h"

#include "../common/bench.h"

#define THREADS 4

struct list {
  struct floor_job *first;
  struct floor_job **last;
};

struct floor_crew {
  struct floor_lock *lock;
  struct floor_waker *waker;
  struct list wanted;
  struct list done;
  unsigned asleep;
  bool called; /* a sleeper is on its way */
  bool closing;
  uint64_t in_flight; /* known to the opener alone */
  void *threads[THREADS];
};

static void list__empty(struct list *list) {
  list->first = NULL;
  list->last = &list->first;
}

static void list__append(struct list *list, struct floor_job *job) {
  job->next = NULL;
  *list->last = job;
  list->last = &job->next;
}

/* With the lock taken, so that who is called does not take the processor before there is more to do. One at a time: he calls the next. */
static void crew__call(struct floor_crew *crew) {
  if (crew->wanted.first != NULL && crew->asleep > 0 && !crew->called) {
    crew->called = true;
    floor_lock_wake_one(crew->lock);
  }
}

/* With the lock taken; null when there is nothing more to do. */
static struct floor_job *crew__next(struct floor_crew *crew) {
  while (crew->wanted.first == NULL && !crew->closing) {
    crew->asleep++;
    floor_lock_sleep(crew->lock);
    crew->asleep--;
    crew->called = false;
  }
  struct floor_job *job = crew->wanted.first;
  if (job != NULL) {
    crew->wanted.first = job->next;
    if (job->next == NULL) {
      list__empty(&crew->wanted);
    }
    crew__call(crew);
  }
  return job;
}

static void crew__work(void *argument) {
  struct floor_crew *crew = argument;
  struct floor_job *job;

  floor_lock_take(crew->lock);
  while ((job = crew__next(crew)) != NULL) {
    floor_lock_give(crew->lock);
    job->work(job);
    floor_lock_take(crew->lock);
    bool first = crew->done.first == NULL;
    list__append(&crew->done, job);
    if (first) {
      floor_lock_give(crew->lock);
      floor_waker_wake(crew->waker);
      floor_lock_take(crew->lock);
    }
  }
  floor_lock_give(crew->lock);
}

struct floor_crew *floor_crew_open(void) {
  struct floor_crew *crew = bench_allocate(1, sizeof *crew);

  crew->lock = floor_lock_open();
  crew->waker = floor_waker_open();
  list__empty(&crew->wanted);
  list__empty(&crew->done);
  for (int i = 0; i < THREADS; i++) {
    crew->threads[i] = bench_thread_start(crew__work, crew);
  }
  return crew;
}

void floor_crew_close(struct floor_crew *crew) {
  floor_lock_take(crew->lock);
  crew->closing = true;
  floor_lock_wake_all(crew->lock);
  floor_lock_give(crew->lock);
  for (int i = 0; i < THREADS; i++) {
    bench_thread_join(crew->threads[i]);
  }
  floor_waker_close(crew->waker);
  floor_lock_close(crew->lock);
  bench_release(crew);
}

void floor_crew_start(struct floor_crew *crew, struct floor_job *job) {
  crew->in_flight++;
  floor_lock_take(crew->lock);
  list__append(&crew->wanted, job);
  crew__call(crew);
  floor_lock_give(crew->lock);
}

static struct floor_job *crew__take_done(struct floor_crew *crew) {
  floor_lock_take(crew->lock);
  struct floor_job *first = crew->done.first;
  list__empty(&crew->done);
  floor_lock_give(crew->lock);
  return first;
}

void floor_crew_run(struct floor_crew *crew) {
  while (crew->in_flight > 0) {
    struct floor_job *job = crew__take_done(crew);
    if (job == NULL) {
      floor_waker_wait(crew->waker, FLOOR_NO_TIMEOUT);
    }
    while (job != NULL) {
      struct floor_job *next = job->next; /* it may be started again */
      crew->in_flight--;
      job->finished(job);
      job = next;
    }
  }
}
