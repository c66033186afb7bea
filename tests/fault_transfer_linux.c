/* Stand-ins for what moves bytes, and for calls by their number. */
#include "fault_verdict.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PARTS_MAX = 1024 };

static size_t fault__least(size_t a, size_t b) {
  return a < b ? a : b;
}

/* The verdict of a call with one buffer: false is failure, and *length what may be moved. */
static bool fault__moves(fault_call call, size_t *length) {
  size_t room;
  int code = fault__verdict(call, &room);
  if (code)
    errno = code;
  *length = fault__least(*length, room);
  return !code;
}

/* The same for several: a copy of as many of them, or of their bytes, as there is room for. */
static bool fault__moves_parts(fault_call call, const struct iovec *parts, int *count, struct iovec *cut) {
  int fitting = 0;
  size_t room;
  int code = fault__verdict(call, &room);
  if (code) {
    errno = code;
    return false;
  }
  while (fitting < *count && fitting < PARTS_MAX && (room || !fitting)) {
    cut[fitting] = (struct iovec){parts[fitting].iov_base, fault__least(parts[fitting].iov_len, room)};
    room -= cut[fitting++].iov_len;
  }
  *count = fitting;
  return true;
}

/* ---- Sockets ---- */

ssize_t faulty_recv(int descriptor, void *buffer, size_t length, int flags) {
  return fault__moves(FAULT_RECEIVE, &length) ? recv(descriptor, buffer, length, flags) : -1;
}

ssize_t faulty_send(int descriptor, const void *buffer, size_t length, int flags) {
  return fault__moves(FAULT_SEND, &length) ? send(descriptor, buffer, length, flags) : -1;
}

ssize_t faulty_recvmsg(int descriptor, struct msghdr *header, int flags) {
  struct iovec cut[PARTS_MAX], *parts = header->msg_iov;
  int count = (int)header->msg_iovlen;
  if (!fault__moves_parts(FAULT_RECEIVE, parts, &count, cut))
    return -1;
  header->msg_iov = cut;
  header->msg_iovlen = (size_t)count;
  ssize_t received = recvmsg(descriptor, header, flags);
  header->msg_iov = parts;
  return received;
}

int faulty_recvmmsg(int descriptor, struct mmsghdr *headers, unsigned count, int flags, struct timespec *timeout) {
  size_t length = SIZE_MAX;
  return fault__moves(FAULT_RECEIVE, &length) ? recvmmsg(descriptor, headers, count, flags, timeout) : -1;
}

int faulty_sendmmsg(int descriptor, struct mmsghdr *headers, unsigned count, int flags) {
  size_t length = SIZE_MAX;
  return fault__moves(FAULT_SEND, &length) ? sendmmsg(descriptor, headers, count, flags) : -1;
}

ssize_t faulty_sendmsg(int descriptor, const struct msghdr *header, int flags) {
  struct iovec cut[PARTS_MAX];
  struct msghdr shorter = *header;
  int count = (int)header->msg_iovlen;
  if (!fault__moves_parts(FAULT_SEND, header->msg_iov, &count, cut))
    return -1;
  shorter.msg_iov = cut;
  shorter.msg_iovlen = (size_t)count;
  return sendmsg(descriptor, &shorter, flags);
}

/* ---- Files, and what is read like one ---- */

ssize_t faulty_pread64(int descriptor, void *buffer, size_t length, off_t offset) {
  return fault__moves(FAULT_READ, &length) ? pread(descriptor, buffer, length, offset) : -1;
}

ssize_t faulty_readv(int descriptor, const struct iovec *parts, int count) {
  struct iovec cut[PARTS_MAX];
  return fault__moves_parts(FAULT_READ, parts, &count, cut) ? readv(descriptor, cut, count) : -1;
}

ssize_t faulty_writev(int descriptor, const struct iovec *parts, int count) {
  struct iovec cut[PARTS_MAX];
  return fault__moves_parts(FAULT_WRITE, parts, &count, cut) ? writev(descriptor, cut, count) : -1;
}

ssize_t faulty_preadv64(int descriptor, const struct iovec *parts, int count, off_t offset) {
  struct iovec cut[PARTS_MAX];
  return fault__moves_parts(FAULT_READ, parts, &count, cut) ? preadv(descriptor, cut, count, offset) : -1;
}

ssize_t faulty_pwritev64(int descriptor, const struct iovec *parts, int count, off_t offset) {
  struct iovec cut[PARTS_MAX];
  return fault__moves_parts(FAULT_WRITE, parts, &count, cut) ? pwritev(descriptor, cut, count, offset) : -1;
}

ssize_t faulty_preadv64v2(int descriptor, const struct iovec *parts, int count, off_t offset, int flags) {
  struct iovec cut[PARTS_MAX];
  return fault__moves_parts(FAULT_READ, parts, &count, cut) ? preadv2(descriptor, cut, count, offset, flags) : -1;
}

static atomic_bool fault__tries;

void fault__let_writes_be_tried(bool yes) {
  atomic_store(&fault__tries, yes);
}

ssize_t faulty_pwritev64v2(int descriptor, const struct iovec *parts, int count, off_t offset, int flags) {
  struct iovec cut[PARTS_MAX];
  return fault__moves_parts(FAULT_WRITE, parts, &count, cut) ? pwritev2(descriptor, cut, count, offset, atomic_load(&fault__tries) ? flags & ~RWF_NOWAIT : flags) : -1;
}

/* What has no function of its own, or is called past that (poller/call_linux.h). As many arguments as there can be: those that a call has not are nobody's. */
long faulty_syscall(long number, ...) {
  long values[6];
  va_list arguments;
  va_start(arguments, number);
  for (int i = 0; i < 6; i++)
    values[i] = va_arg(arguments, long);
  va_end(arguments);
  int descriptor = (int)values[0], count = (int)values[2];
  void *argument = (void *)values[1];
  switch (number) {
  case SYS_openat2:
    if (fault__fails(FAULT_OPEN))
      return -1;
    break;
  case SYS_recvfrom:
    return faulty_recv(descriptor, argument, (size_t)values[2], (int)values[3]);
  case SYS_sendto:
    return faulty_send(descriptor, argument, (size_t)values[2], (int)values[3]);
  case SYS_preadv2:
    return faulty_preadv64v2(descriptor, argument, count, values[3], (int)values[5]);
  case SYS_pwritev2:
    return faulty_pwritev64v2(descriptor, argument, count, values[3], (int)values[5]);
  }
  return syscall(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}
