#include "lock.h"

#include "../common/bench.h"

#include <windows.h>

struct floor_lock {
  SRWLOCK lock;
  CONDITION_VARIABLE sleepers;
};

struct floor_lock *floor_lock_open(void) {
  struct floor_lock *lock = bench_allocate(1, sizeof *lock);

  InitializeSRWLock(&lock->lock);
  InitializeConditionVariable(&lock->sleepers);
  return lock;
}

void floor_lock_close(struct floor_lock *lock) {
  bench_release(lock);
}

void floor_lock_take(struct floor_lock *lock) {
  AcquireSRWLockExclusive(&lock->lock);
}

void floor_lock_give(struct floor_lock *lock) {
  ReleaseSRWLockExclusive(&lock->lock);
}

void floor_lock_sleep(struct floor_lock *lock) {
  SleepConditionVariableSRW(&lock->sleepers, &lock->lock, INFINITE, 0);
}

void floor_lock_wake_one(struct floor_lock *lock) {
  WakeConditionVariable(&lock->sleepers);
}

void floor_lock_wake_all(struct floor_lock *lock) {
  WakeAllConditionVariable(&lock->sleepers);
}
