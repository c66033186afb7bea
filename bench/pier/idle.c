#include "side.h"

#include <string.h>

struct server {
  pier_loop *loop;
  pier_handle listener;
  const struct bench_options *options;
  struct bench_result *result;
  struct side_counts counts;
  struct connection *connections;
  uint64_t accepted;
  uint64_t open;
  bool keeps_reading;
};

/* What a program needs of its own for a connection here: the libuv twin has the same beside its uv_tcp_t. */
struct connection {
  pier_handle handle;
  char message[8];
};

static struct server server;

static void connection__wait(struct connection *connection);

static void on_written(const pier_result *result) {
  side_check(result->status, "write");
  connection__wait(result->context);
}

/* The first end says that the client has had its last answer. */
static void connection__end(struct connection *connection) {
  if (server.open == server.accepted) {
    bench_end(server.result);
    server.result->operations = server.result->bytes / sizeof connection->message;
    side_counts_end(&server.counts, server.loop, server.result, server.result->operations);
  }
  side_check(pier_close(connection->handle, NULL, NULL), "pier_close");
  if (--server.open == 0) {
    side_check(pier_close(server.listener, NULL, NULL), "pier_close");
  }
}

static void on_read(const pier_result *result) {
  struct connection *connection = result->context;

  if (result->status != PIER_OK || result->end) {
    connection__end(connection);
    return;
  }
  server.result->bytes += result->bytes;
  pier_operation write = pier_write(connection->handle, connection->message, result->bytes, PIER_NO_DEADLINE, on_written, connection);
  bench_check(write != 0, "pier_write", 0);
}

static void on_chunk(const pier_result *result) {
  struct connection *connection = result->context;
  size_t sent = 0;

  if (!result->more) {
    connection__end(connection);
    return;
  }
  server.result->bytes += result->bytes;
  int status = pier_try_write(connection->handle, result->data, result->bytes, &sent); /* into an empty socket: always possible */
  bench_check(sent == result->bytes, "pier_try_write", status);
}

/* As the libuv twin does, what keeps reading; but on Windows that has a buffer while it waits, which is nothing for so many that are idle. */
static void connection__wait(struct connection *connection) {
  pier_operation read = server.keeps_reading
                            ? pier_read_multishot(connection->handle, PIER_NO_DEADLINE, on_chunk, connection)
                            : pier_read(connection->handle, connection->message, sizeof connection->message, PIER_NO_DEADLINE, on_read, connection);
  bench_check(read != 0, "pier_read", 0);
}

static void server__accept(void);

static void on_accepted(const pier_result *result) {
  side_check(result->status, "accept");
  server.connections[server.accepted++].handle = result->opened;
  if (server.accepted < server.options->connections) {
    server__accept();
    return;
  }
  server.open = server.accepted;
  side_counts_begin(&server.counts, server.loop);
  bench_begin(server.result);
  for (uint64_t i = 0; i < server.accepted; i++) {
    connection__wait(&server.connections[i]);
  }
}

static void server__accept(void) {
  pier_operation accept = pier_tcp_accept(server.listener, PIER_NO_DEADLINE, on_accepted, NULL);
  bench_check(accept != 0, "pier_tcp_accept", 0);
}

int side_tcp_idle(const struct bench_options *options, struct bench_result *result) {
  server.options = options;
  server.result = result;
  server.loop = side_loop_open();
  server.keeps_reading = strcmp(pier_loop_backend(server.loop), "iocp") != 0;
  server.listener = side_listen(server.loop);
  bench_memory_begin(result, options->connections);
  server.connections = bench_allocate(options->connections, sizeof *server.connections);
  server__accept();
  side_check(pier_loop_run(server.loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  side_loop_close(server.loop);
  bench_release(server.connections);
  return 0;
}
