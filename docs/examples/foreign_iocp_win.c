/* Runs a Pier loop on a completion port that a host owns and waits on.
 *
 * The host has a port, packets of its own and a thread that dequeues them. Pier's loop is opened on that port.
 * Whatever the host dequeues it hands to pier_loop_dispatch(), which runs the callbacks of what is Pier's and gives
 * back the rest. The host stays in charge of its thread: Pier starts none, and waits for nothing.
 *
 * Here Pier sends ten messages there and back through a pair of pipe ends and has a timer, while the host posts
 * packets to itself and writes a file of its own through the same port.
 */
#include "pier.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#define PACKETS_MAX 64
#define MESSAGES 10
#define HOST_POSTS 5

/* A host's keys are its own affair. Pier knows its packets by more than the key, so these can be anything. */
enum host_key { HOST_KEY_POST = 1, HOST_KEY_FILE = 2 };

struct host {
  HANDLE port;
  unsigned posts; /* the host's own packets that came back to it */
  unsigned writes;
  unsigned strangers;
};

struct talk {
  pier_loop *loop;
  pier_handle ends[2];
  char buffers[2][16];
  unsigned messages;
  unsigned ticks;
  int status;
};

static_assert(sizeof(pier_packet) == sizeof(OVERLAPPED_ENTRY),
              "packets are dequeued straight into Pier's form of them");

static void check(bool ok, const char *what) {
  if (!ok) {
    fprintf(stderr, "failed: %s (system code %lu)\n", what, (unsigned long)GetLastError());
    exit(EXIT_FAILURE);
  }
}

static void talk_end(struct talk *talk, int status) {
  talk->status = status;
  pier_close(talk->ends[0], NULL, NULL);
  pier_close(talk->ends[1], NULL, NULL);
}

static void on_asked(const pier_result *result);
static void on_answered(const pier_result *result);

/* One end asks ... */
static void talk_ask(struct talk *talk) {
  if (pier_read(talk->ends[1], talk->buffers[1], sizeof talk->buffers[1], PIER_NO_DEADLINE, on_asked, talk) == 0 ||
      pier_read(talk->ends[0], talk->buffers[0], sizeof talk->buffers[0], PIER_NO_DEADLINE, on_answered, talk) == 0 ||
      pier_write(talk->ends[0], "ping", 4, PIER_NO_DEADLINE, NULL, NULL) == 0) {
    talk_end(talk, PIER_ENOMEM);
  }
}

/* ... the other one answers ... */
static void on_asked(const pier_result *result) {
  struct talk *talk = result->context;

  if (result->status == PIER_OK && pier_write(talk->ends[1], "pong", 4, PIER_NO_DEADLINE, NULL, NULL) == 0) {
    talk_end(talk, PIER_ENOMEM);
  }
}

/* ... and all over again. */
static void on_answered(const pier_result *result) {
  struct talk *talk = result->context;

  if (result->status != PIER_OK || result->bytes != 4 || memcmp(talk->buffers[0], "pong", 4) != 0) {
    talk_end(talk, result->status != PIER_OK ? result->status : PIER_EIO);
    return;
  }
  talk->messages++;
  if (talk->messages == MESSAGES) {
    talk_end(talk, PIER_OK);
    return;
  }
  talk_ask(talk);
}

static void on_tick(pier_loop *loop, pier_timer timer, void *context) {
  struct talk *talk = context;

  (void)loop;
  (void)timer;
  talk->ticks++;
}

/* What came back from the dispatch is the host's. */
static void host_handle(struct host *host, const pier_packet *packet) {
  if (packet->key == HOST_KEY_POST) {
    host->posts++;
  } else if (packet->key == HOST_KEY_FILE) {
    host->writes++;
  } else {
    host->strangers++;
  }
}

/* One turn of the host's own loop. */
static void host_turn(struct host *host, pier_loop *loop) {
  pier_packet packets[PACKETS_MAX];
  ULONG dequeued = 0;
  uint64_t timeout_ns = pier_loop_timeout_ns(loop);
  uint64_t timeout_ms = timeout_ns / PIER_MILLISECOND + (timeout_ns % PIER_MILLISECOND != 0);
  DWORD wait_ms =
      timeout_ms < INFINITE ? (DWORD)timeout_ms : INFINITE; /* rounded up, or the wait would end before the timer */

  if (!GetQueuedCompletionStatusEx(host->port, (OVERLAPPED_ENTRY *)packets, PACKETS_MAX, &dequeued, wait_ms, FALSE)) {
    check(GetLastError() == WAIT_TIMEOUT, "GetQueuedCompletionStatusEx");
    dequeued = 0; /* a timer of Pier's is due: it is dispatched all the same */
  }
  size_t count = dequeued;
  check(pier_loop_dispatch(loop, packets, &count) == PIER_OK, "pier_loop_dispatch");
  for (size_t i = 0; i < count; i++) {
    host_handle(host, &packets[i]);
  }
}

static HANDLE host_file(struct host *host) {
  wchar_t folder[MAX_PATH + 1];
  wchar_t name[MAX_PATH + 1];

  check(GetTempPathW(MAX_PATH + 1, folder) != 0, "GetTempPath");
  check(GetTempFileNameW(folder, L"pier", 0, name) != 0, "GetTempFileName");
  HANDLE file = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_ALWAYS,
                            FILE_FLAG_OVERLAPPED | FILE_FLAG_DELETE_ON_CLOSE, NULL);
  check(file != INVALID_HANDLE_VALUE, "CreateFile");
  check(CreateIoCompletionPort(file, host->port, HOST_KEY_FILE, 0) == host->port, "putting the file on the port");
  return file;
}

int main(void) {
  static struct talk talk;
  static char text[] = "the host's own";
  struct host host = {.port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1)};
  OVERLAPPED overlapped = {.hEvent = NULL};

  check(host.port != NULL, "CreateIoCompletionPort");
  pier_loop_options options = {.use_port = true, .port = (pier_native)host.port};
  check(pier_loop_open(&options, &talk.loop) == PIER_OK, "pier_loop_open");
  check(pier_pipe_pair(talk.loop, NULL, talk.ends) == PIER_OK, "pier_pipe_pair");
  check(pier_timer_start(talk.loop, 5 * PIER_MILLISECOND, 0, on_tick, &talk) != 0, "pier_timer_start");
  talk_ask(&talk);

  HANDLE file = host_file(&host);
  BOOL done = WriteFile(file, text, sizeof text, NULL, &overlapped);
  check(done || GetLastError() == ERROR_IO_PENDING, "WriteFile");
  for (int i = 0; i < HOST_POSTS; i++) {
    check(PostQueuedCompletionStatus(host.port, 0, HOST_KEY_POST, NULL), "PostQueuedCompletionStatus");
  }

  while (pier_loop_alive(talk.loop) > 0 || host.posts < HOST_POSTS || host.writes < 1) {
    host_turn(&host, talk.loop);
  }
  printf("Pier: %u messages there and back, %u timer\n", talk.messages, talk.ticks);
  printf("the host: %u packets posted, %u write of its own, %u unknown\n", host.posts, host.writes, host.strangers);
  check(talk.status == PIER_OK && talk.messages == MESSAGES && talk.ticks == 1, "Pier's part");
  check(host.posts == HOST_POSTS && host.writes == 1 && host.strangers == 0, "the host's part");

  /* The port outlives the loop. */
  check(pier_loop_close(talk.loop) == PIER_OK, "pier_loop_close");
  check(PostQueuedCompletionStatus(host.port, 7, HOST_KEY_POST, NULL), "posting after the loop is gone");
  DWORD bytes = 0;
  ULONG_PTR key = 0;
  OVERLAPPED *none = NULL;
  check(GetQueuedCompletionStatus(host.port, &bytes, &key, &none, 1000) && bytes == 7, "the port goes on working");
  printf("the host's port goes on working without Pier\n");
  CloseHandle(file);
  CloseHandle(host.port);
  return EXIT_SUCCESS;
}
