/* The neutral client: plain sockets of the system that it runs on, so that what is measured is the server at the other end. */
#include "client.h"

const char *const bench_side = "client";

const struct bench_workload bench_workloads[] = {
    {"tcp_echo", client_tcp_echo},
    {"tcp_pump", client_tcp_pump},
    {NULL, NULL},
};
