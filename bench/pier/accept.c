#include "side.h"

/* Accepts that wait at a time; libuv has as many on Windows. */
#define ACCEPTS_MAX 32

struct server {
  pier_loop *loop;
  pier_handle listener;
  const struct bench_options *options;
  struct bench_result *result;
  struct side_counts counts;
  uint64_t accepting;
};

struct connection {
  struct server *server;
  pier_handle handle;
  char buffer[64];
};

static void server__accept(struct server *server);

static void on_closed(const pier_result *result) {
  struct connection *connection = result->context;
  struct server *server = connection->server;

  bench_release(connection);
  if (++server->result->operations == server->options->operations) {
    bench_end(server->result);
    side_counts_end(&server->counts, server->loop, server->result, server->result->operations);
    side_check(pier_close(server->listener, NULL, NULL), "pier_close");
  }
}

static void on_read(const pier_result *result) {
  struct connection *connection = result->context;

  bench_check(result->status == PIER_OK && !result->end, "read", result->status);
  connection->server->result->bytes += result->bytes;
  side_check(pier_close(connection->handle, on_closed, connection), "pier_close");
}

static void connection__read(struct connection *connection) {
  pier_operation read = pier_read(connection->handle, connection->buffer, sizeof connection->buffer, PIER_NO_DEADLINE, on_read, connection);
  bench_check(read != 0, "pier_read", 0);
}

static void on_accepted(const pier_result *result) {
  struct server *server = result->context;
  struct connection *connection = bench_allocate(1, sizeof *connection);

  side_check(result->status, "accept");
  connection->server = server;
  connection->handle = result->opened;
  connection__read(connection);
  server__accept(server);
}

static void server__accept(struct server *server) {
  if (server->accepting == server->options->operations) {
    return;
  }
  server->accepting++;
  pier_operation accept = pier_tcp_accept(server->listener, PIER_NO_DEADLINE, on_accepted, server);
  bench_check(accept != 0, "pier_tcp_accept", 0);
}

int side_tcp_accept(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.loop = side_loop_open(), .options = options, .result = result};

  server.listener = side_listen(server.loop);
  side_counts_begin(&server.counts, server.loop);
  bench_begin(result);
  for (int i = 0; i < ACCEPTS_MAX; i++) {
    server__accept(&server);
  }
  side_check(pier_loop_run(server.loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  side_loop_close(server.loop);
  return 0;
}
