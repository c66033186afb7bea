#include "side.h"

#define ECHO_BYTES_MAX 4096
#define PUMP_BYTES 65536

struct server {
  pier_loop *loop;
  pier_handle listener;
  const struct bench_options *options;
  struct bench_result *result;
  struct side_counts counts;
  struct connection **connections;
  uint64_t accepted;
  uint64_t open;
  uint64_t receives; /* that brought something */
  bool pipe;
  bool echo;
};

struct connection {
  struct server *server;
  pier_handle handle;
  size_t buffer_bytes;
  char buffer[];
};

static void connection__read(struct connection *connection);

static void connection__end(struct connection *connection) {
  struct server *server = connection->server;

  side_check(pier_close(connection->handle, NULL, NULL), "pier_close");
  if (--server->open == 0) {
    bench_end(server->result);
    server->result->operations = server->result->bytes / server->options->block_bytes;
    bench_receives(server->result, server->receives);
    side_counts_end(&server->counts, server->loop, server->result, server->result->operations);
    side_check(pier_close(server->listener, NULL, NULL), "pier_close");
  }
}

static void on_written(const pier_result *result) {
  if (result->status != PIER_OK) {
    connection__end(result->context);
  } else {
    connection__read(result->context);
  }
}

static void on_read(const pier_result *result) {
  struct connection *connection = result->context;

  if (result->status != PIER_OK || result->end) {
    connection__end(connection);
    return;
  }
  connection->server->result->bytes += result->bytes;
  connection->server->receives++;
  if (connection->server->echo) {
    pier_operation write = pier_write(connection->handle, connection->buffer, result->bytes, PIER_NO_DEADLINE, on_written, connection);
    bench_check(write != 0, "pier_write", 0);
  } else {
    connection__read(connection);
  }
}

static void connection__read(struct connection *connection) {
  pier_operation read = pier_read(connection->handle, connection->buffer, connection->buffer_bytes, PIER_NO_DEADLINE, on_read, connection);
  bench_check(read != 0, "pier_read", 0);
}

static void server__accept(struct server *server);

static void on_accepted(const pier_result *result) {
  struct server *server = result->context;
  size_t bytes = server->echo ? ECHO_BYTES_MAX : PUMP_BYTES;
  struct connection *connection = bench_allocate(1, sizeof *connection + bytes);

  side_check(result->status, "accept");
  connection->server = server;
  connection->handle = result->opened;
  connection->buffer_bytes = bytes;
  server->connections[server->accepted++] = connection;
  if (server->accepted < server->options->connections) {
    server__accept(server);
    return;
  }
  server->open = server->accepted;
  side_counts_begin(&server->counts, server->loop);
  bench_begin(server->result);
  for (uint64_t i = 0; i < server->accepted; i++) {
    connection__read(server->connections[i]);
  }
}

static void server__accept(struct server *server) {
  pier_operation accept = server->pipe ? pier_pipe_accept(server->listener, PIER_NO_DEADLINE, on_accepted, server)
                                       : pier_tcp_accept(server->listener, PIER_NO_DEADLINE, on_accepted, server);
  bench_check(accept != 0, "accept", 0);
}

static void server__run(struct server *server) {
  server->connections = bench_allocate(server->options->connections, sizeof *server->connections);
  server__accept(server);
  side_check(pier_loop_run(server->loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  side_loop_close(server->loop);
}

static int serve_tcp(struct server *server) {
  pier_address address;

  side_check(pier_address_parse("127.0.0.1", 0, &address), "pier_address_parse");
  server->loop = side_loop_open();
  side_check(pier_tcp_listen(server->loop, &address, NULL, &server->listener), "pier_tcp_listen");
  side_check(pier_tcp_local_address(server->listener, &address), "pier_tcp_local_address");
  bench_ready(address.port);
  server__run(server);
  return 0;
}

int side_tcp_echo(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.options = options, .result = result, .echo = true};
  return serve_tcp(&server);
}

int side_tcp_pump(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.options = options, .result = result};
  return serve_tcp(&server);
}

int side_pipe_echo(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.options = options, .result = result, .echo = true, .pipe = true};

  server.loop = side_loop_open();
  side_check(pier_pipe_listen(server.loop, options->path, NULL, &server.listener), "pier_pipe_listen");
  bench_ready(0);
  server__run(&server);
  return 0;
}
