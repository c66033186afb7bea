/* A descriptor may be in any number of sets and rings, so somebody else's is in nobody's way. */
#include "floor.h"
#include "stream_linux.h"

#include "../common/foreign.h"

int floor_pipe_foreign(const struct bench_options *options, struct bench_result *result) {
  int connection = (int)bench_foreign_pipe(options);

  floor_serve(&connection, 1, true, result);
  result->operations = result->bytes / options->block_bytes;
  return 0;
}
