/* What the library needs of an operating system besides I/O: memory by address, locks, threads, the clock.
   One body per system (system_win.c, ...); everything above is written once. */
#ifndef PIER_SYSTEM_H
#define PIER_SYSTEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A function that is seldom called: it stays out of those that are called often. */
#ifdef __GNUC__
#define COLD __attribute__((cold, noinline))
/* And one that nearly every operation goes through: who calls it has it in line, as far as the compiler sees it (link-time optimization). */
#define HOT __attribute__((hot)) inline
#else
#define COLD
#define HOT inline
#endif

/* A lock: who finds it free takes it with one exchange and lets it go with another, without a call. Only who finds it taken sleeps in
   the system, and says so in the word. Zero bytes are an open lock. */
struct mutex {
  _Atomic uint32_t state; /* enum mutex_state */
  uintptr_t system[2];    /* what the system sleeps by */
};

enum mutex_state { MUTEX_FREE, MUTEX_TAKEN, MUTEX_WANTED /* taken, and somebody may sleep */ };

struct condition {
  uintptr_t words[2];
};

void mutex__init(struct mutex *mutex);
void mutex__destroy(struct mutex *mutex);
/* Sleeps until it is the caller's; wakes one who sleeps. */
COLD void mutex__wait(struct mutex *mutex);
COLD void mutex__wake(struct mutex *mutex);

static inline bool mutex__try_lock(struct mutex *mutex) {
  uint32_t state = MUTEX_FREE;
  return atomic_compare_exchange_strong_explicit(&mutex->state, &state, MUTEX_TAKEN, memory_order_acquire, memory_order_relaxed);
}

static inline void mutex__lock(struct mutex *mutex) {
  if (!mutex__try_lock(mutex))
    mutex__wait(mutex);
}

static inline void mutex__unlock(struct mutex *mutex) {
  if (atomic_exchange_explicit(&mutex->state, MUTEX_FREE, memory_order_release) == MUTEX_WANTED)
    mutex__wake(mutex);
}

void condition__init(struct condition *condition);
/* Spurious returns are allowed, as everywhere: wait for a state, in a loop. */
void condition__wait(struct condition *condition, struct mutex *mutex);
/* False when the time was up. */
bool condition__wait_for(struct condition *condition, struct mutex *mutex, uint64_t timeout_ns);
void condition__signal(struct condition *condition);
void condition__broadcast(struct condition *condition);
void condition__destroy(struct condition *condition);

struct thread {
  uintptr_t native;
};

/* PIER_OK, or the status for what the system said. */
int thread__start(struct thread *thread, void (*run)(void *argument), void *argument);
void thread__join(struct thread *thread);
void thread__yield(void);
/* These only where threads may have seats (runtime/seats.h). How often the calling thread has lost the processor while it had something to do;
   how often it has given it away, to wait for something; and the time that it has run. */
uint64_t thread__preemptions(void);
uint64_t thread__sleeps(void);
uint64_t thread__ran_ns(void);
/* How many processors it may use; 0: that is not known. */
uint32_t thread__processors(void);
/* A number that no other living thread has; never 0. On Linux no thread of the process has had it, or ever will. */
uint64_t thread__self(void);

/* Address space without memory behind it; null if there is none. */
void *memory__reserve(size_t bytes);
/* Puts zeroed memory behind a part of it. */
bool memory__commit(void *address, size_t bytes);
void memory__release(void *address, size_t bytes);

uint64_t clock__now_ns(void);

/* Ends the process with the sentence on standard error: for what may never happen and must not go on. */
_Noreturn void system__die(const char *sentence, const char *file, int line);

/* An assertion that stays on in release; one fact each. */
#define CHECK(fact) ((fact) ? (void)0 : system__die(#fact, __FILE__, __LINE__))

#endif
