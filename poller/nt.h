/* The functions that not every Windows (and no Wine) has, through one table; private to the library. */
#ifndef PIER_POLLER_NT_H
#define PIER_POLLER_NT_H

#include <stdint.h>
#include <winsock2.h>
#include <windows.h>

#ifndef _NTDEF_
typedef LONG NTSTATUS;
#endif

#define NT_STATUS_SUCCESS ((NTSTATUS)0)
#define NT_STATUS_PENDING ((NTSTATUS)0x103)
#define NT_STATUS_NOT_IMPLEMENTED ((NTSTATUS)0xC0000002)

/* FileModeInformation: either of them means that the handle was not opened for overlapped I/O. */
#define NT_FILE_SYNCHRONOUS_IO_ALERT 0x10u
#define NT_FILE_SYNCHRONOUS_IO_NONALERT 0x20u

/* IO_STATUS_BLOCK without <winternl.h>, which the compilers do not agree on. */
struct nt_io_status {
  uintptr_t status;
  uintptr_t information;
};

/* Every pointer is set: what the system lacks fails with NT_STATUS_NOT_IMPLEMENTED, or with ERROR_CALL_NOT_IMPLEMENTED
 * as the last error. */
struct nt_table {
  NTSTATUS(NTAPI *read_file)(HANDLE file, HANDLE event, void *apc, void *apc_context, struct nt_io_status *io, void *buffer, ULONG length_bytes,
                             LARGE_INTEGER *offset, ULONG *key);
  NTSTATUS(NTAPI *write_file)(HANDLE file, HANDLE event, void *apc, void *apc_context, struct nt_io_status *io, void *buffer, ULONG length_bytes,
                              LARGE_INTEGER *offset, ULONG *key);
  NTSTATUS(NTAPI *query_information_file)(HANDLE file, struct nt_io_status *io, void *information, ULONG length_bytes, ULONG file_class);
  NTSTATUS(NTAPI *set_information_file)(HANDLE file, struct nt_io_status *io, void *information, ULONG length_bytes, ULONG file_class);
  /* Every Windows has it; it is here so that what cannot be taken off its port can be played (see nt__replace_completion()). */
  HANDLE(WINAPI *create_io_completion_port)(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads);
  NTSTATUS(NTAPI *create_wait_completion_packet)(HANDLE *packet, ACCESS_MASK access, void *attributes);
  NTSTATUS(NTAPI *associate_wait_completion_packet)(HANDLE packet, HANDLE port, HANDLE target, void *key, void *overlapped, NTSTATUS status,
                                                    ULONG_PTR information, BOOLEAN *already_signalled);
  NTSTATUS(NTAPI *cancel_wait_completion_packet)(HANDLE packet, BOOLEAN remove_signalled_packet);
  ULONG(NTAPI *rtl_nt_status_to_dos_error)(NTSTATUS status);
  HANDLE(WINAPI *create_waitable_timer_ex)(SECURITY_ATTRIBUTES *security, const wchar_t *name, DWORD flags, DWORD access);
  BOOL(WINAPI *set_file_completion_notification_modes)(HANDLE file, UCHAR modes);
};

/* The table; filled by the first call. Any thread. */
const struct nt_table *nt(void);

/* For tests: has `stand_in` used from now on, or the system's own table again with null. Not while another thread is at work. */
void nt__replace(const struct nt_table *stand_in);

/* The system's own table, whatever stands in for it: for a test to copy and change. */
const struct nt_table *nt__system(void);

/* How a handle was opened (FileModeInformation, class 16). A status of pier_error.h; a failed query leaves *mode alone. May hang
 * while another thread is inside a blocking call on the same handle: never call it with a lock held. */
int nt__file_mode(HANDLE file, uint32_t *mode);

/* The handle's FILE_SKIP_... modes (FileIoCompletionNotificationInformation, class 41). */
int nt__completion_modes(HANDLE file, uint32_t *modes);

/* Puts a handle on another port, or, with null, on none (FileReplaceCompletionInformation, class 61). PIER_ENOTSUP before Windows 8.1;
 * PIER_EBUSY while calls are in flight on it, whoever made them. */
int nt__replace_completion(HANDLE file, HANDLE port, ULONG_PTR key);

#endif
