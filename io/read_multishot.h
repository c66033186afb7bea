/* Operations that keep reading, for those who admit operations. */
#ifndef PIER_READ_MULTISHOT_H
#define PIER_READ_MULTISHOT_H

struct op;

/* PIER_OK, or what it is refused with on its handle, of which all is known. */
int read_multishot__admit(struct op *op);

#endif
