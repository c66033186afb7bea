#include "floor.h"

#include "../common/blocks.h"

#include <string.h>
#include <windows.h>

#define SLOTS_MAX 64

struct writer {
  const struct bench_options *options;
  struct bench_result *result;
  HANDLE file;
  HANDLE port;
  OVERLAPPED overlapped[SLOTS_MAX];
  char *blocks[SLOTS_MAX];
  uint64_t started;
};

static void writer__start(struct writer *writer, size_t slot) {
  OVERLAPPED *overlapped = &writer->overlapped[slot];
  uint64_t offset = writer->started * writer->options->block_bytes;

  bench_block_number(writer->blocks[slot], writer->started++);
  memset(overlapped, 0, sizeof *overlapped);
  overlapped->Offset = (DWORD)offset;
  overlapped->OffsetHigh = (DWORD)(offset >> 32);
  BOOL ok = WriteFile(writer->file, writer->blocks[slot], (DWORD)writer->options->block_bytes, NULL, overlapped);
  bench_check(ok || GetLastError() == ERROR_IO_PENDING, "WriteFile", (long long)GetLastError());
}

static void writer__finished(struct writer *writer, const OVERLAPPED_ENTRY *entry) {
  uint64_t bytes = entry->dwNumberOfBytesTransferred;

  bench_check((DWORD)entry->lpOverlapped->Internal == 0 && bytes == writer->options->block_bytes, "write", (long long)bytes);
  writer->result->bytes += bytes;
  writer->result->operations++;
  if (writer->started < writer->options->operations) {
    writer__start(writer, (size_t)(entry->lpOverlapped - writer->overlapped));
  }
}

static void writer__run(struct writer *writer) {
  OVERLAPPED_ENTRY entries[SLOTS_MAX];

  for (size_t i = 0; i < writer->options->depth; i++) {
    writer->blocks[i] = bench_block_make(writer->options);
    writer__start(writer, i);
  }
  while (writer->result->operations < writer->options->operations) {
    ULONG count = 0;
    BOOL ok = GetQueuedCompletionStatusEx(writer->port, entries, (ULONG)writer->options->depth, &count, INFINITE, FALSE);
    bench_check(ok, "GetQueuedCompletionStatusEx", (long long)GetLastError());
    for (ULONG i = 0; i < count; i++) {
      writer__finished(writer, &entries[i]);
    }
  }
  BOOL ok = FlushFileBuffers(writer->file);
  bench_check(ok, "FlushFileBuffers", (long long)GetLastError());
}

int floor_file_write(const struct bench_options *options, struct bench_result *result) {
  struct writer writer = {.options = options, .result = result};

  bench_check(options->depth >= 1 && options->depth <= SLOTS_MAX, "--depth is at most", SLOTS_MAX);
  writer.file = CreateFileA(options->path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_FLAG_OVERLAPPED, NULL);
  bench_check(writer.file != INVALID_HANDLE_VALUE, "CreateFile", (long long)GetLastError());
  writer.port = CreateIoCompletionPort(writer.file, NULL, 1, 1);
  bench_check(writer.port != NULL, "CreateIoCompletionPort", (long long)GetLastError());
  bench_begin(result);
  writer__run(&writer);
  bench_end(result);
  CloseHandle(writer.file);
  CloseHandle(writer.port);
  bench_blocks_check(options, result);
  return 0;
}
