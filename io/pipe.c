#include "pier_pipe.h"
#include "loop.h"
#include "pipe_name.h"

#define PIPE_BUFFER_BYTES 65536u
#define PIPE_INSTANCES_MAX 254u
#define PIPE_INSTANCES_UNLIMITED 255u

static int pipe__options(const pier_pipe_options *given, struct pipe_name_options *options) {
  static const pier_pipe_options usual = {0};
  if (!given)
    given = &usual;
  if (given->instances_max > PIPE_INSTANCES_MAX || given->buffer_bytes > OP_PIECE_BYTES_MAX)
    return PIER_EINVAL;
  options->message = given->message;
  options->instances_max = given->instances_max ? given->instances_max : PIPE_INSTANCES_UNLIMITED;
  options->buffer_bytes = given->buffer_bytes ? given->buffer_bytes : PIPE_BUFFER_BYTES;
  return PIER_OK;
}

int pier_pipe_listen(pier_loop *loop, const char *name, const pier_pipe_options *given, pier_handle *listener) {
  struct pipe_name_options options;
  if (listener)
    *listener = 0;
  if (!loop || !name || !listener || pipe__options(given, &options) != PIER_OK)
    return PIER_EINVAL;
  return port__listen_pipe(loop__poller(loop), name, &options, listener);
}

pier_operation pier_pipe_accept(pier_handle listener, uint64_t deadline_ns, pier_callback callback, void *context) {
  pier_operation operation;
  struct op *op = loop__begin(listener, OP_PIPE_ACCEPT, callback, context, &operation);
  if (!op)
    return operation;
  op->as.pipe_accept.instance = NULL;
  if (op->handle->slot.kind != PIER_KIND_PIPE_LISTENER)
    return loop__refuse(op, PIER_EBADF);
  return loop__launch(op->handle->poller->loop, op, deadline_ns);
}

/* On a worker: tries, and while all instances are taken waits for one, a while at a time, so that a cancelled connect does not hold
   the worker for ever. */
static int pipe__connect_work(struct op *op) {
  const char *name = (const char *)op->as.work.argument[0];
  bool message = op->as.work.argument[1];
  uint64_t deadline_ns = (uint64_t)op->as.work.argument[2];
  for (;;) {
    int status = port__connect_pipe(op->as.work.poller, name, message, &op->as.work.opened);
    if (status != PIER_EBUSY)
      return status;
    uint64_t now_ns = pier_now_ns();
    if (deadline_ns != PIER_NO_DEADLINE && now_ns >= deadline_ns)
      return PIER_ETIMEDOUT;
    status = op__asked_to_end(op);
    if (status != PIER_OK)
      return status;
    status = port__await_pipe(name, deadline_ns == PIER_NO_DEADLINE ? PIER_NO_TIMEOUT : deadline_ns - now_ns);
    if (status != PIER_OK && status != PIER_ETIMEDOUT)
      return status;
  }
}

pier_operation pier_pipe_connect(pier_loop *loop, const char *name, const pier_pipe_options *given, uint64_t deadline_ns, pier_callback callback,
                                 void *context) {
  if (!loop)
    return 0;
  struct work_plan plan = {.run = pipe__connect_work,
                           .yields = true,
                           .argument = {(uintptr_t)name, given && given->message, (uintptr_t)deadline_ns}};
  return work__start(loop, &plan, deadline_ns, callback, context);
}

int pier_pipe_pair(pier_loop *loop, const pier_pipe_options *given, pier_handle ends[2]) {
  struct pipe_name_options options;
  if (!loop || !ends || pipe__options(given, &options) != PIER_OK)
    return PIER_EINVAL;
  ends[0] = ends[1] = 0;
  return port__pair_pipe(loop__poller(loop), &options, ends);
}
