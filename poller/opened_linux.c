/* Handles for what Pier itself has opened: accepted, connected, paired. */
#include "load.h"
#include "opening.h"
#include "port.h"
#include "socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

struct handle *port__reserve(struct poller *poller, pier_kind kind, unsigned flags, uint8_t family) {
  struct handle *handle = handle__acquire(poller, kind, PIER_NATIVE_NONE);
  if (!handle)
    return NULL;
  handle->slot.flags = (uint8_t)(HANDLE_OURS | flags);
  handle->slot.detail = family;
  bool blocks = kind == PIER_KIND_FILE && poller->backend->blocking_files;
  atomic_store_explicit(&handle->state, blocks ? PIER_STATE_BLOCKING : PIER_STATE_ASSOCIATED, memory_order_release);
  return handle;
}

int port__adopt(struct poller *poller, int descriptor, pier_kind kind, unsigned flags, uint8_t family, struct handle **adopted) {
  struct handle *handle = port__reserve(poller, kind, flags, family);
  if (!handle) {
    close(descriptor);
    return PIER_ENOMEM;
  }
  handle->native = (uintptr_t)descriptor;
  handle->watched = descriptor;
  if (kind == PIER_KIND_TCP || kind == PIER_KIND_PIPE || kind == PIER_KIND_UDP)
    handle->slot.flags |= HANDLE_ORDERED;
  int status = handle__standing(handle) == PIER_STATE_BLOCKING ? PIER_OK : port__associate(handle);
  if (status != PIER_OK) {
    handle__discard(handle);
    return status;
  }
  *adopted = handle;
  return PIER_OK;
}

/* What the listener's owner chose for its connections is in the listener's marks. */
static void opened__no_delay(int descriptor) {
  int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* a preference; a failure harms nothing */
}

static int opened__by_accept(struct op *op, pier_handle *opened) {
  struct handle *listener = op->handle, *handle = NULL;
  int descriptor = (int)op->as.accept.socket;
  op->as.accept.socket = PIER_NATIVE_NONE;
  int status = port__adopt(listener->poller, descriptor, PIER_KIND_TCP, HANDLE_SOCKET, (uint8_t)listener->slot.detail, &handle);
  if (status != PIER_OK)
    return status;
  /* Of a listener that Pier opened they have it from there (tcp_linux.c). */
  if (!(listener->slot.flags & (HANDLE_DELAYS | HANDLE_OURS)))
    opened__no_delay(descriptor);
  *opened = handle__open(handle);
  return PIER_OK;
}

int port__opened(struct op *op, pier_handle *opened) {
  if (op->slot.kind == OP_PIPE_ACCEPT)
    return pipe__opened(op, opened);
  if (op->slot.kind == OP_ACCEPT)
    return opened__by_accept(op, opened);
  if (op->slot.kind == OP_OPEN) {
    *opened = opening__finish(op);
    return PIER_OK;
  }
  if (!(op->handle->slot.flags & HANDLE_DELAYS))
    opened__no_delay((int)op->handle->native);
  *opened = handle__id(op->handle);
  return PIER_OK;
}

void port__abandon(struct op *op) {
  switch ((enum op_code)op->slot.kind) {
  case OP_ACCEPT:
    if (op->as.accept.socket != PIER_NATIVE_NONE)
      close((int)op->as.accept.socket);
    break;
  case OP_CONNECT:
  case OP_OPEN:
    handle__discard(op->handle);
    break;
  case OP_PIPE_ACCEPT:
    pipe__abandon(op);
    break;
  case OP_LOAD:
    load__abandon(op);
    break;
  default:
    break; /* opens nothing */
  }
}
