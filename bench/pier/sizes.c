#include "side.h"

/* The one file here that looks behind the public headers: what it prints is what is held to 192 bytes. */
#include "handle.h"
#include "op.h"
#include "posts.h"

int side_sizes(const struct bench_options *options, struct bench_result *result) {
  (void)options;
  bench_begin(result);
  bench_extra(result, "operation_read", (double)sizeof(struct op));
  bench_extra(result, "operation_write", (double)sizeof(struct op));
  bench_extra(result, "operation_post", (double)sizeof(struct post));
  bench_extra(result, "handle_tcp", (double)sizeof(struct handle));
  bench_extra(result, "handle_pipe", (double)sizeof(struct handle));
  bench_end(result);
  return 0;
}
