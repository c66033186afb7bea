#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "../common/bench.h"

int client_echo(const struct bench_options *options, struct bench_result *result);
int client_pump(const struct bench_options *options, struct bench_result *result);
int client_tcp_accept(const struct bench_options *options, struct bench_result *result);
int client_tcp_batch(const struct bench_options *options, struct bench_result *result);
int client_tcp_idle(const struct bench_options *options, struct bench_result *result);

#endif
