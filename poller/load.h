/* Loading a file: opened, read from its start until the buffer is full or it has ended, and closed, as one operation without a handle. */
#ifndef PIER_LOAD_H
#define PIER_LOAD_H

#include "poller.h"

/* In the submitting thread, as far as that goes without waiting. False: it is to be submitted, with what it has got so far. */
bool load__at_once(struct op *op);
/* Gives it to who may wait. */
void load__submit(struct op *op);
/* The same from the start, with nothing got: what had it could not do it. The caller has the kernel's party. */
void load__start_over(struct op *op);
/* To the end, on a worker. */
void load__block(struct op *op, struct piece *piece);
/* Closes what it may have left open: it has ended, and not always by its own calls. */
void load__abandon(struct op *op);

/* Whether all has come that was asked for. */
static inline bool load__is_full(const struct op *op) { return op->bytes == op->as.load.length_bytes; }

#endif
