/* Pieces: a large or vectored operation is several system calls, one after the other. */
#ifndef PIER_PIECE_H
#define PIER_PIECE_H

#include "poller.h"

bool piece__take_in_part(struct op *op, const struct piece *piece);
/* Takes in what one call did. True if there is another to make. */
static inline bool piece__take_in(struct op *op, const struct piece *piece) {
  struct op_data *data = &op->as.data;
  bool plain = (op->slot.kind == OP_READ || op->slot.kind == OP_WRITE) && data->count == 1 && data->part == 0 && !piece->code;
  if (!plain || !piece->bytes || piece->bytes != data->parts->length - data->part_done)
    return piece__take_in_part(op, piece);
  /* The usual case: one part, and all of it was moved. */
  op->ready.code = 0;
  op->bytes += piece->bytes;
  data->part = 1;
  data->part_done = 0;
  return false;
}

#endif
