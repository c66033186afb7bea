/* Worker threads: a bounded number, started when there is work and nobody idle, and one line of work. */
#ifndef PIER_WORKERS_H
#define PIER_WORKERS_H

#include "pier_work.h"
#include "poller.h"

struct workers {
  struct mutex lock;
  struct condition work_came;
  struct ready_list line;
  struct worker *workers; /* workers_max of them */
  uint32_t workers_max;
  uint32_t started;
  uint32_t idle;
  uint32_t queued;
  bool called; /* a sleeper is on its way */
  bool stopping;
};

int workers__open(struct workers *workers, uint32_t workers_max);
/* Joins them; nothing is queued any more. */
void workers__close(struct workers *workers);

/* Where a piece of work is; kept in its slot's flags. */
enum work_place { WORK_NEW = 0, WORK_QUEUED, WORK_RUNNING };

/* Puts an operation in line: one of pier_work() and its like, or one on a blocking handle. */
void workers__submit(struct poller *poller, struct op *op);
/* Takes it out of the line again and ends it; PIER_EBUSY if it runs. */
int workers__cancel(struct poller *poller, struct op *op);

/* What a worker is to do. */
struct work_plan {
  int (*run)(struct op *op); /* finds its arguments in op->as.work.argument, gives the status, may set op->as.work.opened */
  bool yields;               /* it looks at op__asked_to_end() now and then, so it can be cancelled while it runs */
  uintptr_t argument[4];
};

/* The same as an operation of a handle, which has to be of that kind; `run` finds it in op->handle. */
pier_operation work__start_on(pier_handle handle, pier_kind kind, const struct work_plan *plan, uint64_t deadline_ns, pier_callback callback,
                              void *context);

/* 0 for want of a slot. */
pier_operation work__start(struct pier_loop *loop, const struct work_plan *plan, uint64_t deadline_ns, pier_callback callback, void *context);

#endif
