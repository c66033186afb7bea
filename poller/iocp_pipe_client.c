/* The client side of a pipe's name, and pairs. */
#include "iocp.h"
#include "pipe_name.h"
#include "text.h"
#include <stdio.h>

/* WaitNamedPipe cannot be interrupted: so it is asked for a while at a time. */
#define PIPE_AWAIT_MS 50

static HANDLE iocp__open_pipe(const wchar_t *name, bool message, int *status) {
  HANDLE native = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
  if (native == INVALID_HANDLE_VALUE) {
    DWORD error = GetLastError();
    *status = error == ERROR_PIPE_BUSY ? PIER_EBUSY : pier_error_from_system(error);
    return native;
  }
  DWORD mode = PIPE_READMODE_MESSAGE;
  if (message && !SetNamedPipeHandleState(native, &mode, NULL, NULL)) {
    /* The server's pipe is a stream of bytes: what was asked for is not there. */
    CloseHandle(native);
    *status = PIER_ENOTSUP;
    return INVALID_HANDLE_VALUE;
  }
  *status = PIER_OK;
  return native;
}

int port__connect_pipe(struct poller *poller, const char *utf8, bool message, pier_handle *opened) {
  wchar_t name[TEXT_PIPE_UNITS_MAX];
  struct handle *handle = NULL;
  int status = text__pipe_name(utf8, name, TEXT_PIPE_UNITS_MAX);
  if (status != PIER_OK)
    return status;
  HANDLE native = iocp__open_pipe(name, message, &status);
  if (native == INVALID_HANDLE_VALUE)
    return status;
  status = iocp__adopt_file(poller, native, message ? PIER_KIND_MESSAGE_PIPE : PIER_KIND_PIPE, &handle);
  if (status == PIER_OK)
    *opened = handle__open(handle);
  return status;
}

int port__await_pipe(const char *utf8, uint64_t timeout_ns) {
  wchar_t name[TEXT_PIPE_UNITS_MAX];
  int status = text__pipe_name(utf8, name, TEXT_PIPE_UNITS_MAX);
  if (status != PIER_OK)
    return status;
  DWORD timeout_ms = timeout_ns / 1000000 < PIPE_AWAIT_MS ? (DWORD)(timeout_ns / 1000000) + 1 : PIPE_AWAIT_MS;
  if (WaitNamedPipeW(name, timeout_ms))
    return PIER_OK;
  DWORD error = GetLastError();
  return error == ERROR_SEM_TIMEOUT ? PIER_ETIMEDOUT : pier_error_from_system(error);
}

/* A name that nobody else has: the process, and a count. */
static void iocp__private_name(wchar_t *name, size_t units_max) {
  static _Atomic uint32_t count;
  LARGE_INTEGER ticks;
  QueryPerformanceCounter(&ticks);
  swprintf(name, units_max, L"\\\\.\\pipe\\pier-%lu-%lu-%lu", (unsigned long)GetCurrentProcessId(), (unsigned long)atomic_fetch_add(&count, 1),
           (unsigned long)ticks.LowPart);
}

static int iocp__pair(const struct pipe_name_options *options, HANDLE natives[2]) {
  wchar_t name[TEXT_PIPE_UNITS_MAX];
  int status = PIER_OK;
  iocp__private_name(name, TEXT_PIPE_UNITS_MAX);
  natives[0] = CreateNamedPipeW(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                                PIPE_REJECT_REMOTE_CLIENTS | (options->message ? PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE : PIPE_TYPE_BYTE), 1,
                                options->buffer_bytes, options->buffer_bytes, 0, NULL);
  if (natives[0] == INVALID_HANDLE_VALUE)
    return pier_error_from_system(GetLastError());
  natives[1] = iocp__open_pipe(name, options->message, &status);
  if (status != PIER_OK)
    CloseHandle(natives[0]);
  return status;
}

int port__pair_pipe(struct poller *poller, const struct pipe_name_options *options, pier_handle ends[2]) {
  HANDLE natives[2];
  struct handle *handles[2];
  pier_kind kind = options->message ? PIER_KIND_MESSAGE_PIPE : PIER_KIND_PIPE;
  int status = iocp__pair(options, natives);
  if (status != PIER_OK)
    return status;
  status = iocp__adopt_file(poller, natives[0], kind, &handles[0]);
  if (status != PIER_OK) {
    CloseHandle(natives[1]);
    return status;
  }
  status = iocp__adopt_file(poller, natives[1], kind, &handles[1]);
  if (status != PIER_OK) {
    handle__discard(handles[0]);
    return status;
  }
  ends[0] = handle__open(handles[0]);
  ends[1] = handle__open(handles[1]);
  return PIER_OK;
}
