#include "twin.h"

#include "../common/records.h"

struct sender {
  uv_tcp_t listener; /* first: the listener is the sender */
  uv_tcp_t connection;
  uv_shutdown_t shutdown;
  const struct bench_options *options;
  struct bench_result *result;
  char *records;
  uv_write_t *writes;
  char nothing[1];
};

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  struct sender *sender = handle->data;

  (void)suggested;
  *buffer = uv_buf_init(sender->nothing, sizeof sender->nothing);
}

/* The client has everything and has closed. */
static void on_peer_ended(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
  struct sender *sender = stream->data;

  (void)buffer;
  if (length == 0) {
    return;
  }
  bench_check(length == UV_EOF, "the client's end", (long long)length);
  bench_end(sender->result);
  uv_close((uv_handle_t *)&sender->connection, NULL);
  uv_close((uv_handle_t *)&sender->listener, NULL);
}

static void on_written(uv_write_t *request, int status) {
  struct sender *sender = request->handle->data;

  twin_check(status, "write");
  sender->result->operations++;
  sender->result->bytes += sender->options->block_bytes;
}

static void on_shut(uv_shutdown_t *request, int status) {
  (void)request;
  twin_check(status, "shutdown");
}

static void sender__send(struct sender *sender) {
  uint64_t block = sender->options->block_bytes;
  uv_stream_t *stream = (uv_stream_t *)&sender->connection;

  for (uint64_t i = 0; i < sender->options->operations; i++) {
    uv_buf_t buffer = uv_buf_init(sender->records + i * block, (unsigned)block);
    twin_check(uv_write(&sender->writes[i], stream, &buffer, 1, on_written), "uv_write");
  }
  twin_check(uv_shutdown(&sender->shutdown, stream, on_shut), "uv_shutdown");
  twin_check(uv_read_start(stream, on_allocate, on_peer_ended), "uv_read_start");
}

static void on_connection(uv_stream_t *listener, int status) {
  struct sender *sender = (struct sender *)listener;

  twin_check(status, "connection");
  twin_check(uv_tcp_init(listener->loop, &sender->connection), "uv_tcp_init");
  sender->connection.data = sender;
  twin_check(uv_accept(listener, (uv_stream_t *)&sender->connection), "uv_accept");
  twin_check(uv_tcp_nodelay(&sender->connection, 1), "uv_tcp_nodelay");
  bench_begin(sender->result);
  sender__send(sender);
  bench_extra(sender->result, "queue_ns", (double)(bench_clock_ns() - sender->result->begin.clock_ns) / (double)sender->options->operations);
}

int twin_tcp_batch(const struct bench_options *options, struct bench_result *result) {
  struct sender sender = {.options = options, .result = result, .records = bench_records_make(options)};
  uv_loop_t *loop = uv_default_loop();

  sender.writes = bench_allocate(options->operations, sizeof *sender.writes);
  twin_listen(loop, &sender.listener, on_connection);
  twin_check(uv_run(loop, UV_RUN_DEFAULT), "uv_run");
  bench_release(sender.writes);
  bench_release(sender.records);
  return uv_loop_close(loop);
}
