#include "floor.h"
#include "ring.h"

#include "../common/listener.h"

#include <sys/socket.h>

#define MESSAGE_BYTES 8
#define ENTRIES 256
#define SENT UINT64_MAX

struct connection {
  int socket;
  char message[MESSAGE_BYTES];
};

struct server {
  struct io_uring ring;
  struct connection *connections;
  struct bench_result *result;
  bool ended;
};

static void server__receive(struct server *server, uint64_t number) {
  struct connection *connection = &server->connections[number];
  struct io_uring_sqe *entry = floor_ring_entry(&server->ring);

  io_uring_prep_recv(entry, connection->socket, connection->message, MESSAGE_BYTES, 0);
  io_uring_sqe_set_data64(entry, number);
}

/* The answer and the next receive are one system call. The answer is on its way before the next message can come, so they share their bytes. */
static void server__received(struct server *server, const struct io_uring_cqe *completion) {
  bench_check(completion->res >= 0 && completion->user_data != SENT, "recv or send", completion->res);
  if (completion->res == 0) {
    server->ended = true; /* the first end says that the client has had its last answer */
    return;
  }
  struct connection *connection = &server->connections[completion->user_data];
  struct io_uring_sqe *entry = floor_ring_entry(&server->ring);
  server->result->bytes += (uint64_t)completion->res;
  io_uring_prep_send(entry, connection->socket, connection->message, (size_t)completion->res, MSG_NOSIGNAL);
  io_uring_sqe_set_flags(entry, IOSQE_CQE_SKIP_SUCCESS | IOSQE_IO_LINK);
  io_uring_sqe_set_data64(entry, SENT);
  server__receive(server, completion->user_data);
}

static void server__run(struct server *server) {
  while (!server->ended) {
    struct io_uring_cqe *completion;
    unsigned head;
    unsigned count = 0;
    floor_ring_wait(&server->ring);
    io_uring_for_each_cqe(&server->ring, head, completion) {
      server__received(server, completion);
      count++;
    }
    io_uring_cq_advance(&server->ring, count);
  }
}

int floor_tcp_idle(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.result = result};
  uintptr_t listener = bench_listener_open();

  floor_ring_open(&server.ring, ENTRIES);
  bench_memory_begin(result, options->connections);
  server.connections = bench_allocate(options->connections, sizeof *server.connections);
  for (uint64_t i = 0; i < options->connections; i++) {
    server.connections[i].socket = (int)bench_listener_accept(listener);
  }
  bench_begin(result);
  for (uint64_t i = 0; i < options->connections; i++) {
    server__receive(&server, i);
  }
  server__run(&server);
  bench_end(result);
  result->operations = result->bytes / MESSAGE_BYTES;
  return 0; /* the connections end with the process */
}
