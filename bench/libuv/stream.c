#include "twin.h"

#include <string.h>
#include <uv.h>

#define BUFFER_BYTES 131072
#define BACKLOG 512

struct server {
  union {
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } listener;
  const struct bench_options *options;
  struct bench_result *result;
  struct connection **connections;
  uint64_t accepted;
  uint64_t open;
  uint64_t receives; /* that brought something */
  bool echo;
};

struct connection {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } peer;
  struct server *server;
};

struct answer {
  uv_write_t request;
  char bytes[];
};

/* One for all connections: what is read is answered, or copied, before the next read. */
static _Alignas(4096) char shared_buffer[BUFFER_BYTES];

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)handle;
  (void)suggested;
  *buffer = uv_buf_init(shared_buffer, sizeof shared_buffer);
}

static void on_closed(uv_handle_t *handle) {
  bench_release(handle->data);
}

static void on_written(uv_write_t *request, int status) {
  twin_check(status, "write");
  bench_release(request->data);
}

static void connection__end(struct connection *connection) {
  struct server *server = connection->server;

  uv_close(&connection->peer.handle, on_closed);
  if (--server->open == 0) {
    bench_end(server->result);
    uv_close((uv_handle_t *)&server->listener, NULL);
  }
}

/* uv_try_write saves the request and its completion. On a Windows pipe it is never possible, and what did not go out has to be kept. */
static void connection__answer(struct connection *connection, size_t length) {
  uv_buf_t buffer = uv_buf_init(shared_buffer, (unsigned)length);
  int sent = uv_try_write(&connection->peer.stream, &buffer, 1);

  if (sent == (int)length) {
    return;
  }
  bench_check(sent >= 0 || sent == UV_EAGAIN, "uv_try_write", sent);
  size_t begin = sent > 0 ? (size_t)sent : 0;
  struct answer *answer = bench_allocate(1, sizeof *answer + length - begin);
  answer->request.data = answer;
  memcpy(answer->bytes, shared_buffer + begin, length - begin);
  buffer = uv_buf_init(answer->bytes, (unsigned)(length - begin));
  twin_check(uv_write(&answer->request, &connection->peer.stream, &buffer, 1, on_written), "uv_write");
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
  struct connection *connection = stream->data;

  (void)buffer;
  if (length < 0) {
    connection__end(connection);
  } else if (length > 0) {
    connection->server->result->bytes += (uint64_t)length;
    connection->server->receives++;
    if (connection->server->echo) {
      connection__answer(connection, (size_t)length);
    }
  }
}

static void server__accept(struct server *server, struct connection *connection) {
  connection->server = server;
  connection->peer.handle.data = connection;
  twin_check(uv_accept(&server->listener.stream, &connection->peer.stream), "uv_accept");
  server->connections[server->accepted++] = connection;
}

/* Nothing is read before all are there, so that what is measured is serving and not accepting. */
static void server__start_when_full(struct server *server) {
  if (server->accepted < server->options->connections) {
    return;
  }
  server->open = server->accepted;
  bench_begin(server->result);
  for (uint64_t i = 0; i < server->accepted; i++) {
    twin_check(uv_read_start(&server->connections[i]->peer.stream, on_allocate, on_read), "uv_read_start");
  }
}

static void server__run(struct server *server, uv_loop_t *loop) {
  server->connections = bench_allocate(server->options->connections, sizeof *server->connections);
  twin_check(uv_run(loop, UV_RUN_DEFAULT), "uv_run");
  server->result->operations = server->result->bytes / server->options->block_bytes;
  bench_receives(server->result, server->receives);
  twin_check(uv_loop_close(loop), "uv_loop_close");
  bench_release(server->connections);
}

static void on_tcp_connection(uv_stream_t *listener, int status) {
  struct connection *connection = bench_allocate(1, sizeof *connection);

  twin_check(status, "connection");
  twin_check(uv_tcp_init(listener->loop, &connection->peer.tcp), "uv_tcp_init");
  server__accept(listener->data, connection);
  twin_check(uv_tcp_nodelay(&connection->peer.tcp, 1), "uv_tcp_nodelay");
  server__start_when_full(listener->data);
}

static void on_pipe_connection(uv_stream_t *listener, int status) {
  struct connection *connection = bench_allocate(1, sizeof *connection);

  twin_check(status, "connection");
  twin_check(uv_pipe_init(listener->loop, &connection->peer.pipe, 0), "uv_pipe_init");
  server__accept(listener->data, connection);
  server__start_when_full(listener->data);
}

static int serve_tcp(const struct bench_options *options, struct bench_result *result, bool echo) {
  struct server server = {.options = options, .result = result, .echo = echo};
  uv_loop_t *loop = uv_default_loop();

  server.listener.tcp.data = &server;
  twin_listen(loop, &server.listener.tcp, on_tcp_connection);
  server__run(&server, loop);
  return 0;
}

int twin_tcp_echo(const struct bench_options *options, struct bench_result *result) {
  return serve_tcp(options, result, true);
}

int twin_tcp_pump(const struct bench_options *options, struct bench_result *result) {
  return serve_tcp(options, result, false);
}

static int serve_pipe(const struct bench_options *options, struct bench_result *result, bool echo) {
  struct server server = {.options = options, .result = result, .echo = echo};
  uv_loop_t *loop = uv_default_loop();

  twin_check(uv_pipe_init(loop, &server.listener.pipe, 0), "uv_pipe_init");
  server.listener.pipe.data = &server;
  twin_check(uv_pipe_bind(&server.listener.pipe, options->path), "uv_pipe_bind");
  uv_pipe_pending_instances(&server.listener.pipe, (int)options->connections);
  twin_check(uv_listen(&server.listener.stream, BACKLOG, on_pipe_connection), "uv_listen");
  bench_ready(0);
  server__run(&server, loop);
  return 0;
}

int twin_pipe_echo(const struct bench_options *options, struct bench_result *result) {
  return serve_pipe(options, result, true);
}

int twin_pipe_pump(const struct bench_options *options, struct bench_result *result) {
  return serve_pipe(options, result, false);
}
