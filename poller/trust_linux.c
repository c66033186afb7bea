#include "trust.h"
#include "call_linux.h"
#include "hook.h"
#include "port.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* So many reads with recvmsg() that show nothing, and it is believed again. What a tick finds may also have come just now. */
#define TRUST_WARY_READS 32u

/* In handle->write_hint. What is above counts the reads that are still to be made with recvmsg(). */
enum { TRUST_FREE = 0, TRUST_NOTED = 1 };

static unsigned trust__of(struct handle *handle) { return atomic_load_explicit(&handle->write_hint, memory_order_relaxed); }
static void trust__set(struct handle *handle, unsigned value) { atomic_store_explicit(&handle->write_hint, (uint8_t)value, memory_order_relaxed); }

static bool trust__is_local(const struct handle *handle) {
  return handle->slot.kind == PIER_KIND_PIPE && (handle->slot.flags & HANDLE_SOCKET);
}

void trust__open(struct trust *trust) { mutex__init(&trust->lock); }
void trust__close(struct trust *trust) { mutex__destroy(&trust->lock); }

static COLD ssize_t trust__receive_warily(struct handle *handle, void *buffer, size_t room_bytes, int *flags) {
  struct iovec part = {buffer, room_bytes};
  struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
  unsigned wary = trust__of(handle);
  ssize_t received = recvmsg((int)handle->native, &header, MSG_DONTWAIT);
  *flags = header.msg_flags;
  if (*flags & MSG_CTRUNC)
    trust__set(handle, TRUST_NOTED + TRUST_WARY_READS);
  else if (received > 0)
    trust__set(handle, wary - 1 > TRUST_NOTED ? wary - 1 : TRUST_FREE);
  return received;
}

HOT ssize_t trust__receive(struct handle *handle, void *buffer, size_t room_bytes, int *flags) {
  if (trust__of(handle) <= TRUST_NOTED)
    return call__recv((int)handle->native, buffer, room_bytes, MSG_DONTWAIT);
  return trust__receive_warily(handle, buffer, room_bytes, flags);
}

static bool trust__is_empty(const struct handle *handle) {
  int held_bytes = 0;
  poller__count(handle->poller, COUNTER_SYSTEM_CALLS, 1);
  return ioctl((int)handle->native, FIONREAD, &held_bytes) == 0 && held_bytes == 0;
}

/* False: nobody would ask it. */
static bool trust__note(struct handle *handle) {
  struct poller *poller = handle->poller;
  struct trust *trust = &port_common__of(poller)->trust;
  mutex__lock(&trust->lock);
  bool noted = trust->count < TRUST_MAX && !HOOK_REFUSES_NOTING(handle);
  if (noted && !trust->armed)
    noted = trust->armed = poller->backend->arm(poller);
  if (noted) {
    trust->noted[trust->count++] = handle__id(handle);
    trust__set(handle, TRUST_NOTED);
  }
  mutex__unlock(&trust->lock);
  return noted;
}

bool trust__believes(struct handle *handle) {
  return !trust__is_local(handle) || trust__of(handle) != TRUST_FREE || trust__note(handle) || trust__is_empty(handle);
}

bool trust__is_behind(struct handle *handle) {
  if (trust__is_empty(handle))
    return false;
  trust__set(handle, TRUST_NOTED + TRUST_WARY_READS);
  return true;
}

void trust__tick(struct poller *poller) {
  struct trust *trust = &port_common__of(poller)->trust;
  pier_handle noted[TRUST_MAX];
  mutex__lock(&trust->lock);
  uint32_t count = trust->count;
  memcpy(noted, trust->noted, count * sizeof noted[0]);
  trust->count = 0;
  trust->armed = false;
  mutex__unlock(&trust->lock);
  for (uint32_t i = 0; i < count; i++) {
    struct handle *handle = handle__find(poller, noted[i]);
    if (!handle)
      continue;
    trust__set(handle, TRUST_FREE); /* before it is asked: a read that is made meanwhile notes it again */
    poller->backend->look(poller, noted[i]);
  }
}
