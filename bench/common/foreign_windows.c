#include "foreign.h"

#include <string.h>
#include <windows.h>

#define BUFFER_BYTES 65536

uintptr_t bench_foreign_pipe(const struct bench_options *options) {
  DWORD bytes = 0;
  OVERLAPPED overlapped = {.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};
  HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
  HANDLE pipe = CreateNamedPipeA(options->path, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT, 1,
                                 BUFFER_BYTES, BUFFER_BYTES, 0, NULL);

  bench_check(overlapped.hEvent != NULL && port != NULL && pipe != INVALID_HANDLE_VALUE, "CreateNamedPipe", (long long)GetLastError());
  bench_ready(0);
  BOOL ok = ConnectNamedPipe(pipe, &overlapped);
  DWORD error = ok ? 0 : GetLastError();
  if (error == ERROR_IO_PENDING) {
    ok = GetOverlappedResult(pipe, &overlapped, &bytes, TRUE);
    error = ok ? 0 : GetLastError();
  }
  bench_check(ok || error == ERROR_PIPE_CONNECTED, "ConnectNamedPipe", (long long)error);
  CloseHandle(overlapped.hEvent);
  if (strcmp(options->form, "free") != 0) {
    HANDLE same = CreateIoCompletionPort(pipe, port, 1, 0);
    bench_check(same == port, "association", (long long)GetLastError());
  }
  return (uintptr_t)pipe;
}
