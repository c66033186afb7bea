/** @file pier_loop.h
 *  The loop: one completion port, its timers and its threads.
 *
 *  Three ways to run it. *You drive*: `threads` = 0 and pier_loop_run(); all callbacks run on your thread. *The pool
 *  drives*: `threads` = N poller threads of the loop's own run the callbacks. *A host drives*: the host waits on the port
 *  (its own, or pier_loop_native()) and gives what it dequeued to pier_loop_dispatch(). */
#ifndef PIER_LOOP_H
#define PIER_LOOP_H

#include "pier_handle.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How to open a loop. All zero is a good choice: no threads, usual limits. */
typedef struct pier_loop_options {
  unsigned threads;               /**< poller threads of the loop's own; 0: you drive it. At most 64. With io_uring, if there are more than the
                                       calling thread may use processors (sched_getaffinity), the others help where callbacks take long. */
  unsigned workers_max;           /**< threads for blocking work, started when needed; 0: 4. At most 256. */
  uint32_t operations_max;        /**< operations in flight at most, posts not counted; 0: 1,048,576. Address space is reserved for them,
                                       memory is taken as they are used. At most 16,777,215. */
  uint32_t handles_max;           /**< handles open at most; 0: 262,144. At most 16,777,215. */
  uint32_t timers_max;            /**< timers at most; 0: 4,194,304. At most 16,777,215. */
  bool use_port;                  /**< the loop is to live on `port`, which the host has and waits on; then `threads` is 0 */
  pier_native port;               /**< with use_port: the host's completion port. It must outlive the loop. */
  pier_packet_callback on_packet; /**< gets packets with a key that no handle has; null: they are counted and dropped */
  void *packet_context;           /**< given to on_packet */
} pier_loop_options;

/** How long pier_loop_run() goes on. */
typedef enum pier_run_mode {
  PIER_RUN_DEFAULT = 0, /**< until nothing is alive, or pier_loop_stop(), or the timeout */
  PIER_RUN_ONCE,        /**< one turn: waits for the first completions, timers or posts and runs what is there. With nothing
                             alive it returns at once, and does not look at the port: packets of others stay there */
  PIER_RUN_NOWAIT       /**< one turn without waiting */
} pier_run_mode;

/** What a loop has done since it was opened, and what it holds now. Counted without locks: a moment's view. */
typedef struct pier_metrics {
  uint64_t turns;               /**< turns of the loop */
  uint64_t waits;               /**< calls that waited, on the port (GetQueuedCompletionStatusEx) or, with no handle, beside it */
  uint64_t packets;             /**< packets dequeued; the loop's own (wakes, and signals of events and timers) not counted */
  uint64_t packets_foreign;     /**< packets that no operation of Pier's stood behind */
  uint64_t packets_dropped;     /**< foreign ones that nobody wanted */
  uint64_t wakes;               /**< wake packets posted (PostQueuedCompletionStatus) */
  uint64_t batch_packets_max;   /**< most packets dequeued by one wait */
  uint64_t submitted;           /**< operations submitted, posts and work included */
  uint64_t completed;           /**< operations whose callback was due */
  uint64_t immediate;           /**< operations that the system finished inside the submitting call, with no packet */
  uint64_t system_calls;        /**< calls that submitted or cancelled an operation (ReadFile, WSASend, CancelIoEx ...) */
  uint64_t cancels;             /**< cancels that found their operation in flight, deadlines included */
  uint64_t strand_hand_overs;   /**< callbacks left to the thread that was busy with their handle */
  uint64_t timers_fired;        /**< timers that were due */
  uint64_t events_created;      /**< kernel events created for the event path; they are kept and reused */
  uint32_t operations;          /**< operations in flight and posts that wait now */
  uint32_t handles;             /**< handles open now */
  uint32_t timers;              /**< timers running now */
  uint32_t work_queued;         /**< work items waiting for a worker now */
  uint32_t workers;             /**< worker threads now */
} pier_metrics;

/** Opens a loop. `options` may be null. The loop is freed by pier_loop_close().
 *  #PIER_EINVAL for a null pointer or an option out of range, #PIER_ENOMEM, #PIER_EMFILE (64 loops are open), or what the
 *  system says of the port or the threads. Any thread. (CreateIoCompletionPort.) */
PIER_API int pier_loop_open(const pier_loop_options *options, pier_loop **loop);

/** Closes a loop and frees it. #PIER_EBUSY while anything is alive (a handle, an operation, a post that has not run, a hold,
 *  a thread in pier_loop_run(), a wake packet on a host's port that has not been dispatched): nothing is freed
 *  then. Timers that are still running are dropped without a callback.
 *  #PIER_EDEADLK from a callback of this loop, #PIER_EINVAL for a null pointer. Joins the loop's own threads. Not together
 *  with any other call on the loop. A host's port stays open. */
PIER_API int pier_loop_close(pier_loop *loop);

/** Drives a loop on the calling thread, at most for `timeout_ns` (#PIER_NO_TIMEOUT: no limit; rounded up to what the system's
 *  wait can do).
 *
 *  #PIER_OK when what the mode says has come to pass, #PIER_ETIMEDOUT when the time was up first (modes DEFAULT and ONCE).
 *  Alive are operations in flight, posts, running timers, holds and handles that are being closed; open handles alone are
 *  not. One thread at a time (#PIER_EBUSY), and not from its callbacks (#PIER_EDEADLK). On a loop with threads of its own only
 *  DEFAULT (#PIER_EINVAL for the others): it waits until nothing is alive, and callbacks go on to run on those threads.
 *  #PIER_EINVAL for a null pointer or an unknown mode. (GetQueuedCompletionStatusEx.) */
PIER_API int pier_loop_run(pier_loop *loop, pier_run_mode mode, uint64_t timeout_ns);

/** Makes the pier_loop_run() that is going on return after its turn; if there is none, the next one at once. Nothing is
 *  cancelled. #PIER_EINVAL for a null pointer. Any thread. */
PIER_API int pier_loop_stop(pier_loop *loop);

/** Keeps pier_loop_run() in mode #PIER_RUN_DEFAULT running although nothing else is alive, and pier_loop_close() busy.
 *  Counts. #PIER_EINVAL for a null pointer. Any thread. */
PIER_API int pier_loop_hold(pier_loop *loop);

/** Takes one pier_loop_hold() back. #PIER_EINVAL if there is none. Any thread. */
PIER_API int pier_loop_release(pier_loop *loop);

/** How much keeps the loop alive: operations in flight, posts, running timers, holds, handles that are being closed, a wake
 *  packet that is out on a host's port.
 *  Any thread; a moment's view. */
PIER_API uint64_t pier_loop_alive(pier_loop *loop);

/** The loop's completion port (a pollable descriptor elsewhere); it stays the loop's. Who has asked for it may wait there in place of
 *  the loop: from then on everything that is due comes to it. Any thread. */
PIER_API pier_native pier_loop_native(pier_loop *loop);

/** "iocp", "uring" or "epoll"; "none" for a null loop. A constant string. Any thread. On Linux it is decided when the loop opens:
 *  by the environment variable `PIER_BACKEND` if it is set, else the best that works. docs/systems.md says what differs. */
PIER_API const char *pier_loop_backend(pier_loop *loop);

/** For a host that waits on the port itself: takes `*count` packets, runs the callbacks that are due, due timers and posts
 *  included, and leaves those that were not Pier's at the front of `packets`, with their number in `*count`. `packets` has
 *  the layout of an array of OVERLAPPED_ENTRY; it may be null where `*count` is 0, for timers only. If very much is due the
 *  rest is left for the next call, and a wake packet on the port sees to it that there is one. The loop must have been
 *  opened with `threads` = 0; several host threads may call at once (the order of one handle's callbacks is then the order
 *  of these calls). #PIER_EINVAL for a null pointer or a loop with threads, #PIER_EDEADLK from a callback of this loop. */
PIER_API int pier_loop_dispatch(pier_loop *loop, pier_packet *packets, size_t *count);

/** How long a host may wait on the port before it has to call pier_loop_dispatch() for a timer or deadline: 0 if one
 *  is due, #PIER_NO_TIMEOUT if there is none. Any thread. */
PIER_API uint64_t pier_loop_timeout_ns(pier_loop *loop);

/** Copies the loop's metrics. #PIER_EINVAL for a null pointer. Any thread. */
PIER_API int pier_loop_metrics(pier_loop *loop, pier_metrics *metrics);

/** Has `callback` run on the loop, once, with `context` in its result. Posts run in the order in which they were made, and
 *  one at a time. Any thread. Wakes the loop at most once for any number of posts. Takes no operation slot, and allocates
 *  nothing once as many posts have waited. A post cannot be cancelled; its id is what its result carries. 0 for want of
 *  memory or a null loop or callback. (PostQueuedCompletionStatus.) */
PIER_API pier_operation pier_post(pier_loop *loop, pier_callback callback, void *context);

#ifdef __cplusplus
}
#endif

#endif
