#include "floor.h"
#include "port.h"

#include "../common/listener.h"

#include <string.h>

#define MESSAGE_BYTES 8

struct connection {
  struct floor_operation receive; /* first: the operation is the connection */
  SOCKET socket;
  char message[MESSAGE_BYTES];
};

static struct {
  struct floor_port port;
  struct bench_result *result;
  struct connection *connections;
  uint64_t accepted;
  uint64_t open;
} server;

/* The first end says that the client has had its last answer. */
static void connection__end(struct connection *connection) {
  if (server.open == server.accepted) {
    bench_end(server.result);
    server.result->operations = server.result->bytes / MESSAGE_BYTES;
  }
  closesocket(connection->socket);
  server.port.stop = --server.open == 0;
}

static void connection__receive(struct connection *connection) {
  WSABUF buffer = {.len = MESSAGE_BYTES, .buf = connection->message};
  DWORD bytes = 0;
  DWORD flags = 0;

  memset(&connection->receive.overlapped, 0, sizeof connection->receive.overlapped);
  int failed = WSARecv(connection->socket, &buffer, 1, &bytes, &flags, &connection->receive.overlapped, NULL);
  floor_port_started(&server.port, &connection->receive, failed == 0, failed == 0 ? 0 : (DWORD)WSAGetLastError(), bytes);
}

/* The send carries no OVERLAPPED: into an empty socket it is always possible. */
static void connection__received(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct connection *connection = (struct connection *)(void *)operation;
  WSABUF buffer = {.len = bytes, .buf = connection->message};
  DWORD sent = 0;

  if (!ok || bytes == 0) {
    connection__end(connection);
    return;
  }
  server.result->bytes += bytes;
  int failed = WSASend(connection->socket, &buffer, 1, &sent, 0, NULL, NULL);
  bench_check(failed == 0 && sent == bytes, "WSASend", WSAGetLastError());
  connection__receive(connection);
}

static void connection__accept(struct connection *connection, uintptr_t listener) {
  u_long non_blocking = 1;

  connection->socket = (SOCKET)bench_listener_accept(listener);
  connection->receive.done = connection__received;
  int error = ioctlsocket(connection->socket, (long)FIONBIO, &non_blocking);
  bench_check(error == 0, "FIONBIO", WSAGetLastError());
  floor_port_add(&server.port, (HANDLE)connection->socket);
}

int floor_tcp_idle(const struct bench_options *options, struct bench_result *result) {
  uintptr_t listener = bench_listener_open();

  server.result = result;
  floor_port_open(&server.port);
  bench_memory_begin(result, options->connections);
  server.connections = bench_allocate(options->connections, sizeof *server.connections);
  for (uint64_t i = 0; i < options->connections; i++) {
    connection__accept(&server.connections[i], listener);
  }
  server.accepted = options->connections;
  server.open = options->connections;
  bench_begin(result);
  for (uint64_t i = 0; i < options->connections; i++) {
    connection__receive(&server.connections[i]);
  }
  floor_port_run(&server.port);
  bench_listener_close(listener);
  bench_release(server.connections);
  return 0;
}
