/* The loop, for those who work in it. */
#ifndef PIER_LOOP_INTERNAL_H
#define PIER_LOOP_INTERNAL_H

#include "pier_loop.h"
#include "pool.h"
#include "timers.h"
#include "work.h"

struct pier_loop {
  struct poller poller;
  struct timers timers;
  struct workers workers;
  struct pool pool; /* of threads; none when the loop is driven */
  _Atomic uint64_t driver;  /* the thread in pier_loop_run(), 0: none */
  _Atomic uint32_t stopped; /* pier_loop_stop() was called */
  _Atomic uint64_t holds;
};

static inline struct poller *loop__poller(pier_loop *loop) { return &loop->poller; }
static inline struct timers *loop__timers(pier_loop *loop) { return &loop->timers; }
static inline struct workers *loop__workers(pier_loop *loop) { return &loop->workers; }

/* Whether pier_loop_alive() would count anything. */
bool loop__is_alive(pier_loop *loop);

/* Has whoever runs the loop look again: it may have to stop. */
void loop__look(pier_loop *loop);

/* Begins an operation on a handle: the operation, bound to the handle, which is entered. Null if there is nothing to launch:
   *id is then what the caller returns (0: no slot; otherwise the refusal's callback will come). */
struct op *loop__begin(pier_handle handle, enum op_code code, pier_callback callback, void *context, pier_operation *id);

/* Refuses what was begun: the callback comes with `status`. */
pier_operation loop__refuse(struct op *op, int status);

/* Arms the deadline and launches what was begun. */
pier_operation loop__launch(pier_loop *loop, struct op *op, uint64_t deadline_ns);

#endif
