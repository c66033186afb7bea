#include "records.h"

#include <string.h>

char *bench_records_make(const struct bench_options *options) {
  char *records = bench_allocate(options->operations, options->block_bytes);

  bench_check(options->block_bytes >= sizeof(uint64_t), "--block is at least", sizeof(uint64_t));
  for (uint64_t i = 0; i < options->operations; i++) {
    memcpy(records + i * options->block_bytes, &i, sizeof i);
  }
  return records;
}

void bench_records_check(const struct bench_options *options, uint64_t position, const char *bytes, size_t length) {
  uint64_t block = options->block_bytes;

  for (uint64_t at = position; at < position + length; at++) {
    uint64_t number = at / block;
    uint64_t within = at % block;
    char wanted = 0;
    if (within < sizeof number) {
      memcpy(&wanted, (const char *)&number + within, 1);
    }
    bench_check(bytes[at - position] == wanted, "not the record that was sent, number", (long long)number);
  }
}
