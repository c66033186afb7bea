/* The seam on Linux: what both backends answer alike, and the way to the one that the loop has. */
#include "at_once.h"
#include "load.h"
#include "opening.h"
#include "port.h"
#include "transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct port_backend *const backends[] = {&uring_backend, &epoll_backend}; /* the best first */

int port__open(struct poller *poller, const struct poller_limits *limits) {
  const char *wanted = getenv("PIER_BACKEND");
  int status = PIER_EINVAL; /* of a name that no backend has */
  if (limits->use_port)
    return PIER_ENOTSUP; /* a host watches the loop's descriptor instead */
  for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
    if (wanted && *wanted && strcmp(wanted, backends[i]->name) != 0)
      continue;
    poller->backend = backends[i];
    status = poller->backend->open(poller, limits->threads);
    /* What only one of them lacks is no reason to fail. */
    if (status == PIER_OK || (status != PIER_ENOTSUP && status != PIER_EPERM && status != PIER_EACCES && status != PIER_ENOMEM))
      return status;
  }
  return status;
}

void port__close(struct poller *poller) { poller->backend->close(poller); }

int port__associate(struct handle *handle) { return handle->poller->backend->associate(handle); }
int port__reassociate(struct handle *handle) { return port__associate(handle); }

int port__disassociate(struct handle *handle) {
  handle->poller->backend->disassociate(handle);
  return PIER_OK;
}

bool port__has_handleless(struct poller *poller) { return poller->backend->has_loads && poller->backend->has_loads(poller); }

void port__prepare(struct op *op) { memset(op->system, 0, sizeof op->system); }

static bool port__is_with_workers(const struct op *op) {
  const struct handle *handle = op->handle;
  return op->slot.kind == OP_IOCTL ||
         atomic_load_explicit(&((struct handle *)handle)->state, memory_order_acquire) == PIER_STATE_BLOCKING;
}

static void port__note_ioctl(struct handle *handle) {
  struct mutex *lock = port_common__lock(handle);
  mutex__lock(lock);
  handle->watch |= PORT_HAS_IOCTLS;
  mutex__unlock(lock);
}

enum port_start port__submit(struct op *op, struct piece *piece) {
  struct poller *poller = op__poller(op);
  switch ((enum op_code)op->slot.kind) {
  case OP_SHUTDOWN:
    transfer__try(op, piece);
    return PORT_DONE;
  case OP_IOCTL:
    /* Some of them take long, and nothing says which. */
    port__note_ioctl(op->handle);
    poller->offload(poller, op);
    return PORT_PENDING;
  case OP_PIPE_ACCEPT:
    op->as.pipe_accept.socket = PIER_NATIVE_NONE;
    piece->code = (uint32_t)pipe__begin_accept(op);
    if (piece->code)
      return PORT_DONE;
    break;
  case OP_LOAD:
    load__submit(op);
    return PORT_PENDING;
  case OP_READ:
  case OP_WRITE:
  case OP_ACCEPT:
  case OP_CONNECT:
  case OP_OPEN:
  case OP_WORK:
  case OP_FOREIGN:
    break;
  }
  return poller->backend->submit(op, piece);
}

bool port__submit_away(struct op *op) {
  const struct port_backend *backend = op__poller(op)->backend;
  return backend->submit_away && backend->submit_away(op);
}

bool port__at_once(struct op *op) {
  if (op->slot.kind <= OP_WRITE)
    return at_once__move(op);
  return op->slot.kind == OP_LOAD ? load__at_once(op) : op->slot.kind == OP_OPEN && opening__at_once(op);
}

void port__block(struct op *op, struct piece *piece) {
  if (op->slot.kind == OP_OPEN)
    opening__block(op, piece);
  else if (op->slot.kind == OP_LOAD)
    load__block(op, piece);
  else
    transfer__block(op, piece);
}

/* What a worker is in cannot be broken off: a disk answers soon, and the rest has readiness and is not with workers. */
void port__interrupt(struct op *op, struct thread *thread) {
  (void)op;
  (void)thread;
}

void port__cancel(struct op *op) {
  struct poller *poller = op__poller(op);
  if (op->slot.kind == OP_LOAD ? !op->as.load.place : port__is_with_workers(op))
    poller->cancel_work(poller, op);
  else
    poller->backend->cancel(op);
}

bool port__cancel_all(struct handle *handle) {
  if (handle->native == PIER_NATIVE_NONE)
    return true; /* it is being opened, and nobody knows it but who does that */
  if (atomic_load_explicit(&handle->state, memory_order_acquire) == PIER_STATE_BLOCKING)
    return false;
  return handle->poller->backend->cancel_all(handle);
}

uint64_t port__look_interval_ns(const struct poller *poller) {
  (void)poller;
  return 0; /* a turn's look also hands over what was submitted */
}

static bool port__is_at_rest(const struct handle *handle) {
  return !handle->lanes[0].current && !handle->lanes[0].waiting.first && !handle->lanes[1].current && !handle->lanes[1].waiting.first;
}

/* Under the lanes' lock, if there is anything to do: who looks for an earlier handle of the slot's, of which the system has just said something,
   may be there still. The lanes are not touched: that one left them empty. */
static void port__init_watch(struct handle *handle) {
  struct mutex *lock = port_common__lock(handle);
  CHECK(port__is_at_rest(handle));
  if (!handle->watch)
    return;
  mutex__lock(lock);
  handle->watch = 0;
  mutex__unlock(lock);
}

void port__init_handle(struct handle *handle) {
  port__init_watch(handle);
  handle->watched = (int32_t)handle->native;
  handle->together = handle->place = 0;
  atomic_store_explicit(&handle->hint, 0, memory_order_relaxed);
  atomic_store_explicit(&handle->write_hint, 0, memory_order_relaxed);
}

/* What has to wait here waits in the lanes, with the kernel's party still in it. */
void port__queue(struct op *op) { (void)op; }
void port__called_back(struct op *op) { (void)op; }

size_t port__wait(struct poller *poller, pier_packet *packets, size_t max, uint64_t timeout_ns) {
  return poller->backend->wait(poller, packets, max, timeout_ns);
}

bool port__post_wake(struct poller *poller) {
  poller->backend->wake(poller);
  return true;
}

bool port__post_settled(struct op *op) {
  op->handle->poller->backend->post(op);
  return true;
}

/* The backends know theirs. */
bool port__take(struct poller *poller, const pier_packet *packet) {
  (void)poller;
  (void)packet;
  return false;
}

bool port__is_wake(const struct poller *poller, const pier_packet *packet) {
  (void)poller;
  (void)packet;
  return false;
}

void port__flush(struct poller *poller) { poller->backend->flush(poller); }
void port__hurry(struct poller *poller, uint32_t seat) { poller->backend->hurry(poller, seat); }
bool port__nudge(struct poller *poller, uint32_t seat) { return poller->backend->nudge(poller, seat); }
bool port__watch(struct poller *poller, uint32_t own_seat) { return poller->backend->watch(poller, own_seat); }
bool port__lend(struct poller *poller, uint32_t to_seat) { return poller->backend->lend(poller, to_seat); }
void port__take_back(struct poller *poller, uint32_t from_seat) { poller->backend->take_back(poller, from_seat); }
bool port__settle(struct poller *poller) { return poller->backend->settle(poller); }
void port__collect(struct poller *poller) { poller__wait(poller, 0); }
uintptr_t port__native(struct poller *poller) {
  poller->backend->host(poller);
  return poller->port;
}

/* No packet that names an operation by its address ever comes here. */
bool port__is_final(struct op *op) {
  (void)op;
  return false;
}

void port__read_final(struct op *op, struct piece *piece) {
  (void)op;
  *piece = (struct piece){ECANCELED, 0};
}

bool port__is_end(uint32_t code) { return code == TRANSFER_END; }
bool port__is_cut(uint32_t code) { return code == EMSGSIZE; }
bool port__is_cancelled(uint32_t code) { return code == ECANCELED; }
uint32_t port__no_memory(void) { return ENOMEM; }
uint32_t port__write_fault(void) { return EIO; }
uint32_t port__cancelled(void) { return ECANCELED; }
const char *port__name(const struct poller *poller) { return poller->backend->name; }
bool port__peer_went_away(uint32_t code) { return code == ECONNABORTED || code == EPROTO; }

void port__shut(struct handle *handle) {
  if (handle->native == PIER_NATIVE_NONE)
    return;
  handle->poller->backend->forget(handle);
  pipe__shut(handle);
  if (!(handle->slot.flags & HANDLE_BORROWED))
    close((int)handle->native);
}
