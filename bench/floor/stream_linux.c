#include "floor.h"
#include "stream_linux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 512

static int listen__at(int family, const void *address, socklen_t length) {
  int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

  bench_check(listener >= 0, "socket", errno);
  int error = bind(listener, address, length);
  bench_check(error == 0, "bind", errno);
  error = listen(listener, BACKLOG);
  bench_check(error == 0, "listen", errno);
  return listener;
}

/* All connections come before the first byte is served, so a plain accept is enough. */
static void serve(int listener, bool tcp, const struct bench_options *options, bool echo, struct bench_result *result) {
  int *sockets = bench_allocate(options->connections, sizeof *sockets);

  for (uint64_t i = 0; i < options->connections; i++) {
    int one = 1;
    sockets[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    bench_check(sockets[i] >= 0, "accept", errno);
    int error = tcp ? setsockopt(sockets[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) : 0;
    bench_check(error == 0, "TCP_NODELAY", errno);
  }
  uint64_t receives = floor_serve(sockets, options->connections, echo, result);
  close(listener);
  bench_release(sockets);
  result->operations = result->bytes / options->block_bytes;
  bench_receives(result, receives);
}

static int serve_tcp(const struct bench_options *options, bool echo, struct bench_result *result) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t length = sizeof address;

  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int listener = listen__at(AF_INET, &address, length);
  int error = getsockname(listener, (struct sockaddr *)&address, &length);
  bench_check(error == 0, "getsockname", errno);
  bench_ready(ntohs(address.sin_port));
  serve(listener, true, options, echo, result);
  return 0;
}

int floor_tcp_echo(const struct bench_options *options, struct bench_result *result) {
  return serve_tcp(options, true, result);
}

int floor_tcp_pump(const struct bench_options *options, struct bench_result *result) {
  return serve_tcp(options, false, result);
}

static int serve_pipe(const struct bench_options *options, bool echo, struct bench_result *result) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};

  int length = snprintf(address.sun_path, sizeof address.sun_path, "%s", options->path);
  bench_check(length > 0 && (size_t)length < sizeof address.sun_path, "the path is too long", length);
  int listener = listen__at(AF_UNIX, &address, sizeof address);
  bench_ready(0);
  serve(listener, false, options, echo, result);
  unlink(options->path);
  return 0;
}

int floor_pipe_echo(const struct bench_options *options, struct bench_result *result) {
  return serve_pipe(options, true, result);
}

int floor_pipe_pump(const struct bench_options *options, struct bench_result *result) {
  return serve_pipe(options, false, result);
}
