#include "multishot.h"
#include <stdlib.h>


HOT void multishot__due(struct op *op) {
  struct poller *poller = op->handle->poller;
  struct handle *handle = op->handle;
  uint64_t word = atomic_load_explicit(&op->slot.word, memory_order_acquire);
  op__mark(op, OP_DUE);
  while (!(word & OP_STARTED)) {
    if (atomic_compare_exchange_weak_explicit(&op->slot.word, &word, word | OP_DUE_EARLY, memory_order_acq_rel, memory_order_acquire))
      return;
  }
  poller__deliver(poller, handle, &op->ready);
}

/* Of nothing: an empty datagram, or what Windows has for a write of nothing to a pipe; the end of that has a code. */
bool multishot__is_chunk(const struct op *op, uint32_t code, uint32_t bytes) {
  pier_kind kind = (pier_kind)op->handle->slot.kind;
  return op__is_multishot(op) && !code && (bytes || kind == PIER_KIND_UDP || kind == PIER_KIND_PIPE);
}

bool multishot__lend(struct op *op) {
  struct op_data *data = &op->as.data;
  if (data->one.base)
    return true;
  data->one.length = op->handle->slot.kind == PIER_KIND_UDP ? MULTISHOT_BYTES : LENT_STREAM_BYTES;
  data->one.base = malloc(data->one.length);
  if (data->one.base)
    op__mark(op, OP_GATHERED); /* it goes with the operation */
  return data->one.base != NULL;
}

enum receive multishot__received(struct op *op, struct chunk *chunk) {
  chunk->data = op->as.data.one.base;
  chunk->bytes = op->bytes;
  return RECEIVE_CHUNK;
}

void multishot__grow(struct op *op) {
  struct op_data *data = &op->as.data;
  void *larger = data->one.length < MULTISHOT_BYTES ? malloc(MULTISHOT_BYTES) : NULL;
  if (!larger)
    return;
  free(data->one.base);
  data->one = (pier_buffer){larger, MULTISHOT_BYTES};
}

void multishot__start_again(struct op *op) {
  op->bytes = 0;
  if (op__asked_to_end(op) != PIER_OK || handle__is_closing(op->handle))
    op__settle(op, port__cancelled(), 0);
  else
    op__launch_again(op);
}
