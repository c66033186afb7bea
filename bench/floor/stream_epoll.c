#include "stream_linux.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 128

struct server {
  int set;
  bool echo;
  char *buffer; /* one for all: what is read is answered before the next read */
  size_t buffer_bytes;
  uint64_t receives;
  struct bench_result *result;
};

/* What the socket does not take at once is waited for: the peer of an echo reads before it sends again, so that does not last. */
static void server__answer(int socket, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t sent = send(socket, bytes, length, MSG_NOSIGNAL);
    bench_check(sent > 0, "send", errno);
    bytes += sent;
    length -= (size_t)sent;
  }
}

/* Edge-triggered. A read that did not fill the buffer has emptied the socket, and what comes later is another edge: so there is no read in vain,
 * unless the event told of the end too, which is behind the last bytes. False at the end of the stream. */
static bool server__read(struct server *server, int socket, bool ending) {
  for (;;) {
    ssize_t got = recv(socket, server->buffer, server->buffer_bytes, MSG_DONTWAIT);
    if (got < 0) {
      bench_check(errno == EAGAIN, "recv", errno);
      return true;
    }
    if (got == 0) {
      return false;
    }
    server->result->bytes += (uint64_t)got;
    server->receives++;
    if (server->echo) {
      server__answer(socket, server->buffer, (size_t)got);
    }
    if ((size_t)got < server->buffer_bytes && !ending) {
      return true;
    }
  }
}

/* Out of the set: an end that came right behind the last bytes is an edge of its own, and would be counted once more. */
static void server__ended(struct server *server, int socket) {
  int error = epoll_ctl(server->set, EPOLL_CTL_DEL, socket, NULL);
  bench_check(error == 0, "epoll_ctl", errno);
}

static void server__run(struct server *server, size_t open) {
  struct epoll_event events[EVENTS_MAX];

  while (open > 0) {
    int count = epoll_wait(server->set, events, EVENTS_MAX, -1);
    bench_check(count > 0 || errno == EINTR, "epoll_wait", errno); /* a debugger that attaches ends the wait */
    for (int i = 0; i < count; i++) {
      bool ending = (events[i].events & (EPOLLRDHUP | EPOLLHUP)) != 0;
      if (server__read(server, events[i].data.fd, ending)) {
        continue;
      }
      server__ended(server, events[i].data.fd);
      if (--open == 0) {
        bench_end(server->result);
      }
    }
  }
}

/* Page by page, which the kernel copies to fastest. */
static _Alignas(4096) char shared_buffer[FLOOR_PUMP_BYTES];

uint64_t floor_serve(const int *sockets, size_t count, bool echo, struct bench_result *result) {
  struct server server = {.echo = echo, .buffer = shared_buffer, .buffer_bytes = echo ? FLOOR_ECHO_BYTES_MAX : FLOOR_PUMP_BYTES, .result = result};

  server.set = epoll_create1(EPOLL_CLOEXEC);
  bench_check(server.set >= 0, "epoll_create1", errno);
  for (size_t i = 0; i < count; i++) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = sockets[i]};
    int error = epoll_ctl(server.set, EPOLL_CTL_ADD, sockets[i], &event);
    bench_check(error == 0, "epoll_ctl", errno);
  }
  bench_begin(result);
  server__run(&server, count);
  for (size_t i = 0; i < count; i++) {
    close(sockets[i]);
  }
  close(server.set);
  return server.receives;
}
