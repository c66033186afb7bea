/* The pipe is on a port that is not ours, so each call carries a tagged event, one event for all of them, and is waited for. */
#include "floor.h"

#include "../common/foreign.h"

#include <windows.h>

#define BUFFER_BYTES 4096

static DWORD await(HANDLE pipe, OVERLAPPED *overlapped, BOOL ok, DWORD *bytes) {
  if (!ok && GetLastError() != ERROR_IO_PENDING) {
    return GetLastError();
  }
  return GetOverlappedResult(pipe, overlapped, bytes, TRUE) ? ERROR_SUCCESS : GetLastError();
}

int floor_pipe_foreign(const struct bench_options *options, struct bench_result *result) {
  char *buffer = bench_allocate(1, BUFFER_BYTES);
  HANDLE pipe = (HANDLE)bench_foreign_pipe(options);
  HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
  HANDLE tagged = (HANDLE)((uintptr_t)event | 1);

  bench_begin(result);
  for (;;) {
    DWORD bytes = 0;
    DWORD written = 0;
    OVERLAPPED overlapped = {.hEvent = tagged};
    DWORD error = await(pipe, &overlapped, ReadFile(pipe, buffer, BUFFER_BYTES, NULL, &overlapped), &bytes);
    if (error == ERROR_BROKEN_PIPE) {
      break;
    }
    bench_check(error == ERROR_SUCCESS, "ReadFile", (long long)error);
    result->bytes += bytes;
    overlapped = (OVERLAPPED){.hEvent = tagged};
    error = await(pipe, &overlapped, WriteFile(pipe, buffer, bytes, NULL, &overlapped), &written);
    bench_check(error == ERROR_SUCCESS && written == bytes, "WriteFile", (long long)error);
  }
  bench_end(result);
  result->operations = result->bytes / options->block_bytes;
  CloseHandle(event);
  CloseHandle(pipe);
  bench_release(buffer);
  return 0;
}
