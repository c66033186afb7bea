#include "piece.h"

struct op_piece op__piece_of_parts(const struct op *op) {
  const struct op_data *data = &op->as.data;
  struct op_piece piece = {NULL, 0, data->offset + op->bytes};
  size_t done = data->part_done;
  for (uint32_t part = data->part; part < data->count && !piece.bytes; part++, done = 0) {
    size_t left = data->parts[part].length - done;
    piece.base = data->parts[part].base;
    if (done)
      piece.base += done;
    piece.bytes = left < OP_PIECE_BYTES_MAX ? (uint32_t)left : OP_PIECE_BYTES_MAX;
  }
  return piece;
}

/* Moves on by what one call has done. */
static void piece__advance(struct op *op, uint32_t bytes) {
  struct op_data *data = &op->as.data;
  size_t left = bytes;
  op->bytes += bytes;
  while (data->part < data->count && left >= data->parts[data->part].length - data->part_done) {
    left -= data->parts[data->part].length - data->part_done;
    data->part++;
    data->part_done = 0;
  }
  data->part_done += left;
}

/* Whether a call that succeeded with so many bytes leaves something to ask for. */
static bool piece__goes_on(const struct op *op, uint32_t bytes) {
  const struct op_data *data = &op->as.data;
  if (data->part == data->count || bytes == 0)
    return false;
  if (op->slot.kind == OP_WRITE)
    return true; /* all of it, or an error */
  /* A stream gives what is there. A file goes on until a read was short. */
  return op->handle->slot.kind == PIER_KIND_FILE && (data->part_done == 0 || bytes == OP_PIECE_BYTES_MAX);
}

/* Of one part some was moved; more of it than there is was never asked for, and all of it is the header's case. */
static bool piece__is_plain(const struct op *op, const struct piece *piece) {
  return op->as.data.count == 1 && op->as.data.part == 0 && !piece->code && piece->bytes;
}

/* Takes in what the system said of one call to read or write. True if there is another to make. */
static bool piece__transfer(struct op *op, const struct piece *piece) {
  struct op_piece asked = op__piece(op);
  bool reads = op->slot.kind == OP_READ;
  op->ready.code = piece->code;
  piece__advance(op, piece->bytes);
  if (!piece->code) {
    /* To ask again would go on for ever, and to call it a success would lose what was not written. */
    if (!reads && asked.bytes && !piece->bytes)
      op->ready.code = port__write_fault();
    if (reads && asked.bytes && !piece->bytes && op->handle->slot.kind == PIER_KIND_TCP)
      op__mark(op, OP_END);
    return piece__goes_on(op, piece->bytes);
  }
  if (reads && port__is_end(piece->code)) {
    op->ready.code = 0;
    op__mark(op, OP_END);
    return false;
  }
  if (reads && port__is_cut(piece->code)) {
    if (!asked.bytes)
      op->ready.code = 0; /* a read of nothing that found a message: nothing was cut */
    /* The message goes on in the next part. Without a byte of it, it is no message, but what a router says of one that was sent. */
    return piece->bytes && op->as.data.part < op->as.data.count;
  }
  return false;
}

/* The system cancels what a thread started and left behind when it ends, where no port is in the way. Nobody here asked for it. */
static bool op__was_orphaned(const struct op *op, const struct piece *piece) {
  if (!piece->code)
    return false;
  uint64_t word = atomic_load_explicit(&((struct op *)op)->slot.word, memory_order_acquire);
  return !piece->bytes && port__is_cancelled(piece->code) && !(word & OP_CANCEL) && !handle__is_closing(op->handle);
}

/* The same for every operation. */
bool piece__take_in_part(struct op *op, const struct piece *piece) {
  bool transfers = op->slot.kind == OP_READ || op->slot.kind == OP_WRITE;
  if (transfers && piece__is_plain(op, piece)) {
    op->ready.code = 0;
    op->bytes += piece->bytes;
    op->as.data.part_done += piece->bytes;
    return piece__goes_on(op, piece->bytes);
  }
  if (op__was_orphaned(op, piece))
    return true;
  if (transfers)
    return piece__transfer(op, piece);
  op->ready.code = piece->code;
  op->bytes += piece->bytes;
  return op->slot.kind == OP_ACCEPT && piece->code && port__peer_went_away(piece->code);
}

bool piece__may_go_on(struct op *op) {
  if (op__asked_to_end(op) == PIER_OK && !handle__is_closing(op->handle))
    return true;
  op->ready.code = port__cancelled(); /* what is left undone was not a success */
  return false;
}
