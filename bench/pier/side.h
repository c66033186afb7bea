/* The same workloads written for Pier, with its public headers only. */
#ifndef BENCH_PIER_SIDE_H
#define BENCH_PIER_SIDE_H

#include "../common/bench.h"

#include "pier.h"

int side_tcp_echo(const struct bench_options *options, struct bench_result *result);
int side_tcp_pump(const struct bench_options *options, struct bench_result *result);
int side_tcp_scale(const struct bench_options *options, struct bench_result *result);
int side_tcp_accept(const struct bench_options *options, struct bench_result *result);
int side_tcp_batch(const struct bench_options *options, struct bench_result *result);
int side_tcp_idle(const struct bench_options *options, struct bench_result *result);
int side_pipe_echo(const struct bench_options *options, struct bench_result *result);
int side_pipe_pump(const struct bench_options *options, struct bench_result *result);
int side_pipe_foreign(const struct bench_options *options, struct bench_result *result);
int side_file_read(const struct bench_options *options, struct bench_result *result);
int side_file_write(const struct bench_options *options, struct bench_result *result);
int side_file_load(const struct bench_options *options, struct bench_result *result);
int side_file_open(const struct bench_options *options, struct bench_result *result);
int side_sync_read(const struct bench_options *options, struct bench_result *result);
int side_post_pair(const struct bench_options *options, struct bench_result *result);
int side_post_flood(const struct bench_options *options, struct bench_result *result);
int side_work(const struct bench_options *options, struct bench_result *result);
int side_udp_pump(const struct bench_options *options, struct bench_result *result);
int side_timers(const struct bench_options *options, struct bench_result *result);
int side_sizes(const struct bench_options *options, struct bench_result *result);

/* Ends the program when a Pier call failed. */
void side_check(int status, const char *what);

pier_loop *side_loop_open(void);
void side_loop_close(pier_loop *loop);

/* Listens on a port of 127.0.0.1 and tells the harness which. */
pier_handle side_listen(pier_loop *loop);

/* The loop's own counts over the measured work, as figures per operation: what carries over to another system. */
struct side_counts {
  pier_metrics before;
};
void side_counts_begin(struct side_counts *counts, pier_loop *loop);
void side_counts_end(const struct side_counts *counts, pier_loop *loop, struct bench_result *result, uint64_t operations);

#endif
