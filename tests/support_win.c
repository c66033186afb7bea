/* Winsock's headers want to come before those of Windows. */
#include <winsock2.h>
#include <ws2tcpip.h>

#include <windows.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "standin_win.h"
#include "support.h"

const bool support__windows = true;
#ifndef SUPPORT_PATIENCE
#define SUPPORT_PATIENCE 1
#endif
unsigned support__patience = SUPPORT_PATIENCE;

struct support_thread {
  HANDLE native;
  void (*function)(void *context);
  void *context;
};

struct support_event {
  HANDLE native;
};

static HANDLE support__signalled;
static HANDLE support__watch_changed;
static atomic_ullong support__watch_end_ns;
static _Atomic(const char *) support__watch_name;

static DWORD support__milliseconds(uint64_t timeout_ns) {
  uint64_t rounded_up = timeout_ns / PIER_MILLISECOND + (timeout_ns % PIER_MILLISECOND != 0);
  return rounded_up >= INFINITE ? INFINITE : (DWORD)rounded_up;
}

static DWORD WINAPI support__watchdog(void *context) {
  (void)context;
  for (bool on_time = true; on_time;) {
    /* The name first: the time that goes with it is set before it is. */
    const char *name = atomic_load(&support__watch_name);
    uint64_t end_ns = atomic_load(&support__watch_end_ns);
    uint64_t now_ns = pier_now_ns();
    if (name && now_ns >= end_ns) {
      printf("watchdog: %s did not end in time\n", name);
      TerminateProcess(GetCurrentProcess(), 99);
      on_time = false;
    }
    WaitForSingleObject(support__watch_changed, name && on_time ? support__milliseconds(end_ns - now_ns) : INFINITE);
  }
  return 0;
}

void support__watch(const char *name, uint64_t limit_ns) {
  atomic_store(&support__watch_name, NULL);
  atomic_store(&support__watch_end_ns, pier_now_ns() + limit_ns);
  atomic_store(&support__watch_name, name);
  SetEvent(support__watch_changed);
}

void support__os_begin(void) {
  /* A crash is to end the program at once, without a box or a debugger. */
  SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
  WSADATA data;
  if (WSAStartup(MAKEWORD(2, 2), &data))
    exit(98);
  support__signalled = CreateEventW(NULL, FALSE, FALSE, NULL);
  support__watch_changed = CreateEventW(NULL, FALSE, FALSE, NULL);
  HANDLE thread = CreateThread(NULL, 0, support__watchdog, NULL, 0, NULL);
  if (!support__signalled || !support__watch_changed || !thread)
    exit(98);
  CloseHandle(thread);
  standin__begin();
}

void support__signal_os(void) {
  SetEvent(support__signalled);
}

bool support__signal_wait_os(uint64_t timeout_ns) {
  return WaitForSingleObject(support__signalled, support__milliseconds(timeout_ns)) == WAIT_OBJECT_0;
}

static DWORD WINAPI support__thread_main(void *context) {
  support_thread *thread = context;
  thread->function(thread->context);
  return 0;
}

support_thread *support__thread_start(void (*function)(void *context), void *context) {
  support_thread *thread = support__alloc(sizeof *thread);
  thread->function = function;
  thread->context = context;
  thread->native = CreateThread(NULL, 0, support__thread_main, thread, 0, NULL);
  assert_non_null(thread->native);
  return thread;
}

void support__thread_join(support_thread *thread) {
  WaitForSingleObject(thread->native, INFINITE);
  CloseHandle(thread->native);
}

uintptr_t support__thread_id(void) {
  return GetCurrentThreadId();
}

void support__yield(void) {
  SwitchToThread();
}

support_event *support__event_open(void) {
  support_event *event = support__alloc(sizeof *event);
  event->native = CreateEventW(NULL, TRUE, FALSE, NULL);
  assert_non_null(event->native);
  return event;
}

void support__event_set(support_event *event) {
  SetEvent(event->native);
}

void support__event_reset(support_event *event) {
  ResetEvent(event->native);
}

bool support__event_wait(support_event *event, uint64_t timeout_ns) {
  return WaitForSingleObject(event->native, support__milliseconds(timeout_ns)) == WAIT_OBJECT_0;
}

void support__event_close(support_event *event) {
  CloseHandle(event->native);
}

bool support__is_wine(void) {
  return GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version") != NULL;
}

unsigned long support__process_id(void) {
  return GetCurrentProcessId();
}

void support__remove_file(const char *path) {
  DeleteFileA(path);
}

void support__temp_folder(char *path, size_t length) {
  DWORD used = GetTempPathA((DWORD)length, path);
  assert_true(used > 0 && used < length);
}

/* What SystemExtendedHandleInformation (64) gives: a count, then one entry for each handle of each process. */
typedef struct support_handle_entry {
  void *object;
  ULONG_PTR process;
  ULONG_PTR handle;
  ULONG access;
  USHORT trace;
  USHORT type;
  ULONG attributes;
  ULONG reserved;
} support_handle_entry;

typedef struct support_handle_table {
  ULONG_PTR count;
  ULONG_PTR reserved;
  support_handle_entry entries[1];
} support_handle_table;

typedef LONG(WINAPI *support_query)(int information, void *buffer, ULONG length, ULONG *used);

/* Wine answers GetProcessHandleCount() with 0; the table of all handles is right on both. */
static size_t support__handle_count_by_table(void) {
  const LONG too_short = (LONG)0xC0000004;
  FARPROC found = GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "NtQuerySystemInformation");
  support_query query = (support_query)(void (*)(void))found;
  ULONG length = 1u << 20, used = 0;
  support_handle_table *table = NULL;
  LONG status = too_short;
  while (query && status == too_short) {
    free(table);
    table = malloc(length *= 2);
    status = table ? query(64, table, length, &used) : 0;
  }
  size_t count = 0;
  for (ULONG_PTR i = 0; table && status == 0 && i < table->count; i++)
    count += table->entries[i].process == GetCurrentProcessId();
  free(table);
  return count;
}

size_t support__handle_count(void) {
  DWORD count = 0;
  if (GetProcessHandleCount(GetCurrentProcess(), &count) && count > 0)
    return count;
  return support__handle_count_by_table();
}

static size_t support__crt_heap_bytes(void) {
  _HEAPINFO block = {NULL, 0, 0};
  size_t bytes = 0;
  while (_heapwalk(&block) == _HEAPOK)
    bytes += block._useflag == _USEDENTRY ? block._size : 0;
  return bytes;
}

size_t support__heap_bytes_os(void) {
  HANDLE heap = GetProcessHeap();
  PROCESS_HEAP_ENTRY entry = {0};
  size_t bytes = 0;
  HeapLock(heap);
  while (HeapWalk(heap, &entry))
    bytes += entry.wFlags & PROCESS_HEAP_ENTRY_BUSY ? entry.cbData : 0;
  HeapUnlock(heap);
  return bytes + support__crt_heap_bytes();
}

size_t support__heap_cost_os(void *block, size_t length_bytes) {
  (void)block;
  return length_bytes;
}

size_t support__block_bytes_os(void *block) {
  return block ? _msize(block) : 0;
}

size_t support__committed_bytes(void) {
  MEMORY_BASIC_INFORMATION region;
  size_t bytes = 0;
  for (char *at = NULL; VirtualQuery(at, &region, sizeof region) == sizeof region; at += region.RegionSize)
    bytes += region.State == MEM_COMMIT && region.Type == MEM_PRIVATE ? region.RegionSize : 0;
  return bytes;
}

void support__native_pipe_pair(bool message, bool overlapped_first, bool overlapped_second, pier_native ends[2]) {
  static atomic_uint made;
  DWORD mode = message ? PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE : PIPE_TYPE_BYTE | PIPE_READMODE_BYTE;
  DWORD flags[2] = {overlapped_first ? FILE_FLAG_OVERLAPPED : 0, overlapped_second ? FILE_FLAG_OVERLAPPED : 0};
  char name[128];
  snprintf(name, sizeof name, "\\\\.\\pipe\\pier_test_pair_%lu_%u", GetCurrentProcessId(), atomic_fetch_add(&made, 1));
  HANDLE server = CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | flags[0], mode, 1, 65536, 65536, 0, NULL);
  HANDLE client = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, flags[1], NULL);
  assert_true(server != INVALID_HANDLE_VALUE && client != INVALID_HANDLE_VALUE);
  DWORD read_mode = PIPE_READMODE_MESSAGE;
  if (message)
    assert_true(SetNamedPipeHandleState(client, &read_mode, NULL, NULL));
  ends[0] = (pier_native)server;
  ends[1] = (pier_native)client;
}

void support__native_tcp_pair(pier_native ends[2]) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  int length = (int)sizeof address;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  SOCKET listener = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED);
  SOCKET client = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
  assert_int_equal(listen(listener, 1), 0);
  assert_int_equal(connect(client, (struct sockaddr *)&address, length), 0);
  SOCKET server = accept(listener, NULL, NULL);
  assert_true(server != INVALID_SOCKET);
  closesocket(listener);
  ends[0] = (pier_native)server;
  ends[1] = (pier_native)client;
}

pier_native support__native_udp(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  SOCKET made = WSASocketW(AF_INET, SOCK_DGRAM, IPPROTO_UDP, NULL, 0, WSA_FLAG_OVERLAPPED);
  assert_int_equal(bind(made, (struct sockaddr *)&address, sizeof address), 0);
  return (pier_native)made;
}

void support__native_udp_pair(pier_native ends[2]) {
  struct sockaddr_in addresses[2];
  for (int i = 0; i < 2; i++) {
    int length = sizeof addresses[i];
    ends[i] = support__native_udp();
    assert_int_equal(getsockname((SOCKET)ends[i], (struct sockaddr *)&addresses[i], &length), 0);
  }
  for (int i = 0; i < 2; i++)
    assert_int_equal(connect((SOCKET)ends[i], (struct sockaddr *)&addresses[!i], sizeof addresses[i]), 0);
}

void support__native_close_pipe(pier_native native) {
  CloseHandle((HANDLE)native);
}

void support__native_close_socket(pier_native native) {
  closesocket((SOCKET)native);
}
