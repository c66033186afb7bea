#include "floor.h"

#include <winsock2.h>

#include <windows.h>

/* What the system itself needs of its caller for one operation; a handle, a timer and a loop cost a caller nothing. */
int floor_sizes(const struct bench_options *options, struct bench_result *result) {
  (void)options;
  bench_begin(result);
  bench_extra(result, "operation_read", (double)sizeof(OVERLAPPED));
  bench_extra(result, "operation_write", (double)sizeof(OVERLAPPED));
  bench_extra(result, "handle_tcp", (double)sizeof(SOCKET));
  bench_extra(result, "handle_pipe", (double)sizeof(HANDLE));
  bench_end(result);
  return 0;
}
