/* The core of the sync path on Windows: one thread's event, and the one way in which a call is finished; private to the library. */
#ifndef PIER_SYNC_PRIVATE_H
#define PIER_SYNC_PRIVATE_H

#include "pier_sync.h"
#include <winsock2.h>
#include <windows.h>

#define SYNC_STATUS_PENDING 0x103u

/* The most that one system call moves: its lengths are DWORDs, and some drivers add to them. */
#define SYNC_CALL_BYTES_MAX ((DWORD)1 << 30)

/* For an offset: from the system's position of a file that has one. It is FILE_USE_FILE_POINTER_POSITION, which the kernel itself
 * replaces on a handle that is not overlapped, refuses on an overlapped file, and ignores on pipes and sockets: so one
 * call serves them all and nobody needs to ask first what the handle is. */
#define SYNC_AT_POSITION ((int64_t)-2)

/* One sync call of the user's, which may be several of the system's. */
struct sync_call {
  HANDLE file;
  HANDLE event;      /* the thread's own */
  uint64_t until_ns; /* of clock__now_ns(); UINT64_MAX: without limit */
};

/* What one system call did. */
struct sync_outcome {
  int status;
  uint32_t system_code;
  DWORD bytes;
};

enum sync_way { SYNC_READ, SYNC_WRITE };

/* Checks the handle, starts the clock, has the thread's event ready. With a finite timeout the handle is asked how it was opened
 * (one system call); PIER_ENOTSUP if it is blocking. */
int sync__begin(pier_native native, uint64_t timeout_ns, struct sync_call *call);

/* Clears the OVERLAPPED and tags the event in it: no completion port will see the operation. */
void sync__prepare(const struct sync_call *call, OVERLAPPED *overlapped, int64_t offset);

/* Ends a system call that was given `overlapped`; `error` is ERROR_SUCCESS or its last error. When this returns, the kernel is done
 * with the OVERLAPPED and the buffer, whatever the outcome. PIER_ETIMEDOUT if the time was up and the cancel won. */
struct sync_outcome sync__finish(const struct sync_call *call, OVERLAPPED *overlapped, DWORD error);

/* Whether the kernel has not written its last word yet. */
bool sync__is_pending(const OVERLAPPED *overlapped);

/* Files on a system that ends their I/O inside the call and yet says "pending" (sync_inside_win.c): whether this is one, what one
 * call says about it, and a read or write at a position of a file on such a system. */
bool sync_inside__is_trusted(void);
void sync_inside__note(bool was_over);
struct sync_outcome sync_inside__transfer(const struct sync_call *call, enum sync_way way, void *buffer, DWORD length, int64_t offset);

/* Fills in the user's result, if he wants one, and gives the status. */
int sync__result(pier_sync_result *result, int status, uint32_t system_code, size_t bytes, bool end);

/* Reads into one buffer, or writes all of one, by as many system calls as it takes. `done` is filled in, its status returned. */
int sync__read(const struct sync_call *call, void *buffer, size_t length, int64_t offset, pier_sync_result *done);
int sync__write(const struct sync_call *call, const void *buffer, size_t length, int64_t offset, pier_sync_result *done);

/* PIER_OK if the handle has positions, PIER_ESPIPE if not, PIER_EBADF if it is none. */
int sync__has_positions(HANDLE file);

#endif
