/* What the callback of an operation is told, and what becomes of that which the operation had. */
#include "poller.h"
#include <stdlib.h>

static int op__status(const struct op *op, uint64_t word) {
  if (op__is(op, OP_REFUSED))
    return -(int)op->ready.code;
  if (op->slot.kind == OP_WORK && !op->ready.code)
    return op->as.work.status;
  if (!op->ready.code)
    return PIER_OK;
  if (op->handle && handle__is_closing(op->handle))
    return PIER_ECLOSED;
  if (port__is_cancelled(op->ready.code))
    return word & OP_TIMED_OUT ? PIER_ETIMEDOUT : PIER_ECANCELED;
  return pier_error_from_system(op->ready.code);
}

/* The whole length was taken at the submit. What was not moved is given back, unless somebody has gone on from there. */
static void op__give_back(struct op *op) {
  const struct op_data *data = &op->as.data;
  uint64_t end = data->offset;
  for (uint32_t part = 0; part < data->count; part++)
    end += data->parts[part].length;
  if (data->offset + op->bytes != end)
    atomic_compare_exchange_strong(&op->handle->position, &end, data->offset + op->bytes);
}

static void op__finish_transfer(struct op *op, pier_result *result) {
  if (op__is(op, OP_ADDRESSED) && op->slot.kind == OP_READ && !op__is_multishot(op)) /* its last callback is about no datagram */
    port__sender(op, &result->from);
  if (op__is(op, OP_SEQUENTIAL))
    op__give_back(op);
  if (op__is(op, OP_GATHERED))
    free(op->as.data.one.base);
  op__uncount(op);
}

static void op__finish(struct op *op, pier_result *result) {
  switch ((enum op_code)op->slot.kind) {
  case OP_ACCEPT:
  case OP_CONNECT:
  case OP_PIPE_ACCEPT:
  case OP_OPEN:
    if (result->status == PIER_OK)
      result->status = port__opened(op, &result->opened);
    else
      port__abandon(op);
    break;
  case OP_LOAD:
    port__abandon(op);
    break;
  case OP_WORK:
    if (!op__is(op, OP_REFUSED))
      result->opened = op->as.work.opened;
    break;
  case OP_READ:
  case OP_WRITE:
  case OP_SHUTDOWN:
  case OP_IOCTL:
  case OP_FOREIGN:
    break; /* nothing of theirs is left */
  }
}

void op__result(struct poller *poller, struct op *op, pier_result *result) {
  uint64_t word = atomic_load_explicit(&op->slot.word, memory_order_acquire);
  bool refused = op__is(op, OP_REFUSED);
  poller__begin_result(poller, result, op->context);
  result->operation = op__id(poller, op);
  result->status = op__status(op, word);
  result->system_code = refused ? 0 : op->ready.code;
  result->bytes = op->bytes;
  result->end = op__is(op, OP_END);
  if (op->handle && op->slot.kind != OP_CONNECT && op->slot.kind != OP_OPEN) /* nobody has seen that one's handle yet */
    result->handle = handle__id(op->handle);
  else if (!op->handle && refused && op->slot.kind != OP_WORK && op->slot.kind != OP_LOAD)
    result->handle = op->as.refused;
  if (refused && !op->handle && op->slot.kind != OP_LOAD)
    return; /* it never had anything */
  if (op->slot.kind > OP_WRITE)
    op__finish(op, result);
  else if (op__is(op, OP_SEQUENTIAL | OP_GATHERED | OP_COUNTED | OP_ADDRESSED)) /* a file's, placed by the caller, has none of these */
    op__finish_transfer(op, result);
}
