#include "floor.h"

#include <windows.h>

struct pair {
  HANDLE ports[2];
  uint64_t callbacks[2];
  uint64_t operations;
};

static HANDLE port_open(void) {
  HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
  bench_check(port != NULL, "CreateIoCompletionPort", (long long)GetLastError());
  return port;
}

static void port_post(HANDLE port) {
  BOOL ok = PostQueuedCompletionStatus(port, 0, 1, NULL);
  bench_check(ok, "PostQueuedCompletionStatus", (long long)GetLastError());
}

/* One packet goes to and fro, so there is never more than one to be had. */
static void pair__run(struct pair *pair, size_t mine) {
  for (uint64_t i = 0; i < pair->operations / 2; i++) {
    OVERLAPPED_ENTRY entry;
    ULONG count = 0;
    BOOL ok = GetQueuedCompletionStatusEx(pair->ports[mine], &entry, 1, &count, INFINITE, FALSE);
    bench_check(ok, "GetQueuedCompletionStatusEx", (long long)GetLastError());
    pair->callbacks[mine] += count;
    port_post(pair->ports[1 - mine]);
  }
}

static void pair__thread(void *argument) {
  pair__run(argument, 1);
}

int floor_post_pair(const struct bench_options *options, struct bench_result *result) {
  struct pair pair = {.ports = {port_open(), port_open()}, .operations = options->operations};
  void *thread = bench_thread_start(pair__thread, &pair);

  bench_begin(result);
  port_post(pair.ports[1]);
  pair__run(&pair, 0);
  bench_end(result);
  bench_thread_join(thread);
  result->operations = pair.callbacks[0] + pair.callbacks[1];
  CloseHandle(pair.ports[0]);
  CloseHandle(pair.ports[1]);
  return 0;
}

struct item {
  struct item *next;
  void (*run)(struct bench_result *result, uint64_t number);
  uint64_t number;
};

static void on_item(struct bench_result *result, uint64_t number) {
  result->checksum += number;
  result->operations++;
}

struct flood {
  HANDLE port;
  struct item *volatile head; /* newest first */
  struct item *items;
  uint64_t items_per_thread;
  volatile LONG64 threads_started;
};

/* The first item on an empty list wakes the loop; the others find it awake. */
static void flood__push(struct flood *flood, struct item *item) {
  struct item *head;

  do {
    head = flood->head;
    item->next = head;
  } while (InterlockedCompareExchangePointer((void *volatile *)&flood->head, item, head) != head);
  if (head == NULL) {
    port_post(flood->port);
  }
}

static void flood__thread(void *argument) {
  struct flood *flood = argument;
  uint64_t first = (uint64_t)(InterlockedIncrement64(&flood->threads_started) - 1) * flood->items_per_thread;

  for (uint64_t i = first; i < first + flood->items_per_thread; i++) {
    flood->items[i].run = on_item;
    flood->items[i].number = i;
    flood__push(flood, &flood->items[i]);
  }
}

static struct item *reversed(struct item *item) {
  struct item *first = NULL;

  while (item != NULL) {
    struct item *next = item->next;
    item->next = first;
    first = item;
    item = next;
  }
  return first;
}

static void flood__receive(struct flood *flood, struct bench_result *result, uint64_t until) {
  while (result->operations < until) {
    OVERLAPPED_ENTRY entry;
    ULONG count = 0;
    BOOL ok = GetQueuedCompletionStatusEx(flood->port, &entry, 1, &count, INFINITE, FALSE);
    bench_check(ok, "GetQueuedCompletionStatusEx", (long long)GetLastError());
    struct item *item = reversed(InterlockedExchangePointer((void *volatile *)&flood->head, NULL));
    for (; item != NULL; item = item->next) {
      item->run(result, item->number);
    }
  }
}

int floor_post_flood(const struct bench_options *options, struct bench_result *result) {
  struct flood flood = {.port = port_open(), .items_per_thread = options->operations / options->threads};
  void **threads = bench_allocate(options->threads, sizeof *threads);

  flood.items = bench_allocate(options->operations, sizeof *flood.items);
  bench_begin(result);
  for (uint64_t repeat = 0; repeat < options->repeats; repeat++) {
    flood.threads_started = 0;
    for (uint64_t i = 0; i < options->threads; i++) {
      threads[i] = bench_thread_start(flood__thread, &flood);
    }
    flood__receive(&flood, result, (repeat + 1) * flood.items_per_thread * options->threads);
    for (uint64_t i = 0; i < options->threads; i++) {
      bench_thread_join(threads[i]);
    }
  }
  bench_end(result);
  CloseHandle(flood.port);
  bench_release(flood.items);
  bench_release(threads);
  return 0;
}
