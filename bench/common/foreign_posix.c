#define _POSIX_C_SOURCE 200809L

#include "foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

uintptr_t bench_foreign_pipe(const struct bench_options *options) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct epoll_event event = {.events = EPOLLIN};
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  int set = epoll_create1(0);

  bench_check(listener >= 0 && set >= 0, "socket", errno);
  bench_check(strlen(options->path) < sizeof address.sun_path, "too long a name", (long long)strlen(options->path));
  memcpy(address.sun_path, options->path, strlen(options->path));
  int error = bind(listener, (const struct sockaddr *)&address, sizeof address);
  bench_check(error == 0, "bind", errno);
  error = listen(listener, 1);
  bench_check(error == 0, "listen", errno);
  bench_ready(0);
  int connection = accept(listener, NULL, NULL);
  bench_check(connection >= 0, "accept", errno);
  close(listener);
  unlink(options->path);
  error = fcntl(connection, F_SETFL, O_NONBLOCK);
  bench_check(error == 0, "O_NONBLOCK", errno);
  if (strcmp(options->form, "free") != 0) {
    error = epoll_ctl(set, EPOLL_CTL_ADD, connection, &event);
    bench_check(error == 0, "epoll_ctl", errno);
  }
  return (uintptr_t)connection;
}
