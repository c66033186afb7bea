/* Pieces: a large or vectored operation is several system calls, one after the other. */
#ifndef PIER_PIECE_H
#define PIER_PIECE_H

#include "poller.h"

/* Takes in what one call did. True if there is another to make. */
bool piece__take_in(struct op *op, const struct piece *piece);

#endif
