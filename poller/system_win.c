#include "system.h"
#include "pier_error.h"
#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

/* The gate of a lock is held from the last look at its word to the sleep. Who wakes passes through it, so that whoever was on his way
   to sleep does; and wakes when he has let it go, for the one who wakes wants it. */
struct sleep {
  SRWLOCK gate;
  CONDITION_VARIABLE freed;
};

/* The gate is held from before the caller's lock is let go to the sleep, and passed through like a lock's: no signal is lost in between. */
struct signal {
  SRWLOCK gate;
  CONDITION_VARIABLE come;
};

_Static_assert(sizeof(struct sleep) <= sizeof(((struct mutex *)0)->system), "what a lock sleeps by fits");
_Static_assert(sizeof(struct signal) <= sizeof(struct condition), "a condition variable fits");

static void sleep__pass(SRWLOCK *gate) {
  AcquireSRWLockExclusive(gate);
  ReleaseSRWLockExclusive(gate);
}

static struct sleep *mutex__native(struct mutex *mutex) { return (struct sleep *)(void *)mutex->system; }
static struct signal *condition__native(struct condition *condition) { return (struct signal *)(void *)condition->words; }

void mutex__init(struct mutex *mutex) {
  atomic_init(&mutex->state, MUTEX_FREE);
  *mutex__native(mutex) = (struct sleep){SRWLOCK_INIT, CONDITION_VARIABLE_INIT};
}

void mutex__destroy(struct mutex *mutex) { (void)mutex; /* neither part holds anything */ }

/* Whoever has slept takes it as wanted, for there may be others. */
void mutex__wait(struct mutex *mutex) {
  struct sleep *sleep = mutex__native(mutex);
  AcquireSRWLockExclusive(&sleep->gate);
  while (atomic_exchange_explicit(&mutex->state, MUTEX_WANTED, memory_order_acquire) != MUTEX_FREE)
    SleepConditionVariableSRW(&sleep->freed, &sleep->gate, INFINITE, 0);
  ReleaseSRWLockExclusive(&sleep->gate);
}

void mutex__wake(struct mutex *mutex) {
  struct sleep *sleep = mutex__native(mutex);
  sleep__pass(&sleep->gate);
  WakeConditionVariable(&sleep->freed);
}

void condition__init(struct condition *condition) {
  *condition__native(condition) = (struct signal){SRWLOCK_INIT, CONDITION_VARIABLE_INIT};
}

static bool condition__sleep(struct condition *condition, struct mutex *mutex, DWORD wait_ms) {
  struct signal *signal = condition__native(condition);
  AcquireSRWLockExclusive(&signal->gate);
  mutex__unlock(mutex);
  bool in_time = SleepConditionVariableSRW(&signal->come, &signal->gate, wait_ms, 0);
  ReleaseSRWLockExclusive(&signal->gate);
  mutex__lock(mutex);
  return in_time;
}

void condition__wait(struct condition *condition, struct mutex *mutex) { condition__sleep(condition, mutex, INFINITE); }

bool condition__wait_for(struct condition *condition, struct mutex *mutex, uint64_t timeout_ns) {
  if (timeout_ns == UINT64_MAX) {
    condition__wait(condition, mutex);
    return true;
  }
  uint64_t timeout_ms = timeout_ns / 1000000 + 1; /* rounded up: never early */
  return condition__sleep(condition, mutex, timeout_ms < INFINITE - 1 ? (DWORD)timeout_ms : INFINITE - 1);
}

void condition__signal(struct condition *condition) {
  struct signal *signal = condition__native(condition);
  sleep__pass(&signal->gate);
  WakeConditionVariable(&signal->come);
}

void condition__broadcast(struct condition *condition) {
  struct signal *signal = condition__native(condition);
  sleep__pass(&signal->gate);
  WakeAllConditionVariable(&signal->come);
}

void condition__destroy(struct condition *condition) { (void)condition; }

struct thread_start {
  void (*run)(void *argument);
  void *argument;
};

static unsigned __stdcall thread__main(void *argument) {
  struct thread_start start = *(struct thread_start *)argument;
  free(argument);
  start.run(start.argument);
  return 0;
}

int thread__start(struct thread *thread, void (*run)(void *argument), void *argument) {
  struct thread_start *start = malloc(sizeof *start);
  if (!start)
    return PIER_ENOMEM;
  start->run = run;
  start->argument = argument;
  /* _beginthreadex and not CreateThread: callbacks may use all of the C library. */
  thread->native = _beginthreadex(NULL, 0, thread__main, start, 0, NULL);
  if (thread->native)
    return PIER_OK;
  free(start);
  return PIER_ENOMEM;
}

void thread__join(struct thread *thread) {
  WaitForSingleObject((HANDLE)thread->native, INFINITE);
  CloseHandle((HANDLE)thread->native);
  thread->native = 0;
}

void thread__yield(void) { SwitchToThread(); }
uint64_t thread__self(void) { return GetCurrentThreadId(); }

void *memory__reserve(size_t bytes) { return VirtualAlloc(NULL, bytes, MEM_RESERVE, PAGE_NOACCESS); }
bool memory__commit(void *address, size_t bytes) { return VirtualAlloc(address, bytes, MEM_COMMIT, PAGE_READWRITE) != NULL; }

void memory__release(void *address, size_t bytes) {
  (void)bytes;
  if (address)
    VirtualFree(address, 0, MEM_RELEASE);
}

uint64_t clock__now_ns(void) {
  static uint64_t ticks_per_second; /* constant since boot: written with the same value by whoever comes */
  LARGE_INTEGER ticks;
  uint64_t frequency = *(volatile uint64_t *)&ticks_per_second;
  if (!frequency) {
    QueryPerformanceFrequency(&ticks);
    frequency = *(volatile uint64_t *)&ticks_per_second = (uint64_t)ticks.QuadPart;
  }
  QueryPerformanceCounter(&ticks);
  uint64_t count = (uint64_t)ticks.QuadPart;
  if (frequency == 10000000) /* what every current Windows has: 100 ns */
    return count * 100;
  /* Whole seconds apart, so that the product cannot overflow. */
  return count / frequency * 1000000000 + count % frequency * 1000000000 / frequency;
}

_Noreturn void system__die(const char *sentence, const char *file, int line) {
  fprintf(stderr, "pier: %s:%d: this must hold and does not: %s\n", file, line, sentence);
  fflush(stderr);
  abort();
}
