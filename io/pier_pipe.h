/** @file pier_pipe.h
 *  Pipes: a name with any number of connections, and nameless pairs; read and write with pier_io.h.
 *
 *  A name is UTF-8. On Windows it lives below `\\.\pipe\`, which may be left out; elsewhere it is a path of a unix socket. */
#ifndef PIER_PIPE_H
#define PIER_PIPE_H

#include "pier_handle.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How to listen, connect or pair. All zero is a good choice. */
typedef struct pier_pipe_options {
  bool message;            /**< message by message; otherwise a stream of bytes */
  unsigned instances_max;  /**< listen: connections at once; 0: no limit (at most 254 otherwise) */
  uint32_t buffer_bytes;   /**< size of the system's buffer in either direction; 0: 65,536 */
} pier_pipe_options;

/** Takes a name and listens on it. `options` may be null. One connection at a time may wait for pier_pipe_accept(); further
 *  clients wait inside pier_pipe_connect(). Clients of other machines are refused. #PIER_EADDRINUSE if somebody has the name,
 *  #PIER_EACCES, #PIER_EINVAL, #PIER_EILSEQ, #PIER_ENAMETOOLONG, #PIER_ENOMEM. Any thread. (CreateNamedPipeW.) */
PIER_API int pier_pipe_listen(pier_loop *loop, const char *name, const pier_pipe_options *options, pier_handle *listener);

/** Accepts one client: `opened` of the result is the connection. Any number may wait at once. #PIER_EBADF if it is no pipe
 *  listener, #PIER_EMFILE at instances_max, and the usual ones of pier_io.h. Any thread. (ConnectNamedPipe.) */
PIER_API pier_operation pier_pipe_accept(pier_handle listener, uint64_t deadline_ns, pier_callback callback, void *context);

/** Connects to a name: `opened` of the result is the connection. While all connections of the server are taken it waits,
 *  until the deadline. `name` is yours and stays valid until the callback. #PIER_ENOENT if nobody listens, #PIER_ENOTSUP if
 *  `message` is asked of a pipe that is a stream of bytes, #PIER_EACCES, #PIER_EINVAL, #PIER_EILSEQ. Any thread.
 *  (CreateFileW, WaitNamedPipeW on a worker thread.) */
PIER_API pier_operation pier_pipe_connect(pier_loop *loop, const char *name, const pier_pipe_options *options,
                                          uint64_t deadline_ns, pier_callback callback, void *context);

/** Makes two connected ends, both for reading and writing and both for overlapped I/O. `options` may be null. On failure
 *  there is neither. Any thread. (CreateNamedPipeW and CreateFileW on a name of its own.) */
PIER_API int pier_pipe_pair(pier_loop *loop, const pier_pipe_options *options, pier_handle ends[2]);

#ifdef __cplusplus
}
#endif

#endif
