/** @file pier_timer.h
 *  Timers, in nanoseconds of the monotonic clock (pier_now_ns()). */
#ifndef PIER_TIMER_H
#define PIER_TIMER_H

#include "pier_operation.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The id of a timer. 0 is no timer. */
typedef uint64_t pier_timer;

/** Called when a timer is due. Callbacks of one timer never overlap. */
typedef void (*pier_timer_callback)(pier_loop *loop, pier_timer timer, void *context);

/** Starts a timer that is due in `timeout_ns` and then every `repeat_ns` (0: once). Never early. Timers that are due at the
 *  same time fire in the order in which they were started. A repeating timer whose callback was late skips what it missed
 *  and keeps its beat. 0 for want of a slot, a null loop or a null callback. Any thread. Allocates nothing once the loop
 *  has held as many timers. */
PIER_API pier_timer pier_timer_start(pier_loop *loop, uint64_t timeout_ns, uint64_t repeat_ns,
                                     pier_timer_callback callback, void *context);

/** Stops a timer: no callback of it begins after this has returned #PIER_OK (one that is running on another thread may
 *  still be). #PIER_ENOENT if it has fired for the last time, or was stopped. #PIER_EINVAL if the id is not a timer's.
 *  Any thread, also from its own callback. */
PIER_API int pier_timer_stop(pier_timer timer);

/** Sets a running timer to be due `timeout_ns` from now; its repeat stays. #PIER_ENOENT and #PIER_EINVAL as for
 *  pier_timer_stop(), #PIER_ENOMEM. Any thread. */
PIER_API int pier_timer_restart(pier_timer timer, uint64_t timeout_ns);

/** How long until a timer is due: 0 if it is due now; #PIER_NO_TIMEOUT if there is no such timer. Any thread. */
PIER_API uint64_t pier_timer_due_in_ns(pier_timer timer);

#ifdef __cplusplus
}
#endif

#endif
