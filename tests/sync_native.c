#include <winsock2.h>
#include <ws2tcpip.h>

#include <windows.h>

#include "sync_native.h"
#include <stdio.h>
#include <string.h>

struct sync_port {
  HANDLE native;
};

sync_port *sync_native__port(pier_native native) {
  sync_port *port = support__alloc(sizeof *port);

  port->native = CreateIoCompletionPort((HANDLE)native, NULL, 7, 1);
  assert_non_null(port->native);
  return port;
}

void sync_native__assert_silent(sync_port *port) {
  DWORD bytes = 0;
  ULONG_PTR key = 0;
  OVERLAPPED *overlapped = NULL;

  BOOL packet = GetQueuedCompletionStatus(port->native, &bytes, &key, &overlapped, 0);
  assert_false(packet || overlapped != NULL);
  assert_int_equal(GetLastError(), WAIT_TIMEOUT);
}

void sync_native__close_port(sync_port *port) {
  CloseHandle(port->native);
}

sync_pair sync_native__open_pair(bool message) {
  sync_pair made = {{0, 0}, NULL};

  support__native_pipe_pair(message, true, true, made.ends);
  made.port = sync_native__port(made.ends[0]);
  return made;
}

void sync_native__close_pair(sync_pair *pair) {
  sync_native__assert_silent(pair->port);
  sync_native__close(pair->ends[0]);
  sync_native__close(pair->ends[1]);
  sync_native__close_port(pair->port);
}

void sync_native__read_is(pier_native native, size_t asked, int status, const char *bytes, bool end) {
  char buffer[256] = "";
  pier_sync_result result;

  assert_true(asked < sizeof buffer);
  assert_status(pier_sync_read(native, buffer, asked, PIER_SECOND, &result), status);
  assert_int_equal(result.status, status);
  assert_int_equal(result.bytes, strlen(bytes));
  assert_string_equal(buffer, bytes);
  assert_int_equal(result.end, end);
  assert_true(status == PIER_OK ? result.system_code == 0 : result.system_code != 0);
}

void sync_native__write_all(pier_native native, const char *bytes) {
  pier_sync_result result;

  assert_status(pier_sync_write(native, bytes, strlen(bytes), PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, strlen(bytes));
}

pier_native sync_native__open_file(const char *path, bool overlapped) {
  DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
  HANDLE file = CreateFileA(path, GENERIC_READ | GENERIC_WRITE, share, NULL, OPEN_ALWAYS, overlapped ? FILE_FLAG_OVERLAPPED : 0, NULL);

  assert_true(file != INVALID_HANDLE_VALUE);
  return (pier_native)file;
}

uint64_t sync_native__file_position(pier_native file) {
  LARGE_INTEGER zero = {.QuadPart = 0};
  LARGE_INTEGER position = {.QuadPart = 0};

  assert_true(SetFilePointerEx((HANDLE)file, zero, &position, FILE_CURRENT));
  return (uint64_t)position.QuadPart;
}

void sync_native__seek_file(pier_native file, uint64_t offset) {
  LARGE_INTEGER position = {.QuadPart = (LONGLONG)offset};

  assert_true(SetFilePointerEx((HANDLE)file, position, NULL, FILE_BEGIN));
}

static void pipe_path(const char *name, char path[256]) {
  snprintf(path, 256, "\\\\.\\pipe\\%s", name);
}

pier_native sync_native__pipe_server(const char *name) {
  char path[256];

  pipe_path(name, path);
  HANDLE server = CreateNamedPipeA(path, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE, 4, 4096, 4096, 0, NULL);
  assert_true(server != INVALID_HANDLE_VALUE);
  return (pier_native)server;
}

pier_native sync_native__pipe_client(const char *name) {
  char path[256];

  pipe_path(name, path);
  HANDLE client = CreateFileA(path, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
  assert_true(client != INVALID_HANDLE_VALUE);
  return (pier_native)client;
}

void sync_native__set_read_mode_byte(pier_native pipe) {
  DWORD mode = PIPE_READMODE_BYTE;

  assert_true(SetNamedPipeHandleState((HANDLE)pipe, &mode, NULL, NULL));
}

void sync_native__anonymous_pipe(pier_native ends[2]) {
  HANDLE reading;
  HANDLE writing;

  assert_true(CreatePipe(&reading, &writing, NULL, 65536));
  ends[0] = (pier_native)reading;
  ends[1] = (pier_native)writing;
}

pier_native sync_native__tcp(void) {
  SOCKET made = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED);

  assert_true(made != INVALID_SOCKET);
  return (pier_native)made;
}

const uint32_t sync_native__waiting_bytes_code = (uint32_t)FIONREAD;

static void bind_here(SOCKET socket) {
  struct sockaddr_in any = {.sin_family = AF_INET};

  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(bind(socket, (struct sockaddr *)&any, sizeof any), 0);
}

void sync_native__bind(pier_native socket) {
  bind_here((SOCKET)socket);
}

uint16_t sync_native__local_port(pier_native socket) {
  struct sockaddr_in address;
  int length = sizeof address;

  assert_int_equal(getsockname((SOCKET)socket, (struct sockaddr *)&address, &length), 0);
  return ntohs(address.sin_port);
}

uint16_t sync_native__peer_port(pier_native socket) {
  struct sockaddr_in address;
  int length = sizeof address;

  assert_int_equal(getpeername((SOCKET)socket, (struct sockaddr *)&address, &length), 0);
  return ntohs(address.sin_port);
}

void sync_native__end_sending(pier_native socket) {
  assert_int_equal(shutdown((SOCKET)socket, SD_SEND), 0);
}

pier_native sync_native__udp_to_itself(void) {
  struct sockaddr_in address;
  int length = sizeof address;
  SOCKET udp = WSASocketW(AF_INET, SOCK_DGRAM, IPPROTO_UDP, NULL, 0, WSA_FLAG_OVERLAPPED);

  assert_true(udp != INVALID_SOCKET);
  bind_here(udp);
  assert_int_equal(getsockname(udp, (struct sockaddr *)&address, &length), 0);
  assert_int_equal(connect(udp, (struct sockaddr *)&address, length), 0);
  return (pier_native)udp;
}

pier_native sync_native__listener(pier_address *address) {
  pier_native listener = sync_native__tcp();

  sync_native__bind(listener);
  assert_int_equal(listen((SOCKET)listener, 16), 0);
  assert_status(pier_address_parse("127.0.0.1", sync_native__local_port(listener), address), PIER_OK);
  return listener;
}

void sync_native__reset(pier_native socket) {
  struct linger at_once = {1, 0};

  assert_int_equal(setsockopt((SOCKET)socket, SOL_SOCKET, SO_LINGER, (const char *)&at_once, sizeof at_once), 0);
  assert_int_equal(closesocket((SOCKET)socket), 0);
}

void sync_native__write(pier_native end, const void *bytes, size_t length) {
  OVERLAPPED overlapped = {0};
  DWORD written = 0;

  overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
  BOOL done = WriteFile((HANDLE)end, bytes, (DWORD)length, NULL, &overlapped);
  assert_true(done || GetLastError() == ERROR_IO_PENDING);
  assert_true(GetOverlappedResult((HANDLE)end, &overlapped, &written, TRUE));
  assert_int_equal(written, length);
  CloseHandle(overlapped.hEvent);
}

void sync_native__close(pier_native native) {
  CloseHandle((HANDLE)native);
}

void sync_native__sleep_ms(unsigned ms) {
  Sleep(ms);
}
