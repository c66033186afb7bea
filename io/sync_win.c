#include "sync.h"

#include "error.h"
#include "nt.h"
#include "system.h"

#include <stdatomic.h>


static INIT_ONCE sync_once = INIT_ONCE_STATIC_INIT;
static DWORD sync_slot = FLS_OUT_OF_INDEXES;

static void NTAPI sync__thread_ended(void *event) {
  if (event != NULL) {
    (void)CloseHandle((HANDLE)event);
  }
}

/* Fiber-local rather than thread-local storage: only that has a destructor, so that the event goes when its thread goes. */
static BOOL CALLBACK sync__start(INIT_ONCE *once, void *parameter, void **context) {
  HMODULE self;

  (void)once;
  (void)parameter;
  (void)context;
  /* As a DLL, the library has to stay loaded: a thread that ends after an unload would call a destructor that is gone. */
  (void)GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, (const wchar_t *)(uintptr_t)&sync_slot, &self);
  sync_slot = FlsAlloc(sync__thread_ended);
  return TRUE;
}

/* Manual-reset, because the end of an operation is looked at more than once; no right but those that the kernel and the wait need. */
static HANDLE sync__event(void) {
  (void)InitOnceExecuteOnce(&sync_once, sync__start, NULL, NULL);
  HANDLE event = FlsGetValue(sync_slot);

  if (event == NULL) {
    event = CreateEventExW(NULL, NULL, CREATE_EVENT_MANUAL_RESET, SYNCHRONIZE | EVENT_MODIFY_STATE);
    if (event != NULL && !FlsSetValue(sync_slot, event)) {
      (void)CloseHandle(event);
      event = NULL;
    }
  }
  return event;
}

int sync__begin(pier_native native, uint64_t timeout_ns, struct sync_call *call) {
  call->file = (HANDLE)native;
  call->until_ns = UINT64_MAX;
  if (native == PIER_NATIVE_NONE || native == 0) {
    return PIER_EBADF;
  }
  if (timeout_ns != PIER_NO_TIMEOUT) {
    uint64_t now_ns = clock__now_ns();
    uint32_t mode = 0;
    int status = nt__file_mode(call->file, &mode);
    if (status == PIER_EBADF) {
      return status;
    }
    /* A query that fails means blocking. A blocking call cannot be told to end from its own thread. */
    if (status != PIER_OK || (mode & (NT_FILE_SYNCHRONOUS_IO_ALERT | NT_FILE_SYNCHRONOUS_IO_NONALERT)) != 0) {
      return PIER_ENOTSUP;
    }
    if (timeout_ns < UINT64_MAX - now_ns) {
      call->until_ns = now_ns + timeout_ns;
    }
  }
  call->event = sync__event();
  return call->event != NULL ? PIER_OK : PIER_ENOMEM;
}

void sync__prepare(const struct sync_call *call, OVERLAPPED *overlapped, int64_t offset) {
  overlapped->Internal = SYNC_STATUS_PENDING;
  overlapped->InternalHigh = 0;
  overlapped->Offset = (DWORD)((uint64_t)offset & UINT32_MAX);
  overlapped->OffsetHigh = (DWORD)((uint64_t)offset >> 32);
  overlapped->hEvent = (HANDLE)((uintptr_t)call->event | 1);
}

/* The status in the OVERLAPPED, of which only 32 bits count; the byte count is valid once it is not pending. */
static uint32_t sync__status(const OVERLAPPED *overlapped) {
  uint32_t status = (uint32_t)*(const volatile ULONG_PTR *)&overlapped->Internal;

  atomic_thread_fence(memory_order_acquire);
  return status;
}

bool sync__is_pending(const OVERLAPPED *overlapped) { return sync__status(overlapped) == SYNC_STATUS_PENDING; }

/* Rounded up, so that the clock and not the wait decides that the time is up. */
static DWORD sync__left_ms(uint64_t until_ns) {
  if (until_ns == UINT64_MAX) {
    return INFINITE;
  }
  uint64_t now_ns = clock__now_ns();
  if (now_ns >= until_ns) {
    return 0;
  }
  uint64_t left_ms = (until_ns - now_ns + PIER_MILLISECOND - 1) / PIER_MILLISECOND;
  return left_ms < INFINITE - 1 ? (DWORD)left_ms : INFINITE - 1;
}

/* Stays until the kernel is done with the OVERLAPPED. Says whether the operation was asked to end because the time was up. */
static bool sync__wait(const struct sync_call *call, OVERLAPPED *overlapped) {
  bool cancelled = false;

  while (sync__status(overlapped) == SYNC_STATUS_PENDING) {
    DWORD left_ms = cancelled ? INFINITE : sync__left_ms(call->until_ns);
    if (left_ms == 0) {
      /* "Not found" means that it is just ending; in either case its end is waited for. */
      (void)CancelIoEx(call->file, overlapped);
      cancelled = true;
      continue;
    }
    DWORD woken = WaitForSingleObject(call->event, left_ms);
    if (woken == WAIT_OBJECT_0 && sync__status(overlapped) == SYNC_STATUS_PENDING) {
      /* The signal was a late one of the operation before, whose status was seen before its event was set. Nothing is lost: the status
       * is written before the event is set, and it is looked at again now. */
      (void)ResetEvent(call->event);
    } else if (woken == WAIT_FAILED) {
      /* Somebody closed a handle that was not his. The frame still may not end before the kernel is done with it. */
      Sleep(1);
    }
  }
  return cancelled;
}

struct sync_outcome sync__finish(const struct sync_call *call, OVERLAPPED *overlapped, DWORD error) {
  struct sync_outcome outcome = {PIER_OK, error, 0};
  bool cancelled = false;

  switch (error) {
  case ERROR_IO_PENDING:
    cancelled = sync__wait(call, overlapped);
    outcome.status = error__from_ntstatus(sync__status(overlapped), &outcome.system_code);
    outcome.bytes = (DWORD)overlapped->InternalHigh;
    break;
  case ERROR_SUCCESS:
  case ERROR_MORE_DATA:
  case WSAEMSGSIZE: /* a datagram was cut; of one that was too large to be sent the count is 0 */
    /* Finished inside the call: the kernel has written the count already. */
    outcome.status = pier_error_from_system(error);
    outcome.bytes = (DWORD)overlapped->InternalHigh;
    break;
  default:
    /* Refused: there is no operation, and nothing that could be waited for. */
    outcome.status = pier_error_from_system(error);
    break;
  }
  if (cancelled && outcome.status == PIER_ECANCELED) {
    outcome.status = PIER_ETIMEDOUT;
  }
  return outcome;
}

int sync__result(pier_sync_result *result, int status, uint32_t system_code, size_t bytes, bool end) {
  if (result != NULL) {
    result->status = status;
    result->system_code = status == PIER_OK ? 0 : system_code;
    result->bytes = bytes;
    result->end = end;
  }
  return status;
}
