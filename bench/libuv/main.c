#include "twin.h"

#define BACKLOG 512

const char *const bench_side = "libuv";

const struct bench_workload bench_workloads[] = {
    {"tcp_echo", twin_tcp_echo},
    {"tcp_pump", twin_tcp_pump},
    {"tcp_scale", twin_tcp_scale},
    {"tcp_accept", twin_tcp_accept},
    {"tcp_batch", twin_tcp_batch},
    {"tcp_idle", twin_tcp_idle},
    {"pipe_echo", twin_pipe_echo},
    {"pipe_pump", twin_pipe_pump},
    {"pipe_foreign", twin_pipe_foreign},
    {"file_read", twin_file_read},
    {"file_write", twin_file_write},
    {"file_load", twin_file_open}, /* which it does in three steps */
    {"file_open", twin_file_open},
    {"sync_read", twin_sync_read},
    {"post_pair", twin_post_pair},
    {"post_flood", twin_post_flood},
    {"udp_pump", twin_udp_pump},
    {"work", twin_work},
    {"timers", twin_timers},
    {"sizes", twin_sizes},
    {"version", twin_version},
    {NULL, NULL},
};

void twin_check(int status, const char *what) {
  bench_check(status >= 0, what, status);
}

void twin_listen(uv_loop_t *loop, uv_tcp_t *listener, uv_connection_cb on_connection) {
  struct sockaddr_in address;
  int length = sizeof address;

  twin_check(uv_ip4_addr("127.0.0.1", 0, &address), "uv_ip4_addr");
  twin_check(uv_tcp_init(loop, listener), "uv_tcp_init");
  twin_check(uv_tcp_bind(listener, (const struct sockaddr *)&address, 0), "uv_tcp_bind");
  twin_check(uv_listen((uv_stream_t *)listener, BACKLOG, on_connection), "uv_listen");
  twin_check(uv_tcp_getsockname(listener, (struct sockaddr *)&address, &length), "uv_tcp_getsockname");
  bench_ready(ntohs(address.sin_port));
}

/* The version of the library that is really linked. */
int twin_version(const struct bench_options *options, struct bench_result *result) {
  unsigned version = uv_version();

  (void)options;
  bench_begin(result);
  bench_end(result);
  bench_extra(result, "major", (double)(version >> 16));
  bench_extra(result, "minor", (double)(version >> 8 & 255));
  bench_extra(result, "patch", (double)(version & 255));
  return 0;
}

int twin_sizes(const struct bench_options *options, struct bench_result *result) {
  (void)options;
  bench_begin(result);
  bench_extra(result, "operation_read", (double)sizeof(uv_fs_t));
  bench_extra(result, "operation_write", (double)sizeof(uv_write_t));
  bench_extra(result, "operation_post", (double)sizeof(uv_async_t));
  bench_extra(result, "handle_tcp", (double)sizeof(uv_tcp_t));
  bench_extra(result, "handle_pipe", (double)sizeof(uv_pipe_t));
  bench_extra(result, "timer", (double)sizeof(uv_timer_t));
  bench_extra(result, "loop", (double)sizeof(uv_loop_t));
  bench_end(result);
  return 0;
}
