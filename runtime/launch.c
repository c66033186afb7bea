/* From a call of the user's to an operation in flight. */
#include "loop.h"

HOT struct op *loop__begin(pier_handle id, enum op_code code, pier_callback callback, void *context, pier_operation *operation) {
  *operation = 0;
  struct poller *poller = poller__of(id, ID_HANDLE);
  struct op *op = poller ? op__acquire(poller, code, callback, context) : NULL;
  if (!op)
    return NULL;
  struct handle *handle = NULL;
  int status = handle__enter(poller, id, &handle);
  if (status == PIER_OK) {
    op__bind(op, handle);
    return op;
  }
  *operation = op__id(poller, op);
  op__refuse(poller, op, id, status);
  return NULL;
}

pier_operation loop__refuse(struct op *op, int status) {
  pier_operation id = op__id(op->handle->poller, op);
  op__refuse_bound(op, status);
  return id;
}

pier_operation loop__launch(pier_loop *loop, struct op *op, uint64_t deadline_ns) {
  pier_operation id = op__id(&loop->poller, op);
  if (op__end_at_once(op))
    return id; /* no deadline comes before that */
  if (deadline_ns == PIER_NO_DEADLINE && op__launch_away(op))
    return id;
  op__publish(op);
  if (deadline_ns != PIER_NO_DEADLINE) {
    /* Before the launch: afterwards the operation may be over already. If its time comes before the system call has gone
       pending, the mark of the cancel is found then. */
    op__mark(op, OP_HAS_DEADLINE);
    if (!timers__add_deadline(&loop->timers, deadline_ns, id)) {
      op->slot.detail = (uint16_t)(op->slot.detail & ~OP_HAS_DEADLINE); /* nothing to be forgotten */
      op__refuse_published(op, PIER_ENOMEM);
      return id;
    }
  }
  op__launch(op);
  return id;
}
