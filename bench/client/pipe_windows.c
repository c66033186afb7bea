/* The neutral client of named pipes: one for all servers, so what it costs is the same for each of them. */
#include "../floor/port.h"

#include "../common/latency.h"

#include <stdio.h>
#include <string.h>

#define ECHO_BYTES_MAX 4096
#define OPEN_TRIES_MAX 500

static HANDLE client__open(const char *name, DWORD flags) {
  for (int i = 0; i < OPEN_TRIES_MAX; i++) {
    HANDLE pipe = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, flags, NULL);
    if (pipe != INVALID_HANDLE_VALUE) {
      return pipe;
    }
    Sleep(10);
  }
  bench_check(false, "no server on the pipe", (long long)GetLastError());
  return INVALID_HANDLE_VALUE;
}

/* One connection: blocking calls are the leanest client there is. */
static uint64_t single__run(HANDLE pipe, const struct bench_options *options, uint64_t duration_ms, struct latency *latency) {
  char sent[ECHO_BYTES_MAX] = {0};
  char received[ECHO_BYTES_MAX] = {0};
  DWORD length = (DWORD)options->block_bytes;
  uint64_t round_trips = 0;
  uint64_t before_ns = bench_clock_ns();
  uint64_t until_ns = before_ns + duration_ms * 1000000;

  while (before_ns < until_ns) {
    DWORD bytes = 0;
    memcpy(sent, &round_trips, sizeof round_trips);
    BOOL ok = WriteFile(pipe, sent, length, &bytes, NULL);
    bench_check(ok && bytes == length, "WriteFile", (long long)GetLastError());
    for (DWORD have = 0; have < length; have += bytes) {
      ok = ReadFile(pipe, received + have, length - have, &bytes, NULL);
      bench_check(ok && bytes > 0, "ReadFile", (long long)GetLastError());
    }
    bench_check(memcmp(sent, received, length) == 0, "not the message that was sent, number", (long long)round_trips);
    uint64_t after_ns = bench_clock_ns();
    latency_add(latency, after_ns - before_ns);
    before_ns = after_ns;
    round_trips++;
  }
  return round_trips;
}

static uint64_t single(const struct bench_options *options, struct bench_result *result, struct latency *latency) {
  HANDLE pipe = client__open(options->path, 0);
  uint64_t warm = single__run(pipe, options, options->warmup, latency);

  memset(latency, 0, sizeof *latency);
  bench_begin(result);
  result->operations = single__run(pipe, options, options->duration_ms, latency);
  bench_end(result);
  CloseHandle(pipe);
  return warm;
}

struct many {
  struct floor_port port;
  const struct bench_options *options;
  struct latency *latency;
  struct connection *connections;
  uint64_t until_ns;
  uint64_t in_flight;
  uint64_t round_trips;
};

struct connection {
  struct floor_operation operation; /* first: the operation is the connection. One at a time: a write, then reads. */
  struct many *many;
  HANDLE pipe;
  DWORD have;
  uint64_t sent_ns;
  uint64_t sequence;
  char sent[ECHO_BYTES_MAX];
  char received[ECHO_BYTES_MAX];
};

static void connection__read(struct connection *connection) {
  DWORD bytes = 0;
  DWORD length = (DWORD)connection->many->options->block_bytes - connection->have;

  memset(&connection->operation.overlapped, 0, sizeof connection->operation.overlapped);
  BOOL ok = ReadFile(connection->pipe, connection->received + connection->have, length, &bytes, &connection->operation.overlapped);
  floor_port_started(&connection->many->port, &connection->operation, ok, ok ? 0 : GetLastError(), bytes);
}

static void connection__got(struct floor_operation *operation, bool ok, DWORD bytes);

static void connection__written(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct connection *connection = (struct connection *)(void *)operation;

  bench_check(ok && bytes == connection->many->options->block_bytes, "WriteFile", bytes);
  connection->have = 0;
  operation->done = connection__got;
  connection__read(connection);
}

static void connection__send(struct connection *connection) {
  struct many *many = connection->many;
  DWORD bytes = 0;
  DWORD length = (DWORD)many->options->block_bytes;

  connection->sequence++;
  memcpy(connection->sent, &connection->sequence, sizeof connection->sequence);
  connection->sent_ns = bench_clock_ns();
  connection->operation.done = connection__written;
  memset(&connection->operation.overlapped, 0, sizeof connection->operation.overlapped);
  BOOL ok = WriteFile(connection->pipe, connection->sent, length, &bytes, &connection->operation.overlapped);
  floor_port_started(&many->port, &connection->operation, ok, ok ? 0 : GetLastError(), bytes);
}

static void connection__got(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct connection *connection = (struct connection *)(void *)operation;
  struct many *many = connection->many;
  uint64_t now_ns = bench_clock_ns();

  bench_check(ok && bytes > 0, "ReadFile", (long long)(DWORD)operation->overlapped.Internal);
  connection->have += bytes;
  if (connection->have < many->options->block_bytes) {
    connection__read(connection);
    return;
  }
  bool same = memcmp(connection->sent, connection->received, connection->have) == 0;
  bench_check(same, "not the message that was sent, number", (long long)connection->sequence);
  latency_add(many->latency, now_ns - connection->sent_ns);
  many->round_trips++;
  if (now_ns < many->until_ns) {
    connection__send(connection);
  } else {
    many->in_flight--;
    many->port.stop = many->in_flight == 0;
  }
}

/* Until the time is up and every message has been answered. */
static uint64_t many__run(struct many *many, uint64_t duration_ms) {
  many->until_ns = bench_clock_ns() + duration_ms * 1000000;
  many->in_flight = many->options->connections;
  many->round_trips = 0;
  many->port.stop = false;
  for (uint64_t i = 0; i < many->options->connections; i++) {
    connection__send(&many->connections[i]);
  }
  floor_port_run(&many->port);
  return many->round_trips;
}

static uint64_t many(const struct bench_options *options, struct bench_result *result, struct latency *latency) {
  struct many many = {.options = options, .latency = latency};

  floor_port_open(&many.port);
  many.connections = bench_allocate(options->connections, sizeof *many.connections);
  for (uint64_t i = 0; i < options->connections; i++) {
    many.connections[i].many = &many;
    many.connections[i].pipe = client__open(options->path, FILE_FLAG_OVERLAPPED);
    floor_port_add(&many.port, many.connections[i].pipe);
  }
  uint64_t warm = many__run(&many, options->warmup);
  memset(latency, 0, sizeof *latency);
  bench_begin(result);
  result->operations = many__run(&many, options->duration_ms);
  bench_end(result);
  for (uint64_t i = 0; i < options->connections; i++) {
    CloseHandle(many.connections[i].pipe);
  }
  return warm;
}

static int client_echo(const struct bench_options *options, struct bench_result *result) {
  struct latency *latency = bench_allocate(1, sizeof *latency);

  bench_check(options->block_bytes >= 8 && options->block_bytes <= ECHO_BYTES_MAX, "--block is 8 to", ECHO_BYTES_MAX);
  uint64_t warm = options->connections > 1 ? many(options, result, latency) : single(options, result, latency);
  result->latency_p50_ns = latency_quantile(latency, 0.5);
  result->latency_p99_ns = latency_quantile(latency, 0.99);
  result->bytes = (result->operations + warm) * options->block_bytes;
  return 0;
}

static int client_pump(const struct bench_options *options, struct bench_result *result) {
  char *block = bench_allocate(1, options->block_bytes);
  HANDLE pipe = client__open(options->path, 0);
  uint64_t until_ns = bench_clock_ns() + options->duration_ms * 1000000;

  memset(block, 'p', options->block_bytes);
  bench_begin(result);
  while (bench_clock_ns() < until_ns) {
    DWORD bytes = 0;
    BOOL ok = WriteFile(pipe, block, (DWORD)options->block_bytes, &bytes, NULL);
    bench_check(ok && bytes == options->block_bytes, "WriteFile", (long long)GetLastError());
    result->bytes += bytes;
    result->operations++;
  }
  FlushFileBuffers(pipe); /* until all of it has been read: closing must not throw any of it away */
  bench_end(result);
  CloseHandle(pipe);
  bench_release(block);
  return 0;
}

const char *const bench_side = "pipe client";

const struct bench_workload bench_workloads[] = {
    {"pipe_echo", client_echo},
    {"pipe_pump", client_pump},
    {"pipe_foreign", client_echo},
    {NULL, NULL},
};
