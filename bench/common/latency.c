#include "latency.h"

void latency_add(struct latency *latency, uint64_t nanoseconds) {
  uint64_t value = nanoseconds;
  unsigned shift = 0;

  while (value >= 2 * LATENCY_STEPS) {
    value >>= 1;
    shift++;
  }
  latency->buckets[shift * LATENCY_STEPS + value]++;
  latency->count++;
}

uint64_t latency_quantile(const struct latency *latency, double share) {
  uint64_t wanted = (uint64_t)(share * (double)latency->count);
  uint64_t seen = 0;

  for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
    seen += latency->buckets[i];
    if (seen > wanted) {
      unsigned shift = i < 2 * LATENCY_STEPS ? 0 : i / LATENCY_STEPS - 1;
      return (uint64_t)(i - shift * LATENCY_STEPS) << shift;
    }
  }
  return 0;
}
