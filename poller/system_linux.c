#include "system.h"
#include "pier_error.h"
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(pthread_t) <= sizeof(uintptr_t), "a thread fits");

/* ---- Locks and conditions: words that the kernel lets sleep by (futex(2)) ---- */

/* Until somebody wakes, `end` (monotonic; null: never) is reached, or the word is not what it was. False: the time was up. */
static bool futex__wait(_Atomic uint32_t *word, uint32_t value, const struct timespec *end) {
  return syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, end, NULL, FUTEX_BITSET_MATCH_ANY) == 0 || errno != ETIMEDOUT;
}

static void futex__wake(_Atomic uint32_t *word, int count) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0); }

void mutex__init(struct mutex *mutex) { atomic_init(&mutex->state, MUTEX_FREE); }
void mutex__destroy(struct mutex *mutex) { (void)mutex; /* it holds nothing */ }

/* Whoever has slept takes it as wanted, for there may be others. */
void mutex__wait(struct mutex *mutex) {
  while (atomic_exchange_explicit(&mutex->state, MUTEX_WANTED, memory_order_acquire) != MUTEX_FREE)
    futex__wait(&mutex->state, MUTEX_WANTED, NULL);
}

void mutex__wake(struct mutex *mutex) { futex__wake(&mutex->state, 1); }

/* Each signal moves the number on: who has read it before he let go of the lock does not sleep past one. */
struct signal {
  _Atomic uint32_t number;
  _Atomic uint32_t sleepers;
};

_Static_assert(sizeof(struct signal) <= sizeof(struct condition), "a condition variable fits");

static struct signal *condition__native(struct condition *condition) { return (struct signal *)(void *)condition->words; }

void condition__init(struct condition *condition) {
  atomic_init(&condition__native(condition)->number, 0);
  atomic_init(&condition__native(condition)->sleepers, 0);
}

static bool condition__sleep(struct condition *condition, struct mutex *mutex, const struct timespec *end) {
  struct signal *signal = condition__native(condition);
  uint32_t number = atomic_load_explicit(&signal->number, memory_order_relaxed);
  atomic_fetch_add_explicit(&signal->sleepers, 1, memory_order_seq_cst);
  mutex__unlock(mutex);
  bool in_time = futex__wait(&signal->number, number, end);
  atomic_fetch_sub_explicit(&signal->sleepers, 1, memory_order_relaxed);
  mutex__lock(mutex);
  return in_time;
}

void condition__wait(struct condition *condition, struct mutex *mutex) { condition__sleep(condition, mutex, NULL); }

bool condition__wait_for(struct condition *condition, struct mutex *mutex, uint64_t timeout_ns) {
  uint64_t now_ns = clock__now_ns();
  if (timeout_ns > (uint64_t)INT64_MAX - now_ns) {
    condition__wait(condition, mutex);
    return true;
  }
  uint64_t end_ns = now_ns + timeout_ns;
  /* By the clock that deadlines are measured with: nobody is woken late because the wall clock was set. */
  struct timespec end = {.tv_sec = (time_t)(end_ns / 1000000000), .tv_nsec = (long)(end_ns % 1000000000)};
  return condition__sleep(condition, mutex, &end);
}

/* Nobody sleeps: who is about to has not let go of the lock, or finds the number changed. */
static void condition__wake(struct condition *condition, int count) {
  struct signal *signal = condition__native(condition);
  atomic_fetch_add_explicit(&signal->number, 1, memory_order_seq_cst);
  if (atomic_load_explicit(&signal->sleepers, memory_order_seq_cst))
    futex__wake(&signal->number, count);
}

void condition__signal(struct condition *condition) { condition__wake(condition, 1); }
void condition__broadcast(struct condition *condition) { condition__wake(condition, INT_MAX); }
void condition__destroy(struct condition *condition) { (void)condition; }

struct thread_start {
  void (*run)(void *argument);
  void *argument;
};

static void *thread__main(void *argument) {
  struct thread_start start = *(struct thread_start *)argument;
  free(argument);
  start.run(start.argument);
  return NULL;
}

int thread__start(struct thread *thread, void (*run)(void *argument), void *argument) {
  struct thread_start *start = malloc(sizeof *start);
  pthread_t native;
  sigset_t all, before;
  if (!start)
    return PIER_ENOMEM;
  start->run = run;
  start->argument = argument;
  /* Signals are the program's business: none is delivered to a thread of the library. */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int code = pthread_create(&native, NULL, thread__main, start);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (code == 0) {
    thread->native = (uintptr_t)native;
    return PIER_OK;
  }
  free(start);
  return PIER_ENOMEM;
}

void thread__join(struct thread *thread) {
  pthread_join((pthread_t)thread->native, NULL);
  thread->native = 0;
}

void thread__yield(void) { sched_yield(); }

/* A set of the usual size is too small where there are more than 1,024. */
uint32_t thread__processors(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 0;
}

uint64_t thread__preemptions(void) {
  struct rusage usage;
  return getrusage(RUSAGE_THREAD, &usage) == 0 ? (uint64_t)usage.ru_nivcsw : 0;
}

uint64_t thread__sleeps(void) {
  struct rusage usage;
  return getrusage(RUSAGE_THREAD, &usage) == 0 ? (uint64_t)usage.ru_nvcsw : 0;
}

uint64_t thread__ran_ns(void) {
  struct timespec ran;
  return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ran) == 0 ? (uint64_t)ran.tv_sec * 1000000000u + (uint64_t)ran.tv_nsec : 0;
}

/* Not pthread_self(): that is an address, and the next thread has it. Whoever keeps a number would take it for the one that ended. */
uint64_t thread__self(void) {
  static _Atomic uint64_t last;
  static _Thread_local uint64_t own;
  if (!own)
    own = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
  return own;
}

void *memory__reserve(size_t bytes) {
  void *address = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return address == MAP_FAILED ? NULL : address;
}

/* The pages that it touches, which is more than was asked for where the part does not begin or end with one. */
bool memory__commit(void *address, size_t bytes) {
  uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t begin = (uintptr_t)address & ~(page_bytes - 1);
  uintptr_t end = ((uintptr_t)address + bytes + page_bytes - 1) & ~(page_bytes - 1);
  return mprotect((void *)begin, end - begin, PROT_READ | PROT_WRITE) == 0;
}

void memory__release(void *address, size_t bytes) {
  if (address)
    munmap(address, bytes);
}

uint64_t clock__now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

_Noreturn void system__die(const char *sentence, const char *file, int line) {
  fprintf(stderr, "pier: %s:%d: this must hold and does not: %s\n", file, line, sentence);
  fflush(stderr);
  abort();
}
