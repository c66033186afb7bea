#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "sync_native.h"

/* Somebody else's epoll set stands where a port of his stands on Windows. It gets no packets, so what can be shown is that the calls
 * neither take the descriptor out of it nor change it. */
struct sync_port {
  int set;
  int descriptor;
  int flags;
};

sync_port *sync_native__port(pier_native native) {
  sync_port *port = support__alloc(sizeof *port);
  struct epoll_event event = {.events = EPOLLIN};

  port->set = epoll_create1(EPOLL_CLOEXEC);
  port->descriptor = (int)native;
  port->flags = fcntl(port->descriptor, F_GETFL);
  assert_true(port->set >= 0 && port->flags >= 0);
  /* Regular files are in nobody's set. */
  (void)epoll_ctl(port->set, EPOLL_CTL_ADD, port->descriptor, &event);
  return port;
}

void sync_native__assert_silent(sync_port *port) {
  assert_int_equal(fcntl(port->descriptor, F_GETFL), port->flags);
}

void sync_native__close_port(sync_port *port) {
  close(port->set);
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
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

  (void)overlapped; /* a file is neither here */
  assert_true(file >= 0);
  return (pier_native)file;
}

uint64_t sync_native__file_position(pier_native file) {
  off_t position = lseek((int)file, 0, SEEK_CUR);

  assert_true(position >= 0);
  return (uint64_t)position;
}

void sync_native__seek_file(pier_native file, uint64_t offset) {
  assert_int_equal(lseek((int)file, (off_t)offset, SEEK_SET), offset);
}

static struct sockaddr_un pipe_address(const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};

  assert_true(strlen(name) < sizeof address.sun_path);
  strcpy(address.sun_path, name);
  return address;
}

pier_native sync_native__pipe_server(const char *name) {
  struct sockaddr_un address = pipe_address(name);
  int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(server, 4), 0);
  return (pier_native)server;
}

pier_native sync_native__pipe_client(const char *name) {
  struct sockaddr_un address = pipe_address(name);
  int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
  return (pier_native)client;
}

void sync_native__set_read_mode_byte(pier_native pipe) {
  (void)pipe;
  support__skip("a message pipe cannot be read as a stream here");
}

void sync_native__anonymous_pipe(pier_native ends[2]) {
  int natives[2];

  assert_int_equal(pipe2(natives, O_CLOEXEC), 0);
  ends[0] = (pier_native)natives[0];
  ends[1] = (pier_native)natives[1];
}

pier_native sync_native__tcp(void) {
  int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  assert_true(made >= 0);
  return (pier_native)made;
}

const uint32_t sync_native__waiting_bytes_code = (uint32_t)FIONREAD;

static void bind_here(int socket) {
  struct sockaddr_in any = {.sin_family = AF_INET};

  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(bind(socket, (struct sockaddr *)&any, sizeof any), 0);
}

void sync_native__bind(pier_native socket) {
  bind_here((int)socket);
}

uint16_t sync_native__local_port(pier_native socket) {
  struct sockaddr_in address;
  socklen_t length = sizeof address;

  assert_int_equal(getsockname((int)socket, (struct sockaddr *)&address, &length), 0);
  return ntohs(address.sin_port);
}

uint16_t sync_native__peer_port(pier_native socket) {
  struct sockaddr_in address;
  socklen_t length = sizeof address;

  assert_int_equal(getpeername((int)socket, (struct sockaddr *)&address, &length), 0);
  return ntohs(address.sin_port);
}

void sync_native__end_sending(pier_native socket) {
  assert_int_equal(shutdown((int)socket, SHUT_WR), 0);
}

pier_native sync_native__udp_to_itself(void) {
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  assert_true(udp >= 0);
  bind_here(udp);
  assert_int_equal(getsockname(udp, (struct sockaddr *)&address, &length), 0);
  assert_int_equal(connect(udp, (struct sockaddr *)&address, length), 0);
  return (pier_native)udp;
}

pier_native sync_native__listener(pier_address *address) {
  pier_native listener = sync_native__tcp();

  sync_native__bind(listener);
  assert_int_equal(listen((int)listener, 16), 0);
  assert_status(pier_address_parse("127.0.0.1", sync_native__local_port(listener), address), PIER_OK);
  return listener;
}

void sync_native__reset(pier_native socket) {
  struct linger at_once = {1, 0};

  assert_int_equal(setsockopt((int)socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
  assert_int_equal(close((int)socket), 0);
}

void sync_native__write(pier_native end, const void *bytes, size_t length) {
  assert_int_equal(write((int)end, bytes, length), length);
}

void sync_native__close(pier_native native) {
  close((int)native);
}

void sync_native__sleep_ms(unsigned ms) {
  struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

  nanosleep(&time, NULL);
}
