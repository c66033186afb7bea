/** @file pier_tcp.h
 *  TCP over IPv4 and IPv6: listening, accepting, connecting; read and write with pier_io.h. */
#ifndef PIER_TCP_H
#define PIER_TCP_H

#include "pier_address.h"
#include "pier_handle.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How to listen or connect. All zero is a good choice. */
typedef struct pier_tcp_options {
  const pier_address *local; /**< connect: the address to come from; null: the system's choice */
  int backlog;               /**< listen: connections that may wait to be accepted; 0: the system's most */
  bool dual_stack;           /**< listen on an IPv6 address: take IPv4 connections too */
  bool share_address;        /**< listen: others may listen there too (SO_REUSEADDR); otherwise the address is exclusively ours */
  bool delay;                /**< leave Nagle's algorithm on; otherwise TCP_NODELAY is set on every connection */
} pier_tcp_options;

/** What can be set on and read from a TCP handle. */
typedef enum pier_tcp_option {
  PIER_TCP_NODELAY = 1,          /**< 0 or 1 */
  PIER_TCP_KEEPALIVE_SECONDS,    /**< seconds of silence before the first probe; 0: none. A Windows before 10,
                                     version 1709, sets it and says #PIER_ENOTSUP when it is to be told */
  PIER_TCP_LINGER_SECONDS,       /**< -1: usual close; 0: reset on close; more: close blocks for so long */
  PIER_TCP_SEND_BUFFER_BYTES,    /**< the kernel's buffer */
  PIER_TCP_RECEIVE_BUFFER_BYTES  /**< the kernel's buffer */
} pier_tcp_option;

/** Listens on an address; port 0 lets the system choose (pier_tcp_local_address() tells). `options` may be null.
 *  #PIER_EADDRINUSE, #PIER_EADDRNOTAVAIL, #PIER_EACCES, #PIER_EINVAL, #PIER_ENOMEM. Any thread. (WSASocketW, bind, listen.) */
PIER_API int pier_tcp_listen(pier_loop *loop, const pier_address *address, const pier_tcp_options *options, pier_handle *listener);

/** Accepts one connection: `opened` of the result is its handle, on the listener's loop, yours to close. Any number may wait at
 *  once, from any threads. A peer that went away before it was accepted is not reported: the next one is waited for.
 *  #PIER_EBADF if it is no listener, #PIER_EMFILE, #PIER_ENOMEM, and the usual ones of pier_io.h. (AcceptEx.) */
PIER_API pier_operation pier_tcp_accept(pier_handle listener, uint64_t deadline_ns, pier_callback callback, void *context);

/** Connects: `opened` of the result is the handle. `address` and `options` are copied. On failure nothing is left to close.
 *  #PIER_ECONNREFUSED, #PIER_ENETUNREACH, #PIER_EHOSTUNREACH, #PIER_EADDRNOTAVAIL, #PIER_EINVAL, #PIER_ETIMEDOUT,
 *  #PIER_ECANCELED. 0 for want of a slot or a null loop. Any thread. (ConnectEx.) */
PIER_API pier_operation pier_tcp_connect(pier_loop *loop, const pier_address *address, const pier_tcp_options *options,
                                         uint64_t deadline_ns, pier_callback callback, void *context);

/** Ends the sending direction after the writes that were submitted before: the peer reads the end. Reading goes on.
 *  #PIER_ENOTCONN, #PIER_EBADF, #PIER_EBUSY if another shutdown waits already, and the usual ones. Any thread.
 *  (shutdown(SD_SEND).) */
PIER_API pier_operation pier_tcp_shutdown(pier_handle handle, uint64_t deadline_ns, pier_callback callback, void *context);

/** Sets an option. #PIER_EINVAL for an unknown one or a value out of range, #PIER_EBADF if it is no TCP handle. Any thread.
 *  (setsockopt.) */
PIER_API int pier_tcp_set(pier_handle handle, pier_tcp_option option, int value);

/** Reads an option. Statuses as pier_tcp_set(). Any thread. (getsockopt.) */
PIER_API int pier_tcp_get(pier_handle handle, pier_tcp_option option, int *value);

/** The handle's own address. #PIER_EBADF if it is no TCP handle. Any thread. (getsockname.) */
PIER_API int pier_tcp_local_address(pier_handle handle, pier_address *address);

/** The peer's address. #PIER_ENOTCONN if there is none. Any thread. (getpeername.) */
PIER_API int pier_tcp_peer_address(pier_handle handle, pier_address *address);

#ifdef __cplusplus
}
#endif

#endif
