#define _POSIX_C_SOURCE 200809L

#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

uintptr_t bench_listener_open(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);

  bench_check(listener >= 0, "socket", errno);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int error = bind(listener, (const struct sockaddr *)&address, sizeof address);
  bench_check(error == 0, "bind", errno);
  error = listen(listener, SOMAXCONN);
  bench_check(error == 0, "listen", errno);
  error = getsockname(listener, (struct sockaddr *)&address, &length);
  bench_check(error == 0, "getsockname", errno);
  bench_ready(ntohs(address.sin_port));
  return (uintptr_t)listener;
}

uintptr_t bench_listener_accept(uintptr_t listener) {
  int one = 1;
  int connection = accept((int)listener, NULL, NULL);

  bench_check(connection >= 0, "accept", errno);
  int error = setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  bench_check(error == 0, "TCP_NODELAY", errno);
  return (uintptr_t)connection;
}

void bench_listener_close(uintptr_t listener) {
  close((int)listener);
}
