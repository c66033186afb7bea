#include "floor.h"
#include "port.h"

#include "../common/latency.h"

#include <stdio.h>
#include <string.h>

#define ECHO_BYTES_MAX 4096
#define OPEN_TRIES_MAX 500

struct connection {
  struct floor_operation read; /* first: the operation is the connection */
  struct floor_operation write;
  struct floor_port *port;
  struct bench_result *result;
  HANDLE pipe;
  char buffer[ECHO_BYTES_MAX];
};

static void connection__read(struct connection *connection) {
  DWORD bytes = 0;

  memset(&connection->read.overlapped, 0, sizeof connection->read.overlapped);
  BOOL ok = ReadFile(connection->pipe, connection->buffer, ECHO_BYTES_MAX, &bytes, &connection->read.overlapped);
  floor_port_started(connection->port, &connection->read, ok, ok ? 0 : GetLastError(), bytes);
}

static void connection__written(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct connection *connection = (struct connection *)(void *)((char *)operation - offsetof(struct connection, write));

  (void)bytes;
  bench_check(ok, "WriteFile", (long long)(DWORD)operation->overlapped.Internal);
  connection__read(connection);
}

static void connection__got(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct connection *connection = (struct connection *)(void *)operation;
  DWORD written = 0;

  if (!ok || bytes == 0) {
    bench_end(connection->result);
    connection->port->stop = true;
    return;
  }
  connection->result->bytes += bytes;
  memset(&connection->write.overlapped, 0, sizeof connection->write.overlapped);
  BOOL done = WriteFile(connection->pipe, connection->buffer, bytes, &written, &connection->write.overlapped);
  if (done) {
    connection__read(connection); /* no packet comes for a write that succeeded at once */
  } else {
    floor_port_started(connection->port, &connection->write, false, GetLastError(), 0);
  }
}

static void connected(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct connection *connection = (struct connection *)(void *)operation;

  (void)bytes;
  bench_check(ok || GetLastError() == ERROR_PIPE_CONNECTED, "ConnectNamedPipe", (long long)GetLastError());
  connection->read.done = connection__got;
  bench_begin(connection->result);
  connection__read(connection);
}

int floor_pipe_echo(const struct bench_options *options, struct bench_result *result) {
  struct floor_port port;
  struct connection *connection = bench_allocate(1, sizeof *connection);

  floor_port_open(&port);
  connection->port = &port;
  connection->result = result;
  connection->read.done = connected;
  connection->write.done = connection__written;
  connection->pipe = CreateNamedPipeA(options->path, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED,
                                      PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT, 1, 65536, 65536, 0, NULL);
  bench_check(connection->pipe != INVALID_HANDLE_VALUE, "CreateNamedPipe", (long long)GetLastError());
  floor_port_add(&port, connection->pipe);
  bench_ready(0);
  BOOL ok = ConnectNamedPipe(connection->pipe, &connection->read.overlapped);
  floor_port_started(&port, &connection->read, ok, ok ? 0 : GetLastError(), 0);
  floor_port_run(&port);
  CloseHandle(connection->pipe);
  result->operations = result->bytes / options->block_bytes;
  return 0;
}

static HANDLE client__open(const char *name) {
  for (int i = 0; i < OPEN_TRIES_MAX; i++) {
    HANDLE pipe = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    if (pipe != INVALID_HANDLE_VALUE) {
      return pipe;
    }
    Sleep(10);
  }
  bench_check(false, "no server on the pipe", (long long)GetLastError());
  return INVALID_HANDLE_VALUE;
}

/* One blocking client for all servers: what it costs is the same for each of them. */
static uint64_t client__run(HANDLE pipe, const struct bench_options *options, uint64_t duration_ms, struct latency *latency) {
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

int floor_pipe_client(const struct bench_options *options, struct bench_result *result) {
  struct latency *latency = bench_allocate(1, sizeof *latency);
  HANDLE pipe = client__open(options->path);
  uint64_t warm;

  bench_check(options->block_bytes >= 8 && options->block_bytes <= ECHO_BYTES_MAX, "--block is 8 to", ECHO_BYTES_MAX);
  warm = client__run(pipe, options, options->warmup, latency);
  memset(latency, 0, sizeof *latency);
  bench_begin(result);
  result->operations = client__run(pipe, options, options->duration_ms, latency);
  bench_end(result);
  result->latency_p50_ns = latency_quantile(latency, 0.5);
  result->latency_p99_ns = latency_quantile(latency, 0.99);
  result->bytes = (result->operations + warm) * options->block_bytes;
  CloseHandle(pipe);
  return 0;
}
