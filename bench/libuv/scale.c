/* As many loops as threads, each with its share of the connections: what libuv's documentation recommends where one loop is not enough. Which
 * loop has which connection is settled before anything is measured. */
#include "twin.h"

#include "../common/listener.h"

#include <stdatomic.h>

#define BUFFER_BYTES 65536

struct lane {
  uv_loop_t loop; /* first: the loop is the lane */
  char buffer[BUFFER_BYTES];
  uint64_t bytes;
};

static struct {
  struct bench_result *result;
  struct lane *lanes;
  uv_tcp_t *connections;
  atomic_uint_least64_t open;
} server;

static struct lane *lane_of(uv_loop_t *loop) {
  return (struct lane *)loop;
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  *buffer = uv_buf_init(lane_of(handle->loop)->buffer, BUFFER_BYTES);
}

static void on_read(uv_stream_t *connection, ssize_t length, const uv_buf_t *buffer) {
  if (length < 0) {
    uv_close((uv_handle_t *)connection, NULL);
    if (atomic_fetch_sub(&server.open, 1) == 1) {
      bench_end(server.result);
    }
  } else if (length > 0) {
    uv_buf_t answer = uv_buf_init(buffer->base, (unsigned)length);
    lane_of(connection->loop)->bytes += (uint64_t)length;
    int sent = uv_try_write(connection, &answer, 1); /* the client waits for each answer, so there is always room */
    bench_check(sent == (int)length, "uv_try_write", sent);
  }
}

static void lane__run(void *argument) {
  struct lane *lane = argument;
  twin_check(uv_run(&lane->loop, UV_RUN_DEFAULT), "uv_run");
}

static void server__accept(const struct bench_options *options) {
  uintptr_t listener = bench_listener_open();

  server.connections = bench_allocate(options->connections, sizeof *server.connections);
  for (uint64_t i = 0; i < options->connections; i++) {
    uv_os_sock_t accepted = (uv_os_sock_t)bench_listener_accept(listener);
    twin_check(uv_tcp_init(&server.lanes[i % options->threads].loop, &server.connections[i]), "uv_tcp_init");
    twin_check(uv_tcp_open(&server.connections[i], accepted), "uv_tcp_open");
  }
  bench_listener_close(listener);
}

int twin_tcp_scale(const struct bench_options *options, struct bench_result *result) {
  void **threads = bench_allocate(options->threads, sizeof *threads);

  server.result = result;
  server.lanes = bench_allocate(options->threads, sizeof *server.lanes);
  for (uint64_t i = 0; i < options->threads; i++) {
    twin_check(uv_loop_init(&server.lanes[i].loop), "uv_loop_init");
  }
  server__accept(options);
  atomic_store(&server.open, options->connections);
  bench_begin(result);
  for (uint64_t i = 0; i < options->connections; i++) {
    twin_check(uv_read_start((uv_stream_t *)&server.connections[i], on_allocate, on_read), "uv_read_start");
  }
  for (uint64_t i = 0; i < options->threads; i++) {
    threads[i] = bench_thread_start(lane__run, &server.lanes[i]);
  }
  for (uint64_t i = 0; i < options->threads; i++) {
    bench_thread_join(threads[i]);
    result->bytes += server.lanes[i].bytes;
    twin_check(uv_loop_close(&server.lanes[i].loop), "uv_loop_close");
  }
  result->operations = result->bytes / options->block_bytes;
  return 0;
}
