/* Stand-ins for the system's functions, by the name of each and "faulty_" before it; what moves bytes is in fault_transfer_linux.c. */
#include "fault_verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

static const int fault__usuals[FAULT_CALLS] = {
    [FAULT_MEMORY] = ENOMEM,  [FAULT_MAP] = ENOMEM,        [FAULT_THREAD] = EAGAIN,  [FAULT_EVENT] = EMFILE,
    [FAULT_SET] = EMFILE,     [FAULT_WATCH] = ENOSPC,      [FAULT_WAIT] = EINTR,     [FAULT_ENTER] = EAGAIN,
    [FAULT_SOCKET] = EMFILE,  [FAULT_BIND] = EADDRINUSE,   [FAULT_LISTEN] = EADDRINUSE, [FAULT_NAME] = ENOBUFS,
    [FAULT_OPTION] = ENOBUFS, [FAULT_OPEN] = EMFILE,       [FAULT_STAT] = EIO,       [FAULT_RESIZE] = EIO,
    [FAULT_FLUSH] = EIO,      [FAULT_DUPLICATE] = EMFILE,  [FAULT_CONTROL] = EIO,    [FAULT_SHUTDOWN] = ENOTCONN,
    [FAULT_ACCEPT] = EMFILE,  [FAULT_CONNECT] = EADDRNOTAVAIL, [FAULT_RECEIVE] = ECONNRESET, [FAULT_SEND] = ECONNRESET,
    [FAULT_READ] = EIO,       [FAULT_WRITE] = ENOSPC,
};

int fault__usual(fault_call call) {
  return fault__usuals[call];
}

bool fault__fails(fault_call call) {
  size_t room;
  int code = fault__verdict(call, &room);
  if (code)
    errno = code;
  return code != 0;
}

/* ---- Memory and threads ---- */

static void *fault__taken(void *block) {
  if (block)
    fault__hold(1);
  return block;
}

void *faulty_malloc(size_t bytes) {
  return fault__fails(FAULT_MEMORY) ? NULL : fault__taken(malloc(bytes));
}

void *faulty_calloc(size_t count, size_t bytes) {
  return fault__fails(FAULT_MEMORY) ? NULL : fault__taken(calloc(count, bytes));
}

void *faulty_realloc(void *block, size_t bytes) {
  if (fault__fails(FAULT_MEMORY))
    return NULL;
  return block ? realloc(block, bytes) : fault__taken(malloc(bytes));
}

void faulty_free(void *block) {
  if (block)
    fault__hold(-1);
  free(block);
}

void *faulty_mmap64(void *address, size_t bytes, int protection, int flags, int descriptor, off_t offset) {
  if (fault__fails(FAULT_MAP))
    return MAP_FAILED;
  void *mapped = mmap(address, bytes, protection, flags, descriptor, offset);
  return mapped == MAP_FAILED ? mapped : fault__taken(mapped);
}

int faulty_munmap(void *address, size_t bytes) {
  fault__hold(-1);
  return munmap(address, bytes);
}

int faulty_mprotect(void *address, size_t bytes, int protection) {
  return fault__fails(FAULT_MAP) ? -1 : mprotect(address, bytes, protection);
}

int faulty_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
  return fault__fails(FAULT_THREAD) ? errno : pthread_create(thread, attributes, run, argument);
}

/* ---- Waiting ---- */

int faulty_eventfd(unsigned value, int flags) {
  return fault__fails(FAULT_EVENT) ? -1 : eventfd(value, flags);
}

int faulty_timerfd_create(int clock, int flags) {
  return fault__fails(FAULT_EVENT) ? -1 : timerfd_create(clock, flags);
}

int faulty_timerfd_settime(int timer, int flags, const struct itimerspec *in, struct itimerspec *before) {
  return fault__fails(FAULT_EVENT) ? -1 : timerfd_settime(timer, flags, in, before);
}

int faulty_epoll_create1(int flags) {
  return fault__fails(FAULT_SET) ? -1 : epoll_create1(flags);
}

int faulty_epoll_ctl(int set, int action, int descriptor, struct epoll_event *event) {
  return action != EPOLL_CTL_DEL && fault__fails(FAULT_WATCH) ? -1 : epoll_ctl(set, action, descriptor, event);
}

int faulty_epoll_wait(int set, struct epoll_event *events, int max, int timeout_ms) {
  return fault__fails(FAULT_WAIT) ? -1 : epoll_wait(set, events, max, timeout_ms);
}

int faulty_epoll_pwait2(int set, struct epoll_event *events, int max, const struct timespec *timeout, const sigset_t *mask) {
  return fault__fails(FAULT_WAIT) ? -1 : epoll_pwait2(set, events, max, timeout, mask);
}

int faulty_ppoll(struct pollfd *asked, nfds_t count, const struct timespec *timeout, const sigset_t *mask) {
  return fault__fails(FAULT_WAIT) ? -1 : ppoll(asked, count, timeout, mask);
}

/* ---- Opening ---- */

int faulty_socket(int family, int type, int protocol) {
  return fault__fails(FAULT_SOCKET) ? -1 : socket(family, type, protocol);
}

int faulty_socketpair(int family, int type, int protocol, int ends[2]) {
  return fault__fails(FAULT_SOCKET) ? -1 : socketpair(family, type, protocol, ends);
}

int faulty_bind(int descriptor, const struct sockaddr *address, socklen_t length) {
  return fault__fails(FAULT_BIND) ? -1 : bind(descriptor, address, length);
}

int faulty_listen(int descriptor, int backlog) {
  return fault__fails(FAULT_LISTEN) ? -1 : listen(descriptor, backlog);
}

int faulty_getsockname(int descriptor, struct sockaddr *address, socklen_t *length) {
  return fault__fails(FAULT_NAME) ? -1 : getsockname(descriptor, address, length);
}

int faulty_getpeername(int descriptor, struct sockaddr *address, socklen_t *length) {
  return fault__fails(FAULT_NAME) ? -1 : getpeername(descriptor, address, length);
}

int faulty_getsockopt(int descriptor, int level, int name, void *value, socklen_t *length) {
  return fault__fails(FAULT_OPTION) ? -1 : getsockopt(descriptor, level, name, value, length);
}

int faulty_setsockopt(int descriptor, int level, int name, const void *value, socklen_t length) {
  return fault__fails(FAULT_OPTION) ? -1 : setsockopt(descriptor, level, name, value, length);
}

int faulty_open64(const char *path, int flags, mode_t mode) {
  return fault__fails(FAULT_OPEN) ? -1 : open(path, flags, mode);
}

int faulty_fstat64(int descriptor, struct stat *about) {
  return fault__fails(FAULT_STAT) ? -1 : fstat(descriptor, about);
}

int faulty_stat64(const char *path, struct stat *about) {
  return fault__fails(FAULT_STAT) ? -1 : stat(path, about);
}

int faulty_ftruncate64(int descriptor, off_t bytes) {
  return fault__fails(FAULT_RESIZE) ? -1 : ftruncate(descriptor, bytes);
}

int faulty_fsync(int descriptor) {
  return fault__fails(FAULT_FLUSH) ? -1 : fsync(descriptor);
}

int faulty_dup(int descriptor) {
  return fault__fails(FAULT_DUPLICATE) ? -1 : dup(descriptor);
}

int faulty_dup3(int from, int to, int flags) {
  return fault__fails(FAULT_DUPLICATE) ? -1 : dup3(from, to, flags);
}

int faulty_ioctl(int descriptor, unsigned long code, void *argument) {
  return fault__fails(FAULT_CONTROL) ? -1 : ioctl(descriptor, code, argument);
}

int faulty_shutdown(int descriptor, int how) {
  return fault__fails(FAULT_SHUTDOWN) ? -1 : shutdown(descriptor, how);
}

int faulty_accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags) {
  return fault__fails(FAULT_ACCEPT) ? -1 : accept4(descriptor, address, length, flags);
}

int faulty_connect(int descriptor, const struct sockaddr *address, socklen_t length) {
  return fault__fails(FAULT_CONNECT) ? -1 : connect(descriptor, address, length);
}
