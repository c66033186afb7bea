/* Runs a Pier loop inside a Windows program that has a message loop.
 *
 * A thread with windows waits for messages, and cannot wait on a completion port at the same time. So a second thread
 * waits there for it: it dequeues a batch, sends it to a window of the first, and waits again when that is done. The
 * callbacks run on the thread with the windows, between two messages, and may touch windows freely.
 *
 * The send is a SendMessage(): it also gets through while the user moves a window or a dialog is open, when the loop
 * that runs is not the program's own. Pier's timers end the second thread's wait, so none of the message loop's are
 * needed.
 *
 * Here Pier sends ten messages there and back through a pair of pipe ends and has a timer, while the program posts five
 * messages to itself.
 */
#include "pier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#define PACKETS_MAX 64
#define MESSAGES 10
#define OWN_MESSAGES 5
#define MESSAGE_PACKETS (WM_APP + 0) /* lParam: a batch */
#define MESSAGE_OWN (WM_APP + 1)
#define KEY_STOP 1 /* below 2^31, so none of Pier's */

struct batch {
  pier_packet packets[PACKETS_MAX];
  size_t count;
};

struct pump {
  HWND window;
  HANDLE port;
  pier_loop *loop;
};

struct talk {
  pier_handle ends[2];
  char buffers[2][16];
  unsigned messages;
  unsigned ticks;
  int status;
  DWORD thread; /* the one with the window: every callback comes there */
};

static pier_loop *loop;
static struct talk talk;
static unsigned own_messages;

static void check(bool ok, const char *what) {
  if (!ok) {
    fprintf(stderr, "failed: %s (system code %lu)\n", what, (unsigned long)GetLastError());
    exit(EXIT_FAILURE);
  }
}

/* ---- What Pier is used for ---- */

static void talk_end(int status) {
  talk.status = status;
  pier_close(talk.ends[0], NULL, NULL);
  pier_close(talk.ends[1], NULL, NULL);
}

static void on_asked(const pier_result *result) {
  check(GetCurrentThreadId() == talk.thread, "callbacks come on the window's thread");
  if (result->status == PIER_OK && pier_write(talk.ends[1], "pong", 4, PIER_NO_DEADLINE, NULL, NULL) == 0) {
    talk_end(PIER_ENOMEM);
  }
}

static void on_answered(const pier_result *result);

static void talk_ask(void) {
  if (pier_read(talk.ends[1], talk.buffers[1], sizeof talk.buffers[1], PIER_NO_DEADLINE, on_asked, NULL) == 0 ||
      pier_read(talk.ends[0], talk.buffers[0], sizeof talk.buffers[0], PIER_NO_DEADLINE, on_answered, NULL) == 0 ||
      pier_write(talk.ends[0], "ping", 4, PIER_NO_DEADLINE, NULL, NULL) == 0) {
    talk_end(PIER_ENOMEM);
  }
}

static void on_answered(const pier_result *result) {
  if (result->status != PIER_OK || result->bytes != 4 || memcmp(talk.buffers[0], "pong", 4) != 0) {
    talk_end(result->status != PIER_OK ? result->status : PIER_EIO);
  } else if (++talk.messages == MESSAGES) {
    talk_end(PIER_OK);
  } else {
    talk_ask();
  }
}

static void on_tick(pier_loop *of, pier_timer timer, void *context) {
  (void)of;
  (void)timer;
  (void)context;
  check(GetCurrentThreadId() == talk.thread, "timers come on the window's thread");
  talk.ticks++;
}

/* ---- The thread that waits on the port ---- */

/* True if it was the order to stop. What else was the host's own would be dealt with here. */
static bool pump_turn(const struct pump *pump) {
  static struct batch batch;
  ULONG dequeued = 0;
  uint64_t timeout_ns = pier_loop_timeout_ns(pump->loop);
  uint64_t timeout_ms = timeout_ns / PIER_MILLISECOND + (timeout_ns % PIER_MILLISECOND != 0);
  DWORD wait_ms = timeout_ms < INFINITE ? (DWORD)timeout_ms : INFINITE;

  if (!GetQueuedCompletionStatusEx(pump->port, (OVERLAPPED_ENTRY *)batch.packets, PACKETS_MAX, &dequeued, wait_ms, FALSE)) {
    check(GetLastError() == WAIT_TIMEOUT, "GetQueuedCompletionStatusEx");
    dequeued = 0; /* a timer of Pier's is due: it is dispatched all the same */
  }
  batch.count = dequeued;
  SendMessageW(pump->window, MESSAGE_PACKETS, 0, (LPARAM)&batch);
  for (size_t i = 0; i < batch.count; i++) {
    if (batch.packets[i].key == KEY_STOP) {
      return true;
    }
  }
  return false;
}

static DWORD WINAPI pump_main(void *context) {
  while (!pump_turn(context)) {
    /* one batch after the other */
  }
  return 0;
}

/* ---- The window ---- */

static LRESULT CALLBACK on_message(HWND window, UINT message, WPARAM word, LPARAM pointer) {
  if (message == MESSAGE_PACKETS) {
    struct batch *batch = (struct batch *)pointer;
    check(pier_loop_dispatch(loop, batch->packets, &batch->count) == PIER_OK, "pier_loop_dispatch");
  } else if (message == MESSAGE_OWN) {
    own_messages++;
  } else {
    return DefWindowProcW(window, message, word, pointer);
  }
  if (pier_loop_alive(loop) == 0 && own_messages == OWN_MESSAGES) {
    PostQuitMessage(0);
  }
  return 0;
}

/* One that is never seen and only gets messages. */
static HWND window_open(void) {
  const WNDCLASSW about = {.lpfnWndProc = on_message, .hInstance = GetModuleHandleW(NULL), .lpszClassName = L"pier_message_loop"};

  check(RegisterClassW(&about) != 0, "RegisterClass");
  HWND window = CreateWindowExW(0, about.lpszClassName, L"", 0, 0, 0, 0, 0, HWND_MESSAGE, NULL, about.hInstance, NULL);
  check(window != NULL, "CreateWindow");
  return window;
}

int main(void) {
  struct pump pump = {.window = window_open()};
  MSG message;

  check(pier_loop_open(NULL, &loop) == PIER_OK, "pier_loop_open");
  pump.loop = loop;
  pump.port = (HANDLE)pier_loop_native(loop);
  talk.thread = GetCurrentThreadId();
  check(pier_pipe_pair(loop, NULL, talk.ends) == PIER_OK, "pier_pipe_pair");
  check(pier_timer_start(loop, 5 * PIER_MILLISECOND, 0, on_tick, NULL) != 0, "pier_timer_start");
  talk_ask();
  for (int i = 0; i < OWN_MESSAGES; i++) {
    check(PostMessageW(pump.window, MESSAGE_OWN, 0, 0), "PostMessage");
  }
  HANDLE thread = CreateThread(NULL, 0, pump_main, &pump, 0, NULL);
  check(thread != NULL, "CreateThread");

  while (GetMessageW(&message, NULL, 0, 0) > 0) {
    TranslateMessage(&message);
    DispatchMessageW(&message);
  }

  /* The other thread may be in the middle of a send: messages are let in until it has ended. */
  check(PostQueuedCompletionStatus(pump.port, 0, KEY_STOP, NULL), "PostQueuedCompletionStatus");
  while (MsgWaitForMultipleObjects(1, &thread, FALSE, INFINITE, QS_SENDMESSAGE) != WAIT_OBJECT_0) {
    PeekMessageW(&message, NULL, 0, 0, PM_NOREMOVE | PM_QS_SENDMESSAGE);
  }
  CloseHandle(thread);
  printf("Pier: %u messages there and back, %u timer\n", talk.messages, talk.ticks);
  printf("the window: %u messages of its own\n", own_messages);
  check(talk.status == PIER_OK && talk.messages == MESSAGES && talk.ticks == 1, "Pier's part");
  check(pier_loop_close(loop) == PIER_OK, "pier_loop_close");
  DestroyWindow(pump.window);
  return EXIT_SUCCESS;
}
