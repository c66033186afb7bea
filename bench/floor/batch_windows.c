#include "floor.h"
#include "port.h"

#include "../common/listener.h"
#include "../common/records.h"

#include <string.h>

struct sender {
  struct floor_operation operation; /* first: the operation is the sender. The one send that had to wait, then the receive. */
  struct floor_port port;
  SOCKET socket;
  const struct bench_options *options;
  struct bench_result *result;
  char *records;
  uint64_t position;
  char nothing[1];
};

/* The client has everything and has closed. */
static void sender__peer_ended(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct sender *sender = (struct sender *)(void *)operation;

  bench_check(ok && bytes == 0, "the client's end", bytes);
  bench_end(sender->result);
  sender->port.stop = true;
}

static void sender__await_end(struct sender *sender) {
  WSABUF buffer = {.len = sizeof sender->nothing, .buf = sender->nothing};
  DWORD bytes = 0;
  DWORD flags = 0;

  shutdown(sender->socket, SD_SEND);
  sender->operation.done = sender__peer_ended;
  memset(&sender->operation.overlapped, 0, sizeof sender->operation.overlapped);
  int failed = WSARecv(sender->socket, &buffer, 1, &bytes, &flags, &sender->operation.overlapped, NULL);
  floor_port_started(&sender->port, &sender->operation, failed == 0, failed == 0 ? 0 : (DWORD)WSAGetLastError(), bytes);
}

/* What is left of a record, or a whole one. */
static WSABUF sender__record(const struct sender *sender) {
  uint64_t block = sender->options->block_bytes;
  return (WSABUF){.len = (ULONG)(block - sender->position % block), .buf = sender->records + sender->position};
}

static void sender__count(struct sender *sender, DWORD bytes) {
  sender->position += bytes;
  sender->result->bytes = sender->position;
  sender->result->operations = sender->position / sender->options->block_bytes;
}

static void sender__send(struct sender *sender);

static void sender__waited(struct floor_operation *operation, bool ok, DWORD bytes) {
  struct sender *sender = (struct sender *)(void *)operation;

  bench_check(ok, "WSASend", (long long)(DWORD)operation->overlapped.Internal);
  sender__count(sender, bytes);
  sender__send(sender);
}

/* Sends that carry no OVERLAPPED for as long as the socket takes them; then one that waits. */
static void sender__send(struct sender *sender) {
  uint64_t end = sender->options->operations * sender->options->block_bytes;
  DWORD bytes = 0;

  while (sender->position < end) {
    WSABUF buffer = sender__record(sender);
    int failed = WSASend(sender->socket, &buffer, 1, &bytes, 0, NULL, NULL);
    if (failed != 0) {
      bench_check(WSAGetLastError() == WSAEWOULDBLOCK, "WSASend", WSAGetLastError());
      sender->operation.done = sender__waited;
      memset(&sender->operation.overlapped, 0, sizeof sender->operation.overlapped);
      failed = WSASend(sender->socket, &buffer, 1, &bytes, 0, &sender->operation.overlapped, NULL);
      floor_port_started(&sender->port, &sender->operation, failed == 0, failed == 0 ? 0 : (DWORD)WSAGetLastError(), bytes);
      return;
    }
    sender__count(sender, bytes);
  }
  sender__await_end(sender);
}

int floor_tcp_batch(const struct bench_options *options, struct bench_result *result) {
  struct sender sender = {.options = options, .result = result, .records = bench_records_make(options)};
  uintptr_t listener = bench_listener_open();
  u_long non_blocking = 1;

  floor_port_open(&sender.port);
  sender.socket = (SOCKET)bench_listener_accept(listener);
  int error = ioctlsocket(sender.socket, (long)FIONBIO, &non_blocking);
  bench_check(error == 0, "FIONBIO", WSAGetLastError());
  floor_port_add(&sender.port, (HANDLE)sender.socket);
  bench_begin(result);
  sender__send(&sender);
  floor_port_run(&sender.port);
  closesocket(sender.socket);
  bench_listener_close(listener);
  bench_release(sender.records);
  return 0;
}
