#include "floor.h"

#include <liburing.h>

/* What the system itself needs of its caller for one operation: its places in the two queues. A handle is a number, a timer and a loop cost a
 * caller nothing. */
int floor_sizes(const struct bench_options *options, struct bench_result *result) {
  double operation = (double)(sizeof(struct io_uring_sqe) + sizeof(struct io_uring_cqe));

  (void)options;
  bench_begin(result);
  bench_extra(result, "operation_read", operation);
  bench_extra(result, "operation_write", operation);
  bench_extra(result, "handle_tcp", (double)sizeof(int));
  bench_extra(result, "handle_pipe", (double)sizeof(int));
  bench_end(result);
  return 0;
}
