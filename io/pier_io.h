/** @file pier_io.h
 *  Reading and writing: one grammar for files, pipes and streams.
 *
 *  Every function here submits one operation and returns its id; the result, good or bad, comes with the callback. Only for
 *  want of a slot (or a handle id that no open loop ever gave) is the id 0, and there is no callback then. Any thread may submit.
 *  Buffers, and the array of a vectored form, stay yours and must stay valid and, for reads, untouched until the callback.
 *
 *  The statuses that any of them can bring: #PIER_ECLOSED (the handle is closed, closing, or was closed meanwhile),
 *  #PIER_ECANCELED, #PIER_ETIMEDOUT (`deadline_ns`, an absolute time of pier_now_ns(); #PIER_NO_DEADLINE for none), #PIER_EINVAL
 *  (null pointer with a length, negative offset, over 1,024 parts), #PIER_EBADF (a listener), #PIER_ESPIPE (a position on a
 *  pipe or socket), and what the system reports. */
#ifndef PIER_IO_H
#define PIER_IO_H

#include "pier_handle.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The most parts of a vectored form. */
#define PIER_PARTS_MAX 1024

/** Reads up to `length` bytes. A stream or pipe: what is there, at least one byte. A file: from Pier's own position of this
 *  handle, which moves on. The end is #PIER_OK with 0 bytes and `end` set. A message longer than the buffer gives its first
 *  bytes and #PIER_EMSGSIZE; the next read goes on with it (of a datagram the rest is lost). An empty message is 0 bytes without
 *  `end`. A zero-length read consumes nothing, and ends when there is something to read: without data it stays pending. (ReadFile, WSARecv.) */
PIER_API pier_operation pier_read(pier_handle handle, void *buffer, size_t length, uint64_t deadline_ns,
                                  pier_callback callback, void *context);

/** Keeps reading: the callback comes for each chunk of a stream or byte pipe, and for each datagram, with `data`, `bytes` and `more` set
 *  (and `from`, for a datagram). Its last time is without `more` and without bytes: #PIER_OK and `end` at the end of the stream, #PIER_ECANCELED
 *  (pier_cancel() is how to stop it, also from inside the callback), #PIER_ETIMEDOUT at its deadline, which chunks do not put off,
 *  #PIER_ECLOSED, or what the system reports. What no callback was given is still in the stream; of datagrams that were taken
 *  together a few may still come after the cancel. The bytes lie in a buffer of the loop's
 *  until the callback returns; copy what you keep, and answer from there with pier_try_write() if you like.
 *
 *  Other reads of the handle wait until it has ended, in their order. On Windows only those of a handle that is not on Pier's port do:
 *  on the port, and where workers read, they take turns with it. #PIER_ENOTSUP for files and message pipes, #PIER_EBADF for
 *  listeners; without a callback nothing is read, and nobody told.
 *
 *  It takes one operation slot for as long as it goes on. On Linux a stream that waits has no buffer; on Windows, and where workers read,
 *  it has one of 16 KiB (64 KiB for datagrams, and from then on for who has filled it), allocated with the submit (#PIER_ENOMEM). (recv when epoll, or a poll that stays in the
 *  ring, says that there is something; one overlapped read after the other on Windows.) */
PIER_API pier_operation pier_read_multishot(pier_handle handle, uint64_t deadline_ns, pier_callback callback, void *context);

/** Writes all `length` bytes, or fails; `bytes` says how many went out. A file: at Pier's own position, which moves on; at its
 *  end, atomically, if it was opened with #PIER_OPEN_APPEND. Writes on one stream go out in the order of their submits.
 *  (WriteFile, WSASend.) */
PIER_API pier_operation pier_write(pier_handle handle, const void *buffer, size_t length, uint64_t deadline_ns,
                                   pier_callback callback, void *context);

/** Writes to a stream, or sends a datagram to the connected peer, here and now: no operation, no callback. #PIER_OK with the number of
 *  bytes that went in `*written`, for a stream perhaps fewer than `length`; #PIER_EAGAIN with 0 where nothing can go without waiting,
 *  because the peer does not read or because writes that were submitted before are still on their way, and always for what
 *  cannot be written so (files, message pipes, Linux' fifos, and on Windows all but TCP connections and UDP sockets that Pier opened): submit the rest
 *  with pier_write(). Otherwise
 *  #PIER_EINVAL, #PIER_EBADF, #PIER_ECLOSED, or what the system reports; nothing went then. The bytes are yours again at once. Any thread.
 *  For small answers this costs a good deal less than an operation. (WSASend without an OVERLAPPED on a socket that does not block, send.) */
PIER_API int pier_try_write(pier_handle handle, const void *buffer, size_t length, size_t *written);

/** Reads at a position of a file; Pier's own position stays where it is. (ReadFile with an offset.) */
PIER_API pier_operation pier_read_at(pier_handle handle, void *buffer, size_t length, int64_t offset, uint64_t deadline_ns,
                                     pier_callback callback, void *context);

/** Writes at a position of a file; Pier's own position stays where it is. A file opened with #PIER_OPEN_APPEND is written at
 *  its end all the same. (WriteFile with an offset.) */
PIER_API pier_operation pier_write_at(pier_handle handle, const void *buffer, size_t length, int64_t offset, uint64_t deadline_ns,
                                      pier_callback callback, void *context);

/** Reads into several parts, in their order, as pier_read() does into one. (WSARecv; parts of a file one after the other.) */
PIER_API pier_operation pier_readv(pier_handle handle, const pier_buffer *parts, size_t count, uint64_t deadline_ns,
                                   pier_callback callback, void *context);

/** Writes several parts, in their order and with nothing between them, as pier_write() does one. On a pipe, and on a file
 *  opened with #PIER_OPEN_APPEND, they are copied together first. (WSASend, WriteFile.) */
PIER_API pier_operation pier_writev(pier_handle handle, const pier_buffer *parts, size_t count, uint64_t deadline_ns,
                                    pier_callback callback, void *context);

/** Reads several parts from a position of a file, one after the other. */
PIER_API pier_operation pier_readv_at(pier_handle handle, const pier_buffer *parts, size_t count, int64_t offset,
                                      uint64_t deadline_ns, pier_callback callback, void *context);

/** Writes several parts at a position of a file, one after the other. */
PIER_API pier_operation pier_writev_at(pier_handle handle, const pier_buffer *parts, size_t count, int64_t offset,
                                       uint64_t deadline_ns, pier_callback callback, void *context);

#ifdef __cplusplus
}
#endif

#endif
