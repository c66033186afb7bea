#include "side.h"

const char *const bench_side = "pier";

const struct bench_workload bench_workloads[] = {
    {"tcp_echo", side_tcp_echo},
    {"tcp_pump", side_tcp_pump},
    {"tcp_scale", side_tcp_scale},
    {"tcp_accept", side_tcp_accept},
    {"tcp_batch", side_tcp_batch},
    {"tcp_idle", side_tcp_idle},
    {"pipe_echo", side_pipe_echo},
    {"pipe_pump", side_pipe_pump},
    {"pipe_foreign", side_pipe_foreign},
    {"file_read", side_file_read},
    {"file_write", side_file_write},
    {"file_load", side_file_load},
    {"file_open", side_file_open},
    {"sync_read", side_sync_read},
    {"post_pair", side_post_pair},
    {"post_flood", side_post_flood},
    {"udp_pump", side_udp_pump},
    {"work", side_work},
    {"timers", side_timers},
    {"sizes", side_sizes},
    {NULL, NULL},
};

void side_check(int status, const char *what) {
  bench_check(status == PIER_OK, what, status);
}

pier_loop *side_loop_open(void) {
  pier_loop *loop = NULL;
  side_check(pier_loop_open(NULL, &loop), "pier_loop_open");
  return loop;
}

void side_loop_close(pier_loop *loop) {
  side_check(pier_loop_close(loop), "pier_loop_close");
}

pier_handle side_listen(pier_loop *loop) {
  pier_address address;
  pier_handle listener = 0;

  side_check(pier_address_parse("127.0.0.1", 0, &address), "pier_address_parse");
  side_check(pier_tcp_listen(loop, &address, NULL, &listener), "pier_tcp_listen");
  side_check(pier_tcp_local_address(listener, &address), "pier_tcp_local_address");
  bench_ready(address.port);
  return listener;
}

void side_counts_begin(struct side_counts *counts, pier_loop *loop) {
  side_check(pier_loop_metrics(loop, &counts->before), "pier_loop_metrics");
}

static double per_operation(uint64_t after, uint64_t before, uint64_t operations) {
  return operations == 0 ? 0 : (double)(after - before) / (double)operations;
}

void side_counts_end(const struct side_counts *counts, pier_loop *loop, struct bench_result *result, uint64_t operations) {
  const pier_metrics *before = &counts->before;
  pier_metrics after;

  side_check(pier_loop_metrics(loop, &after), "pier_loop_metrics");
  bench_extra(result, "seam_calls", per_operation(after.system_calls, before->system_calls, operations));
  bench_extra(result, "seam_waits", per_operation(after.waits, before->waits, operations));
  bench_extra(result, "seam_packets", per_operation(after.packets, before->packets, operations));
  bench_extra(result, "seam_wakes", per_operation(after.wakes, before->wakes, operations));
  bench_extra(result, "seam_immediate", per_operation(after.immediate, before->immediate, operations));
  bench_extra(result, "total_events_created", (double)(after.events_created - before->events_created));
}
