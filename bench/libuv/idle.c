#include "twin.h"

#define MESSAGE_BYTES 8

static struct {
  uv_tcp_t listener;
  const struct bench_options *options;
  struct bench_result *result;
  uv_tcp_t *connections;
  uint64_t accepted;
  uint64_t open;
} server;

static char shared_buffer[MESSAGE_BYTES];

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)handle;
  (void)suggested;
  *buffer = uv_buf_init(shared_buffer, sizeof shared_buffer);
}

/* The first end says that the client has had its last answer. */
static void connection__end(uv_stream_t *connection) {
  if (server.open == server.accepted) {
    bench_end(server.result);
    server.result->operations = server.result->bytes / MESSAGE_BYTES;
  }
  uv_close((uv_handle_t *)connection, NULL);
  if (--server.open == 0) {
    uv_close((uv_handle_t *)&server.listener, NULL);
  }
}

static void on_read(uv_stream_t *connection, ssize_t length, const uv_buf_t *buffer) {
  uv_buf_t answer = uv_buf_init(buffer->base, length > 0 ? (unsigned)length : 0);

  if (length < 0) {
    connection__end(connection);
  } else if (length > 0) {
    server.result->bytes += (uint64_t)length;
    int sent = uv_try_write(connection, &answer, 1); /* into an empty socket: always possible */
    bench_check(sent == (int)length, "uv_try_write", sent);
  }
}

static void on_connection(uv_stream_t *listener, int status) {
  uv_tcp_t *connection = &server.connections[server.accepted++];

  twin_check(status, "connection");
  twin_check(uv_tcp_init(listener->loop, connection), "uv_tcp_init");
  twin_check(uv_accept(listener, (uv_stream_t *)connection), "uv_accept");
  twin_check(uv_tcp_nodelay(connection, 1), "uv_tcp_nodelay");
  if (server.accepted < server.options->connections) {
    return;
  }
  server.open = server.accepted;
  bench_begin(server.result);
  for (uint64_t i = 0; i < server.accepted; i++) {
    twin_check(uv_read_start((uv_stream_t *)&server.connections[i], on_allocate, on_read), "uv_read_start");
  }
}

int twin_tcp_idle(const struct bench_options *options, struct bench_result *result) {
  uv_loop_t *loop = uv_default_loop();

  server.options = options;
  server.result = result;
  twin_listen(loop, &server.listener, on_connection);
  bench_memory_begin(result, options->connections);
  server.connections = bench_allocate(options->connections, sizeof *server.connections);
  twin_check(uv_run(loop, UV_RUN_DEFAULT), "uv_run");
  bench_release(server.connections);
  return uv_loop_close(loop);
}
