#include "floor.h"

const char *const bench_side = "floor";

const struct bench_workload bench_workloads[] = {
    {"tcp_echo", floor_tcp_echo},
    {"tcp_pump", floor_tcp_pump},
    {"pipe_echo", floor_pipe_echo},
    {"pipe_client", floor_pipe_client},
    {"file_read", floor_file_read},
    {"sync_read", floor_sync_read},
    {"post_pair", floor_post_pair},
    {"post_flood", floor_post_flood},
    {"timers", floor_timers},
    {"sizes", floor_sizes},
    {NULL, NULL},
};
