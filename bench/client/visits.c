/* Many short connections, and many that are silent. */
#include "client.h"

#include "socket.h"

#include "../common/latency.h"

#include <string.h>

#define READY_MAX 128
#define MESSAGE_BYTES 8

struct visitor {
  client_socket socket;
};

struct visits {
  const struct bench_options *options;
  struct bench_result *result;
  struct client_set *set;
  uint64_t started;
};

/* Connecting to this machine is over at once, whether the server has accepted or not. */
static void visitor__begin(struct visitor *visitor, struct visits *visits) {
  if (visits->started < visits->options->operations) {
    visits->started++;
    visitor->socket = client_connect(visits->options);
    client_send(visitor->socket, "hi", 2);
    client_set_add(visits->set, visitor->socket, visitor);
  }
}

/* The server closes when it has read the two bytes. */
static void visitor__end(struct visitor *visitor, struct visits *visits) {
  char byte;
  size_t got = client_receive(visitor->socket, &byte, 1);

  bench_check(got == 0, "the server sent something", (long long)got);
  client_set_remove(visits->set, visitor->socket);
  client_close(visitor->socket);
  visits->result->operations++;
  visits->result->bytes += 2;
}

int client_tcp_accept(const struct bench_options *options, struct bench_result *result) {
  struct visits visits = {.options = options, .result = result, .set = client_set_open(options->depth)};
  struct visitor *visitors = bench_allocate(options->depth, sizeof *visitors);
  void *ready[READY_MAX];

  bench_begin(result);
  for (uint64_t i = 0; i < options->depth; i++) {
    visitor__begin(&visitors[i], &visits);
  }
  while (result->operations < options->operations) {
    size_t count = client_set_wait(visits.set, ready, READY_MAX);
    for (size_t i = 0; i < count; i++) {
      visitor__end(ready[i], &visits);
      visitor__begin(ready[i], &visits);
    }
  }
  bench_end(result);
  client_set_close(visits.set);
  bench_release(visitors);
  return 0;
}

static void wake(client_socket socket, uint64_t number) {
  char answer[MESSAGE_BYTES];
  size_t have = 0;

  client_send(socket, (const char *)&number, MESSAGE_BYTES);
  while (have < MESSAGE_BYTES) {
    size_t got = client_receive(socket, answer + have, MESSAGE_BYTES - have);
    bench_check(got > 0, "the server ended a connection", (long long)number);
    have += got;
  }
  bench_check(memcmp(answer, &number, MESSAGE_BYTES) == 0, "not the message that was sent, number", (long long)number);
}

/* All are silent but one at a time, any of them. */
static void idle__wake_some(const client_socket *sockets, const struct bench_options *options, struct bench_result *result, struct latency *latency) {
  uint64_t random = options->seed;
  uint64_t before_ns = bench_clock_ns();

  while (result->operations < options->operations) {
    wake(sockets[bench_random(&random) % options->connections], result->operations++);
    uint64_t after_ns = bench_clock_ns();
    latency_add(latency, after_ns - before_ns);
    before_ns = after_ns;
  }
}

int client_tcp_idle(const struct bench_options *options, struct bench_result *result) {
  client_socket *sockets = bench_allocate(options->connections, sizeof *sockets);
  struct latency *latency = bench_allocate(1, sizeof *latency);

  for (uint64_t i = 0; i < options->connections; i++) {
    sockets[i] = client_connect(options);
  }
  wake(sockets[0], UINT64_MAX); /* answered when the server has all of them */
  bench_begin(result);
  idle__wake_some(sockets, options, result, latency);
  bench_end(result);
  result->bytes = (result->operations + 1) * MESSAGE_BYTES;
  result->latency_p50_ns = latency_quantile(latency, 0.5);
  result->latency_p99_ns = latency_quantile(latency, 0.99);
  for (uint64_t i = 0; i < options->connections; i++) {
    client_close(sockets[i]);
  }
  bench_release(latency);
  bench_release(sockets);
  return 0;
}
