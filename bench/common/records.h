/* What tcp_write_batch sends: a row of small records, each with its number, so that one that is lost, doubled or out of order is seen. */
#ifndef BENCH_RECORDS_H
#define BENCH_RECORDS_H

#include "bench.h"

/* All the records in one stretch of memory, block_bytes (8 or more) each. Released by bench_release(). */
char *bench_records_make(const struct bench_options *options);

/* Looks at the next bytes of the stream; `position` is where they begin. Ends the program when they are not what was sent. */
void bench_records_check(const struct bench_options *options, uint64_t position, const char *bytes, size_t length);

#endif
