#include "twin.h"

#include <uv.h>

const char *const bench_side = "libuv";

const struct bench_workload bench_workloads[] = {
    {"tcp_echo", twin_tcp_echo},
    {"tcp_pump", twin_tcp_pump},
    {"pipe_echo", twin_pipe_echo},
    {"file_read", twin_file_read},
    {"sync_read", twin_sync_read},
    {"post_pair", twin_post_pair},
    {"post_flood", twin_post_flood},
    {"timers", twin_timers},
    {"sizes", twin_sizes},
    {"version", twin_version},
    {NULL, NULL},
};

void twin_check(int status, const char *what) {
  bench_check(status >= 0, what, status);
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
