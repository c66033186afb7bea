/* Pier's slabs take their memory from the system in steps: each step counts like any other allocation. The system's function is what is
 * wrapped, for calls of Pier's own are settled before the linker sees them (-flto). */
#include "../common/bench.h"

#include <stddef.h>

int __real_mprotect(void *address, size_t bytes, int access);
int __wrap_mprotect(void *address, size_t bytes, int access);

int __wrap_mprotect(void *address, size_t bytes, int access) {
  bench_allocation_count();
  return __real_mprotect(address, bytes, access);
}
