#include "twin.h"

#include "../common/blocks.h"

struct writer {
  const struct bench_options *options;
  struct bench_result *result;
  uv_loop_t *loop;
  uv_file file;
  uint64_t started;
  uv_fs_t flush;
};

struct slot {
  uv_fs_t request; /* first: the request is the slot */
  struct writer *writer;
  char *block;
};

static void on_flushed(uv_fs_t *request) {
  twin_check((int)request->result, "uv_fs_fsync");
  uv_fs_req_cleanup(request);
}

static void on_written(uv_fs_t *request);

static void slot__write(struct slot *slot) {
  struct writer *writer = slot->writer;
  uint64_t length = writer->options->block_bytes;
  int64_t offset = (int64_t)(writer->started * length);
  uv_buf_t buffer = uv_buf_init(slot->block, (unsigned)length);

  bench_block_number(slot->block, writer->started++);
  twin_check(uv_fs_write(writer->loop, &slot->request, writer->file, &buffer, 1, offset, on_written), "uv_fs_write");
}

static void on_written(uv_fs_t *request) {
  struct slot *slot = (struct slot *)request;
  struct writer *writer = slot->writer;

  bench_check(request->result == (ssize_t)writer->options->block_bytes, "write", (long long)request->result);
  writer->result->bytes += (uint64_t)request->result;
  uv_fs_req_cleanup(request);
  if (++writer->result->operations == writer->options->operations) {
    twin_check(uv_fs_fsync(writer->loop, &writer->flush, writer->file, on_flushed), "uv_fs_fsync");
  } else if (writer->started < writer->options->operations) {
    slot__write(slot);
  }
}

int twin_file_write(const struct bench_options *options, struct bench_result *result) {
  struct writer writer = {.options = options, .result = result, .loop = uv_default_loop()};
  struct slot *slots = bench_allocate(options->depth, sizeof *slots);
  uv_fs_t request;

  writer.file = uv_fs_open(writer.loop, &request, options->path, UV_FS_O_WRONLY | UV_FS_O_CREAT | UV_FS_O_TRUNC, 0644, NULL);
  twin_check(writer.file, "uv_fs_open");
  uv_fs_req_cleanup(&request);
  bench_begin(result);
  for (uint64_t i = 0; i < options->depth; i++) {
    slots[i].writer = &writer;
    slots[i].block = bench_block_make(options);
    slot__write(&slots[i]);
  }
  twin_check(uv_run(writer.loop, UV_RUN_DEFAULT), "uv_run");
  bench_end(result);
  twin_check(uv_fs_close(writer.loop, &request, writer.file, NULL), "uv_fs_close");
  uv_fs_req_cleanup(&request);
  bench_blocks_check(options, result);
  return uv_loop_close(writer.loop);
}
