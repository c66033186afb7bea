/** @file pier_sync.h
 *  The sync path: plain calls on a system's handle that you keep to yourself.
 *
 *  No loop, no registration, any thread. The handle may be on Pier's completion port, on somebody else's, on none, or not
 *  opened for overlapped I/O at all: no port ever sees a packet of these calls, because the event in the OVERLAPPED is tagged
 *  with its low bit. Each thread keeps one event for all its calls; a call creates no kernel object (but the socket of
 *  pier_sync_accept()) and allocates nothing (but for a vectored message of more than 16 KiB).
 *
 *  Every call takes a timeout (#PIER_NO_TIMEOUT: none; 0: only what can be had at once), fills in a result, which may be
 *  null, and returns its status. When the time is up the operation is cancelled and its end is waited for, so nothing is
 *  written to your buffer after the return; data that came first is reported. A handle that was not opened for overlapped
 *  I/O gets the plain blocking call; a timeout that it could not keep is #PIER_ENOTSUP, before anything is done.
 *  #PIER_EBADF for a handle that is none, #PIER_EINVAL for a null pointer with a length, #PIER_ETIMEDOUT. */
#ifndef PIER_SYNC_H
#define PIER_SYNC_H

#include "pier_address.h"
#include "pier_operation.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a sync call did. */
typedef struct pier_sync_result {
  int status;           /**< what the call returns too */
  uint32_t system_code; /**< the system's own code for a failure, 0 if none */
  size_t bytes;         /**< how many bytes were moved */
  bool end;             /**< the file or stream has ended */
} pier_sync_result;

/** Reads from a file's system position, a pipe or a socket; statuses and end as pier_read(). An overlapped file has no system
 *  position: #PIER_EINVAL, use pier_sync_read_at(). (ReadFile, WaitForSingleObject.) */
PIER_API int pier_sync_read(pier_native native, void *buffer, size_t length, uint64_t timeout_ns, pier_sync_result *result);

/** Writes all of it to a pipe, a socket, or a file that has a system position. (WriteFile, WaitForSingleObject.) */
PIER_API int pier_sync_write(pier_native native, const void *buffer, size_t length, uint64_t timeout_ns, pier_sync_result *result);

/** Reads at a position of a file. #PIER_ESPIPE on anything else, #PIER_EINVAL if it is negative. (ReadFile with an offset.) */
PIER_API int pier_sync_read_at(pier_native native, void *buffer, size_t length, int64_t offset, uint64_t timeout_ns,
                               pier_sync_result *result);

/** Writes at a position of a file. (WriteFile with an offset.) */
PIER_API int pier_sync_write_at(pier_native native, const void *buffer, size_t length, int64_t offset, uint64_t timeout_ns,
                                pier_sync_result *result);

/** Reads into several parts, in their order: at `offset` of a file, or, with offset -1, from a pipe or socket. */
PIER_API int pier_sync_readv(pier_native native, const pier_buffer *parts, size_t count, int64_t offset, uint64_t timeout_ns,
                             pier_sync_result *result);

/** Writes several parts, in their order: at `offset` of a file, or, with offset -1, to a pipe or socket. */
PIER_API int pier_sync_writev(pier_native native, const pier_buffer *parts, size_t count, int64_t offset, uint64_t timeout_ns,
                              pier_sync_result *result);

/** Receives one datagram; `from`, which may be null, gets its sender's address. What does not fit is lost: #PIER_EMSGSIZE, with the
 *  bytes that did. A length of 0 waits for a datagram and takes nothing. #PIER_EBADF if it is no datagram socket (on Windows: no
 *  socket). The answer of a closed port to an earlier datagram is told as the socket is set to (Windows: SIO_UDP_CONNRESET).
 *  (WSARecvFrom, recvmsg.) */
PIER_API int pier_sync_receive_from(pier_native socket, void *buffer, size_t length, uint64_t timeout_ns, pier_address *from,
                                    pier_sync_result *result);

/** Sends one datagram to an address. With a timeout of 0: only if the system takes it at once. #PIER_EMSGSIZE for one that is
 *  larger than can be sent, #PIER_EINVAL for no address or port 0, #PIER_EAFNOSUPPORT for one of another family than the socket's,
 *  #PIER_EBADF as pier_sync_receive_from(). (WSASendTo, sendmsg.) */
PIER_API int pier_sync_send_to(pier_native socket, const void *buffer, size_t length, const pier_address *to, uint64_t timeout_ns,
                               pier_sync_result *result);

/** Connects a stream socket. (ConnectEx; the socket is bound first if it is not.) */
PIER_API int pier_sync_connect(pier_native socket, const pier_address *address, uint64_t timeout_ns, pier_sync_result *result);

/** Accepts a connection from a listening socket; the new socket is yours, opened for overlapped I/O, on no port. (AcceptEx.) */
PIER_API int pier_sync_accept(pier_native listener, uint64_t timeout_ns, pier_native *accepted, pier_sync_result *result);

/** Waits for a client on an instance of a named pipe. (ConnectNamedPipe.) */
PIER_API int pier_sync_pipe_accept(pier_native pipe, uint64_t timeout_ns, pier_sync_result *result);

/** Sends a control code to a socket or device. (WSAIoctl, DeviceIoControl.) */
PIER_API int pier_sync_ioctl(pier_native native, uint32_t code, const void *input, size_t input_bytes,
                             void *output, size_t output_bytes, uint64_t timeout_ns, pier_sync_result *result);

#ifdef __cplusplus
}
#endif

#endif
