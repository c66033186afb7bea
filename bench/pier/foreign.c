#include "side.h"

#include "../common/foreign.h"

#define BUFFER_BYTES 4096

struct server {
  pier_loop *loop;
  pier_handle pipe;
  struct bench_result *result;
  char buffer[BUFFER_BYTES];
};

static void on_read(const pier_result *result);

static void server__read(struct server *server) {
  pier_operation read = pier_read(server->pipe, server->buffer, BUFFER_BYTES, PIER_NO_DEADLINE, on_read, server);
  bench_check(read != 0, "pier_read", 0);
}

static void on_written(const pier_result *result) {
  side_check(result->status, "write");
  server__read(result->context);
}

static void on_read(const pier_result *result) {
  struct server *server = result->context;

  if (result->status != PIER_OK || result->end) {
    bench_end(server->result);
    side_check(pier_close(server->pipe, NULL, NULL), "pier_close");
    return;
  }
  server->result->bytes += result->bytes;
  pier_operation write = pier_write(server->pipe, server->buffer, result->bytes, PIER_NO_DEADLINE, on_written, server);
  bench_check(write != 0, "pier_write", 0);
}

int side_pipe_foreign(const struct bench_options *options, struct bench_result *result) {
  struct server *server = bench_allocate(1, sizeof *server);
  struct side_counts counts;

  server->result = result;
  server->loop = side_loop_open();
  pier_native native = bench_foreign_pipe(options);
  side_check(pier_register(server->loop, native, NULL, &server->pipe), "pier_register");
  side_counts_begin(&counts, server->loop);
  bench_begin(result);
  server__read(server);
  side_check(pier_loop_run(server->loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  result->operations = result->bytes / options->block_bytes;
  side_counts_end(&counts, server->loop, result, result->operations);
  side_loop_close(server->loop);
  bench_release(server);
  return 0;
}
