#include "twin.h"

#include "../common/blocks.h"

struct worker {
  const struct bench_options *options;
  struct bench_result *result;
  uv_loop_t *loop;
  uint64_t started;
};

struct slot {
  uv_fs_t request; /* first: the request is the slot */
  struct worker *worker;
  uv_file file;
  char *block;
  char path[BENCH_PATH_BYTES];
};

static void slot__open(struct slot *slot);

static void on_closed(uv_fs_t *request) {
  struct slot *slot = (struct slot *)request;

  twin_check((int)request->result, "uv_fs_close");
  uv_fs_req_cleanup(request);
  slot->worker->result->operations++;
  slot__open(slot);
}

static void on_read(uv_fs_t *request) {
  struct slot *slot = (struct slot *)request;
  struct worker *worker = slot->worker;

  bench_check(request->result == (ssize_t)worker->options->block_bytes, "uv_fs_read", (long long)request->result);
  worker->result->bytes += (uint64_t)request->result;
  worker->result->checksum += bench_block_number_of(slot->block);
  uv_fs_req_cleanup(request);
  twin_check(uv_fs_close(worker->loop, request, slot->file, on_closed), "uv_fs_close");
}

static void on_opened(uv_fs_t *request) {
  struct slot *slot = (struct slot *)request;
  uv_buf_t buffer = uv_buf_init(slot->block, (unsigned)slot->worker->options->block_bytes);

  twin_check((int)request->result, "uv_fs_open");
  slot->file = (uv_file)request->result;
  uv_fs_req_cleanup(request);
  twin_check(uv_fs_read(slot->worker->loop, request, slot->file, &buffer, 1, -1, on_read), "uv_fs_read");
}

static void slot__open(struct slot *slot) {
  struct worker *worker = slot->worker;

  if (worker->started < worker->options->operations) {
    bench_small_path(worker->options, worker->started++, slot->path);
    twin_check(uv_fs_open(worker->loop, &slot->request, slot->path, UV_FS_O_RDONLY, 0, on_opened), "uv_fs_open");
  }
}

int twin_file_open(const struct bench_options *options, struct bench_result *result) {
  struct worker worker = {.options = options, .result = result, .loop = uv_default_loop()};
  struct slot *slots = bench_allocate(options->depth, sizeof *slots);

  bench_begin(result);
  for (uint64_t i = 0; i < options->depth; i++) {
    slots[i].worker = &worker;
    slots[i].block = bench_block_make(options);
    slot__open(&slots[i]);
  }
  twin_check(uv_run(worker.loop, UV_RUN_DEFAULT), "uv_run");
  bench_end(result);
  return uv_loop_close(worker.loop);
}
