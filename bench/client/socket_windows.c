#include "socket.h"

#include "../common/bench.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#define SILENCE_MS 5000

struct client_set {
  WSAPOLLFD *polled;
  void **contexts;
  size_t count;
};

client_socket client_connect(const struct bench_options *options) {
  BOOL one = TRUE;
  WSADATA data;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((u_short)options->port)};
  int error = WSAStartup(MAKEWORD(2, 2), &data);

  bench_check(error == 0, "WSAStartup", error);
  SOCKET socket_handle = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
  bench_check(socket_handle != INVALID_SOCKET, "socket", WSAGetLastError());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  error = connect(socket_handle, (const struct sockaddr *)&address, sizeof address);
  bench_check(error == 0, "connect", WSAGetLastError());
  error = setsockopt(socket_handle, IPPROTO_TCP, TCP_NODELAY, (const char *)&one, sizeof one);
  bench_check(error == 0, "TCP_NODELAY", WSAGetLastError());
  return (client_socket)socket_handle;
}

void client_send(client_socket socket, const char *bytes, size_t length) {
  while (length > 0) {
    int sent = send((SOCKET)socket, bytes, (int)length, 0);
    bench_check(sent > 0, "send", WSAGetLastError());
    bytes += sent;
    length -= (size_t)sent;
  }
}

size_t client_receive(client_socket socket, char *bytes, size_t length) {
  int got = recv((SOCKET)socket, bytes, (int)length, 0);
  bench_check(got >= 0, "recv", WSAGetLastError());
  return (size_t)got;
}

void client_end_sending(client_socket socket) {
  shutdown((SOCKET)socket, SD_SEND);
}

void client_close(client_socket socket) {
  closesocket((SOCKET)socket);
}

struct client_set *client_set_open(size_t sockets_max) {
  struct client_set *set = bench_allocate(1, sizeof *set);

  set->polled = bench_allocate(sockets_max, sizeof *set->polled);
  set->contexts = bench_allocate(sockets_max, sizeof *set->contexts);
  return set;
}

void client_set_add(struct client_set *set, client_socket socket, void *context) {
  set->polled[set->count].fd = (SOCKET)socket;
  set->polled[set->count].events = POLLRDNORM;
  set->contexts[set->count] = context;
  set->count++;
}

void client_set_remove(struct client_set *set, client_socket socket) {
  for (size_t i = 0; i < set->count; i++) {
    if (set->polled[i].fd == (SOCKET)socket) {
      set->count--;
      set->polled[i] = set->polled[set->count];
      set->contexts[i] = set->contexts[set->count];
      return;
    }
  }
}

void client_set_close(struct client_set *set) {
  bench_release(set->polled);
  bench_release(set->contexts);
  bench_release(set);
}

size_t client_set_wait(struct client_set *set, void **contexts, size_t contexts_max) {
  size_t found = 0;
  int count = WSAPoll(set->polled, (ULONG)set->count, SILENCE_MS);

  bench_check(count > 0, "nothing came from the server for 5 s", count < 0 ? WSAGetLastError() : 0);
  for (size_t i = 0; i < set->count && found < contexts_max; i++) {
    if (set->polled[i].revents != 0) {
      contexts[found++] = set->contexts[i];
    }
  }
  return found;
}
