#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

static void gate(const struct bench_result *result, const char *name) {
  if (result->options->gate != 0) {
    printf("%s\n", name);
    fflush(stdout);
    int answer = getchar();
    bench_check(answer == '\n' || answer == '\r', "the harness is gone at the gate", answer);
  }
}

void bench_begin(struct bench_result *result) {
  gate(result, "begin");
  bench_usage_read(&result->begin);
  result->begin.allocations = bench_allocations();
}

void bench_end(struct bench_result *result) {
  result->end.allocations = bench_allocations();
  bench_usage_read(&result->end);
  if (result->memory_count != 0) {
    uint64_t now_bytes = bench_memory_bytes();
    uint64_t taken_bytes = now_bytes > result->memory_before_bytes ? now_bytes - result->memory_before_bytes : 0;
    bench_extra(result, "memory_each", (double)taken_bytes / (double)result->memory_count);
  }
  gate(result, "end");
}

void bench_extra(struct bench_result *result, const char *name, double value) {
  bench_check(result->extras_count < BENCH_EXTRAS_MAX, "too many extra figures", BENCH_EXTRAS_MAX);
  result->extras[result->extras_count].name = name;
  result->extras[result->extras_count].value = value;
  result->extras_count++;
}

void bench_receives(struct bench_result *result, uint64_t receives) {
  bench_extra(result, "receives", result->operations == 0 ? 0 : (double)receives / (double)result->operations);
}

void bench_memory_begin(struct bench_result *result, uint64_t count) {
  result->memory_count = count;
  result->memory_before_bytes = bench_memory_bytes();
}

void bench_ready(unsigned port) {
  printf("ready %u\n", port);
  fflush(stdout);
}

void bench_check(bool ok, const char *what, long long code) {
  if (!ok) {
    fprintf(stderr, "%s: %s (%lld)\n", bench_side, what, code);
    exit(1);
  }
}

void *bench_allocate(size_t count, size_t size) {
  void *memory = calloc(count, size);
  bench_check(memory != NULL, "out of memory, bytes asked for", (long long)(count * size));
  return memory;
}

void bench_release(void *memory) {
  free(memory);
}

uint64_t bench_random(uint64_t *state) {
  uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}
