/* Files on a system that ends their I/O inside the call and yet says "pending": see poller/iocp_inside.c, of which this is the sync
   path's side. What is learnt here holds for the process, as there is no handle of Pier's to keep it with. */
#include "sync.h"

#include "error.h"
#include "nt.h"
#include "system.h"

#include <stdatomic.h>

#define INSIDE_TRUSTED 64u
#define INSIDE_NEVER UINT32_MAX

static _Atomic uint32_t inside_seen;

bool sync_inside__is_trusted(void) {
  uint32_t seen = atomic_load_explicit(&inside_seen, memory_order_relaxed);
  return seen >= INSIDE_TRUSTED && seen != INSIDE_NEVER;
}

void sync_inside__note(bool was_over) {
  uint32_t seen = atomic_load_explicit(&inside_seen, memory_order_relaxed);
  if (seen < INSIDE_TRUSTED) /* threads that race may lose a count: it is only a hint */
    atomic_store_explicit(&inside_seen, was_over ? seen + 1 : 0, memory_order_relaxed);
}

/* It is pending after all. No event was given, so the kernel signals the file, for any operation on it: a hint to look again. */
static bool sync_inside__await(const struct sync_call *call, OVERLAPPED *overlapped) {
  bool cancelled = false;
  atomic_store_explicit(&inside_seen, INSIDE_NEVER, memory_order_relaxed);
  while (sync__is_pending(overlapped)) {
    if (!cancelled && call->until_ns != UINT64_MAX && clock__now_ns() >= call->until_ns) {
      (void)CancelIoEx(call->file, overlapped);
      cancelled = true;
    }
    if (WaitForSingleObject(call->file, 1) != WAIT_TIMEOUT && sync__is_pending(overlapped))
      Sleep(1); /* signalled for something else, and it may stay so */
  }
  return cancelled;
}

struct sync_outcome sync_inside__transfer(const struct sync_call *call, enum sync_way way, void *buffer, DWORD length, int64_t offset) {
  struct sync_outcome outcome = {PIER_OK, ERROR_SUCCESS, 0};
  OVERLAPPED overlapped;
  LARGE_INTEGER at;
  bool cancelled = false;
  sync__prepare(call, &overlapped, offset);
  struct nt_io_status *io = (struct nt_io_status *)(void *)&overlapped;
  at.QuadPart = offset;
  /* Neither event nor completion context: no port hears of it, and nothing has to be signalled. */
  NTSTATUS status = way == SYNC_READ ? nt()->read_file(call->file, NULL, NULL, NULL, io, buffer, length, &at, NULL)
                                     : nt()->write_file(call->file, NULL, NULL, NULL, io, buffer, length, &at, NULL);
  if (sync__is_pending(&overlapped) && status != (NTSTATUS)SYNC_STATUS_PENDING) { /* refused, with nothing written */
    outcome.status = error__from_ntstatus((uint32_t)status, &outcome.system_code);
    return outcome;
  }
  if (sync__is_pending(&overlapped))
    cancelled = sync_inside__await(call, &overlapped);
  outcome.status = error__from_ntstatus((uint32_t)overlapped.Internal, &outcome.system_code);
  outcome.bytes = (DWORD)overlapped.InternalHigh;
  if (cancelled && outcome.status == PIER_ECANCELED)
    outcome.status = PIER_ETIMEDOUT;
  return outcome;
}
