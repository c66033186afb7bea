/* The neutral client: plain sockets of the system that it runs on, so that what is measured is the server at the other end. */
#include "client.h"

const char *const bench_side = "client";

const struct bench_workload bench_workloads[] = {
    {"tcp_echo", client_echo},
    {"tcp_pump", client_pump},
    {"tcp_scale", client_echo},
    {"tcp_accept", client_tcp_accept},
    {"tcp_batch", client_tcp_batch},
    {"tcp_idle", client_tcp_idle},
    {"pipe_echo", client_echo},
    {"pipe_pump", client_pump},
    {"pipe_foreign", client_echo},
    {NULL, NULL},
};
