#include "floor.h"

#include "../common/listener.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE_BYTES 8
#define EVENTS_MAX 128

static void watch(int set, int socket) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = socket};
  int error = epoll_ctl(set, EPOLL_CTL_ADD, socket, &event);
  bench_check(error == 0, "epoll_ctl", errno);
}

/* False at the connection's end. */
static bool answer(int socket, struct bench_result *result) {
  char message[MESSAGE_BYTES];
  ssize_t got = recv(socket, message, sizeof message, MSG_DONTWAIT);

  bench_check(got >= 0, "recv", errno);
  ssize_t sent = got > 0 ? send(socket, message, (size_t)got, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
  bench_check(sent == got, "send", errno);
  result->bytes += (uint64_t)got;
  return got > 0;
}

/* The first end says that the client has had its last answer. */
static void serve(int set, struct bench_result *result) {
  struct epoll_event events[EVENTS_MAX];

  for (;;) {
    int count = epoll_wait(set, events, EVENTS_MAX, -1);
    bench_check(count > 0 || errno == EINTR, "epoll_wait", errno);
    for (int i = 0; i < count; i++) {
      if (!answer(events[i].data.fd, result)) {
        return;
      }
    }
  }
}

int floor_tcp_idle(const struct bench_options *options, struct bench_result *result) {
  uintptr_t listener = bench_listener_open();
  int set = epoll_create1(EPOLL_CLOEXEC);

  bench_check(set >= 0, "epoll_create1", errno);
  bench_memory_begin(result, options->connections);
  for (uint64_t i = 0; i < options->connections; i++) {
    watch(set, (int)bench_listener_accept(listener));
  }
  bench_begin(result);
  serve(set, result);
  bench_end(result);
  result->operations = result->bytes / MESSAGE_BYTES;
  return 0; /* the connections end with the process */
}
