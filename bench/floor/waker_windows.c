#include "waker.h"

#include "../common/bench.h"

#include <windows.h>

#define NANOSECONDS_IN_MS UINT64_C(1000000)

struct floor_waker {
  HANDLE port;
};

struct floor_waker *floor_waker_open(void) {
  struct floor_waker *waker = bench_allocate(1, sizeof *waker);

  waker->port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
  bench_check(waker->port != NULL, "CreateIoCompletionPort", (long long)GetLastError());
  return waker;
}

void floor_waker_close(struct floor_waker *waker) {
  CloseHandle(waker->port);
  bench_release(waker);
}

void floor_waker_wake(struct floor_waker *waker) {
  BOOL ok = PostQueuedCompletionStatus(waker->port, 0, 1, NULL);
  bench_check(ok, "PostQueuedCompletionStatus", (long long)GetLastError());
}

void floor_waker_wait(struct floor_waker *waker, uint64_t timeout_ns) {
  OVERLAPPED_ENTRY entry;
  ULONG count = 0;
  DWORD timeout_ms = timeout_ns == FLOOR_NO_TIMEOUT ? INFINITE : (DWORD)((timeout_ns + NANOSECONDS_IN_MS - 1) / NANOSECONDS_IN_MS);

  BOOL ok = GetQueuedCompletionStatusEx(waker->port, &entry, 1, &count, timeout_ms, FALSE);
  bench_check(ok || GetLastError() == WAIT_TIMEOUT, "GetQueuedCompletionStatusEx", (long long)GetLastError());
}
