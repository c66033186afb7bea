#include "twin.h"

#include <string.h>
#include <uv.h>

struct reader {
  struct bench_result *result;
  uv_loop_t *loop;
  uv_file file;
  uint64_t blocks;
  uint64_t block_bytes;
  uint64_t random;
  uint64_t started;
  uint64_t operations;
};

struct slot {
  uv_fs_t request;
  struct reader *reader;
  char *buffer;
};

/* Natively libuv can give file operations to a ring that a thread of the kernel polls. It takes an option and a variable, for it is not trusted. */
static void use_kernel_thread(uv_loop_t *loop) {
#ifdef UV_LOOP_USE_IO_URING_SQPOLL
  twin_check(uv_os_setenv("UV_USE_IO_URING", "1"), "uv_os_setenv");
  twin_check(uv_loop_configure(loop, UV_LOOP_USE_IO_URING_SQPOLL), "uv_loop_configure");
#else
  (void)loop;
  bench_check(false, "this libuv has no such option", UV_VERSION_MAJOR);
#endif
}

static void reader__open(struct reader *reader, const struct bench_options *options, struct bench_result *result) {
  uv_fs_t request;

  reader->result = result;
  reader->loop = uv_default_loop();
  if (strcmp(options->form, "sqpoll") == 0) {
    use_kernel_thread(reader->loop);
  }
  reader->random = options->seed;
  reader->block_bytes = options->block_bytes;
  reader->operations = options->operations;
  reader->started = 0;
  reader->file = uv_fs_open(reader->loop, &request, options->path, UV_FS_O_RDONLY | UV_FS_O_RANDOM, 0, NULL);
  twin_check(reader->file, "uv_fs_open");
  uv_fs_req_cleanup(&request);
  twin_check(uv_fs_fstat(reader->loop, &request, reader->file, NULL), "uv_fs_fstat");
  reader->blocks = request.statbuf.st_size / options->block_bytes;
  uv_fs_req_cleanup(&request);
  bench_check(reader->blocks > 0, "the file is too small", 0);
}

static int reader__close(struct reader *reader) {
  uv_fs_t request;

  twin_check(uv_fs_close(reader->loop, &request, reader->file, NULL), "uv_fs_close");
  uv_fs_req_cleanup(&request);
  return uv_loop_close(reader->loop);
}

static int slot__read(struct slot *slot, uv_fs_cb callback) {
  struct reader *reader = slot->reader;
  uv_buf_t buffer = uv_buf_init(slot->buffer, (unsigned)reader->block_bytes);
  uint64_t offset = bench_random(&reader->random) % reader->blocks * reader->block_bytes;

  reader->started++;
  return uv_fs_read(reader->loop, &slot->request, reader->file, &buffer, 1, (int64_t)offset, callback);
}

static void slot__count(struct slot *slot) {
  struct reader *reader = slot->reader;
  uint64_t first;

  bench_check(slot->request.result == (ssize_t)reader->block_bytes, "read", (long long)slot->request.result);
  memcpy(&first, slot->buffer, sizeof first);
  reader->result->checksum += first;
  reader->result->bytes += reader->block_bytes;
  reader->result->operations++;
  uv_fs_req_cleanup(&slot->request);
}

static void on_read(uv_fs_t *request) {
  struct slot *slot = request->data;

  slot__count(slot);
  if (slot->reader->started < slot->reader->operations) {
    twin_check(slot__read(slot, on_read), "uv_fs_read");
  }
}

int twin_file_read(const struct bench_options *options, struct bench_result *result) {
  struct reader reader;
  struct slot *slots = bench_allocate(options->depth, sizeof *slots);

  reader__open(&reader, options, result);
  for (uint64_t i = 0; i < options->depth; i++) {
    slots[i].reader = &reader;
    slots[i].request.data = &slots[i];
    slots[i].buffer = bench_allocate(1, options->block_bytes);
  }
  bench_begin(result);
  for (uint64_t i = 0; i < options->depth; i++) {
    twin_check(slot__read(&slots[i], on_read), "uv_fs_read");
  }
  uv_run(reader.loop, UV_RUN_DEFAULT);
  bench_end(result);
  return reader__close(&reader);
}

/* Without a callback uv_fs_read does its work on the calling thread. Its file is never opened for overlapped I/O. */
int twin_sync_read(const struct bench_options *options, struct bench_result *result) {
  struct reader reader;
  struct slot slot = {.reader = &reader, .buffer = bench_allocate(1, options->block_bytes)};

  reader__open(&reader, options, result);
  bench_begin(result);
  for (uint64_t i = 0; i < options->operations; i++) {
    twin_check(slot__read(&slot, NULL), "uv_fs_read");
    slot__count(&slot);
  }
  bench_end(result);
  return reader__close(&reader);
}
