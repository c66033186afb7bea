/* The same workloads written for libuv, as its documentation recommends. */
#ifndef BENCH_LIBUV_TWIN_H
#define BENCH_LIBUV_TWIN_H

#include "../common/bench.h"

#include <uv.h>

int twin_tcp_echo(const struct bench_options *options, struct bench_result *result);
int twin_tcp_pump(const struct bench_options *options, struct bench_result *result);
int twin_tcp_scale(const struct bench_options *options, struct bench_result *result);
int twin_tcp_accept(const struct bench_options *options, struct bench_result *result);
int twin_tcp_batch(const struct bench_options *options, struct bench_result *result);
int twin_tcp_idle(const struct bench_options *options, struct bench_result *result);
int twin_pipe_echo(const struct bench_options *options, struct bench_result *result);
int twin_pipe_pump(const struct bench_options *options, struct bench_result *result);
int twin_pipe_foreign(const struct bench_options *options, struct bench_result *result);
int twin_file_read(const struct bench_options *options, struct bench_result *result);
int twin_file_write(const struct bench_options *options, struct bench_result *result);
int twin_file_open(const struct bench_options *options, struct bench_result *result);
int twin_sync_read(const struct bench_options *options, struct bench_result *result);
int twin_post_pair(const struct bench_options *options, struct bench_result *result);
int twin_post_flood(const struct bench_options *options, struct bench_result *result);
int twin_work(const struct bench_options *options, struct bench_result *result);
int twin_udp_pump(const struct bench_options *options, struct bench_result *result);
int twin_timers(const struct bench_options *options, struct bench_result *result);
int twin_sizes(const struct bench_options *options, struct bench_result *result);
int twin_version(const struct bench_options *options, struct bench_result *result);

/* Ends the program when a libuv call failed. */
void twin_check(int status, const char *what);

/* Listens on a port of 127.0.0.1 and tells the harness which. */
void twin_listen(uv_loop_t *loop, uv_tcp_t *listener, uv_connection_cb on_connection);

#endif
