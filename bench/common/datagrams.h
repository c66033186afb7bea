/* udp_pump: datagrams with their numbers, at most `depth` of them on the way, so that none is lost and every side does the same work. */
#ifndef BENCH_DATAGRAMS_H
#define BENCH_DATAGRAMS_H

#include "bench.h"

#define BENCH_DATAGRAM_BYTES_MAX 64

struct bench_datagrams {
  const struct bench_options *options;
  struct bench_result *result; /* counts what arrives */
  uint64_t sent;
};

bool bench_datagrams_may_send(const struct bench_datagrams *count);

/* Writes the next one, and gives its length. */
size_t bench_datagrams_next(struct bench_datagrams *count, char *buffer);

/* Takes one that has come in; ends the program when it is not one of those that were sent, whole. */
void bench_datagrams_take(struct bench_datagrams *count, const char *buffer, size_t length);

bool bench_datagrams_all_taken(const struct bench_datagrams *count);

#endif
