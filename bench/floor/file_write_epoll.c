/* epoll does not wait for files, and a write into the cache does not wait either: plain calls, one after the other. */
#include "floor.h"

#include "../common/blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int floor_file_write(const struct bench_options *options, struct bench_result *result) {
  char *block = bench_block_make(options);
  int file = open(options->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

  bench_check(file >= 0, "open", errno);
  bench_begin(result);
  while (result->operations < options->operations) {
    bench_block_number(block, result->operations);
    ssize_t written = pwrite(file, block, (size_t)options->block_bytes, (off_t)result->bytes);
    bench_check(written == (ssize_t)options->block_bytes, "pwrite", errno);
    result->bytes += (uint64_t)written;
    result->operations++;
  }
  int error = fsync(file);
  bench_check(error == 0, "fsync", errno);
  bench_end(result);
  close(file);
  bench_release(block);
  bench_blocks_check(options, result);
  return 0;
}
