#include "bench.h"

#include <windows.h>

#include <psapi.h>

struct thread {
  HANDLE handle;
  bench_thread_function function;
  void *argument;
};

uint64_t bench_clock_ns(void) {
  static LARGE_INTEGER frequency;
  LARGE_INTEGER now;

  if (frequency.QuadPart == 0) {
    QueryPerformanceFrequency(&frequency);
  }
  QueryPerformanceCounter(&now);
  uint64_t whole = (uint64_t)(now.QuadPart / frequency.QuadPart);
  uint64_t rest = (uint64_t)(now.QuadPart % frequency.QuadPart);
  return whole * UINT64_C(1000000000) + rest * UINT64_C(1000000000) / (uint64_t)frequency.QuadPart;
}

static uint64_t filetime_ns(FILETIME time) {
  return (((uint64_t)time.dwHighDateTime << 32) | time.dwLowDateTime) * 100;
}

void bench_usage_read(struct bench_usage *usage) {
  FILETIME created;
  FILETIME exited;
  FILETIME system;
  FILETIME user;

  BOOL ok = GetProcessTimes(GetCurrentProcess(), &created, &exited, &system, &user);
  bench_check(ok, "GetProcessTimes", (long long)GetLastError());
  usage->cpu_user_ns = filetime_ns(user);
  usage->cpu_system_ns = filetime_ns(system);
  usage->clock_ns = bench_clock_ns();
}

static DWORD WINAPI thread_main(void *argument) {
  const struct thread *thread = argument;
  thread->function(thread->argument);
  return 0;
}

void *bench_thread_start(bench_thread_function function, void *argument) {
  struct thread *thread = bench_allocate(1, sizeof *thread);

  thread->function = function;
  thread->argument = argument;
  thread->handle = CreateThread(NULL, 0, thread_main, thread, 0, NULL);
  bench_check(thread->handle != NULL, "CreateThread", (long long)GetLastError());
  return thread;
}

void bench_thread_join(void *joined) {
  struct thread *thread = joined;

  WaitForSingleObject(thread->handle, INFINITE);
  CloseHandle(thread->handle);
  bench_release(thread);
}

uint64_t bench_memory_bytes(void) {
  PROCESS_MEMORY_COUNTERS counters = {.cb = sizeof counters};

  BOOL ok = K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters);
  bench_check(ok, "GetProcessMemoryInfo", (long long)GetLastError());
  return counters.PagefileUsage; /* what PrivateUsage is too; Wine knows only this one */
}

uintptr_t bench_file_open(const char *path) {
  HANDLE file = CreateFileA(path, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
  bench_check(file != INVALID_HANDLE_VALUE, "CreateFile", (long long)GetLastError());
  return (uintptr_t)file;
}

size_t bench_file_read(uintptr_t file, void *buffer, size_t length) {
  DWORD bytes = 0;
  BOOL ok = ReadFile((HANDLE)file, buffer, (DWORD)length, &bytes, NULL);
  bench_check(ok, "ReadFile", (long long)GetLastError());
  return bytes;
}

void bench_file_close(uintptr_t file) {
  CloseHandle((HANDLE)file);
}
