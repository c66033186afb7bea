/** @file pier_work.h
 *  Blocking work on the loop's worker threads. */
#ifndef PIER_WORK_H
#define PIER_WORK_H

#include "pier_operation.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A function that may block. What it returns becomes the result's status: #PIER_OK or a negative status. */
typedef int (*pier_work_function)(void *context);

/** Has a worker thread run `function(context)`, then the loop `callback`.
 *
 *  At most `workers_max` run at once (pier_loop_options), the rest wait in line. While it waits in line it can be cancelled
 *  and its deadline holds: it is then never run, and the callback says #PIER_ECANCELED or #PIER_ETIMEDOUT at once. One that
 *  runs is run to its end (pier_cancel() says #PIER_EBUSY). 0 for want of a slot, a null loop or a null function. Any thread. */
PIER_API pier_operation pier_work(pier_loop *loop, pier_work_function function, uint64_t deadline_ns,
                                  pier_callback callback, void *context);

#ifdef __cplusplus
}
#endif

#endif
