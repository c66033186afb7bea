#include "blocks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

char *bench_block_make(const struct bench_options *options) {
  bench_check(options->block_bytes >= sizeof(uint64_t), "--block is at least", sizeof(uint64_t));
  return bench_allocate(1, options->block_bytes);
}

void bench_block_number(char *block, uint64_t number) {
  memcpy(block, &number, sizeof number);
}

uint64_t bench_block_number_of(const char *block) {
  uint64_t number;
  memcpy(&number, block, sizeof number);
  return number;
}

void bench_blocks_check(const struct bench_options *options, struct bench_result *result) {
  char *block = bench_block_make(options);
  uint64_t blocks = 0;
  FILE *file = fopen(options->path, "rb");

  bench_check(file != NULL, "the file that was written is not there", 0);
  while (fread(block, 1, options->block_bytes, file) == options->block_bytes) {
    result->checksum += bench_block_number_of(block) * ++blocks; /* its place counts too */
  }
  bench_check(blocks == options->operations, "blocks in the file", (long long)blocks);
  fclose(file);
  bench_release(block);
}

void bench_small_path(const struct bench_options *options, uint64_t number, char path[BENCH_PATH_BYTES]) {
  int length = snprintf(path, BENCH_PATH_BYTES, "%s%" PRIu64, options->path, number % options->files);
  bench_check(length > 0 && length < BENCH_PATH_BYTES, "too long a path", length);
}
