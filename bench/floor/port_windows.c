#include "port.h"

#define ENTRIES_MAX 128
/* A handle whose data is always there already must not keep those on the port waiting for ever. */
#define READY_RUN_MAX 64

void floor_port_open(struct floor_port *port) {
  port->handle = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
  bench_check(port->handle != NULL, "CreateIoCompletionPort", (long long)GetLastError());
  port->ready_first = NULL;
  port->ready_last = &port->ready_first;
  port->pending = 0;
  port->stop = false;
}

void floor_port_add(const struct floor_port *port, HANDLE handle) {
  HANDLE same = CreateIoCompletionPort(handle, port->handle, 1, 0);
  bench_check(same == port->handle, "association", (long long)GetLastError());
  BOOL ok = SetFileCompletionNotificationModes(handle, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE);
  bench_check(ok, "SetFileCompletionNotificationModes", (long long)GetLastError());
}

void floor_port_started(struct floor_port *port, struct floor_operation *operation, bool ok, DWORD error, DWORD bytes) {
  if (!ok && error == ERROR_IO_PENDING) {
    port->pending++;
    return;
  }
  operation->ok = ok;
  operation->bytes = bytes;
  operation->next = NULL;
  *port->ready_last = operation;
  port->ready_last = &operation->next;
}

/* From a queue and not by recursion: an answer is often there before it is asked for, and the stack would not end. */
static void port__run_ready(struct floor_port *port) {
  for (int i = 0; port->ready_first != NULL && i < READY_RUN_MAX && !port->stop; i++) {
    struct floor_operation *operation = port->ready_first;
    port->ready_first = operation->next;
    if (port->ready_first == NULL) {
      port->ready_last = &port->ready_first;
    }
    operation->done(operation, operation->ok, operation->bytes);
  }
}

static void port__wait(struct floor_port *port) {
  OVERLAPPED_ENTRY entries[ENTRIES_MAX];
  ULONG count = 0;
  DWORD timeout = port->ready_first == NULL ? INFINITE : 0;
  /* More than can be there would have the port asked once too often: under Wine each entry is a call to the server. */
  ULONG wanted = port->pending < ENTRIES_MAX ? port->pending : ENTRIES_MAX;

  BOOL ok = GetQueuedCompletionStatusEx(port->handle, entries, wanted, &count, timeout, FALSE);
  bench_check(ok || GetLastError() == WAIT_TIMEOUT, "GetQueuedCompletionStatusEx", (long long)GetLastError());
  for (ULONG i = 0; ok && i < count; i++) {
    struct floor_operation *operation = (struct floor_operation *)(void *)entries[i].lpOverlapped;
    port->pending--;
    /* Wine leaves rubbish in the upper half of Internal. */
    operation->done(operation, (DWORD)operation->overlapped.Internal == 0, entries[i].dwNumberOfBytesTransferred);
  }
}

void floor_port_run(struct floor_port *port) {
  while (!port->stop) {
    port__run_ready(port);
    if (!port->stop && port->pending > 0) {
      port__wait(port);
    }
  }
}
