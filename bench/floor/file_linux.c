#include "file_linux.h"
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void reader__open(struct reader *reader, const struct bench_options *options, struct bench_result *result) {
  struct stat status;

  reader->result = result;
  reader->depth = (size_t)options->depth;
  reader->operations = options->operations;
  reader->random = options->seed;
  reader->block_bytes = (size_t)options->block_bytes;
  reader->file = open(options->path, O_RDONLY | O_CLOEXEC);
  bench_check(reader->file >= 0, "open", errno);
  int error = fstat(reader->file, &status);
  bench_check(error == 0 && (uint64_t)status.st_size >= options->block_bytes, "the file is too small", (long long)status.st_size);
  reader->blocks = (uint64_t)status.st_size / options->block_bytes;
  reader->buffers = bench_allocate(reader->depth, reader->block_bytes);
}

static void reader__close(struct reader *reader) {
  close(reader->file);
  bench_release(reader->buffers);
}

int64_t reader__aim(struct reader *reader) {
  reader->started++;
  return (int64_t)(bench_random(&reader->random) % reader->blocks * reader->block_bytes);
}

char *reader__buffer(const struct reader *reader, size_t slot) {
  return reader->buffers + slot * reader->block_bytes;
}

void reader__count(struct reader *reader, size_t slot, int64_t bytes) {
  uint64_t first;

  bench_check(bytes == (int64_t)reader->block_bytes, "read", (long long)bytes);
  memcpy(&first, reader__buffer(reader, slot), sizeof first);
  reader->result->checksum += first;
  reader->result->bytes += (uint64_t)bytes;
  reader->result->operations++;
}

int floor_file_read(const struct bench_options *options, struct bench_result *result) {
  struct reader reader = {0};

  reader__open(&reader, options, result);
  reader__run(&reader);
  reader__close(&reader);
  return 0;
}

/* A call that waits needs no loop: there is nothing leaner than pread. Form "port": each read through the loop, and waited for there. */
int floor_sync_read(const struct bench_options *options, struct bench_result *result) {
  struct reader reader = {0};

  reader__open(&reader, options, result);
  if (strcmp(options->form, "port") == 0) {
    reader__run(&reader);
  } else {
    bench_begin(result);
    for (uint64_t i = 0; i < options->operations; i++) {
      int64_t offset = reader__aim(&reader);
      reader__count(&reader, 0, pread(reader.file, reader.buffers, reader.block_bytes, offset));
    }
    bench_end(result);
  }
  reader__close(&reader);
  return 0;
}
