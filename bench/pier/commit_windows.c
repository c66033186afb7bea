/* Pier's slabs take their memory from the system in steps: each step counts like any other allocation. */
#include "../common/bench.h"

bool __real_memory__commit(void *address, size_t bytes);
bool __wrap_memory__commit(void *address, size_t bytes);

bool __wrap_memory__commit(void *address, size_t bytes) {
  bench_allocation_count();
  return __real_memory__commit(address, bytes);
}
