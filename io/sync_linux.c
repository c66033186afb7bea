#include "sync_linux.h"
#include "socket.h"
#include "system.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>

static enum sync_kind sync__socket_kind(int descriptor) {
  int domain = 0;
  socklen_t length = sizeof domain;
  switch (socket__type(descriptor)) {
  case SOCK_SEQPACKET:
    return SYNC_MESSAGE;
  case SOCK_DGRAM:
    return SYNC_DATAGRAM;
  default:
    return getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX ? SYNC_LOCAL : SYNC_STREAM;
  }
}

int sync__begin(pier_native native, uint64_t timeout_ns, struct sync_call *call) {
  struct stat about;
  if (native > INT32_MAX || fstat((int)native, &about))
    return PIER_EBADF;
  *call = (struct sync_call){.descriptor = (int)native, .kind = SYNC_OTHER, .patient = timeout_ns == PIER_NO_TIMEOUT, .until_ns = UINT64_MAX};
  if (S_ISREG(about.st_mode) || S_ISBLK(about.st_mode) || S_ISDIR(about.st_mode))
    call->kind = SYNC_FILE;
  else if (S_ISSOCK(about.st_mode))
    call->kind = sync__socket_kind(call->descriptor);
  if (!call->patient) {
    uint64_t now_ns = clock__now_ns();
    if (timeout_ns < UINT64_MAX - now_ns)
      call->until_ns = now_ns + timeout_ns;
  }
  return PIER_OK;
}

int sync__await(const struct sync_call *call, enum sync_way way) {
  struct pollfd asked = {.fd = call->descriptor, .events = way == SYNC_READ ? POLLIN : POLLOUT};
  for (;;) {
    struct timespec left = {0, 0};
    if (call->until_ns != UINT64_MAX) {
      uint64_t now_ns = clock__now_ns();
      uint64_t left_ns = now_ns < call->until_ns ? call->until_ns - now_ns : 0;
      left = (struct timespec){.tv_sec = (time_t)(left_ns / 1000000000), .tv_nsec = (long)(left_ns % 1000000000)};
    }
    int ready = ppoll(&asked, 1, call->until_ns == UINT64_MAX ? NULL : &left, NULL);
    if (ready > 0)
      return PIER_OK;
    if (ready == 0 && clock__now_ns() >= call->until_ns)
      return PIER_ETIMEDOUT;
    if (ready < 0 && errno != EINTR)
      return socket__last();
  }
}

int sync__result(pier_sync_result *result, int status, uint32_t system_code, size_t bytes, bool end) {
  if (result) {
    result->status = status;
    result->system_code = status == PIER_OK ? 0 : system_code;
    result->bytes = bytes;
    result->end = end;
  }
  return status;
}
