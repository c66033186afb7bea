#include "floor.h"
#include "port.h"

#include "../common/listener.h"

#include <mswsock.h>
#include <string.h>
#include <ws2tcpip.h>

#define ACCEPTS_MAX 32
#define ADDRESS_BYTES (sizeof(struct sockaddr_in) + 16)

struct server {
  struct floor_port port;
  SOCKET listener;
  LPFN_ACCEPTEX accept_ex;
  const struct bench_options *options;
  struct bench_result *result;
  uint64_t accepting;
};

/* One connection after the other: accept, receive, close. AcceptEx could wait for the first bytes too, and would then wait for ever for a client
 * that says nothing. */
struct visit {
  struct floor_operation operation; /* first: the operation is the visit */
  struct server *server;
  SOCKET socket;
  char buffer[64];
  char addresses[2 * ADDRESS_BYTES];
};

static void visit__accept(struct visit *visit);

static void visit__received(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct visit *visit = (struct visit *)(void *)operation;
  struct server *server = visit->server;

  bench_check(ok && bytes > 0, "WSARecv", (long long)(DWORD)operation->overlapped.Internal);
  server->result->bytes += bytes;
  closesocket(visit->socket);
  if (++server->result->operations == server->options->operations) {
    bench_end(server->result);
    server->port.stop = true;
  } else {
    visit__accept(visit);
  }
}

static void visit__accepted(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct visit *visit = (struct visit *)(void *)operation;
  struct server *server = visit->server;
  WSABUF buffer = {.len = sizeof visit->buffer, .buf = visit->buffer};
  BOOL no_delay = TRUE;
  DWORD flags = 0;

  bench_check(ok, "AcceptEx", (long long)(DWORD)operation->overlapped.Internal);
  setsockopt(visit->socket, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (const char *)&server->listener, sizeof server->listener);
  setsockopt(visit->socket, IPPROTO_TCP, TCP_NODELAY, (const char *)&no_delay, sizeof no_delay);
  floor_port_add(&server->port, (HANDLE)visit->socket);
  operation->done = visit__received;
  memset(&operation->overlapped, 0, sizeof operation->overlapped);
  int failed = WSARecv(visit->socket, &buffer, 1, &bytes, &flags, &operation->overlapped, NULL);
  DWORD error = failed == 0 ? 0 : (DWORD)WSAGetLastError();
  floor_port_started(&server->port, operation, failed == 0, error, bytes);
}

static void visit__accept(struct visit *visit) {
  struct server *server = visit->server;
  DWORD bytes = 0;

  if (server->accepting == server->options->operations) {
    return;
  }
  server->accepting++;
  visit->socket = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED);
  bench_check(visit->socket != INVALID_SOCKET, "WSASocket", WSAGetLastError());
  visit->operation.done = visit__accepted;
  memset(&visit->operation.overlapped, 0, sizeof visit->operation.overlapped);
  BOOL ok = server->accept_ex(server->listener, visit->socket, visit->addresses, 0, ADDRESS_BYTES, ADDRESS_BYTES, &bytes,
                              &visit->operation.overlapped);
  floor_port_started(&server->port, &visit->operation, ok, ok ? 0 : (DWORD)WSAGetLastError(), bytes);
}

int floor_tcp_accept(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.options = options, .result = result, .listener = (SOCKET)bench_listener_open()};
  struct visit *visits = bench_allocate(ACCEPTS_MAX, sizeof *visits);
  GUID accept_ex = WSAID_ACCEPTEX;
  DWORD bytes = 0;

  floor_port_open(&server.port);
  floor_port_add(&server.port, (HANDLE)server.listener);
  int error = WSAIoctl(server.listener, SIO_GET_EXTENSION_FUNCTION_POINTER, &accept_ex, sizeof accept_ex, &server.accept_ex,
                       sizeof server.accept_ex, &bytes, NULL, NULL);
  bench_check(error == 0, "AcceptEx is not there", WSAGetLastError());
  bench_begin(result);
  for (int i = 0; i < ACCEPTS_MAX; i++) {
    visits[i].server = &server;
    visit__accept(&visits[i]);
  }
  floor_port_run(&server.port);
  closesocket(server.listener);
  bench_release(visits);
  return 0;
}
