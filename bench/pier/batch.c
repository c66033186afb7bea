#include "side.h"

#include "../common/records.h"

struct sender {
  pier_loop *loop;
  pier_handle listener;
  pier_handle connection;
  const struct bench_options *options;
  struct bench_result *result;
  struct side_counts counts;
  char *records;
  char nothing[1];
};

/* The client has everything and has closed. */
static void on_peer_ended(const pier_result *result) {
  struct sender *sender = result->context;

  bench_check(result->status == PIER_OK && result->end, "the client's end", result->status);
  bench_end(sender->result);
  side_counts_end(&sender->counts, sender->loop, sender->result, sender->result->operations);
  side_check(pier_close(sender->connection, NULL, NULL), "pier_close");
  side_check(pier_close(sender->listener, NULL, NULL), "pier_close");
}

static void on_written(const pier_result *result) {
  struct sender *sender = result->context;

  side_check(result->status, "write");
  sender->result->operations++;
  sender->result->bytes += result->bytes;
}

static void on_shut(const pier_result *result) {
  side_check(result->status, "shutdown");
}

static void sender__send(struct sender *sender) {
  size_t block = (size_t)sender->options->block_bytes;

  for (uint64_t i = 0; i < sender->options->operations; i++) {
    pier_operation write = pier_write(sender->connection, sender->records + i * block, block, PIER_NO_DEADLINE, on_written, sender);
    bench_check(write != 0, "pier_write has no slot", (long long)i);
  }
  pier_operation shut = pier_tcp_shutdown(sender->connection, PIER_NO_DEADLINE, on_shut, sender);
  bench_check(shut != 0, "pier_tcp_shutdown", 0);
  pier_operation read = pier_read(sender->connection, sender->nothing, sizeof sender->nothing, PIER_NO_DEADLINE, on_peer_ended, sender);
  bench_check(read != 0, "pier_read", 0);
}

static void on_accepted(const pier_result *result) {
  struct sender *sender = result->context;

  side_check(result->status, "accept");
  sender->connection = result->opened;
  side_counts_begin(&sender->counts, sender->loop);
  bench_begin(sender->result);
  sender__send(sender);
  bench_extra(sender->result, "queue_ns", (double)(bench_clock_ns() - sender->result->begin.clock_ns) / (double)sender->options->operations);
}

int side_tcp_batch(const struct bench_options *options, struct bench_result *result) {
  struct sender sender = {.loop = side_loop_open(), .options = options, .result = result, .records = bench_records_make(options)};

  sender.listener = side_listen(sender.loop);
  pier_operation accept = pier_tcp_accept(sender.listener, PIER_NO_DEADLINE, on_accepted, &sender);
  bench_check(accept != 0, "pier_tcp_accept", 0);
  side_check(pier_loop_run(sender.loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  side_loop_close(sender.loop);
  bench_release(sender.records);
  return 0;
}
