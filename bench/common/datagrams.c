#include "datagrams.h"

#include <string.h>

bool bench_datagrams_may_send(const struct bench_datagrams *count) {
  return count->sent < count->options->operations && count->sent - count->result->operations < count->options->depth;
}

size_t bench_datagrams_next(struct bench_datagrams *count, char *buffer) {
  memset(buffer, 0x2d, count->options->block_bytes);
  memcpy(buffer, &count->sent, sizeof count->sent);
  count->sent++;
  return count->options->block_bytes;
}

void bench_datagrams_take(struct bench_datagrams *count, const char *buffer, size_t length) {
  uint64_t number = 0;

  bench_check(length == count->options->block_bytes, "a datagram of another length", (long long)length);
  memcpy(&number, buffer, sizeof number);
  bench_check(number < count->sent, "a datagram that was not sent", (long long)number);
  count->result->operations++;
  count->result->bytes += length;
  count->result->checksum += number;
}

bool bench_datagrams_all_taken(const struct bench_datagrams *count) {
  return count->result->operations == count->options->operations;
}
