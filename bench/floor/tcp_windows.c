#include "floor.h"
#include "port.h"

#include <string.h>
#include <ws2tcpip.h>

#define ECHO_BYTES_MAX 4096
#define PUMP_BYTES 65536

struct server {
  struct floor_port port; /* first: what an operation's connection points to */
  SOCKET listener;
  struct bench_result *result;
  uint64_t open;
  uint64_t receives; /* that brought something */
};

struct connection {
  struct floor_operation receive; /* first: the operation is the connection */
  struct floor_operation send;
  struct server *server;
  SOCKET socket;
  DWORD unsent_bytes;
  DWORD unsent_offset;
  char *buffer;
  DWORD buffer_bytes;
};

static void connection__end(struct connection *connection) {
  struct server *server = connection->server;

  closesocket(connection->socket);
  if (--server->open == 0) {
    bench_end(server->result);
    server->port.stop = true;
  }
}

static void connection__receive(struct connection *connection) {
  WSABUF buffer = {.len = connection->buffer_bytes, .buf = connection->buffer};
  DWORD bytes = 0;
  DWORD flags = 0;

  memset(&connection->receive.overlapped, 0, sizeof connection->receive.overlapped);
  int failed = WSARecv(connection->socket, &buffer, 1, &bytes, &flags, &connection->receive.overlapped, NULL);
  DWORD error = failed == 0 ? 0 : (DWORD)WSAGetLastError();
  floor_port_started(&connection->server->port, &connection->receive, failed == 0, error, bytes);
}

static void echo__send_rest(struct connection *connection) {
  WSABUF buffer = {.len = connection->unsent_bytes, .buf = connection->buffer + connection->unsent_offset};
  DWORD bytes = 0;

  memset(&connection->send.overlapped, 0, sizeof connection->send.overlapped);
  int failed = WSASend(connection->socket, &buffer, 1, &bytes, 0, &connection->send.overlapped, NULL);
  DWORD error = failed == 0 ? 0 : (DWORD)WSAGetLastError();
  floor_port_started(&connection->server->port, &connection->send, failed == 0, error, bytes);
}

static void echo__sent(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct connection *connection = (struct connection *)(void *)((char *)operation - offsetof(struct connection, send));

  if (!ok) {
    connection__end(connection);
    return;
  }
  connection->unsent_offset += bytes;
  connection->unsent_bytes -= bytes;
  if (connection->unsent_bytes > 0) {
    echo__send_rest(connection);
  } else {
    connection__receive(connection);
  }
}

/* The send carries no OVERLAPPED: the socket does not block, and 64 bytes nearly always fit, so there is nothing to wait for. */
static void echo__received(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct connection *connection = (struct connection *)(void *)operation;
  WSABUF buffer = {.len = bytes, .buf = connection->buffer};
  DWORD sent = 0;

  if (!ok || bytes == 0) {
    connection__end(connection);
    return;
  }
  connection->server->result->bytes += bytes;
  connection->server->receives++;
  int failed = WSASend(connection->socket, &buffer, 1, &sent, 0, NULL, NULL);
  if (failed == 0 && sent == bytes) {
    connection__receive(connection);
  } else if (failed == 0 || WSAGetLastError() == WSAEWOULDBLOCK) {
    connection->unsent_offset = sent;
    connection->unsent_bytes = bytes - sent;
    echo__send_rest(connection);
  } else {
    connection__end(connection);
  }
}

static void pump__received(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct connection *connection = (struct connection *)(void *)operation;

  if (!ok || bytes == 0) {
    connection__end(connection);
    return;
  }
  connection->server->result->bytes += bytes;
  connection->server->receives++;
  connection__receive(connection);
}

static void server__listen(struct server *server) {
  WSADATA data;
  struct sockaddr_in address = {.sin_family = AF_INET};
  int length = sizeof address;

  int error = WSAStartup(MAKEWORD(2, 2), &data);
  bench_check(error == 0, "WSAStartup", error);
  floor_port_open(&server->port);
  server->listener = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED);
  bench_check(server->listener != INVALID_SOCKET, "WSASocket", WSAGetLastError());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  error = bind(server->listener, (const struct sockaddr *)&address, sizeof address);
  bench_check(error == 0, "bind", WSAGetLastError());
  error = listen(server->listener, 512);
  bench_check(error == 0, "listen", WSAGetLastError());
  error = getsockname(server->listener, (struct sockaddr *)&address, &length);
  bench_check(error == 0, "getsockname", WSAGetLastError());
  bench_ready(ntohs(address.sin_port));
}

/* All connections come before the first byte is served, so a plain accept is enough. */
static struct connection *server__accept(struct server *server, DWORD buffer_bytes) {
  struct connection *connection = bench_allocate(1, sizeof *connection);
  BOOL no_delay = TRUE;
  u_long non_blocking = 1;

  connection->server = server;
  connection->buffer_bytes = buffer_bytes;
  connection->buffer = bench_allocate(1, buffer_bytes);
  connection->socket = accept(server->listener, NULL, NULL);
  bench_check(connection->socket != INVALID_SOCKET, "accept", WSAGetLastError());
  int error = setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, (const char *)&no_delay, sizeof no_delay);
  bench_check(error == 0, "TCP_NODELAY", WSAGetLastError());
  error = ioctlsocket(connection->socket, (long)FIONBIO, &non_blocking);
  bench_check(error == 0, "FIONBIO", WSAGetLastError());
  floor_port_add(&server->port, (HANDLE)connection->socket);
  server->open++;
  return connection;
}

static void server__run(struct server *server, const struct bench_options *options, bool echo) {
  struct connection **all = bench_allocate(options->connections, sizeof *all);

  server__listen(server);
  for (uint64_t i = 0; i < options->connections; i++) {
    all[i] = server__accept(server, echo ? ECHO_BYTES_MAX : PUMP_BYTES);
    all[i]->receive.done = echo ? echo__received : pump__received;
    all[i]->send.done = echo__sent;
  }
  bench_begin(server->result);
  for (uint64_t i = 0; i < options->connections; i++) {
    connection__receive(all[i]);
  }
  floor_port_run(&server->port);
  closesocket(server->listener);
}

int floor_tcp_echo(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.result = result};

  server__run(&server, options, true);
  result->operations = result->bytes / options->block_bytes;
  bench_receives(result, server.receives);
  return 0;
}

int floor_tcp_pump(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.result = result};

  server__run(&server, options, false);
  result->operations = result->bytes / options->block_bytes;
  bench_receives(result, server.receives);
  return 0;
}
