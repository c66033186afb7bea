/* What the two floors of Linux share about reading a file at random places. */
#ifndef BENCH_FLOOR_FILE_LINUX_H
#define BENCH_FLOOR_FILE_LINUX_H

#include "../common/bench.h"

struct reader {
  int file;
  size_t depth;
  char *buffers;
  size_t block_bytes;
  uint64_t blocks;
  uint64_t random;
  uint64_t started;
  uint64_t operations;
  struct bench_result *result;
};

/* The place of the next read. */
int64_t reader__aim(struct reader *reader);

char *reader__buffer(const struct reader *reader, size_t slot);

/* What came of a read into this slot: it is checked and counted. */
void reader__count(struct reader *reader, size_t slot, int64_t bytes);

/* Does the reads, `depth` of them at a time where the system can have more than one. Begins and ends the measured part. */
void reader__run(struct reader *reader);

#endif
