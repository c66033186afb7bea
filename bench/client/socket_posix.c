#define _POSIX_C_SOURCE 200809L

#include "socket.h"

#include "../common/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define EVENTS_MAX 128
#define SILENCE_MS 5000

/* Loopback offers segments of 65,483 bytes, so a write of 64 KiB is a large segment and a crumb of 53, and each connection ends in one
   of two rhythms by chance: buffers that come full, or 1.376 receives for each 64 KiB and a quarter less speed, whatever library
   receives. Segments as on Ethernet have one rhythm. */
#define SEGMENT_BYTES 1460

/* The system would let it grow as things go, to another size in each run, and with that what waits in the socket and how much of it is still
   in the cache. Against each other in one round the sides were 0.9 to 1.2 so. */
#define SEND_BUFFER_BYTES 131072

/* Some machines have BBR for the usual one. That sends by the clock, as fast as it takes the way to be: in a third of the time of `tcp_pump_1` nobody had
   anything to do, and reads of 65,000 bytes were a quarter faster than reads of 65,536. Every Linux has Reno, and lets everybody choose it. */
#define CONGESTION_CONTROL "reno"

struct client_set {
  int poller;
};

static int connect__tcp(uint64_t port) {
  int one = 1;
  int segment_bytes = SEGMENT_BYTES;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);

  bench_check(fd >= 0, "socket", errno);
  int error = setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment_bytes, sizeof segment_bytes);
  bench_check(error == 0, "TCP_MAXSEG", errno);
  int buffer_bytes = SEND_BUFFER_BYTES;
  error = setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
  bench_check(error == 0, "SO_SNDBUF", errno);
#ifdef TCP_CONGESTION
  error = setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, CONGESTION_CONTROL, sizeof CONGESTION_CONTROL - 1);
  bench_check(error == 0, "TCP_CONGESTION", errno);
#endif
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  error = connect(fd, (const struct sockaddr *)&address, sizeof address);
  bench_check(error == 0, "connect", errno);
  error = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  bench_check(error == 0, "TCP_NODELAY", errno);
  return fd;
}

static int connect__unix(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);

  bench_check(fd >= 0, "socket", errno);
  int length = snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  bench_check(length > 0 && (size_t)length < sizeof address.sun_path, "the path is too long", length);
  int error = connect(fd, (const struct sockaddr *)&address, sizeof address);
  bench_check(error == 0, "connect", errno);
  return fd;
}

client_socket client_connect(const struct bench_options *options) {
  return (client_socket)(options->path != NULL ? connect__unix(options->path) : connect__tcp(options->port));
}

void client_send(client_socket socket, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t sent = send((int)socket, bytes, length, MSG_NOSIGNAL);
    bench_check(sent > 0, "send", errno);
    bytes += sent;
    length -= (size_t)sent;
  }
}

size_t client_receive(client_socket socket, char *bytes, size_t length) {
  ssize_t got = recv((int)socket, bytes, length, 0);
  bench_check(got >= 0, "recv", errno);
  return (size_t)got;
}

void client_end_sending(client_socket socket) {
  shutdown((int)socket, SHUT_WR);
}

void client_close(client_socket socket) {
  close((int)socket);
}

struct client_set *client_set_open(size_t sockets_max) {
  struct client_set *set = bench_allocate(1, sizeof *set);

  (void)sockets_max;
  set->poller = epoll_create1(0);
  bench_check(set->poller >= 0, "epoll_create1", errno);
  return set;
}

void client_set_add(struct client_set *set, client_socket socket, void *context) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = context};
  int error = epoll_ctl(set->poller, EPOLL_CTL_ADD, (int)socket, &event);
  bench_check(error == 0, "epoll_ctl", errno);
}

void client_set_remove(struct client_set *set, client_socket socket) {
  int error = epoll_ctl(set->poller, EPOLL_CTL_DEL, (int)socket, NULL);
  bench_check(error == 0, "epoll_ctl", errno);
}

void client_set_close(struct client_set *set) {
  close(set->poller);
  bench_release(set);
}

size_t client_set_wait(struct client_set *set, void **contexts, size_t contexts_max) {
  struct epoll_event events[EVENTS_MAX];
  int most = contexts_max < EVENTS_MAX ? (int)contexts_max : EVENTS_MAX;
  int count = epoll_wait(set->poller, events, most, SILENCE_MS);

  bench_check(count > 0, "nothing came from the server for 5 s", count < 0 ? errno : 0);
  for (int i = 0; i < count; i++) {
    contexts[i] = events[i].data.ptr;
  }
  return (size_t)count;
}
