/* The floor: each workload straight against the system, with the leanest sequence of calls that a careful programmer would write for just this work. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include "../common/bench.h"

int floor_tcp_echo(const struct bench_options *options, struct bench_result *result);
int floor_tcp_pump(const struct bench_options *options, struct bench_result *result);
int floor_pipe_echo(const struct bench_options *options, struct bench_result *result);
int floor_file_read(const struct bench_options *options, struct bench_result *result);
int floor_sync_read(const struct bench_options *options, struct bench_result *result);
int floor_post_pair(const struct bench_options *options, struct bench_result *result);
int floor_post_flood(const struct bench_options *options, struct bench_result *result);
int floor_timers(const struct bench_options *options, struct bench_result *result);
int floor_tcp_accept(const struct bench_options *options, struct bench_result *result);
int floor_tcp_batch(const struct bench_options *options, struct bench_result *result);
int floor_tcp_idle(const struct bench_options *options, struct bench_result *result);
int floor_pipe_pump(const struct bench_options *options, struct bench_result *result);
int floor_pipe_foreign(const struct bench_options *options, struct bench_result *result);
int floor_file_write(const struct bench_options *options, struct bench_result *result);
int floor_file_load(const struct bench_options *options, struct bench_result *result);
int floor_file_open(const struct bench_options *options, struct bench_result *result);
int floor_work(const struct bench_options *options, struct bench_result *result);
int floor_udp_pump(const struct bench_options *options, struct bench_result *result);
int floor_sizes(const struct bench_options *options, struct bench_result *result);

#endif
