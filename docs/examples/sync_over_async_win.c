/* Reads and writes synchronously through handles that are on somebody else's completion port.
 *
 * A handle that a host has put on its port is trouble for whoever merely wants to read from it: every overlapped call
 * queues a packet there, and the host, which has started no such call, is handed a packet that it knows nothing of.
 * pier_sync_*() tags the event in the OVERLAPPED, so that no port sees anything. This program plays the host as well
 * and counts the packets. No loop is opened: the sync path needs none.
 */
#include "pier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#define READS 1000
#define BLOCK_BYTES 4096
#define HOST_KEY 42

static void check(bool ok, const char *what) {
  if (!ok) {
    fprintf(stderr, "failed: %s (system code %lu)\n", what, (unsigned long)GetLastError());
    exit(EXIT_FAILURE);
  }
}

/* How many packets are on the host's port. Whatever was to come has come after this long. */
static unsigned packets_on(HANDLE port) {
  unsigned count = 0;
  DWORD bytes = 0;
  ULONG_PTR key = 0;
  OVERLAPPED *overlapped = NULL;

  while (GetQueuedCompletionStatus(port, &bytes, &key, &overlapped, 100) || overlapped != NULL) {
    count++;
    overlapped = NULL;
  }
  return count;
}

static HANDLE open_temporary_file(void) {
  wchar_t folder[MAX_PATH + 1];
  wchar_t name[MAX_PATH + 1];

  check(GetTempPathW(MAX_PATH + 1, folder) != 0, "GetTempPath");
  check(GetTempFileNameW(folder, L"pier", 0, name) != 0, "GetTempFileName");
  HANDLE file = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_ALWAYS,
                            FILE_FLAG_OVERLAPPED | FILE_FLAG_DELETE_ON_CLOSE, NULL);
  check(file != INVALID_HANDLE_VALUE, "CreateFile");
  return file;
}

static void show_file(HANDLE port, HANDLE file) {
  char block[BLOCK_BYTES];
  size_t bytes = 0;

  memset(block, 'p', sizeof block);
  check(pier_sync_write_at((pier_native)file, block, sizeof block, 0, PIER_NO_TIMEOUT, NULL) == PIER_OK,
        "pier_sync_write_at");
  for (int i = 0; i < READS; i++) {
    pier_sync_result result;
    memset(block, 0, sizeof block);
    check(pier_sync_read_at((pier_native)file, block, sizeof block, 0, PIER_NO_TIMEOUT, &result) == PIER_OK,
          "pier_sync_read_at");
    check(block[0] == 'p' && block[BLOCK_BYTES - 1] == 'p', "the bytes that were written");
    bytes += result.bytes;
  }
  unsigned packets = packets_on(port);
  printf("%d reads through Pier: %zu bytes, %u packets on the host's port\n", READS, bytes, packets);
  check(packets == 0, "the host's port stays empty");
}

/* So that the silence above proves something: the same file, the same port, an ordinary overlapped read. */
static void show_ordinary_read(HANDLE port, HANDLE file) {
  char block[BLOCK_BYTES];
  OVERLAPPED overlapped = {.hEvent = NULL};

  BOOL done = ReadFile(file, block, sizeof block, NULL, &overlapped);
  check(done || GetLastError() == ERROR_IO_PENDING, "ReadFile");
  unsigned packets = packets_on(port);
  printf("1 read of the host's own: %u packet on the host's port\n", packets);
  check(packets == 1, "the port does work");
}

/* A pipe in which nothing comes: the timeout cancels the read, and its end is no packet either. */
static void show_timeout(HANDLE port) {
  wchar_t name[64];
  char byte = 0;
  pier_sync_result result;

  _snwprintf(name, 64, L"\\\\.\\pipe\\pier-example-%lu", (unsigned long)GetCurrentProcessId());
  HANDLE server =
      CreateNamedPipeW(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE, 1, 4096, 4096, 0, NULL);
  check(server != INVALID_HANDLE_VALUE, "CreateNamedPipe");
  HANDLE client = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
  check(client != INVALID_HANDLE_VALUE, "CreateFile on the pipe");
  check(CreateIoCompletionPort(server, port, HOST_KEY, 0) == port, "putting the pipe on the host's port");

  int status = pier_sync_read((pier_native)server, &byte, 1, 50 * PIER_MILLISECOND, &result);
  printf("a read with nothing to read: %s, %u packets on the host's port\n", pier_error_text(status), packets_on(port));
  check(status == PIER_ETIMEDOUT, "the timeout");

  check(pier_sync_write((pier_native)client, "!", 1, PIER_SECOND, NULL) == PIER_OK, "pier_sync_write");
  check(pier_sync_read((pier_native)server, &byte, 1, PIER_SECOND, &result) == PIER_OK && byte == '!',
        "pier_sync_read");
  unsigned packets = packets_on(port);
  printf("a read with something to read: %zu byte, %u packets on the host's port\n", result.bytes, packets);
  check(packets == 0, "the host's port stays empty");
  CloseHandle(client);
  CloseHandle(server);
}

int main(void) {
  HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
  check(port != NULL, "CreateIoCompletionPort");
  HANDLE file = open_temporary_file();
  check(CreateIoCompletionPort(file, port, HOST_KEY, 0) == port, "putting the file on the host's port");

  show_file(port, file);
  show_ordinary_read(port, file);
  show_timeout(port);
  CloseHandle(file);
  CloseHandle(port);
  return EXIT_SUCCESS;
}
