#include "nt.h"
#include "error.h"

#include <stdatomic.h>

enum {
  NT_CLASS_MODE = 16,
  NT_CLASS_COMPLETION_NOTIFICATION = 41,
  NT_CLASS_REPLACE_COMPLETION = 61
};

/* FILE_COMPLETION_INFORMATION */
struct nt_completion {
  HANDLE port;
  ULONG_PTR key;
};

static NTSTATUS NTAPI missing__transfer(HANDLE file, HANDLE event, void *apc, void *apc_context, struct nt_io_status *io, void *buffer,
                                        ULONG length_bytes, LARGE_INTEGER *offset, ULONG *key) {
  (void)file;
  (void)event;
  (void)apc;
  (void)apc_context;
  (void)io;
  (void)buffer;
  (void)length_bytes;
  (void)offset;
  (void)key;
  return NT_STATUS_NOT_IMPLEMENTED;
}

static NTSTATUS NTAPI missing__file_information(HANDLE file, struct nt_io_status *io, void *information, ULONG length_bytes, ULONG file_class) {
  (void)file;
  (void)io;
  (void)information;
  (void)length_bytes;
  (void)file_class;
  return NT_STATUS_NOT_IMPLEMENTED;
}

static NTSTATUS NTAPI missing__create_packet(HANDLE *packet, ACCESS_MASK access, void *attributes) {
  (void)access;
  (void)attributes;
  *packet = NULL;
  return NT_STATUS_NOT_IMPLEMENTED;
}

static NTSTATUS NTAPI missing__associate_packet(HANDLE packet, HANDLE port, HANDLE target, void *key, void *overlapped, NTSTATUS status,
                                                ULONG_PTR information, BOOLEAN *already_signalled) {
  (void)packet;
  (void)port;
  (void)target;
  (void)key;
  (void)overlapped;
  (void)status;
  (void)information;
  (void)already_signalled;
  return NT_STATUS_NOT_IMPLEMENTED;
}

static NTSTATUS NTAPI missing__cancel_packet(HANDLE packet, BOOLEAN remove_signalled_packet) {
  (void)packet;
  (void)remove_signalled_packet;
  return NT_STATUS_NOT_IMPLEMENTED;
}

static ULONG NTAPI missing__dos_error(NTSTATUS status) {
  (void)status;
  return ERROR_MR_MID_NOT_FOUND;
}

static HANDLE WINAPI missing__timer(SECURITY_ATTRIBUTES *security, const wchar_t *name, DWORD flags, DWORD access) {
  (void)security;
  (void)name;
  (void)flags;
  (void)access;
  SetLastError(ERROR_CALL_NOT_IMPLEMENTED);
  return NULL;
}

static BOOL WINAPI missing__modes(HANDLE file, UCHAR modes) {
  (void)file;
  (void)modes;
  SetLastError(ERROR_CALL_NOT_IMPLEMENTED);
  return FALSE;
}

static struct nt_table nt_own = {
    missing__transfer,      missing__transfer,        missing__file_information, missing__file_information, NULL,
    missing__create_packet, missing__associate_packet, missing__cancel_packet,   missing__dos_error,        missing__timer,
    missing__modes,
};
static INIT_ONCE nt_once = INIT_ONCE_STATIC_INIT;
static _Atomic(const struct nt_table *) nt_current;

/* A pointer to any function: the one type that all compilers let be cast to every other without a word. */
typedef void (*nt_function)(void);

static BOOL CALLBACK nt__fill(INIT_ONCE *once, void *parameter, void **context) {
  HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
  HMODULE kernel = GetModuleHandleW(L"kernel32.dll");
  nt_function found;

  (void)once;
  (void)parameter;
  (void)context;
#define NT_FIND(module, member, type, name)                   \
  found = (nt_function)GetProcAddress(module, name);          \
  if (found != NULL) {                                        \
    nt_own.member = (type)found;                              \
  }
  typedef NTSTATUS(NTAPI * file_information)(HANDLE, struct nt_io_status *, void *, ULONG, ULONG);
  typedef NTSTATUS(NTAPI * create_packet)(HANDLE *, ACCESS_MASK, void *);
  typedef NTSTATUS(NTAPI * associate_packet)(HANDLE, HANDLE, HANDLE, void *, void *, NTSTATUS, ULONG_PTR, BOOLEAN *);
  typedef NTSTATUS(NTAPI * cancel_packet)(HANDLE, BOOLEAN);
  typedef ULONG(NTAPI * dos_error)(NTSTATUS);
  typedef HANDLE(WINAPI * timer)(SECURITY_ATTRIBUTES *, const wchar_t *, DWORD, DWORD);
  typedef BOOL(WINAPI * modes)(HANDLE, UCHAR);
  typedef NTSTATUS(NTAPI * transfer)(HANDLE, HANDLE, void *, void *, struct nt_io_status *, void *, ULONG, LARGE_INTEGER *, ULONG *);
  NT_FIND(ntdll, read_file, transfer, "NtReadFile")
  NT_FIND(ntdll, write_file, transfer, "NtWriteFile")
  NT_FIND(ntdll, query_information_file, file_information, "NtQueryInformationFile")
  NT_FIND(ntdll, set_information_file, file_information, "NtSetInformationFile")
  NT_FIND(ntdll, create_wait_completion_packet, create_packet, "NtCreateWaitCompletionPacket")
  NT_FIND(ntdll, associate_wait_completion_packet, associate_packet, "NtAssociateWaitCompletionPacket")
  NT_FIND(ntdll, cancel_wait_completion_packet, cancel_packet, "NtCancelWaitCompletionPacket")
  NT_FIND(ntdll, rtl_nt_status_to_dos_error, dos_error, "RtlNtStatusToDosError")
  NT_FIND(kernel, create_waitable_timer_ex, timer, "CreateWaitableTimerExW")
  NT_FIND(kernel, set_file_completion_notification_modes, modes, "SetFileCompletionNotificationModes")
#undef NT_FIND
  nt_own.create_io_completion_port = CreateIoCompletionPort;
  return TRUE;
}

const struct nt_table *nt__system(void) {
  (void)InitOnceExecuteOnce(&nt_once, nt__fill, NULL, NULL);
  return &nt_own;
}

const struct nt_table *nt(void) {
  const struct nt_table *table = atomic_load_explicit(&nt_current, memory_order_acquire);

  if (table == NULL) {
    const struct nt_table *nothing = NULL;
    table = nt__system();
    /* A stand-in that came in between stays. */
    if (!atomic_compare_exchange_strong(&nt_current, &nothing, table)) {
      table = nothing;
    }
  }
  return table;
}

void nt__replace(const struct nt_table *stand_in) {
  atomic_store(&nt_current, stand_in != NULL ? stand_in : nt__system());
}

int nt__file_mode(HANDLE file, uint32_t *mode) {
  struct nt_io_status io = {0, 0};
  ULONG value = 0;
  NTSTATUS status = nt()->query_information_file(file, &io, &value, sizeof value, NT_CLASS_MODE);

  if (status != NT_STATUS_SUCCESS) {
    return error__from_ntstatus((uint32_t)status, NULL);
  }
  *mode = value;
  return PIER_OK;
}

int nt__completion_modes(HANDLE file, uint32_t *modes) {
  struct nt_io_status io = {0, 0};
  ULONG value = 0;
  NTSTATUS status = nt()->query_information_file(file, &io, &value, sizeof value, NT_CLASS_COMPLETION_NOTIFICATION);

  if (status != NT_STATUS_SUCCESS) {
    return error__from_ntstatus((uint32_t)status, NULL);
  }
  *modes = value;
  return PIER_OK;
}

int nt__replace_completion(HANDLE file, HANDLE port, ULONG_PTR key) {
  struct nt_io_status io = {0, 0};
  struct nt_completion completion = {port, key};
  NTSTATUS status = nt()->set_information_file(file, &io, &completion, sizeof completion, NT_CLASS_REPLACE_COMPLETION);

  /* A Windows that does not know the class says STATUS_INVALID_INFO_CLASS, Wine STATUS_NOT_IMPLEMENTED. */
  if (status == (NTSTATUS)0xC0000003 || status == NT_STATUS_NOT_IMPLEMENTED) {
    return PIER_ENOTSUP;
  }
  if (status == (NTSTATUS)0xC0000001) { /* STATUS_UNSUCCESSFUL: calls of somebody's are in flight */
    return PIER_EBUSY;
  }
  return error__from_ntstatus((uint32_t)status, NULL);
}
