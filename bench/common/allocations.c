/* Stands before the allocator of every side: the linker's --wrap brings each call here (see ../meson.build). */
#include "bench.h"

#include <stdatomic.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static _Atomic uint64_t made;

uint64_t bench_allocations(void) { return atomic_load_explicit(&made, memory_order_relaxed); }

void bench_allocation_count(void) { atomic_fetch_add_explicit(&made, 1, memory_order_relaxed); }

void *__wrap_malloc(size_t size) {
  bench_allocation_count();
  return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
  bench_allocation_count();
  return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size) {
  bench_allocation_count();
  return __real_realloc(memory, size);
}
