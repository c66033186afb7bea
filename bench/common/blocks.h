/* What file_write_seq writes, and what file_open_read_close reads: blocks that begin with their number. */
#ifndef BENCH_BLOCKS_H
#define BENCH_BLOCKS_H

#include "bench.h"

#define BENCH_PATH_BYTES 512

/* A block of block_bytes to be numbered and written. */
char *bench_block_make(const struct bench_options *options);
void bench_block_number(char *block, uint64_t number);
uint64_t bench_block_number_of(const char *block);

/* After the work: reads the file and sums up the numbers of its blocks, the result's checksum. Ends the program when the file is not as long as
 * it should be. */
void bench_blocks_check(const struct bench_options *options, struct bench_result *result);

/* The path of a small file. */
void bench_small_path(const struct bench_options *options, uint64_t number, char path[BENCH_PATH_BYTES]);

#endif
