#include "listener.h"

#include <winsock2.h>
#include <ws2tcpip.h>

uintptr_t bench_listener_open(void) {
  WSADATA data;
  struct sockaddr_in address = {.sin_family = AF_INET};
  int length = sizeof address;

  int error = WSAStartup(MAKEWORD(2, 2), &data);
  bench_check(error == 0, "WSAStartup", error);
  SOCKET listener = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED);
  bench_check(listener != INVALID_SOCKET, "WSASocket", WSAGetLastError());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  error = bind(listener, (const struct sockaddr *)&address, sizeof address);
  bench_check(error == 0, "bind", WSAGetLastError());
  error = listen(listener, SOMAXCONN);
  bench_check(error == 0, "listen", WSAGetLastError());
  error = getsockname(listener, (struct sockaddr *)&address, &length);
  bench_check(error == 0, "getsockname", WSAGetLastError());
  bench_ready(ntohs(address.sin_port));
  return (uintptr_t)listener;
}

uintptr_t bench_listener_accept(uintptr_t listener) {
  BOOL no_delay = TRUE;
  SOCKET connection = accept((SOCKET)listener, NULL, NULL);

  bench_check(connection != INVALID_SOCKET, "accept", WSAGetLastError());
  int error = setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, (const char *)&no_delay, sizeof no_delay);
  bench_check(error == 0, "TCP_NODELAY", WSAGetLastError());
  return (uintptr_t)connection;
}

void bench_listener_close(uintptr_t listener) {
  closesocket((SOCKET)listener);
}
