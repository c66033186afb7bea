#include "tcp_native.h"
#include "loop.h"

static bool tcp__address_fits(const pier_address *address) {
  return address && (address->family == PIER_IPV4 || address->family == PIER_IPV6);
}

static const pier_tcp_options usual = {0};

int pier_tcp_listen(pier_loop *loop, const pier_address *address, const pier_tcp_options *options, pier_handle *listener) {
  if (listener)
    *listener = 0;
  if (!loop || !listener || !tcp__address_fits(address) || (options && options->backlog < 0))
    return PIER_EINVAL;
  return tcp__listen(loop__poller(loop), address, options ? options : &usual, listener);
}

pier_operation pier_tcp_accept(pier_handle listener, uint64_t deadline_ns, pier_callback callback, void *context) {
  pier_operation operation;
  struct op *op = loop__begin(listener, OP_ACCEPT, callback, context, &operation);
  if (!op)
    return operation;
  op->as.accept.socket = PIER_NATIVE_NONE;
  if (!handle__may_be(op->handle, PIER_KIND_TCP_LISTENER))
    return loop__refuse(op, PIER_EBADF);
  return loop__launch(op->handle->poller->loop, op, deadline_ns);
}

/* A connect that failed before it began: the callback says so, as it would of any other. */
static int tcp__failed_work(struct op *op) { return (int)(intptr_t)op->as.work.argument[0]; }

static pier_operation tcp__fail(pier_loop *loop, int status, pier_callback callback, void *context) {
  struct work_plan plan = {.run = tcp__failed_work, .argument = {(uintptr_t)(intptr_t)status}};
  return work__start(loop, &plan, PIER_NO_DEADLINE, callback, context);
}

pier_operation pier_tcp_connect(pier_loop *loop, const pier_address *address, const pier_tcp_options *options, uint64_t deadline_ns,
                                pier_callback callback, void *context) {
  struct handle *handle = NULL;
  if (!loop)
    return 0;
  int status = PIER_EINVAL;
  if (tcp__address_fits(address) && (!options || !options->local || options->local->family == address->family))
    status = tcp__open(loop__poller(loop), address, options ? options : &usual, &handle);
  if (status != PIER_OK)
    return tcp__fail(loop, status, callback, context);
  pier_operation operation;
  struct op *op = loop__begin(handle__open(handle), OP_CONNECT, callback, context, &operation);
  if (!op) {
    handle__discard(handle); /* for want of a slot */
    return operation;
  }
  op->as.connect.address = *address;
  return loop__launch(loop, op, deadline_ns);
}

pier_operation pier_tcp_shutdown(pier_handle handle, uint64_t deadline_ns, pier_callback callback, void *context) {
  pier_operation operation;
  struct op *op = loop__begin(handle, OP_SHUTDOWN, callback, context, &operation);
  if (!op)
    return operation;
  if (!handle__may_be(op->handle, PIER_KIND_TCP))
    return loop__refuse(op, PIER_EBADF);
  return loop__launch(op->handle->poller->loop, op, deadline_ns);
}

/* ---- Calls on an open handle. It is held while they run. ---- */

static int tcp__enter(pier_handle id, struct handle **handle) {
  struct poller *poller = poller__of(id, ID_HANDLE);
  int status = poller ? handle__enter(poller, id, handle) : PIER_EBADF;
  if (status == PIER_OK)
    port__know(*handle);
  if (status == PIER_OK && (*handle)->slot.kind != PIER_KIND_TCP && (*handle)->slot.kind != PIER_KIND_TCP_LISTENER) {
    handle__leave(*handle);
    status = PIER_EBADF;
  }
  return status;
}

int pier_tcp_set(pier_handle id, pier_tcp_option option, int value) {
  struct handle *handle;
  int status = tcp__enter(id, &handle);
  if (status != PIER_OK)
    return status;
  status = tcp__set(handle, option, value);
  handle__leave(handle);
  return status;
}

int pier_tcp_get(pier_handle id, pier_tcp_option option, int *value) {
  struct handle *handle;
  if (!value)
    return PIER_EINVAL;
  int status = tcp__enter(id, &handle);
  if (status != PIER_OK)
    return status;
  status = tcp__get(handle, option, value);
  handle__leave(handle);
  return status;
}

static int tcp__ask_address(pier_handle id, bool peer, pier_address *address) {
  struct handle *handle;
  if (!address)
    return PIER_EINVAL;
  int status = tcp__enter(id, &handle);
  if (status != PIER_OK)
    return status;
  status = tcp__address(handle, peer, address);
  handle__leave(handle);
  return status;
}

int pier_tcp_local_address(pier_handle handle, pier_address *address) { return tcp__ask_address(handle, false, address); }
int pier_tcp_peer_address(pier_handle handle, pier_address *address) { return tcp__ask_address(handle, true, address); }
