#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stdint.h>

/* Counts of latencies in steps of 1/32 of their size: small, and no sample is dropped. */
#define LATENCY_STEPS 32
#define LATENCY_BUCKETS (LATENCY_STEPS * 60)

struct latency {
  uint64_t count;
  uint64_t buckets[LATENCY_BUCKETS];
};

void latency_add(struct latency *latency, uint64_t nanoseconds);

/* The latency that the given share (0.5, 0.99) of the samples does not exceed; 0 without samples. */
uint64_t latency_quantile(const struct latency *latency, double share);

#endif
