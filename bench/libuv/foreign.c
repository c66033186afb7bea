#include "twin.h"

#include "../common/foreign.h"

#include <string.h>

#define BUFFER_BYTES 4096

static struct {
  uv_pipe_t pipe;
  struct bench_result *result;
} server;

struct answer {
  uv_write_t request; /* first: the request is the answer */
  char bytes[];
};

static char shared_buffer[BUFFER_BYTES];

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)handle;
  (void)suggested;
  *buffer = uv_buf_init(shared_buffer, sizeof shared_buffer);
}

static void on_written(uv_write_t *request, int status) {
  twin_check(status, "write");
  bench_release(request);
}

/* uv_try_write is never possible on a Windows pipe, and on others nearly always. */
static void server__answer(const char *bytes, size_t length) {
  uv_stream_t *stream = (uv_stream_t *)&server.pipe;
  uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)length);
  int sent = uv_try_write(stream, &buffer, 1);

  if (sent == (int)length) {
    return;
  }
  bench_check(sent == UV_EAGAIN, "uv_try_write", sent);
  struct answer *answer = bench_allocate(1, sizeof *answer + length);
  memcpy(answer->bytes, bytes, length);
  buffer = uv_buf_init(answer->bytes, (unsigned)length);
  twin_check(uv_write(&answer->request, stream, &buffer, 1, on_written), "uv_write");
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
  if (length < 0) {
    bench_end(server.result);
    uv_close((uv_handle_t *)stream, NULL);
  } else if (length > 0) {
    server.result->bytes += (uint64_t)length;
    server__answer(buffer->base, (size_t)length);
  }
}

int twin_pipe_foreign(const struct bench_options *options, struct bench_result *result) {
  uv_loop_t *loop = uv_default_loop();
  uintptr_t native = bench_foreign_pipe(options);

  server.result = result;
  twin_check(uv_pipe_init(loop, &server.pipe, 0), "uv_pipe_init");
  twin_check(uv_pipe_open(&server.pipe, uv_open_osfhandle((uv_os_fd_t)native)), "uv_pipe_open");
  bench_begin(result);
  twin_check(uv_read_start((uv_stream_t *)&server.pipe, on_allocate, on_read), "uv_read_start");
  twin_check(uv_run(loop, UV_RUN_DEFAULT), "uv_run");
  result->operations = result->bytes / options->block_bytes;
  return uv_loop_close(loop);
}
