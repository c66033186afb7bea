/* Reading and writing, for those who work in this room. */
#ifndef PIER_IO_INTERNAL_H
#define PIER_IO_INTERNAL_H

struct op;

/* What could not be decided about an operation when it was submitted, because nobody knew yet what its handle is (OP_GATED).
   PIER_OK, or the status that it is refused with. */
int io__admit(struct op *op);

#endif
