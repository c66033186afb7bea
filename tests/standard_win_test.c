/* Standard handles: a child of this program registers those that it was started with, whatever they are, and copies its input to
 * its output. */
#include <winsock2.h>

#include <windows.h>

#include "streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The child ---- */

#define COPY "copy-standard-handles"
#define CONSOLE "use-the-console"
#define FOREIGN "use-what-is-on-a-port"
#define START "start-and-end"

static pier_handle child_add(pier_loop *loop, DWORD which) {
  pier_handle handle = 0;
  const pier_register_options options = {.keep_open = true};
  HANDLE native = GetStdHandle(which);
  if (pier_register(loop, (pier_native)native, &options, &handle) != PIER_OK)
    exit(10);
  return handle;
}

typedef struct step {
  bool done;
  pier_result got;
} step;

static void take_step(const pier_result *result) {
  step *self = result->context;
  self->got = *result;
  self->done = true;
}

static pier_result child_wait(pier_loop *loop, step *self) {
  while (!self->done)
    pier_loop_run(loop, PIER_RUN_ONCE, PIER_SECOND);
  return self->got;
}

/* Reads to the end, writes all of it, and says which kinds and states the two have: by its exit code. */
static int child_copy(void) {
  static char buffer[300];
  pier_loop *loop = NULL;
  if (pier_loop_open(NULL, &loop) != PIER_OK)
    return 11;
  pier_handle input = child_add(loop, STD_INPUT_HANDLE), output = child_add(loop, STD_OUTPUT_HANDLE);
  for (;;) {
    step reading = {0}, writing = {0};
    pier_read(input, buffer, sizeof buffer, PIER_NO_DEADLINE, take_step, &reading);
    pier_result read = child_wait(loop, &reading);
    if (read.status != PIER_OK)
      return 12;
    if (read.end)
      break;
    pier_write(output, buffer, read.bytes, PIER_NO_DEADLINE, take_step, &writing);
    if (child_wait(loop, &writing).status != PIER_OK)
      return 13;
  }
  int kinds = 16 * (int)pier_handle_kind(input) + (int)pier_handle_kind(output);
  pier_close(input, NULL, NULL);
  pier_close(output, NULL, NULL);
  pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_SECOND);
  return pier_loop_close(loop) == PIER_OK ? 20 + kinds : 14;
}

/* Its input and output are one handle, which the parent has on a port: 0 if that was understood and a read and a write went well. */
static int child_foreign(void) {
  char buffer[16];
  pier_loop *loop = NULL;
  if (pier_loop_open(NULL, &loop) != PIER_OK)
    return 11;
  pier_handle pipe = child_add(loop, STD_INPUT_HANDLE);
  step reading = {0}, writing = {0};
  pier_read(pipe, buffer, sizeof buffer, pier_deadline_in(10 * PIER_SECOND), take_step, &reading);
  pier_result read = child_wait(loop, &reading);
  if (read.status != PIER_OK || read.bytes != 4 || memcmp(buffer, "down", 4) != 0)
    return 12;
  if (pier_handle_state(pipe) != PIER_STATE_FOREIGN)
    return 13;
  pier_write(pipe, "up", 2, PIER_NO_DEADLINE, take_step, &writing);
  if (child_wait(loop, &writing).status != PIER_OK)
    return 14;
  pier_close(pipe, NULL, NULL);
  pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_SECOND);
  return pier_loop_close(loop) == PIER_OK ? 0 : 15;
}

/* Registers what it was started with, and ends: 0 if it was not held up. */
static int child_start(void) {
  pier_loop *loop = NULL;
  uint64_t began_ns = pier_now_ns();
  if (pier_loop_open(NULL, &loop) != PIER_OK)
    return 11;
  pier_handle input = child_add(loop, STD_INPUT_HANDLE), output = child_add(loop, STD_OUTPUT_HANDLE);
  step posted = {0};
  pier_post(loop, take_step, &posted);
  child_wait(loop, &posted);
  pier_close(input, NULL, NULL);
  pier_close(output, NULL, NULL);
  pier_loop_run(loop, PIER_RUN_DEFAULT, 5 * PIER_SECOND);
  if (pier_loop_close(loop) != PIER_OK)
    return 12;
  return pier_now_ns() - began_ns < 5 * PIER_SECOND ? 0 : 13;
}

/* A console of its own: 77 where there is none to be had, 78 where it cannot be written. */
static int child_console(void) {
  char buffer[8];
  pier_loop *loop = NULL;
  FreeConsole();
  if (!AllocConsole())
    return 77;
  HANDLE native = CreateFileW(L"CONIN$", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
  HANDLE screen = CreateFileW(L"CONOUT$", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
  if (native == INVALID_HANDLE_VALUE || screen == INVALID_HANDLE_VALUE)
    return 77;
  if (pier_loop_open(NULL, &loop) != PIER_OK)
    return 11;
  pier_handle input = 0, output = 0;
  if (pier_register(loop, (pier_native)native, NULL, &input) != PIER_OK || pier_register(loop, (pier_native)screen, NULL, &output) != PIER_OK)
    return 10;
  if (pier_handle_kind(input) != PIER_KIND_CONSOLE || pier_handle_kind(output) != PIER_KIND_CONSOLE)
    return 13;
  /* Typed before it is read: "ab" and the end of the line. */
  INPUT_RECORD typed[3] = {{.EventType = KEY_EVENT}, {.EventType = KEY_EVENT}, {.EventType = KEY_EVENT}};
  const WCHAR keys[3] = {L'a', L'b', L'\r'};
  for (int i = 0; i < 3; i++) {
    typed[i].Event.KeyEvent.bKeyDown = TRUE;
    typed[i].Event.KeyEvent.wRepeatCount = 1;
    typed[i].Event.KeyEvent.uChar.UnicodeChar = keys[i];
    typed[i].Event.KeyEvent.wVirtualKeyCode = keys[i] == L'\r' ? VK_RETURN : (WORD)(keys[i] - 32);
  }
  DWORD count = 0;
  if (!WriteConsoleInputW(native, typed, 3, &count))
    return 77;
  step reading = {0};
  pier_read(input, buffer, sizeof buffer, pier_deadline_in(10 * PIER_SECOND), take_step, &reading);
  pier_result read = child_wait(loop, &reading);
  if (read.status != PIER_OK || read.bytes < 2 || memcmp(buffer, "ab", 2) != 0)
    return 16;
  if (pier_handle_state(input) != PIER_STATE_BLOCKING)
    return 14;
  DWORD plainly = 0;
  if (!WriteFile(screen, "plainly", 7, &plainly, NULL))
    return 78;
  step writing = {0};
  pier_write(output, "hello", 5, PIER_NO_DEADLINE, take_step, &writing);
  pier_result wrote = child_wait(loop, &writing);
  if (wrote.status != PIER_OK || wrote.bytes != 5)
    return 12;
  pier_close(input, NULL, NULL);
  pier_close(output, NULL, NULL);
  pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_SECOND);
  return pier_loop_close(loop) == PIER_OK ? 0 : 17;
}

/* ---- The parent ---- */

static PROCESS_INFORMATION start_child(const char *what, HANDLE input, HANDLE output) {
  char path[MAX_PATH], command[MAX_PATH + 64];
  STARTUPINFOA startup = {.cb = sizeof startup};
  PROCESS_INFORMATION process;
  assert_true(GetModuleFileNameA(NULL, path, sizeof path) > 0);
  snprintf(command, sizeof command, "\"%s\" %s", path, what);
  if (input) {
    startup.dwFlags = STARTF_USESTDHANDLES;
    startup.hStdInput = input;
    startup.hStdOutput = output;
    startup.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    SetHandleInformation(input, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
    SetHandleInformation(output, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
  }
  assert_true(CreateProcessA(NULL, command, NULL, NULL, input != NULL, 0, NULL, NULL, &startup, &process));
  if (input) {
    CloseHandle(input);
    CloseHandle(output);
  }
  return process;
}

static DWORD end_child(PROCESS_INFORMATION *process) {
  DWORD code = 0;
  assert_int_equal(WaitForSingleObject(process->hProcess, 20000), WAIT_OBJECT_0);
  assert_true(GetExitCodeProcess(process->hProcess, &code));
  CloseHandle(process->hThread);
  CloseHandle(process->hProcess);
  return code;
}

enum { LENGTH = 5000 };

/* Writes the pattern into the child's input from one side, through Pier where `ours` is a pipe's end, and ends it. */
static void feed(pier_loop *loop, pier_handle ours) {
  char *bytes = support__alloc(LENGTH);
  support_outcome *written = support__outcome();
  support__fill(bytes, LENGTH, 3);
  assert_true(pier_write(ours, bytes, LENGTH, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, written, PIER_OK);
  support__close_handle(loop, ours);
}

static void drain(pier_loop *loop, pier_handle ours) {
  char *bytes = support__alloc(LENGTH + 1);
  size_t have = 0;
  for (;;) {
    support_outcome *read = support__outcome();
    assert_true(pier_read(ours, bytes + have, LENGTH + 1 - have, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    have += read->got.bytes;
    if (read->got.end)
      break;
  }
  assert_int_equal(have, LENGTH);
  assert_true(support__filled(bytes, LENGTH, 3));
  support__close_handle(loop, ours);
}

static pier_handle add(pier_loop *loop, pier_native native) {
  pier_handle handle = 0;
  assert_status(pier_register(loop, native, NULL, &handle), PIER_OK);
  return handle;
}

/* One end for the child and one for us: an anonymous pipe, or a named one whose end of ours is for overlapped I/O or not. */
static HANDLE child_end(pier_loop *loop, int sort, bool input, pier_handle *ours) {
  HANDLE ends[2];
  pier_native natives[2];
  if (sort == 0) {
    assert_true(CreatePipe(&ends[0], &ends[1], NULL, 0));
    *ours = add(loop, (pier_native)ends[input]);
    return ends[!input];
  }
  support__native_pipe_pair(false, sort & 1, sort & 2, natives);
  *ours = add(loop, natives[0]);
  return (HANDLE)natives[1];
}

/* Every pairing of pipes: anonymous, and named with each end for overlapped I/O or not; the child registers what it finds. */
static void b18_a_childs_pipes(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < 4; sort++) {
    pier_handle feeding, draining;
    HANDLE input = child_end(loop, sort, true, &feeding), output = child_end(loop, (sort + 1) % 4, false, &draining);
    PROCESS_INFORMATION child = start_child(COPY, input, output);
    feed(loop, feeding);
    drain(loop, draining);
    assert_int_equal(end_child(&child), 20 + 16 * PIER_KIND_PIPE + PIER_KIND_PIPE);
  }
  support__close(loop);
}

static HANDLE open_file(const char *path, bool overlapped) {
  HANDLE native = CreateFileA(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_ALWAYS,
                              overlapped ? FILE_FLAG_OVERLAPPED : 0, NULL);
  assert_true(native != INVALID_HANDLE_VALUE);
  return native;
}

/* Files, for overlapped I/O or not. */
static void b18_a_childs_files(void **state) {
  (void)state;
  for (int overlapped = 0; overlapped < 4; overlapped++) {
    char *bytes = support__alloc(LENGTH);
    DWORD have = 0;
    const char *from = support__temp_file(LENGTH), *to = support__temp_path();
    PROCESS_INFORMATION child = start_child(COPY, open_file(from, overlapped & 1), open_file(to, overlapped & 2));
    assert_int_equal(end_child(&child), 20 + 16 * PIER_KIND_FILE + PIER_KIND_FILE);
    HANDLE copy = open_file(to, false);
    assert_true(ReadFile(copy, bytes, LENGTH, &have, NULL));
    assert_int_equal(have, LENGTH);
    assert_true(support__filled(bytes, LENGTH, 0));
    assert_int_equal(GetFileSize(copy, NULL), LENGTH);
    CloseHandle(copy);
  }
}

/* A read of the child's is stuck in the pipe that it shares with us: all that Pier does with our own handle of it ends. */
static void b16_a_read_is_stuck_in_another_process(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  HANDLE ends[2], output[2], twin = NULL;
  char *buffer = support__alloc(16);
  assert_true(CreatePipe(&ends[0], &ends[1], NULL, 0));
  assert_true(CreatePipe(&output[0], &output[1], NULL, 0));
  assert_true(DuplicateHandle(GetCurrentProcess(), ends[0], GetCurrentProcess(), &twin, 0, FALSE, DUPLICATE_SAME_ACCESS));
  PROCESS_INFORMATION child = start_child(COPY, ends[0], output[1]);
  /* It has begun to read when it has copied something. */
  DWORD bytes = 0;
  assert_true(WriteFile(ends[1], "x", 1, &bytes, NULL) && ReadFile(output[0], buffer, 1, &bytes, NULL));
  const pier_register_options options = {.keep_open = true};
  pier_handle handle = 0;
  support_outcome *late = support__outcome(), *closed = support__outcome();
  assert_status(pier_register(loop, (pier_native)twin, &options, &handle), PIER_OK);
  assert_status(pier_handle_detach(handle), PIER_OK);
  assert_true(pier_read(handle, buffer, 1, pier_deadline_in(5 * PIER_MILLISECOND), support__take, late) != 0);
  assert_true(pier_read(handle, buffer, 1, PIER_NO_DEADLINE, support__take, closed) != 0);
  await_status(loop, late, PIER_ETIMEDOUT);
  support__close_handle(loop, handle);
  assert_status(closed->got.status, PIER_ECLOSED);
  CloseHandle(twin);
  CloseHandle(ends[1]);
  assert_int_equal(end_child(&child), 20 + 16 * PIER_KIND_PIPE + PIER_KIND_PIPE);
  CloseHandle(output[0]);
  support__close(loop);
}

/* A process starts with a standard input that another one is stuck in: it registers it, its loop turns, and it ends. */
static void b16_a_process_starts_with_a_stuck_input(void **state) {
  (void)state;
  HANDLE ends[2], output[2], twin = NULL, nowhere = NULL;
  char byte;
  DWORD bytes = 0;
  assert_true(CreatePipe(&ends[0], &ends[1], NULL, 0));
  assert_true(CreatePipe(&output[0], &output[1], NULL, 0));
  assert_true(DuplicateHandle(GetCurrentProcess(), ends[0], GetCurrentProcess(), &twin, 0, FALSE, DUPLICATE_SAME_ACCESS));
  assert_true(DuplicateHandle(GetCurrentProcess(), output[1], GetCurrentProcess(), &nowhere, 0, FALSE, DUPLICATE_SAME_ACCESS));
  PROCESS_INFORMATION reader = start_child(COPY, ends[0], output[1]);
  assert_true(WriteFile(ends[1], "x", 1, &bytes, NULL) && ReadFile(output[0], &byte, 1, &bytes, NULL));
  PROCESS_INFORMATION starter = start_child(START, twin, nowhere);
  assert_int_equal(end_child(&starter), 0);
  CloseHandle(ends[1]);
  assert_int_equal(end_child(&reader), 20 + 16 * PIER_KIND_PIPE + PIER_KIND_PIPE);
  CloseHandle(output[0]);
}

/* A child inherits a handle that is on its parent's port: it finds that out (87), and is served by events. The parent's port sees nothing. */
static void b8_an_inherited_handle_takes_the_event_path(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_native natives[2];
  pier_handle ends[2];
  HANDLE twins[2];
  char *buffer = support__alloc(16);
  const pier_register_options options = {.association = PIER_ASSOCIATE_NOW};
  support_outcome *written = support__outcome(), *read = support__outcome();
  support__native_pipe_pair(false, true, true, natives);
  for (int i = 0; i < 2; i++) {
    assert_status(pier_register(loop, natives[i], &options, &ends[i]), PIER_OK);
    assert_true(DuplicateHandle(GetCurrentProcess(), (HANDLE)natives[1], GetCurrentProcess(), &twins[i], 0, FALSE, DUPLICATE_SAME_ACCESS));
  }
  assert_int_equal(pier_handle_state(ends[1]), PIER_STATE_ASSOCIATED);
  PROCESS_INFORMATION child = start_child(FOREIGN, twins[0], twins[1]);
  assert_true(pier_write(ends[0], "down", 4, PIER_NO_DEADLINE, support__take, written) != 0);
  assert_true(pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, written, PIER_OK);
  await_status(loop, read, PIER_OK);
  assert_memory_equal(buffer, "up", 2);
  assert_int_equal(end_child(&child), 0);
  streams__exchange(loop, ends[0], ends[1], 100, 1);
  streams__exchange(loop, ends[1], ends[0], 100, 2);
  assert_int_equal(support__metrics(loop).packets_foreign, 0);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* A console: told apart, written and read, by workers. */
static void b15_a_console_is_blocking(void **state) {
  (void)state;
  PROCESS_INFORMATION child = start_child(CONSOLE, NULL, NULL);
  DWORD code = end_child(&child);
  if (code == 77)
    support__skip("there is no console here that can be typed into (AllocConsole, WriteConsoleInput)");
  if (code == 78)
    support__skip("the console was told apart and read; a write to it fails here, a plain one too");
  assert_int_equal(code, 0);
}

/* Another character device, which everybody has. */
static void b15_the_null_device_is_blocking(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  char *buffer = support__alloc(16);
  HANDLE native = CreateFileA("NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
  support_outcome *written = support__outcome(), *read = support__outcome();
  assert_true(native != INVALID_HANDLE_VALUE);
  pier_handle handle = add(loop, (pier_native)native);
  assert_true(pier_write(handle, "nowhere", 7, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, written, PIER_OK);
  assert_int_equal(written->got.bytes, 7);
  assert_true(pier_read(handle, buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, 0);
  assert_int_equal(pier_handle_kind(handle), PIER_KIND_CONSOLE);
  assert_int_equal(pier_handle_state(handle), PIER_STATE_BLOCKING);
  support__close_handle(loop, handle);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b18_a_childs_pipes),
      SUPPORT_TEST_POOL(b18_a_childs_pipes),
      SUPPORT_TEST(b18_a_childs_files),
      SUPPORT_TEST(b16_a_read_is_stuck_in_another_process),
      SUPPORT_TEST_POOL(b16_a_read_is_stuck_in_another_process),
      SUPPORT_TEST(b16_a_process_starts_with_a_stuck_input),
      SUPPORT_TEST(b8_an_inherited_handle_takes_the_event_path),
      SUPPORT_TEST_POOL(b8_an_inherited_handle_takes_the_event_path),
      SUPPORT_TEST(b15_a_console_is_blocking),
      SUPPORT_TEST(b15_the_null_device_is_blocking),
      SUPPORT_TEST_POOL(b15_the_null_device_is_blocking),
  };
  if (argc > 1 && strcmp(argv[1], COPY) == 0)
    return child_copy();
  if (argc > 1 && strcmp(argv[1], CONSOLE) == 0)
    return child_console();
  if (argc > 1 && strcmp(argv[1], FOREIGN) == 0)
    return child_foreign();
  if (argc > 1 && strcmp(argv[1], START) == 0)
    return child_start();
  return support__main(argc, argv, "standard", tests, sizeof tests / sizeof tests[0]);
}
