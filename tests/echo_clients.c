/* Many clients of an echo server in one program of the build machine: counts what comes back and compares every byte.
 *
 *     echo_clients PORT CONNECTIONS SECONDS MESSAGE_BYTES
 *
 * Every connection has one message on its way at any time. When the time is up no more are sent, and those on their
 * way are waited for. Prints one line; exit code 0 says that nothing was lost and nothing was wrong.
 */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES_MAX 4096
#define PATTERNS 251 /* prime, so that neighbours and successors differ */
#define EVENTS_MAX 256
#define PATIENCE_MS 30000

struct connection {
  int fd;
  unsigned number;
  uint64_t sequence;
  size_t received_bytes;
  bool waiting;
};

struct clients {
  struct connection *connections;
  unsigned count;
  size_t message_bytes;
  int poller;
  bool sending;
  uint64_t waiting;
  uint64_t round_trips;
  uint64_t wrong;
  uint64_t broken;
  unsigned char pattern[MESSAGE_BYTES_MAX + PATTERNS];
};

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(2);
}

static uint64_t now_ms(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Which message a connection has on its way: another one each time, and another than its neighbours'. */
static const unsigned char *connection_message(const struct clients *clients, const struct connection *connection) {
  return clients->pattern + (connection->number * 7 + connection->sequence) % PATTERNS;
}

static void connection_broken(struct clients *clients, struct connection *connection) {
  epoll_ctl(clients->poller, EPOLL_CTL_DEL, connection->fd, NULL);
  clients->broken++;
  clients->waiting -= connection->waiting;
  connection->waiting = false;
}

static void connection_send(struct clients *clients, struct connection *connection) {
  const unsigned char *message = connection_message(clients, connection);

  connection->received_bytes = 0;
  connection->waiting = true;
  clients->waiting++;
  /* One message always fits into the kernel's buffer, because the one before has come back. */
  if (send(connection->fd, message, clients->message_bytes, MSG_NOSIGNAL) != (ssize_t)clients->message_bytes) {
    connection_broken(clients, connection);
  }
}

static void connection_receive(struct clients *clients, struct connection *connection) {
  unsigned char bytes[MESSAGE_BYTES_MAX + 1];
  size_t at = connection->received_bytes;
  ssize_t got = recv(connection->fd, bytes, clients->message_bytes - at + 1, 0); /* one more would be one too many */

  if (got <= 0 || !connection->waiting || at + (size_t)got > clients->message_bytes) {
    connection_broken(clients, connection);
    return;
  }
  clients->wrong += memcmp(bytes, connection_message(clients, connection) + at, (size_t)got) != 0;
  connection->received_bytes += (size_t)got;
  if (connection->received_bytes < clients->message_bytes) {
    return;
  }
  clients->waiting--;
  clients->round_trips++;
  connection->waiting = false;
  connection->sequence++;
  if (clients->sending) {
    connection_send(clients, connection);
  }
}

static void clients_connect(struct clients *clients, unsigned port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  int one = 1;

  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  clients->poller = epoll_create1(0);
  for (unsigned i = 0; i < clients->count; i++) {
    struct connection *connection = &clients->connections[i];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    connection->number = i;
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->fd < 0 || connect(connection->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
      fail("connect");
    }
    if (setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
        epoll_ctl(clients->poller, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
      fail("setting a connection up");
    }
  }
}

/* Until the time is up, or while anything is still on its way. */
static void clients_run(struct clients *clients, uint64_t until_ms) {
  struct epoll_event events[EVENTS_MAX];

  while (clients->sending ? now_ms() < until_ms : clients->waiting > 0) {
    int count = epoll_wait(clients->poller, events, EVENTS_MAX, PATIENCE_MS);
    if (count <= 0) {
      return;
    }
    for (int i = 0; i < count; i++) {
      connection_receive(clients, events[i].data.ptr);
    }
  }
}

int main(int argc, char **argv) {
  static struct clients clients;

  if (argc != 5) {
    fprintf(stderr, "usage: echo_clients PORT CONNECTIONS SECONDS MESSAGE_BYTES\n");
    return 2;
  }
  clients.count = (unsigned)strtoul(argv[2], NULL, 10);
  clients.message_bytes = strtoul(argv[4], NULL, 10);
  clients.connections = calloc(clients.count, sizeof *clients.connections);
  if (clients.connections == NULL || clients.message_bytes == 0 || clients.message_bytes > MESSAGE_BYTES_MAX) {
    fprintf(stderr, "no memory, or not a message of 1 to %d bytes\n", MESSAGE_BYTES_MAX);
    return 2;
  }
  for (size_t i = 0; i < sizeof clients.pattern; i++) {
    clients.pattern[i] = (unsigned char)(i % PATTERNS);
  }
  clients_connect(&clients, (unsigned)strtoul(argv[1], NULL, 10));
  clients.sending = true;
  for (unsigned i = 0; i < clients.count; i++) {
    connection_send(&clients, &clients.connections[i]);
  }
  clients_run(&clients, now_ms() + strtoul(argv[3], NULL, 10) * 1000);
  clients.sending = false;
  clients_run(&clients, 0);
  for (unsigned i = 0; i < clients.count; i++) {
    close(clients.connections[i].fd);
  }
  printf("connections=%u round_trips=%" PRIu64 " lost=%" PRIu64 " wrong=%" PRIu64 " broken=%" PRIu64 "\n",
         clients.count, clients.round_trips, clients.waiting, clients.wrong, clients.broken);
  return clients.waiting == 0 && clients.wrong == 0 && clients.broken == 0 ? 0 : 1;
}
