#include "lock.h"

#include "../common/bench.h"

#include <pthread.h>

struct floor_lock {
  pthread_mutex_t mutex;
  pthread_cond_t sleepers;
};

struct floor_lock *floor_lock_open(void) {
  struct floor_lock *lock = bench_allocate(1, sizeof *lock);

  pthread_mutex_init(&lock->mutex, NULL);
  pthread_cond_init(&lock->sleepers, NULL);
  return lock;
}

void floor_lock_close(struct floor_lock *lock) {
  pthread_cond_destroy(&lock->sleepers);
  pthread_mutex_destroy(&lock->mutex);
  bench_release(lock);
}

void floor_lock_take(struct floor_lock *lock) {
  pthread_mutex_lock(&lock->mutex);
}

void floor_lock_give(struct floor_lock *lock) {
  pthread_mutex_unlock(&lock->mutex);
}

void floor_lock_sleep(struct floor_lock *lock) {
  pthread_cond_wait(&lock->sleepers, &lock->mutex);
}

void floor_lock_wake_one(struct floor_lock *lock) {
  pthread_cond_signal(&lock->sleepers);
}

void floor_lock_wake_all(struct floor_lock *lock) {
  pthread_cond_broadcast(&lock->sleepers);
}
