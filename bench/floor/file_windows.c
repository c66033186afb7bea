#include "floor.h"

#include <string.h>
#include <windows.h>

#define SLOTS_MAX MAXIMUM_WAIT_OBJECTS
#define STATUS_STILL_PENDING 0x103u

struct reader {
  HANDLE file;
  HANDLE port;
  HANDLE events[SLOTS_MAX];
  OVERLAPPED overlapped[SLOTS_MAX];
  char *buffers;
  DWORD block_bytes;
  uint64_t blocks;
  uint64_t random;
  uint64_t started;
  struct bench_result *result;
};

static void reader__open(struct reader *reader, const struct bench_options *options, DWORD flags) {
  LARGE_INTEGER size;

  reader->file = CreateFileA(options->path, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, flags, NULL);
  bench_check(reader->file != INVALID_HANDLE_VALUE, "CreateFile", (long long)GetLastError());
  BOOL ok = GetFileSizeEx(reader->file, &size);
  bench_check(ok && size.QuadPart >= (LONGLONG)options->block_bytes, "the file is too small", size.QuadPart);
  reader->block_bytes = (DWORD)options->block_bytes;
  reader->blocks = (uint64_t)size.QuadPart / options->block_bytes;
  reader->random = options->seed;
  reader->buffers = bench_allocate(SLOTS_MAX, options->block_bytes);
  for (int i = 0; i < SLOTS_MAX; i++) {
    reader->events[i] = CreateEventW(NULL, TRUE, FALSE, NULL);
    bench_check(reader->events[i] != NULL, "CreateEvent", (long long)GetLastError());
  }
}

static void reader__close(struct reader *reader) {
  for (int i = 0; i < SLOTS_MAX; i++) {
    CloseHandle(reader->events[i]);
  }
  CloseHandle(reader->file);
  bench_release(reader->buffers);
}

static HANDLE tagged(HANDLE event) {
  return (HANDLE)((uintptr_t)event | 1);
}

static void reader__aim(struct reader *reader, OVERLAPPED *overlapped, HANDLE event) {
  uint64_t offset = bench_random(&reader->random) % reader->blocks * reader->block_bytes;

  memset(overlapped, 0, sizeof *overlapped);
  overlapped->Offset = (DWORD)offset;
  overlapped->OffsetHigh = (DWORD)(offset >> 32);
  overlapped->hEvent = event;
}

static void reader__start(struct reader *reader, size_t slot, HANDLE event) {
  OVERLAPPED *overlapped = &reader->overlapped[slot];

  reader__aim(reader, overlapped, event);
  BOOL ok = ReadFile(reader->file, reader->buffers + slot * reader->block_bytes, reader->block_bytes, NULL, overlapped);
  bench_check(ok || GetLastError() == ERROR_IO_PENDING, "ReadFile", (long long)GetLastError());
  reader->started++;
}

static void reader__count(struct reader *reader, size_t slot) {
  const OVERLAPPED *overlapped = &reader->overlapped[slot];
  uint64_t first;

  bench_check((DWORD)overlapped->Internal == 0 && overlapped->InternalHigh == reader->block_bytes, "read", (long long)(DWORD)overlapped->Internal);
  memcpy(&first, reader->buffers + slot * reader->block_bytes, sizeof first);
  reader->result->checksum += first;
  reader->result->bytes += reader->block_bytes;
  reader->result->operations++;
}

static bool reader__finished(const struct reader *reader, size_t slot) {
  return (DWORD)reader->overlapped[slot].Internal != STATUS_STILL_PENDING;
}

/* A slot without work looks like one whose read never ends. */
static void reader__retire(struct reader *reader, size_t slot) {
  reader->overlapped[slot].Internal = STATUS_STILL_PENDING;
  ResetEvent(reader->events[slot]);
}

/* Each read has its own event, tagged so that no port is involved. A read of cached data is finished when ReadFile returns, which the status in
 * its OVERLAPPED tells without a call; only when a whole round finds none finished is there anything to wait for. */
static void read_by_event(struct reader *reader, size_t depth, uint64_t operations) {
  for (size_t i = 0; i < depth; i++) {
    reader__start(reader, i, tagged(reader->events[i]));
  }
  while (reader->result->operations < operations) {
    bool progress = false;
    for (size_t i = 0; i < depth && reader->result->operations < operations; i++) {
      if (!reader__finished(reader, i)) {
        continue;
      }
      progress = true;
      reader__count(reader, i);
      if (reader->started < operations) {
        reader__start(reader, i, tagged(reader->events[i]));
      } else {
        reader__retire(reader, i);
      }
    }
    if (!progress) {
      WaitForMultipleObjects((DWORD)depth, reader->events, FALSE, INFINITE);
    }
  }
}

static void read_by_port(struct reader *reader, size_t depth, uint64_t operations) {
  OVERLAPPED_ENTRY entries[SLOTS_MAX];

  for (size_t i = 0; i < depth; i++) {
    reader__start(reader, i, NULL);
  }
  while (reader->result->operations < operations) {
    ULONG count = 0;
    BOOL ok = GetQueuedCompletionStatusEx(reader->port, entries, (ULONG)depth, &count, INFINITE, FALSE);
    bench_check(ok, "GetQueuedCompletionStatusEx", (long long)GetLastError());
    for (ULONG i = 0; i < count; i++) {
      size_t slot = (size_t)(entries[i].lpOverlapped - reader->overlapped);
      reader__count(reader, slot);
      if (reader->started < operations) {
        reader__start(reader, slot, NULL);
      }
    }
  }
}

static void reader__associate(struct reader *reader) {
  reader->port = CreateIoCompletionPort(reader->file, NULL, 1, 1);
  bench_check(reader->port != NULL, "CreateIoCompletionPort", (long long)GetLastError());
}

int floor_file_read(const struct bench_options *options, struct bench_result *result) {
  struct reader reader = {.result = result};
  bool by_port = strcmp(options->form, "port") == 0;

  bench_check(options->depth >= 1 && options->depth <= SLOTS_MAX, "--depth is at most", SLOTS_MAX);
  reader__open(&reader, options, FILE_FLAG_OVERLAPPED);
  bench_begin(result);
  if (by_port) {
    reader__associate(&reader);
    read_by_port(&reader, (size_t)options->depth, options->operations);
  } else {
    read_by_event(&reader, (size_t)options->depth, options->operations);
  }
  bench_end(result);
  reader__close(&reader);
  return 0;
}

/* One event for all calls: what a thread would keep. */
static void sync_tagged(struct reader *reader) {
  DWORD bytes = 0;

  reader__start(reader, 0, tagged(reader->events[0]));
  BOOL ok = GetOverlappedResult(reader->file, &reader->overlapped[0], &bytes, TRUE);
  bench_check(ok, "GetOverlappedResult", (long long)GetLastError());
}

static void sync_event(struct reader *reader) {
  DWORD bytes = 0;
  HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);

  bench_check(event != NULL, "CreateEvent", (long long)GetLastError());
  reader__start(reader, 0, tagged(event));
  BOOL ok = GetOverlappedResult(reader->file, &reader->overlapped[0], &bytes, TRUE);
  bench_check(ok, "GetOverlappedResult", (long long)GetLastError());
  CloseHandle(event);
}

static void sync_blocking(struct reader *reader) {
  DWORD bytes = 0;

  reader__aim(reader, &reader->overlapped[0], NULL);
  BOOL ok = ReadFile(reader->file, reader->buffers, reader->block_bytes, &bytes, &reader->overlapped[0]);
  bench_check(ok && bytes == reader->block_bytes, "ReadFile", (long long)GetLastError());
}

int floor_sync_read(const struct bench_options *options, struct bench_result *result) {
  struct reader reader = {.result = result};
  bool blocking = strcmp(options->form, "blocking") == 0;
  bool event = strcmp(options->form, "event") == 0;

  reader__open(&reader, options, blocking ? 0 : FILE_FLAG_OVERLAPPED);
  if (!blocking) {
    reader__associate(&reader); /* the handle is on a port all along, which must not see anything of this */
  }
  bench_begin(result);
  if (strcmp(options->form, "port") == 0) {
    read_by_port(&reader, 1, options->operations);
  } else {
    void (*call)(struct reader *) = blocking ? sync_blocking : event ? sync_event : sync_tagged;
    for (uint64_t i = 0; i < options->operations; i++) {
      call(&reader);
      reader__count(&reader, 0);
    }
  }
  bench_end(result);
  reader__close(&reader);
  return 0;
}
