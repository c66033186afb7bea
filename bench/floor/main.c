#include "floor.h"

const char *const bench_side = "floor";

const struct bench_workload bench_workloads[] = {
    {"tcp_echo", floor_tcp_echo},
    {"tcp_pump", floor_tcp_pump},
    {"pipe_echo", floor_pipe_echo},
    {"file_read", floor_file_read},
    {"sync_read", floor_sync_read},
    {"post_pair", floor_post_pair},
    {"post_flood", floor_post_flood},
    {"timers", floor_timers},
    {"tcp_accept", floor_tcp_accept},
    {"tcp_batch", floor_tcp_batch},
    {"tcp_idle", floor_tcp_idle},
    {"pipe_pump", floor_pipe_pump},
    {"pipe_foreign", floor_pipe_foreign},
    {"file_write", floor_file_write},
    {"file_load", floor_file_load},
    {"file_open", floor_file_open},
    {"udp_pump", floor_udp_pump},
    {"work", floor_work},
    {"sizes", floor_sizes},
    {NULL, NULL},
};
