#include "floor.h"

#include "../common/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 64

struct server {
  int set;
  int listener;
  struct bench_result *result;
};

static void server__watch(const struct server *server, int socket) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = socket};
  int error = epoll_ctl(server->set, EPOLL_CTL_ADD, socket, &event);
  bench_check(error == 0, "epoll_ctl", errno);
}

/* False if nothing has come yet. */
static bool server__read(struct server *server, int connection) {
  char buffer[64];
  ssize_t got = recv(connection, buffer, sizeof buffer, MSG_DONTWAIT);

  if (got < 0) {
    bench_check(errno == EAGAIN, "recv", errno);
    return false;
  }
  server->result->bytes += (uint64_t)got;
  server->result->operations++;
  close(connection);
  return true;
}

/* The first bytes are mostly there when the connection is: then it never goes into the set. */
static void server__accept(struct server *server) {
  int connection;

  while ((connection = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
    if (!server__read(server, connection)) {
      server__watch(server, connection);
    }
  }
  bench_check(errno == EAGAIN, "accept4", errno);
}

int floor_tcp_accept(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.set = epoll_create1(EPOLL_CLOEXEC), .result = result, .listener = (int)bench_listener_open()};
  struct epoll_event events[EVENTS_MAX];
  int one = 1;

  bench_check(server.set >= 0, "epoll_create1", errno);
  int error = fcntl(server.listener, F_SETFL, O_NONBLOCK);
  bench_check(error == 0, "O_NONBLOCK", errno);
  error = setsockopt(server.listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* what it accepts inherits it */
  bench_check(error == 0, "TCP_NODELAY", errno);
  server__watch(&server, server.listener);
  bench_begin(result);
  while (result->operations < options->operations) {
    int count = epoll_wait(server.set, events, EVENTS_MAX, -1);
    bench_check(count > 0 || errno == EINTR, "epoll_wait", errno);
    for (int i = 0; i < count; i++) {
      if (events[i].data.fd == server.listener) {
        server__accept(&server);
      } else {
        server__read(&server, events[i].data.fd);
      }
    }
  }
  bench_end(result);
  close(server.listener);
  close(server.set);
  return 0;
}
