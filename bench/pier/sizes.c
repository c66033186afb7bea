#include "side.h"

/* The one file here that looks behind the public headers: what it prints is what is held to 192 bytes. */
#include "handle.h"
#include "loop.h"
#include "op.h"
#include "posts.h"

int side_sizes(const struct bench_options *options, struct bench_result *result) {
  (void)options;
  pier_loop *loop = NULL;
  side_check(pier_loop_open(NULL, &loop), "pier_loop_open");
  bench_begin(result);
  bench_extra(result, "operation_read", (double)sizeof(struct op));
  bench_extra(result, "operation_write", (double)sizeof(struct op));
  bench_extra(result, "operation_post", (double)sizeof(struct post));
  bench_extra(result, "handle_tcp", (double)sizeof(struct handle));
  bench_extra(result, "handle_pipe", (double)sizeof(struct handle));
  /* A timer's slot, and its entry in the heap: libuv's has its place in the heap inside. */
  bench_extra(result, "timer", (double)(loop__timers(loop)->slab.slot_bytes + sizeof(struct heap_entry)));
  bench_extra(result, "loop", (double)sizeof(struct pier_loop));
  bench_end(result);
  side_check(pier_loop_close(loop), "pier_loop_close");
  return 0;
}
