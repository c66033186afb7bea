#include "twin.h"

struct server {
  uv_tcp_t listener;
  const struct bench_options *options;
  struct bench_result *result;
};

struct connection {
  uv_tcp_t tcp;
  struct server *server;
};

static char shared_buffer[64];

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)handle;
  (void)suggested;
  *buffer = uv_buf_init(shared_buffer, sizeof shared_buffer);
}

static void on_closed(uv_handle_t *handle) {
  struct connection *connection = (struct connection *)handle;
  struct server *server = connection->server;

  bench_release(connection);
  if (++server->result->operations == server->options->operations) {
    bench_end(server->result);
    uv_close((uv_handle_t *)&server->listener, NULL);
  }
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
  struct connection *connection = (struct connection *)stream;

  (void)buffer;
  bench_check(length >= 0, "read", (long long)length);
  if (length > 0) {
    connection->server->result->bytes += (uint64_t)length;
    uv_close((uv_handle_t *)&connection->tcp, on_closed);
  }
}

static void on_connection(uv_stream_t *listener, int status) {
  struct connection *connection = bench_allocate(1, sizeof *connection);

  twin_check(status, "connection");
  connection->server = (struct server *)listener;
  twin_check(uv_tcp_init(listener->loop, &connection->tcp), "uv_tcp_init");
  twin_check(uv_accept(listener, (uv_stream_t *)&connection->tcp), "uv_accept");
  twin_check(uv_tcp_nodelay(&connection->tcp, 1), "uv_tcp_nodelay");
  twin_check(uv_read_start((uv_stream_t *)&connection->tcp, on_allocate, on_read), "uv_read_start");
}

int twin_tcp_accept(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.options = options, .result = result};
  uv_loop_t *loop = uv_default_loop();

  twin_listen(loop, &server.listener, on_connection);
  bench_begin(result);
  twin_check(uv_run(loop, UV_RUN_DEFAULT), "uv_run");
  return uv_loop_close(loop);
}
