#include "floor.h"

#include "../common/listener.h"
#include "../common/records.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void await(int set, int socket, uint32_t events) {
  struct epoll_event event = {.events = events};
  int count;

  int error = epoll_ctl(set, EPOLL_CTL_MOD, socket, &event);
  bench_check(error == 0, "epoll_ctl", errno);
  do {
    count = epoll_wait(set, &event, 1, -1);
  } while (count < 0 && errno == EINTR);
  bench_check(count == 1, "epoll_wait", errno);
}

/* Each record is a call of its own. The set is asked when the socket takes no more. */
static void send_all(int set, int socket, const char *records, const struct bench_options *options, struct bench_result *result) {
  uint64_t end = options->operations * options->block_bytes;

  while (result->bytes < end) {
    size_t length = (size_t)(options->block_bytes - result->bytes % options->block_bytes);
    ssize_t sent = send(socket, records + result->bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      bench_check(errno == EAGAIN, "send", errno);
      await(set, socket, EPOLLOUT);
    } else {
      result->bytes += (uint64_t)sent;
    }
  }
}

int floor_tcp_batch(const struct bench_options *options, struct bench_result *result) {
  char *records = bench_records_make(options);
  char nothing;
  uintptr_t listener = bench_listener_open();
  int socket = (int)bench_listener_accept(listener);
  int set = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = 0};

  int error = epoll_ctl(set, EPOLL_CTL_ADD, socket, &event);
  bench_check(error == 0, "epoll_ctl", errno);
  bench_begin(result);
  send_all(set, socket, records, options, result);
  shutdown(socket, SHUT_WR);
  await(set, socket, EPOLLIN);
  ssize_t got = recv(socket, &nothing, 1, MSG_DONTWAIT);
  bench_check(got == 0, "the client's end", (long long)got);
  bench_end(result);
  result->operations = result->bytes / options->block_bytes;
  close(socket);
  close(set);
  bench_listener_close(listener);
  bench_release(records);
  return 0;
}
