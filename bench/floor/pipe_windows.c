#include "floor.h"
#include "port.h"

#include <string.h>

#define ECHO_BYTES_MAX 4096
#define PUMP_BYTES 65536

struct server {
  struct floor_port port;
  const struct bench_options *options;
  struct bench_result *result;
  struct connection **connections;
  uint64_t connected;
  uint64_t open;
  bool echo;
};

struct connection {
  struct floor_operation read; /* first: the operation is the connection */
  struct floor_operation write;
  struct server *server;
  HANDLE pipe;
  DWORD buffer_bytes;
  char buffer[];
};

static void connection__read(struct connection *connection) {
  DWORD bytes = 0;

  memset(&connection->read.overlapped, 0, sizeof connection->read.overlapped);
  BOOL ok = ReadFile(connection->pipe, connection->buffer, connection->buffer_bytes, &bytes, &connection->read.overlapped);
  floor_port_started(&connection->server->port, &connection->read, ok, ok ? 0 : GetLastError(), bytes);
}

static void connection__written(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct connection *connection = (struct connection *)(void *)((char *)operation - offsetof(struct connection, write));

  (void)bytes;
  bench_check(ok, "WriteFile", (long long)(DWORD)operation->overlapped.Internal);
  connection__read(connection);
}

static void connection__answer(struct connection *connection, DWORD bytes) {
  DWORD written = 0;

  memset(&connection->write.overlapped, 0, sizeof connection->write.overlapped);
  BOOL done = WriteFile(connection->pipe, connection->buffer, bytes, &written, &connection->write.overlapped);
  if (done) {
    connection__read(connection); /* no packet comes for a write that succeeded at once */
  } else {
    floor_port_started(&connection->server->port, &connection->write, false, GetLastError(), 0);
  }
}

static void connection__got(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct connection *connection = (struct connection *)(void *)operation;
  struct server *server = connection->server;

  if (!ok || bytes == 0) {
    CloseHandle(connection->pipe);
    if (--server->open == 0) {
      bench_end(server->result);
      server->port.stop = true;
    }
    return;
  }
  server->result->bytes += bytes;
  if (server->echo) {
    connection__answer(connection, bytes);
  } else {
    connection__read(connection);
  }
}

static void connection__connected(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct connection *connection = (struct connection *)(void *)operation;
  struct server *server = connection->server;

  (void)bytes;
  bench_check(ok || GetLastError() == ERROR_PIPE_CONNECTED, "ConnectNamedPipe", (long long)GetLastError());
  connection->read.done = connection__got;
  if (++server->connected < server->options->connections) {
    return;
  }
  bench_begin(server->result);
  for (uint64_t i = 0; i < server->connected; i++) {
    connection__read(server->connections[i]);
  }
}

static struct connection *server__listen(struct server *server) {
  size_t bytes = server->echo ? ECHO_BYTES_MAX : PUMP_BYTES;
  struct connection *connection = bench_allocate(1, sizeof *connection + bytes);

  connection->server = server;
  connection->buffer_bytes = (DWORD)bytes;
  connection->read.done = connection__connected;
  connection->write.done = connection__written;
  connection->pipe = CreateNamedPipeA(server->options->path, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED,
                                      PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT, PIPE_UNLIMITED_INSTANCES, 65536, 65536, 0, NULL);
  bench_check(connection->pipe != INVALID_HANDLE_VALUE, "CreateNamedPipe", (long long)GetLastError());
  floor_port_add(&server->port, connection->pipe);
  BOOL ok = ConnectNamedPipe(connection->pipe, &connection->read.overlapped);
  DWORD error = ok ? 0 : GetLastError();
  floor_port_started(&server->port, &connection->read, ok || error == ERROR_PIPE_CONNECTED, error, 0);
  return connection;
}

static int server__run(struct server *server) {
  floor_port_open(&server->port);
  server->connections = bench_allocate(server->options->connections, sizeof *server->connections);
  server->open = server->options->connections;
  for (uint64_t i = 0; i < server->open; i++) {
    server->connections[i] = server__listen(server);
  }
  bench_ready(0);
  floor_port_run(&server->port);
  server->result->operations = server->result->bytes / server->options->block_bytes;
  return 0;
}

int floor_pipe_echo(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.options = options, .result = result, .echo = true};
  return server__run(&server);
}

int floor_pipe_pump(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.options = options, .result = result};
  return server__run(&server);
}
