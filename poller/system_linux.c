#include "system.h"
#include "pier_error.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct mutex), "a lock fits");
_Static_assert(sizeof(pthread_cond_t) <= sizeof(struct condition), "a condition variable fits");
_Static_assert(sizeof(pthread_t) <= sizeof(uintptr_t), "a thread fits");

static pthread_mutex_t *mutex__native(struct mutex *mutex) { return (pthread_mutex_t *)(void *)mutex->words; }
static pthread_cond_t *condition__native(struct condition *condition) { return (pthread_cond_t *)(void *)condition->words; }

void mutex__init(struct mutex *mutex) { CHECK(pthread_mutex_init(mutex__native(mutex), NULL) == 0); }
void mutex__lock(struct mutex *mutex) { CHECK(pthread_mutex_lock(mutex__native(mutex)) == 0); }
bool mutex__try_lock(struct mutex *mutex) { return pthread_mutex_trylock(mutex__native(mutex)) == 0; }
void mutex__unlock(struct mutex *mutex) { CHECK(pthread_mutex_unlock(mutex__native(mutex)) == 0); }
void mutex__destroy(struct mutex *mutex) { CHECK(pthread_mutex_destroy(mutex__native(mutex)) == 0); }

void condition__init(struct condition *condition) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  /* The clock that deadlines are measured with: nobody is woken late because the wall clock was set. */
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  CHECK(pthread_cond_init(condition__native(condition), &attributes) == 0);
  pthread_condattr_destroy(&attributes);
}

void condition__wait(struct condition *condition, struct mutex *mutex) {
  pthread_cond_wait(condition__native(condition), mutex__native(mutex));
}

bool condition__wait_for(struct condition *condition, struct mutex *mutex, uint64_t timeout_ns) {
  uint64_t now_ns = clock__now_ns();
  if (timeout_ns > (uint64_t)INT64_MAX - now_ns) {
    condition__wait(condition, mutex);
    return true;
  }
  uint64_t end_ns = now_ns + timeout_ns;
  struct timespec end = {.tv_sec = (time_t)(end_ns / 1000000000), .tv_nsec = (long)(end_ns % 1000000000)};
  return pthread_cond_timedwait(condition__native(condition), mutex__native(mutex), &end) != ETIMEDOUT;
}

void condition__signal(struct condition *condition) { pthread_cond_signal(condition__native(condition)); }
void condition__broadcast(struct condition *condition) { pthread_cond_broadcast(condition__native(condition)); }
void condition__destroy(struct condition *condition) { pthread_cond_destroy(condition__native(condition)); }

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
uint64_t thread__self(void) { return (uint64_t)pthread_self(); }

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
