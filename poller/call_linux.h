/* The calls that are made most, straight to the system. The C library makes each of them a place where pthread_cancel() may end the thread, with
   all locks that it holds here, and has every program pay for that which has a second thread: four exchanges and a hundred instructions for
   one echo. Arguments and results are those of the functions of the same names. */
#ifndef PIER_CALL_H
#define PIER_CALL_H

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* What the library's functions read and write, sanitizers know. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

static inline ssize_t call__recv(int descriptor, void *buffer, size_t room_bytes, int flags) { return recv(descriptor, buffer, room_bytes, flags); }
static inline ssize_t call__send(int descriptor, const void *bytes, size_t length_bytes, int flags) { return send(descriptor, bytes, length_bytes, flags); }
static inline ssize_t call__preadv2(int descriptor, const struct iovec *parts, int count, off_t offset, int flags) {
  return preadv2(descriptor, parts, count, offset, flags);
}
static inline ssize_t call__pwritev2(int descriptor, const struct iovec *parts, int count, off_t offset, int flags) {
  return pwritev2(descriptor, parts, count, offset, flags);
}

#else

static inline ssize_t call__recv(int descriptor, void *buffer, size_t room_bytes, int flags) {
  return syscall(SYS_recvfrom, (long)descriptor, buffer, room_bytes, (long)flags, NULL, NULL);
}
static inline ssize_t call__send(int descriptor, const void *bytes, size_t length_bytes, int flags) {
  return syscall(SYS_sendto, (long)descriptor, bytes, length_bytes, (long)flags, NULL, 0L);
}
/* The offset comes in two halves; of 64 bits all are in the first. */
static inline ssize_t call__preadv2(int descriptor, const struct iovec *parts, int count, off_t offset, int flags) {
  return syscall(SYS_preadv2, (long)descriptor, parts, (long)count, offset, 0L, (long)flags);
}
static inline ssize_t call__pwritev2(int descriptor, const struct iovec *parts, int count, off_t offset, int flags) {
  return syscall(SYS_pwritev2, (long)descriptor, parts, (long)count, offset, 0L, (long)flags);
}

#endif

#endif
