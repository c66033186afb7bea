#include "floor.h"
#include "port.h"

#include "../common/datagrams.h"

#include <string.h>

struct pump {
  struct floor_operation receive; /* first: the operation is the pump */
  struct floor_port port;
  struct bench_datagrams count;
  SOCKET sender;
  SOCKET receiver;
  struct sockaddr_in to;
  struct sockaddr_in from;
  INT from_length;
  DWORD flags;
  char buffer[BENCH_DATAGRAM_BYTES_MAX];
};

static SOCKET pump__open(struct sockaddr_in *bound) {
  int length = sizeof *bound;
  SOCKET made = WSASocketW(AF_INET, SOCK_DGRAM, IPPROTO_UDP, NULL, 0, WSA_FLAG_OVERLAPPED);

  memset(bound, 0, sizeof *bound);
  bound->sin_family = AF_INET;
  bound->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bench_check(bind(made, (const struct sockaddr *)bound, length) == 0, "bind", WSAGetLastError());
  bench_check(getsockname(made, (struct sockaddr *)bound, &length) == 0, "getsockname", WSAGetLastError());
  return made;
}

/* A datagram goes out at once or not at all: no OVERLAPPED, and no packet. */
static void pump__send(struct pump *pump) {
  char buffer[BENCH_DATAGRAM_BYTES_MAX];

  while (bench_datagrams_may_send(&pump->count)) {
    int length = (int)bench_datagrams_next(&pump->count, buffer);
    int sent = sendto(pump->sender, buffer, length, 0, (const struct sockaddr *)&pump->to, sizeof pump->to);
    bench_check(sent == length, "sendto", WSAGetLastError());
  }
}

static void pump__receive(struct pump *pump) {
  WSABUF buffer = {.len = sizeof pump->buffer, .buf = pump->buffer};
  DWORD bytes = 0;

  memset(&pump->receive.overlapped, 0, sizeof pump->receive.overlapped);
  pump->from_length = sizeof pump->from;
  pump->flags = 0;
  int failed = WSARecvFrom(pump->receiver, &buffer, 1, &bytes, &pump->flags, (struct sockaddr *)&pump->from, &pump->from_length,
                           &pump->receive.overlapped, NULL);
  DWORD error = failed == 0 ? 0 : (DWORD)WSAGetLastError();
  floor_port_started(&pump->port, &pump->receive, failed == 0, error, bytes);
}

static void pump__received(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct pump *pump = (struct pump *)operation;

  bench_check(ok, "receive", (long long)GetLastError());
  bench_datagrams_take(&pump->count, pump->buffer, bytes);
  if (bench_datagrams_all_taken(&pump->count)) {
    pump->port.stop = true;
    return;
  }
  pump__send(pump);
  pump__receive(pump);
}

int floor_udp_pump(const struct bench_options *options, struct bench_result *result) {
  struct pump *pump = bench_allocate(1, sizeof *pump);
  struct sockaddr_in ignored;
  WSADATA data;

  bench_check(WSAStartup(MAKEWORD(2, 2), &data) == 0, "WSAStartup", 0);
  pump->count = (struct bench_datagrams){.options = options, .result = result};
  pump->receive.done = pump__received;
  floor_port_open(&pump->port);
  pump->sender = pump__open(&ignored);
  pump->receiver = pump__open(&pump->to);
  floor_port_add(&pump->port, (HANDLE)pump->receiver);
  bench_begin(result);
  pump__receive(pump);
  pump__send(pump);
  floor_port_run(&pump->port);
  bench_end(result);
  closesocket(pump->sender);
  closesocket(pump->receiver);
  CloseHandle(pump->port.handle);
  bench_release(pump);
  return 0;
}
