/** @file pier_operation.h
 *  An operation: one submit, one completion, exactly one callback.
 *
 *  Whatever takes time is an operation, from reading a pipe to running a function on a worker thread. The structure that
 *  the kernel works on belongs to the library; what you hold is an id, which may be kept for ever and used from any thread. */
#ifndef PIER_OPERATION_H
#define PIER_OPERATION_H

#include "pier_address.h"
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An event loop, see pier_loop.h. */
typedef struct pier_loop pier_loop;

/** The id of a handle: slot, generation and loop in one number. 0 is no handle. A closed handle's id stays recognisable. */
typedef uint64_t pier_handle;

/** The id of an operation. 0 is no operation: the submit failed for want of a slot. */
typedef uint64_t pier_operation;

/** A handle of the operating system: a HANDLE or SOCKET on Windows, a descriptor elsewhere. */
typedef uintptr_t pier_native;

/** No handle of the operating system. */
#define PIER_NATIVE_NONE ((pier_native)-1)

/** For every parameter `deadline_ns`: no deadline. */
#define PIER_NO_DEADLINE ((uint64_t)0)

/** For every parameter `timeout_ns`: wait without limit. */
#define PIER_NO_TIMEOUT UINT64_MAX

/** Units of time, in nanoseconds. */
#define PIER_MICROSECOND ((uint64_t)1000)
#define PIER_MILLISECOND ((uint64_t)1000000)  /**< see #PIER_MICROSECOND */
#define PIER_SECOND ((uint64_t)1000000000)    /**< see #PIER_MICROSECOND */

/** A piece of memory for the vectored forms. The memory and the array of pieces are yours and stay valid from submit to
 *  callback. */
typedef struct pier_buffer {
  void *base;    /**< where it begins */
  size_t length; /**< how many bytes it has */
} pier_buffer;

/** What a callback is given. It lives until the callback returns. */
typedef struct pier_result {
  pier_loop *loop;          /**< the loop that runs the callback */
  void *context;            /**< what was given with the submit */
  pier_operation operation; /**< the operation; it is finished, so cancelling it gives #PIER_ENOENT (unless there is `more`) */
  pier_handle handle;       /**< the handle it was started on, 0 if on none */
  pier_handle opened;       /**< what it opened: an accepted or connected stream, a file; 0 otherwise. Yours to close. */
  int status;               /**< #PIER_OK or a negative status */
  uint32_t system_code;     /**< the system's own code for the failure, 0 if none */
  const void *data;         /**< pier_read_multishot(): the bytes, which are there until the callback returns; null otherwise */
  bool more;                /**< pier_read_multishot(): the operation goes on, and there will be another callback */
  size_t bytes;             /**< how many bytes were moved; can be more than 0 beside a failure */
  bool end;                 /**< the file or stream has ended (tells end of file from an empty message) */
  pier_address from;        /**< who sent the datagram (pier_receive_from(), pier_read_multishot()); no family otherwise */
} pier_result;

/** Called once for each operation (more often for pier_read_multishot(), with `more` set but the last time), never from inside the
 *  submitting call: on the thread that drives the loop, or on one of its poller threads. Callbacks of one handle never overlap and come in the order of its completions. It may submit,
 *  cancel, post and close freely; it should not block. A null callback is allowed where nobody wants the result. */
typedef void (*pier_callback)(const pier_result *result);

/** The monotonic clock that deadlines and timers are measured with, in nanoseconds since some moment in the past.
 *  Any thread. (QueryPerformanceCounter; clock_gettime(CLOCK_MONOTONIC).) */
PIER_API uint64_t pier_now_ns(void);

/** The deadline that lies `timeout_ns` from now; #PIER_NO_TIMEOUT gives #PIER_NO_DEADLINE. Any thread. */
PIER_API uint64_t pier_deadline_in(uint64_t timeout_ns);

/** Asks for the end of an operation. Any thread, also from callbacks.
 *
 *  #PIER_OK says that the operation had not finished and was asked to end: its callback comes with #PIER_ECANCELED, or
 *  with its result if that came first, and never twice. #PIER_ENOENT: how it ends is settled (its callback may still be on
 *  the way), or it never was; whatever uses its slot now is not touched. So it is for every post. #PIER_EINVAL: the id is
 *  not an operation's. A function that a worker is running cannot be interrupted (#PIER_EBUSY).
 *  (CancelIoEx; CancelSynchronousIo for blocking handles.) */
PIER_API int pier_cancel(pier_operation operation);

#ifdef __cplusplus
}
#endif

#endif
