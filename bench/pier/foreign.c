#include "side.h"

#include "../common/foreign.h"

#include <string.h>

#define ECHO_BYTES_MAX 4096

struct server {
  pier_loop *loop;
  pier_handle pipe;
  struct bench_result *result;
  char rest[ECHO_BYTES_MAX]; /* what did not go out at once, while it is written */
};

static void on_written(const pier_result *result) {
  side_check(result->status, "write");
}

/* As for other pipes: see stream.c. */
static void server__answer(struct server *server, const char *bytes, size_t length) {
  size_t sent = 0;
  int status = pier_try_write(server->pipe, bytes, length, &sent);

  if (sent == length) {
    return;
  }
  bench_check(status == PIER_OK || status == PIER_EAGAIN, "pier_try_write", status);
  bench_check(length - sent <= ECHO_BYTES_MAX, "too long a block", (long long)length);
  memcpy(server->rest, bytes + sent, length - sent);
  pier_operation write = pier_write(server->pipe, server->rest, length - sent, PIER_NO_DEADLINE, on_written, server);
  bench_check(write != 0, "pier_write", 0);
}

static void on_read(const pier_result *result) {
  struct server *server = result->context;

  if (!result->more) {
    bench_end(server->result);
    side_check(pier_close(server->pipe, NULL, NULL), "pier_close");
    return;
  }
  server->result->bytes += result->bytes;
  server__answer(server, result->data, result->bytes);
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
  pier_operation read = pier_read_multishot(server->pipe, PIER_NO_DEADLINE, on_read, server);
  bench_check(read != 0, "pier_read_multishot", 0);
  side_check(pier_loop_run(server->loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  result->operations = result->bytes / options->block_bytes;
  side_counts_end(&counts, server->loop, result, result->operations);
  side_loop_close(server->loop);
  bench_release(server);
  return 0;
}
