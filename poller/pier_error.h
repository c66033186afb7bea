/** @file pier_error.h
 *  Pier's statuses: 0 for success, negative for failure, the same numbers on every system.
 *
 *  Byte counts are never mixed into a status. The system's own code (a Win32 or Winsock error, an errno) is kept beside
 *  the status in every result, because it says more than any portable list can. */
#ifndef PIER_ERROR_H
#define PIER_ERROR_H

#include "pier_export.h"
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Every status once: X(name, number, sentence). The numbers are part of the interface and are never reused. */
#define PIER_ERRORS(X)                                                              \
  X(PIER_EINVAL, -1, "an argument is not valid")                                    \
  X(PIER_EBADF, -2, "no such handle, or a handle of the wrong kind")                \
  X(PIER_ECLOSED, -3, "the handle is closed or closing")                            \
  X(PIER_ENOENT, -4, "nothing of that name or id exists")                           \
  X(PIER_EEXIST, -5, "something of that name exists already")                       \
  X(PIER_EACCES, -6, "access is denied")                                            \
  X(PIER_EBUSY, -7, "it is in use")                                                 \
  X(PIER_ENOMEM, -8, "there is not enough memory, or no free slot")                 \
  X(PIER_ENOSPC, -9, "the disk is full")                                            \
  X(PIER_EMFILE, -10, "too many handles are open")                                  \
  X(PIER_ECANCELED, -11, "the operation was cancelled")                             \
  X(PIER_ETIMEDOUT, -12, "the time was up first")                                   \
  X(PIER_EMSGSIZE, -13, "the message is larger than the buffer, or than allowed")   \
  X(PIER_ESPIPE, -14, "the handle has no positions")                                \
  X(PIER_ENOTSUP, -15, "this system or this handle does not support it")            \
  X(PIER_EPIPE, -16, "the reading end is closed")                                   \
  X(PIER_ECONNREFUSED, -17, "nobody listens there")                                 \
  X(PIER_ECONNRESET, -18, "the peer reset the connection")                          \
  X(PIER_ECONNABORTED, -19, "the connection was given up")                          \
  X(PIER_EADDRINUSE, -20, "the address is in use")                                  \
  X(PIER_EADDRNOTAVAIL, -21, "the address is not one of this machine's")            \
  X(PIER_ENETUNREACH, -22, "the network cannot be reached")                         \
  X(PIER_EHOSTUNREACH, -23, "the host cannot be reached")                           \
  X(PIER_EISCONN, -24, "it is connected already")                                   \
  X(PIER_ENOTCONN, -25, "it is not connected")                                      \
  X(PIER_EAFNOSUPPORT, -26, "the address family is not supported")                  \
  X(PIER_EISDIR, -27, "it is a directory")                                          \
  X(PIER_ENOTDIR, -28, "it is not a directory")                                     \
  X(PIER_ENAMETOOLONG, -29, "the name is too long")                                 \
  X(PIER_EILSEQ, -30, "the name is not UTF-8")                                      \
  X(PIER_EFBIG, -31, "the file or offset is too large")                             \
  X(PIER_EROFS, -32, "the medium cannot be written")                                \
  X(PIER_EIO, -33, "the device reports a failure")                                  \
  X(PIER_EAGAIN, -34, "it would have to wait")                                      \
  X(PIER_EXDEV, -35, "it is on another device")                                     \
  X(PIER_ENOTEMPTY, -36, "the directory is not empty")                              \
  X(PIER_EDEADLK, -37, "the call would wait for itself")                            \
  X(PIER_EFAULT, -38, "a pointer is not valid")                                     \
  X(PIER_ELOCKED, -39, "part of the file is locked")                                \
  X(PIER_EPERM, -40, "it is not allowed")                                           \
  X(PIER_EUNKNOWN, -99, "the system reported a code that Pier has no name for")

/** The statuses. */
enum pier_error {
  PIER_OK = 0, /**< success */
#define PIER_ERROR_ENUM(name, number, sentence) name = number, /**< see #PIER_ERRORS for the sentence */
  PIER_ERRORS(PIER_ERROR_ENUM)
#undef PIER_ERROR_ENUM
};

/** The name of a status, such as "PIER_EINVAL"; "PIER_OK" for 0, "PIER_EUNKNOWN" for a number that is none.
 *  A constant string. Any thread. */
PIER_API const char *pier_error_name(int status);

/** The sentence of a status, in English, without a full stop. A constant string. Any thread. */
PIER_API const char *pier_error_text(int status);

/** The status for a code of the system: on Windows a Win32 or Winsock error (`GetLastError`), elsewhere an errno.
 *  0 gives #PIER_OK, a code that is in no table #PIER_EUNKNOWN. Any thread. */
PIER_API int pier_error_from_system(uint32_t system_code);

#ifdef __cplusplus
}
#endif

#endif
