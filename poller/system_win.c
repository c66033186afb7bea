#include "system.h"
#include "pier_error.h"
#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

_Static_assert(sizeof(SRWLOCK) <= sizeof(struct mutex), "a lock fits");
_Static_assert(sizeof(CONDITION_VARIABLE) <= sizeof(struct condition), "a condition variable fits");

void mutex__init(struct mutex *mutex) { InitializeSRWLock((SRWLOCK *)mutex->words); }
void mutex__lock(struct mutex *mutex) { AcquireSRWLockExclusive((SRWLOCK *)mutex->words); }
bool mutex__try_lock(struct mutex *mutex) { return TryAcquireSRWLockExclusive((SRWLOCK *)mutex->words); }
void mutex__unlock(struct mutex *mutex) { ReleaseSRWLockExclusive((SRWLOCK *)mutex->words); }
void mutex__destroy(struct mutex *mutex) { (void)mutex; /* a slim lock holds nothing */ }

void condition__init(struct condition *condition) { InitializeConditionVariable((CONDITION_VARIABLE *)condition->words); }

void condition__wait(struct condition *condition, struct mutex *mutex) {
  SleepConditionVariableSRW((CONDITION_VARIABLE *)condition->words, (SRWLOCK *)mutex->words, INFINITE, 0);
}

bool condition__wait_for(struct condition *condition, struct mutex *mutex, uint64_t timeout_ns) {
  if (timeout_ns == UINT64_MAX) {
    condition__wait(condition, mutex);
    return true;
  }
  uint64_t timeout_ms = timeout_ns / 1000000 + 1; /* rounded up: never early */
  DWORD wait_ms = timeout_ms < INFINITE - 1 ? (DWORD)timeout_ms : INFINITE - 1;
  return SleepConditionVariableSRW((CONDITION_VARIABLE *)condition->words, (SRWLOCK *)mutex->words, wait_ms, 0) != 0;
}

void condition__signal(struct condition *condition) { WakeConditionVariable((CONDITION_VARIABLE *)condition->words); }
void condition__broadcast(struct condition *condition) { WakeAllConditionVariable((CONDITION_VARIABLE *)condition->words); }
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
