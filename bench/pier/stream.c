#include "side.h"

#include <stdatomic.h>
#include <string.h>

#define ECHO_BYTES_MAX 4096

struct server {
  pier_loop *loop;
  pier_handle listener;
  const struct bench_options *options;
  struct bench_result *result;
  struct side_counts counts;
  struct connection **connections;
  uint64_t accepted;
  atomic_uint_least64_t open; /* these three are touched by several threads where the loop has several */
  atomic_uint_least64_t bytes;
  atomic_uint_least64_t receives; /* that brought something */
  bool pipe;
  bool echo;
};

struct connection {
  struct server *server;
  pier_handle handle;
  uint64_t bytes;
  uint64_t receives;
  char *rest; /* what did not go out at once, while it is written; one for an echo that waits for its answer */
  bool writes;
};

static void connection__end(struct connection *connection) {
  struct server *server = connection->server;

  side_check(pier_close(connection->handle, NULL, NULL), "pier_close");
  atomic_fetch_add(&server->bytes, connection->bytes);
  atomic_fetch_add(&server->receives, connection->receives);
  if (atomic_fetch_sub(&server->open, 1) == 1) {
    bench_end(server->result);
    server->result->bytes = atomic_load(&server->bytes);
    server->result->operations = server->result->bytes / server->options->block_bytes;
    bench_receives(server->result, atomic_load(&server->receives));
    side_counts_end(&server->counts, server->loop, server->result, server->result->operations);
    side_check(pier_close(server->listener, NULL, NULL), "pier_close");
  }
}

static void on_written(const pier_result *result) {
  struct connection *connection = result->context;

  bench_check(result->status == PIER_OK || result->status == PIER_ECLOSED, "pier_write", result->status);
  connection->writes = false;
}

/* pier_try_write() saves the operation and its callback. On a Windows pipe it is never possible, and what did not go out has to be kept; the
 * peer does not send again before it has all of it. */
static void connection__answer(struct connection *connection, const char *bytes, size_t length) {
  size_t sent = 0;
  int status = pier_try_write(connection->handle, bytes, length, &sent);

  if (sent == length) {
    return;
  }
  bench_check(status == PIER_OK || status == PIER_EAGAIN, "pier_try_write", status);
  bench_check(!connection->writes && length - sent <= ECHO_BYTES_MAX, "an answer before the one before it was through", (long long)length);
  if (connection->rest == NULL) {
    connection->rest = bench_allocate(1, ECHO_BYTES_MAX);
  }
  memcpy(connection->rest, bytes + sent, length - sent);
  connection->writes = true;
  pier_operation write = pier_write(connection->handle, connection->rest, length - sent, PIER_NO_DEADLINE, on_written, connection);
  bench_check(write != 0, "pier_write", 0);
}

static void on_read(const pier_result *result) {
  struct connection *connection = result->context;

  if (!result->more) {
    connection__end(connection);
    return;
  }
  connection->bytes += result->bytes;
  connection->receives++;
  if (connection->server->echo) {
    connection__answer(connection, result->data, result->bytes);
  }
}

static void connection__read(struct connection *connection) {
  pier_operation read = pier_read_multishot(connection->handle, PIER_NO_DEADLINE, on_read, connection);
  bench_check(read != 0, "pier_read_multishot", 0);
}

static void server__accept(struct server *server);

static void on_accepted(const pier_result *result) {
  struct server *server = result->context;
  struct connection *connection = bench_allocate(1, sizeof *connection);

  side_check(result->status, "accept");
  connection->server = server;
  connection->handle = result->opened;
  server->connections[server->accepted++] = connection;
  if (server->accepted < server->options->connections) {
    server__accept(server);
    return;
  }
  atomic_store(&server->open, server->accepted);
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
  server->listener = side_listen(server->loop);
  server__run(server);
  return 0;
}

static int serve_pipe(struct server *server) {
  server->pipe = true;
  side_check(pier_pipe_listen(server->loop, server->options->path, NULL, &server->listener), "pier_pipe_listen");
  bench_ready(0);
  server__run(server);
  return 0;
}

int side_tcp_echo(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.loop = side_loop_open(), .options = options, .result = result, .echo = true};
  return serve_tcp(&server);
}

/* The same server, its callbacks on the loop's own threads. */
int side_tcp_scale(const struct bench_options *options, struct bench_result *result) {
  pier_loop_options threads = {.threads = (unsigned)options->threads};
  struct server server = {.options = options, .result = result, .echo = true};

  side_check(pier_loop_open(&threads, &server.loop), "pier_loop_open");
  return serve_tcp(&server);
}

int side_tcp_pump(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.loop = side_loop_open(), .options = options, .result = result};
  return serve_tcp(&server);
}

int side_pipe_echo(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.loop = side_loop_open(), .options = options, .result = result, .echo = true};
  return serve_pipe(&server);
}

int side_pipe_pump(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.loop = side_loop_open(), .options = options, .result = result};
  return serve_pipe(&server);
}
