/* Stand-ins for the system's functions on Windows. The library calls them through pointers of the import table, "__imp_" and the
 * name; objcopy has it look for them under "faulty_" and the name. The C library's own are called directly. */
#include <winsock2.h>

#include <windows.h>

#include <process.h>
#include <stdlib.h>

#include "fault_verdict.h"

static const int fault__usuals[FAULT_CALLS] = {
    [FAULT_MEMORY] = ERROR_NOT_ENOUGH_MEMORY,
    [FAULT_MAP] = ERROR_COMMITMENT_LIMIT,
    [FAULT_THREAD] = ERROR_MAX_THRDS_REACHED,
    [FAULT_EVENT] = ERROR_NO_SYSTEM_RESOURCES,
    [FAULT_WAITER] = ERROR_NO_SYSTEM_RESOURCES,
    [FAULT_SET] = ERROR_NO_SYSTEM_RESOURCES,
    [FAULT_WATCH] = ERROR_NO_SYSTEM_RESOURCES,
    [FAULT_WAIT] = WAIT_TIMEOUT,
    [FAULT_POST] = ERROR_NO_SYSTEM_RESOURCES,
    [FAULT_SOCKET] = WSAEMFILE,
    [FAULT_BIND] = WSAEADDRINUSE,
    [FAULT_LISTEN] = WSAEADDRINUSE,
    [FAULT_NAME] = WSAENOBUFS,
    [FAULT_OPTION] = WSAENOBUFS,
    [FAULT_OPEN] = ERROR_TOO_MANY_OPEN_FILES,
    [FAULT_STAT] = ERROR_IO_DEVICE,
    [FAULT_RESIZE] = ERROR_IO_DEVICE,
    [FAULT_FLUSH] = ERROR_IO_DEVICE,
    [FAULT_CONTROL] = ERROR_NO_SYSTEM_RESOURCES,
    [FAULT_SHUTDOWN] = WSAENOTCONN,
    [FAULT_ACCEPT] = ERROR_NO_SYSTEM_RESOURCES,
    [FAULT_RECEIVE] = WSAECONNRESET,
    [FAULT_SEND] = WSAECONNRESET,
    [FAULT_READ] = ERROR_NO_SYSTEM_RESOURCES,
    [FAULT_WRITE] = ERROR_NO_SYSTEM_RESOURCES,
};

int fault__usual(fault_call call) {
  return fault__usuals[call];
}

bool fault__fails(fault_call call) {
  size_t room;
  int code = fault__verdict(call, &room);
  if (code)
    SetLastError((DWORD)code); /* Winsock's is the same one */
  return code != 0;
}

/* ---- Memory and threads ---- */

static void *fault__taken(void *block) {
  if (block)
    fault__hold(1);
  return block;
}

void *faulty_malloc(size_t bytes) {
  return fault__fails(FAULT_MEMORY) ? NULL : fault__taken(malloc(bytes));
}

void *faulty_calloc(size_t count, size_t bytes) {
  return fault__fails(FAULT_MEMORY) ? NULL : fault__taken(calloc(count, bytes));
}

void *faulty_realloc(void *block, size_t bytes) {
  if (fault__fails(FAULT_MEMORY))
    return NULL;
  return block ? realloc(block, bytes) : fault__taken(malloc(bytes));
}

void faulty_free(void *block) {
  if (block)
    fault__hold(-1);
  free(block);
}

static void *WINAPI fault__VirtualAlloc(void *address, SIZE_T bytes, DWORD type, DWORD protection) {
  if (fault__fails(FAULT_MAP))
    return NULL;
  void *mapped = VirtualAlloc(address, bytes, type, protection);
  return type & MEM_RESERVE ? fault__taken(mapped) : mapped;
}

static BOOL WINAPI fault__VirtualFree(void *address, SIZE_T bytes, DWORD type) {
  fault__hold(-1);
  return VirtualFree(address, bytes, type);
}

static uintptr_t __cdecl fault___beginthreadex(void *security, unsigned stack_bytes, unsigned(__stdcall *run)(void *), void *argument,
                                               unsigned flags, unsigned *id) {
  return fault__fails(FAULT_THREAD) ? 0 : _beginthreadex(security, stack_bytes, run, argument, flags, id);
}

/* ---- The port ---- */

static HANDLE WINAPI fault__CreateIoCompletionPort(HANDLE handle, HANDLE port, ULONG_PTR key, DWORD threads) {
  return fault__fails(handle == INVALID_HANDLE_VALUE ? FAULT_SET : FAULT_WATCH) ? NULL : CreateIoCompletionPort(handle, port, key, threads);
}

static BOOL WINAPI fault__GetQueuedCompletionStatusEx(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG max, ULONG *count, DWORD timeout_ms, BOOL alertable) {
  return fault__fails(FAULT_WAIT) ? FALSE : GetQueuedCompletionStatusEx(port, entries, max, count, timeout_ms, alertable);
}

static BOOL WINAPI fault__PostQueuedCompletionStatus(HANDLE port, DWORD bytes, ULONG_PTR key, OVERLAPPED *overlapped) {
  return fault__fails(FAULT_POST) ? FALSE : PostQueuedCompletionStatus(port, bytes, key, overlapped);
}

static HANDLE WINAPI fault__CreateEventExW(SECURITY_ATTRIBUTES *security, const wchar_t *name, DWORD flags, DWORD access) {
  return fault__fails(FAULT_EVENT) ? NULL : CreateEventExW(security, name, flags, access);
}

static BOOL WINAPI fault__RegisterWaitForSingleObject(HANDLE *wait, HANDLE object, WAITORTIMERCALLBACK callback, void *context, ULONG timeout_ms, ULONG flags) {
  return fault__fails(FAULT_WAITER) ? FALSE : RegisterWaitForSingleObject(wait, object, callback, context, timeout_ms, flags);
}

/* ---- Files and pipes ---- */

static HANDLE WINAPI fault__CreateFileW(const wchar_t *path, DWORD access, DWORD share, SECURITY_ATTRIBUTES *security, DWORD how, DWORD flags, HANDLE pattern) {
  return fault__fails(FAULT_OPEN) ? INVALID_HANDLE_VALUE : CreateFileW(path, access, share, security, how, flags, pattern);
}

static HANDLE WINAPI fault__CreateNamedPipeW(const wchar_t *name, DWORD mode, DWORD type, DWORD instances, DWORD out_bytes, DWORD in_bytes, DWORD timeout_ms,
                                             SECURITY_ATTRIBUTES *security) {
  return fault__fails(FAULT_OPEN) ? INVALID_HANDLE_VALUE : CreateNamedPipeW(name, mode, type, instances, out_bytes, in_bytes, timeout_ms, security);
}

static BOOL WINAPI fault__ConnectNamedPipe(HANDLE pipe, OVERLAPPED *overlapped) {
  return fault__fails(FAULT_ACCEPT) ? FALSE : ConnectNamedPipe(pipe, overlapped);
}

static BOOL WINAPI fault__ReadFile(HANDLE file, void *buffer, DWORD bytes, DWORD *read, OVERLAPPED *overlapped) {
  return fault__fails(FAULT_READ) ? FALSE : ReadFile(file, buffer, bytes, read, overlapped);
}

static BOOL WINAPI fault__WriteFile(HANDLE file, const void *buffer, DWORD bytes, DWORD *written, OVERLAPPED *overlapped) {
  return fault__fails(FAULT_WRITE) ? FALSE : WriteFile(file, buffer, bytes, written, overlapped);
}

static BOOL WINAPI fault__GetFileSizeEx(HANDLE file, LARGE_INTEGER *bytes) {
  return fault__fails(FAULT_STAT) ? FALSE : GetFileSizeEx(file, bytes);
}

static BOOL WINAPI fault__SetFileInformationByHandle(HANDLE file, FILE_INFO_BY_HANDLE_CLASS about, void *information, DWORD bytes) {
  return fault__fails(FAULT_RESIZE) ? FALSE : SetFileInformationByHandle(file, about, information, bytes);
}

static BOOL WINAPI fault__FlushFileBuffers(HANDLE file) {
  return fault__fails(FAULT_FLUSH) ? FALSE : FlushFileBuffers(file);
}

static BOOL WINAPI fault__DeviceIoControl(HANDLE device, DWORD code, void *in, DWORD in_bytes, void *out, DWORD out_bytes, DWORD *returned, OVERLAPPED *overlapped) {
  return fault__fails(FAULT_CONTROL) ? FALSE : DeviceIoControl(device, code, in, in_bytes, out, out_bytes, returned, overlapped);
}

/* ---- Sockets ---- */

static SOCKET WINAPI fault__WSASocketW(int family, int type, int protocol, WSAPROTOCOL_INFOW *info, GROUP group, DWORD flags) {
  return fault__fails(FAULT_SOCKET) ? INVALID_SOCKET : WSASocketW(family, type, protocol, info, group, flags);
}

static int WINAPI fault__bind(SOCKET socket, const struct sockaddr *address, int length) {
  return fault__fails(FAULT_BIND) ? SOCKET_ERROR : bind(socket, address, length);
}

static int WINAPI fault__listen(SOCKET socket, int backlog) {
  return fault__fails(FAULT_LISTEN) ? SOCKET_ERROR : listen(socket, backlog);
}

static int WINAPI fault__getsockname(SOCKET socket, struct sockaddr *address, int *length) {
  return fault__fails(FAULT_NAME) ? SOCKET_ERROR : getsockname(socket, address, length);
}

static int WINAPI fault__getpeername(SOCKET socket, struct sockaddr *address, int *length) {
  return fault__fails(FAULT_NAME) ? SOCKET_ERROR : getpeername(socket, address, length);
}

static int WINAPI fault__getsockopt(SOCKET socket, int level, int name, char *value, int *length) {
  return fault__fails(FAULT_OPTION) ? SOCKET_ERROR : getsockopt(socket, level, name, value, length);
}

static int WINAPI fault__setsockopt(SOCKET socket, int level, int name, const char *value, int length) {
  return fault__fails(FAULT_OPTION) ? SOCKET_ERROR : setsockopt(socket, level, name, value, length);
}

static int WINAPI fault__shutdown(SOCKET socket, int how) {
  return fault__fails(FAULT_SHUTDOWN) ? SOCKET_ERROR : shutdown(socket, how);
}

static int WINAPI fault__WSAIoctl(SOCKET socket, DWORD code, void *in, DWORD in_bytes, void *out, DWORD out_bytes, DWORD *returned, WSAOVERLAPPED *overlapped,
                                  LPWSAOVERLAPPED_COMPLETION_ROUTINE routine) {
  return fault__fails(FAULT_CONTROL) ? SOCKET_ERROR : WSAIoctl(socket, code, in, in_bytes, out, out_bytes, returned, overlapped, routine);
}

static int WINAPI fault__WSARecv(SOCKET socket, WSABUF *parts, DWORD count, DWORD *received, DWORD *flags, WSAOVERLAPPED *overlapped,
                                 LPWSAOVERLAPPED_COMPLETION_ROUTINE routine) {
  return fault__fails(FAULT_RECEIVE) ? SOCKET_ERROR : WSARecv(socket, parts, count, received, flags, overlapped, routine);
}

static int WINAPI fault__WSASend(SOCKET socket, WSABUF *parts, DWORD count, DWORD *sent, DWORD flags, WSAOVERLAPPED *overlapped,
                                 LPWSAOVERLAPPED_COMPLETION_ROUTINE routine) {
  return fault__fails(FAULT_SEND) ? SOCKET_ERROR : WSASend(socket, parts, count, sent, flags, overlapped, routine);
}

static int WINAPI fault__WSARecvFrom(SOCKET socket, WSABUF *parts, DWORD count, DWORD *received, DWORD *flags, struct sockaddr *from, int *length,
                                     WSAOVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine) {
  return fault__fails(FAULT_RECEIVE) ? SOCKET_ERROR : WSARecvFrom(socket, parts, count, received, flags, from, length, overlapped, routine);
}

static int WINAPI fault__WSASendTo(SOCKET socket, WSABUF *parts, DWORD count, DWORD *sent, DWORD flags, const struct sockaddr *to, int length,
                                   WSAOVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine) {
  return fault__fails(FAULT_SEND) ? SOCKET_ERROR : WSASendTo(socket, parts, count, sent, flags, to, length, overlapped, routine);
}

/* ---- In place of the import table ---- */

#define FAULTY(name) void *faulty_##name = (void *)(uintptr_t)fault__##name;
FAULTY(VirtualAlloc)
FAULTY(VirtualFree)
FAULTY(_beginthreadex)
FAULTY(CreateIoCompletionPort)
FAULTY(GetQueuedCompletionStatusEx)
FAULTY(PostQueuedCompletionStatus)
FAULTY(CreateEventExW)
FAULTY(RegisterWaitForSingleObject)
FAULTY(CreateFileW)
FAULTY(CreateNamedPipeW)
FAULTY(ConnectNamedPipe)
FAULTY(ReadFile)
FAULTY(WriteFile)
FAULTY(GetFileSizeEx)
FAULTY(SetFileInformationByHandle)
FAULTY(FlushFileBuffers)
FAULTY(DeviceIoControl)
FAULTY(WSASocketW)
FAULTY(bind)
FAULTY(listen)
FAULTY(getsockname)
FAULTY(getpeername)
FAULTY(getsockopt)
FAULTY(setsockopt)
FAULTY(shutdown)
FAULTY(WSAIoctl)
FAULTY(WSARecv)
FAULTY(WSASend)
FAULTY(WSARecvFrom)
FAULTY(WSASendTo)
