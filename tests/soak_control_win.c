/* The soak test's control: the same server and the same reports as soak_echo_server, straight against the system. What this
 * process holds afterwards, when it has served as many clients on as many threads, is the system's and not Pier's.
 *
 *     soak_control --threads N --connections N
 */
#include <winsock2.h>
#include <ws2tcpip.h>

#include <mswsock.h>
#include <windows.h>

#include "support.h"

#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCEPTS 64
#define ADDRESS_BYTES (sizeof(struct sockaddr_in) + 16)
#define BUFFER_BYTES 4096
#define ENTRIES 128
#define THREADS_MAX 64

enum doing { ACCEPTING, READING, WRITING, ENDED };

/* One thread at a time is at it: that which has dequeued its only operation. */
struct connection {
  OVERLAPPED overlapped; /* first: what is dequeued is the connection */
  enum doing doing;
  SOCKET socket;
  struct connection *next; /* of the free ones */
  char buffer[BUFFER_BYTES];
};

static struct connection *pool;
static struct connection *pool_first;
static CRITICAL_SECTION pool_lock;
static HANDLE port;
static SOCKET listener;
static LPFN_ACCEPTEX accept_ex;
static atomic_uint accepting;
static atomic_uint connections;
static atomic_uint connections_most;
static atomic_uint failures;
static enum { SAY_MORE, SAY_AGAIN, SAY_END } said; /* on standard input */

static void need(bool done, const char *what) {
  if (!done) {
    fprintf(stderr, "%s: %lu\n", what, GetLastError());
    exit(EXIT_FAILURE);
  }
}

static void pool_put(struct connection *connection) {
  EnterCriticalSection(&pool_lock);
  connection->next = pool_first;
  pool_first = connection;
  LeaveCriticalSection(&pool_lock);
}

static struct connection *pool_take(void) {
  EnterCriticalSection(&pool_lock);
  struct connection *connection = pool_first;
  need(connection != NULL, "there are more clients than agreed");
  pool_first = connection->next;
  LeaveCriticalSection(&pool_lock);
  return connection;
}

static void report(const char *when) {
  printf("%s handles=%zu private_kib=%zu slab_bytes=0 heap_bytes=0 connections=%u most=%u failures=%u loop_handles=1 loop_operations=0\n", when,
         support__handle_count(), support__committed_bytes() / 1024, atomic_load(&connections), atomic_load(&connections_most),
         atomic_load(&failures));
  fflush(stdout);
}

static void accept_one(void) {
  struct connection *connection = pool_take();
  DWORD bytes = 0;

  memset(&connection->overlapped, 0, sizeof connection->overlapped);
  connection->doing = ACCEPTING;
  connection->socket = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED);
  need(connection->socket != INVALID_SOCKET, "WSASocket");
  atomic_fetch_add(&accepting, 1);
  BOOL done = accept_ex(listener, connection->socket, connection->buffer, 0, ADDRESS_BYTES, ADDRESS_BYTES, &bytes, &connection->overlapped);
  need(done || GetLastError() == ERROR_IO_PENDING, "AcceptEx");
}

static void connection_end(struct connection *connection) {
  closesocket(connection->socket);
  pool_put(connection);
  atomic_fetch_sub(&connections, 1);
}

static void connection_start(struct connection *connection, enum doing doing, DWORD length) {
  WSABUF buffer = {.len = length, .buf = connection->buffer};
  DWORD flags = 0;

  memset(&connection->overlapped, 0, sizeof connection->overlapped);
  connection->doing = doing;
  int failed = doing == READING ? WSARecv(connection->socket, &buffer, 1, NULL, &flags, &connection->overlapped, NULL)
                                : WSASend(connection->socket, &buffer, 1, NULL, 0, &connection->overlapped, NULL);
  if (failed != 0 && WSAGetLastError() != WSA_IO_PENDING) {
    atomic_fetch_add(&failures, 1);
    connection_end(connection);
  }
}

static void on_accepted(struct connection *connection, bool succeeded) {
  BOOL no_delay = TRUE;

  if (!succeeded) { /* the listener is closed */
    closesocket(connection->socket);
    pool_put(connection);
    atomic_fetch_sub(&accepting, 1);
    return;
  }
  setsockopt(connection->socket, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (const char *)&listener, sizeof listener);
  setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, (const char *)&no_delay, sizeof no_delay);
  need(CreateIoCompletionPort((HANDLE)connection->socket, port, 1, 0) == port, "association");
  unsigned now = atomic_fetch_add(&connections, 1) + 1;
  unsigned most = atomic_load(&connections_most);
  while (now > most && !atomic_compare_exchange_weak(&connections_most, &most, now)) {
    /* somebody else has counted meanwhile */
  }
  connection_start(connection, READING, BUFFER_BYTES);
  accept_one();
  atomic_fetch_sub(&accepting, 1);
}

static void on_packet(const OVERLAPPED_ENTRY *entry) {
  struct connection *connection = (struct connection *)(void *)entry->lpOverlapped;
  bool succeeded = (DWORD)entry->lpOverlapped->Internal == 0;
  DWORD bytes = entry->dwNumberOfBytesTransferred;

  if (connection->doing == ACCEPTING) {
    on_accepted(connection, succeeded);
  } else if (!succeeded || bytes == 0) {
    atomic_fetch_add(&failures, !succeeded);
    connection_end(connection);
  } else if (connection->doing == READING) {
    connection_start(connection, WRITING, bytes);
  } else {
    connection_start(connection, READING, BUFFER_BYTES);
  }
}

/* Until a packet comes that is no operation's. */
static unsigned __stdcall drive(void *context) {
  OVERLAPPED_ENTRY entries[ENTRIES];
  bool more = true;

  (void)context;
  while (more) {
    ULONG count = 0;
    need(GetQueuedCompletionStatusEx(port, entries, ENTRIES, &count, INFINITE, FALSE), "GetQueuedCompletionStatusEx");
    for (ULONG i = 0; i < count; i++) {
      if (entries[i].lpOverlapped != NULL) {
        on_packet(&entries[i]);
      } else if (more) {
        more = false;
      } else {
        PostQueuedCompletionStatus(port, 0, 1, NULL); /* another thread's */
      }
    }
  }
  return 0;
}

/* As a worker of the loop does it in soak_echo_server. When it is told to end it has the listener closed, and the last accept with it. */
static unsigned __stdcall read_lines(void *context) {
  const unsigned threads = *(const unsigned *)context;

  for (said = SAY_MORE; said == SAY_MORE;) {
    int first = getchar();
    int last = first;
    while (last != EOF && last != '\n') {
      last = getchar();
    }
    said = last == EOF ? SAY_END : first == 'a' ? SAY_AGAIN : SAY_MORE;
    if (said == SAY_MORE) {
      report("report");
    }
  }
  closesocket(listener);
  while (atomic_load(&accepting) > 0) {
    Sleep(10);
  }
  for (unsigned i = 0; i < threads; i++) {
    PostQueuedCompletionStatus(port, 0, 1, NULL);
  }
  return 0;
}

static HANDLE start(unsigned(__stdcall *run)(void *), void *context) {
  HANDLE thread = (HANDLE)_beginthreadex(NULL, 0, run, context, 0, NULL);

  need(thread != NULL, "a thread");
  return thread;
}

static void join(HANDLE thread) {
  WaitForSingleObject(thread, INFINITE);
  CloseHandle(thread);
}

static void serve_listening(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  int length = sizeof address;
  GUID id = WSAID_ACCEPTEX;
  DWORD bytes = 0;

  port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
  need(port != NULL, "a port");
  listener = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  need(bind(listener, (const struct sockaddr *)&address, length) == 0, "bind");
  need(listen(listener, SOMAXCONN) == 0, "listen");
  need(getsockname(listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
  need(WSAIoctl(listener, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, &accept_ex, sizeof accept_ex, &bytes, NULL, NULL) == 0, "AcceptEx");
  need(CreateIoCompletionPort((HANDLE)listener, port, 1, 0) == port, "association");
  for (int i = 0; i < ACCEPTS; i++) {
    accept_one();
  }
  printf("listening on 127.0.0.1:%u\n", (unsigned)ntohs(address.sin_port));
  fflush(stdout);
}

static void serve(unsigned threads) {
  HANDLE drivers[THREADS_MAX];
  unsigned drivers_all = threads > 0 ? threads : 1;

  serve_listening();
  HANDLE reader = start(read_lines, &drivers_all);
  for (unsigned i = 0; i < threads; i++) {
    drivers[i] = start(drive, NULL);
  }
  if (threads == 0) {
    drive(NULL);
  }
  for (unsigned i = 0; i < threads; i++) {
    join(drivers[i]);
  }
  join(reader);
  CloseHandle(port);
}

int main(int argc, char **argv) {
  unsigned threads = 0;
  unsigned most = 4096;
  WSADATA data;

  for (int i = 1; i + 1 < argc; i++) {
    if (strcmp(argv[i], "--threads") == 0) {
      threads = (unsigned)strtoul(argv[i + 1], NULL, 10);
    } else if (strcmp(argv[i], "--connections") == 0) {
      most = (unsigned)strtoul(argv[i + 1], NULL, 10);
    }
  }
  need(threads <= THREADS_MAX, "fewer threads");
  InitializeCriticalSection(&pool_lock);
  pool = calloc(most + ACCEPTS, sizeof *pool);
  need(pool != NULL, "connections");
  for (unsigned i = 0; i < most + ACCEPTS; i++) {
    memset(pool[i].buffer, 1, BUFFER_BYTES); /* touched, so that all of it counts from the start */
    pool_put(&pool[i]);
  }
  report("start");
  need(WSAStartup(MAKEWORD(2, 2), &data) == 0, "WSAStartup");
  do {
    serve(threads);
    report("closed");
  } while (said == SAY_AGAIN);
  printf("ended after all\n");
  free(pool);
  return EXIT_SUCCESS;
}
