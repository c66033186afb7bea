/* A lock, and a place to sleep beside it: the system's own, with nothing added. */
#ifndef BENCH_FLOOR_LOCK_H
#define BENCH_FLOOR_LOCK_H

struct floor_lock;

struct floor_lock *floor_lock_open(void);
void floor_lock_close(struct floor_lock *lock);
void floor_lock_take(struct floor_lock *lock);
void floor_lock_give(struct floor_lock *lock);

/* With the lock taken: gives it while asleep. May wake without cause. */
void floor_lock_sleep(struct floor_lock *lock);
void floor_lock_wake_one(struct floor_lock *lock);
void floor_lock_wake_all(struct floor_lock *lock);

#endif
