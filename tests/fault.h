/* Faults: what Pier asks of the system goes wrong when a test wants it to.
 *
 * A program of fault tests is linked with a copy of the library whose references to the functions in tests/meson.build
 * (fault_symbols) lead to stand-ins in fault_linux.c or fault_win.c. These pass a call on, or let it fail, or move fewer bytes than they
 * were asked to. So Pier itself has no line for it, and the program's own calls are never touched. Calls that io_uring
 * makes are among them: the entry is changed on its way to the kernel. */
#ifndef PIER_TESTS_FAULT_H
#define PIER_TESTS_FAULT_H

#include "support.h"

/* By what is asked for, not by the name of the function: the same test fits both backends. */
typedef enum fault_call {
  FAULT_MEMORY, /* malloc, calloc, realloc, HeapAlloc */
  FAULT_MAP,    /* mmap, mprotect, VirtualAlloc */
  FAULT_THREAD,
  FAULT_EVENT,  /* eventfd, timerfd, CreateEventEx */
  FAULT_WAITER, /* RegisterWaitForSingleObject */
  FAULT_SET,    /* epoll_create1, a ring, a port */
  FAULT_WATCH,  /* epoll_ctl, but for leaving the set; putting a handle on a port; a ring's table, and a file into it */
  FAULT_WAIT,   /* epoll_wait, epoll_pwait2, ppoll, GetQueuedCompletionStatusEx */
  FAULT_ENTER,  /* io_uring_enter */
  FAULT_POST,   /* PostQueuedCompletionStatus */
  FAULT_SOCKET,
  FAULT_BIND,
  FAULT_LISTEN,
  FAULT_NAME,   /* getsockname, getpeername */
  FAULT_OPTION, /* getsockopt, setsockopt */
  FAULT_OPEN,   /* open, CreateFile, CreateNamedPipe */
  FAULT_STAT,
  FAULT_RESIZE,
  FAULT_FLUSH,
  FAULT_DUPLICATE,
  FAULT_CONTROL, /* ioctl, DeviceIoControl, WSAIoctl */
  FAULT_SHUTDOWN,
  FAULT_ACCEPT, /* accept, ConnectNamedPipe */
  FAULT_CONNECT,
  FAULT_RECEIVE, /* recv, recvmsg, recvmmsg, WSARecv */
  FAULT_SEND,
  FAULT_READ, /* read and its relatives */
  FAULT_WRITE,
  FAULT_CALLS
} fault_call;

/* A case that begins, and after which the next begins, with calls that go through. */
#define FAULT_CASE(function, suffix, threads_of_case)                                                                  \
  {                                                                                                                    \
#function suffix, function, fault__begin, fault__end, &(support_case) {                                            \
#function suffix, threads_of_case                                                                                \
    }                                                                                                                  \
  }
#define FAULT_TEST(function) FAULT_CASE(function, "", 0)
#define FAULT_TEST_POOL(function) FAULT_CASE(function, "_in_pool_mode", SUPPORT_THREADS)
int fault__begin(void **state);
int fault__end(void **state);

/* All calls from now on go through. */
void fault__clear(void);

/* Calls number `first` (0 is the next one) and the `count` - 1 after it fail with `code`, which is the system's; 0: with what is usual for them. One order for each sort of call. */
void fault__fail(fault_call call, unsigned first, unsigned count, int code);

/* They move at most so many bytes. */
void fault__cut(fault_call call, unsigned first, unsigned count, size_t bytes);

/* Of calls of any sort, number `nth` from now on fails, with an error that is usual for it. */
void fault__fail_nth(unsigned nth);

/* Linux: every file system says of a write when it would wait, and then takes it (tmpfs and ext4 do not know how). */
void fault__let_writes_be_tried(bool yes);

/* How many calls of a sort have been made, and how many of any were changed, since fault__clear(). */
unsigned fault__made(fault_call call);
unsigned fault__struck(void);

/* What Pier holds of the process's memory: blocks of the heap and mappings. */
size_t fault__held(void);

#endif
