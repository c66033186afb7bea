#include "client.h"

#include "socket.h"

#include "../common/latency.h"

#include <string.h>

#define MESSAGE_BYTES_MAX 65536
#define READY_MAX 128

struct connection {
  client_socket socket;
  size_t received_bytes;
  uint64_t sent_ns;
  uint64_t sequence;
};

struct echo {
  struct connection *connections;
  struct client_set *set; /* null for one connection: a blocking receive is the leanest client there is */
  struct latency latency;
  size_t message_bytes;
  uint64_t round_trips;
  uint64_t in_flight;
  bool ending;
  char sent[MESSAGE_BYTES_MAX];
  char received[MESSAGE_BYTES_MAX];
};

/* Every message begins with its number on its connection, so that an echo of the wrong message is seen. */
static void echo__send(struct echo *echo, struct connection *connection) {
  connection->sequence++;
  connection->received_bytes = 0;
  memcpy(echo->sent, &connection->sequence, sizeof connection->sequence);
  connection->sent_ns = bench_clock_ns();
  client_send(connection->socket, echo->sent, echo->message_bytes);
  echo->in_flight++;
}

static void echo__compare(const struct echo *echo, const struct connection *connection, size_t begin, size_t end) {
  size_t last = end < sizeof connection->sequence ? end : sizeof connection->sequence;

  if (begin < last) {
    bool same = memcmp(echo->received + begin, (const char *)&connection->sequence + begin, last - begin) == 0;
    bench_check(same, "not the message that was sent, number", (long long)connection->sequence);
  }
}

static void echo__receive(struct echo *echo, struct connection *connection) {
  size_t begin = connection->received_bytes;
  size_t got = client_receive(connection->socket, echo->received + begin, echo->message_bytes - begin);

  bench_check(got > 0, "the server ended a connection", (long long)connection->sequence);
  echo__compare(echo, connection, begin, begin + got);
  connection->received_bytes += got;
  if (connection->received_bytes < echo->message_bytes) {
    return;
  }
  latency_add(&echo->latency, bench_clock_ns() - connection->sent_ns);
  echo->round_trips++;
  echo->in_flight--;
  if (!echo->ending) {
    echo__send(echo, connection);
  }
}

static void echo__receive_some(struct echo *echo) {
  void *ready[READY_MAX];
  size_t count = 1;

  if (echo->set == NULL) {
    ready[0] = &echo->connections[0];
  } else {
    count = client_set_wait(echo->set, ready, READY_MAX);
  }
  for (size_t i = 0; i < count; i++) {
    echo__receive(echo, ready[i]);
  }
}

static void echo__run(struct echo *echo, uint64_t duration_ms) {
  uint64_t until_ns = bench_clock_ns() + duration_ms * 1000000;

  while (bench_clock_ns() < until_ns) {
    echo__receive_some(echo);
  }
}

static void echo__open(struct echo *echo, const struct bench_options *options) {
  bench_check(options->block_bytes >= sizeof(uint64_t) && options->block_bytes <= MESSAGE_BYTES_MAX, "--block is 8 to", MESSAGE_BYTES_MAX);
  echo->message_bytes = (size_t)options->block_bytes;
  echo->connections = bench_allocate(options->connections, sizeof *echo->connections);
  echo->set = options->connections > 1 ? client_set_open(options->connections) : NULL;
  for (uint64_t i = 0; i < options->connections; i++) {
    echo->connections[i].socket = client_connect(options);
    if (echo->set != NULL) {
      client_set_add(echo->set, echo->connections[i].socket, &echo->connections[i]);
    }
  }
  for (uint64_t i = 0; i < options->connections; i++) {
    echo__send(echo, &echo->connections[i]);
  }
}

int client_echo(const struct bench_options *options, struct bench_result *result) {
  struct echo *echo = bench_allocate(1, sizeof *echo);

  echo__open(echo, options);
  echo__run(echo, options->warmup);
  memset(&echo->latency, 0, sizeof echo->latency);
  uint64_t before = echo->round_trips;
  bench_begin(result);
  echo__run(echo, options->duration_ms);
  bench_end(result);
  result->operations = echo->round_trips - before;
  result->latency_p50_ns = latency_quantile(&echo->latency, 0.5);
  result->latency_p99_ns = latency_quantile(&echo->latency, 0.99);

  echo->ending = true;
  while (echo->in_flight > 0) {
    echo__receive_some(echo);
  }
  result->bytes = echo->round_trips * echo->message_bytes; /* all of them: what the server must have counted too */
  for (uint64_t i = 0; i < options->connections; i++) {
    client_close(echo->connections[i].socket);
  }
  if (echo->set != NULL) {
    client_set_close(echo->set);
  }
  bench_release(echo->connections);
  bench_release(echo);
  return 0;
}

/* Each connection has a block in its turn: a send waits only while that one's buffers are full. */
static void pump__run(client_socket *sockets, const char *block, const struct bench_options *options, struct bench_result *result) {
  uint64_t until_ns = bench_clock_ns() + options->duration_ms * 1000000;

  while (bench_clock_ns() < until_ns) {
    for (uint64_t i = 0; i < options->connections; i++) {
      client_send(sockets[i], block, options->block_bytes);
      result->bytes += options->block_bytes;
      result->operations++;
    }
  }
}

int client_pump(const struct bench_options *options, struct bench_result *result) {
  char *block = bench_allocate(1, options->block_bytes);
  client_socket *sockets = bench_allocate(options->connections, sizeof *sockets);

  memset(block, 'p', options->block_bytes);
  for (uint64_t i = 0; i < options->connections; i++) {
    sockets[i] = client_connect(options);
  }
  bench_begin(result);
  pump__run(sockets, block, options, result);
  for (uint64_t i = 0; i < options->connections; i++) {
    client_end_sending(sockets[i]);
  }
  for (uint64_t i = 0; i < options->connections; i++) {
    size_t got = client_receive(sockets[i], block, 1); /* the server closes when it has counted everything */
    bench_check(got == 0, "the server sent something", (long long)got);
  }
  bench_end(result);
  for (uint64_t i = 0; i < options->connections; i++) {
    client_close(sockets[i]);
  }
  bench_release(sockets);
  bench_release(block);
  return 0;
}
