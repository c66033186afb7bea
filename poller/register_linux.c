/* What a descriptor that the user opened is, and how it stands. */
#include "message.h"
#include "port.h"
#include "socket.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

static pier_kind register__socket_kind(int descriptor) {
  int listens = 0, domain = 0;
  socklen_t length = sizeof listens;
  switch (socket__type(descriptor)) {
  case SOCK_DGRAM:
    return PIER_KIND_UDP;
  case SOCK_SEQPACKET:
    return PIER_KIND_MESSAGE_PIPE;
  case SOCK_STREAM:
    break;
  default:
    return PIER_KIND_UNKNOWN;
  }
  if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens)
    return PIER_KIND_TCP_LISTENER;
  length = sizeof domain;
  bool is_local = getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX;
  return is_local ? PIER_KIND_PIPE : PIER_KIND_TCP;
}

/* A registered one may hold anything; what has no readiness is served by worker threads. */
static bool register__has_readiness(int descriptor) {
  struct epoll_event none = {0};
  int probe = epoll_create1(EPOLL_CLOEXEC);
  bool has = probe < 0 || epoll_ctl(probe, EPOLL_CTL_ADD, descriptor, &none) == 0 || errno != EPERM;
  if (probe >= 0)
    close(probe);
  return has;
}

static pier_kind register__kind(int descriptor, mode_t mode) {
  if (S_ISSOCK(mode))
    return register__socket_kind(descriptor);
  if (S_ISFIFO(mode))
    return PIER_KIND_PIPE;
  if (S_ISREG(mode) || S_ISBLK(mode))
    return PIER_KIND_FILE;
  if (S_ISCHR(mode) || !(mode & S_IFMT)) /* eventfd and its like have no type */
    return PIER_KIND_CONSOLE;
  return PIER_KIND_UNKNOWN;
}

/* No handle has a gate. */
void port__hold_back(struct op *op) { CHECK(!op__is_gated(op)); }
bool port__know(struct handle *handle) {
  (void)handle;
  return true;
}

int port__examine(struct handle *handle, const pier_register_options *options, handle_admit admit) {
  struct stat about;
  int descriptor = (int)handle->native;
  (void)admit; /* asking never waits here */
  if (handle->native > INT32_MAX || fstat(descriptor, &about))
    return PIER_EINVAL;
  pier_kind found = register__kind(descriptor, about.st_mode);
  if (found == PIER_KIND_UNKNOWN)
    return PIER_EINVAL;
  handle->slot.kind = (uint8_t)(options->kind == PIER_KIND_UNKNOWN ? found : options->kind);
  if (S_ISSOCK(about.st_mode)) {
    handle->slot.flags |= HANDLE_SOCKET;
    handle->slot.detail = socket__family_of(descriptor);
  }
  if (handle->slot.kind == PIER_KIND_MESSAGE_PIPE)
    message__prepare(descriptor);
  if (handle->slot.kind == PIER_KIND_TCP || handle->slot.kind == PIER_KIND_PIPE || handle->slot.kind == PIER_KIND_UDP)
    handle->slot.flags |= HANDLE_ORDERED;
  pier_state state = options->association == PIER_ASSOCIATE_NEVER ? PIER_STATE_KEPT : PIER_STATE_FRESH;
  if (handle->poller->backend->blocking_files && !register__has_readiness(descriptor))
    state = PIER_STATE_BLOCKING;
  atomic_store(&handle->state, (uint32_t)state);
  return PIER_OK;
}
