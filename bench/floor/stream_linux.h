/* What the two floors of Linux share about streams: the listening and accepting, which is not measured. */
#ifndef BENCH_FLOOR_STREAM_LINUX_H
#define BENCH_FLOOR_STREAM_LINUX_H

#include "../common/bench.h"

#define FLOOR_ECHO_BYTES_MAX 4096
#define FLOOR_PUMP_BYTES 131072

/* Reads from connected sockets until each has come to its end, and sends everything back if it is an echo. Counts the bytes; begins and ends the
 * measured part. The sockets are closed. Returns the number of receives that brought something. */
uint64_t floor_serve(const int *sockets, size_t count, bool echo, struct bench_result *result);

#endif
