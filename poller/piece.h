/* Pieces: a large or vectored operation is several system calls, one after the other. */
#ifndef PIER_PIECE_H
#define PIER_PIECE_H

#include "poller.h"

/* All of an operation with one part was moved, or what was left of it. */
static inline void piece__take_in_all(struct op *op, size_t bytes) {
  op->ready.code = 0;
  op->bytes += bytes;
  op->as.data.part = 1;
  op->as.data.part_done = 0;
}

bool piece__take_in_part(struct op *op, const struct piece *piece);
/* Takes in what one call did. True if there is another to make. */
static inline bool piece__take_in(struct op *op, const struct piece *piece) {
  const struct op_data *data = &op->as.data;
  bool plain = (op->slot.kind == OP_READ || op->slot.kind == OP_WRITE) && data->count == 1 && data->part == 0 && !piece->code;
  if (!plain || !piece->bytes || piece->bytes != data->parts->length - data->part_done)
    return piece__take_in_part(op, piece);
  piece__take_in_all(op, piece->bytes); /* the usual case */
  return false;
}

/* There is another call to make: unless somebody asked for the end, or the handle closes. */
bool piece__may_go_on(struct op *op);

/* For a system that keeps an operation from one call to the next: takes in what one call did. True if there is another to make;
   false: the operation is settled (OP_SETTLED), and op__complete() or PORT_DONE ends it. */
static inline bool op__progress(struct op *op, const struct piece *piece) {
  if (piece__take_in(op, piece) && piece__may_go_on(op))
    return true;
  op__mark(op, OP_SETTLED);
  return false;
}

#endif
