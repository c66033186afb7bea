/* What the program and the library in it take and hold of the process's memory, counted at the calls themselves: so what is Pier's is
 * known to the byte. The linker's --wrap brings the calls here (tests/meson.build); what the C library and the system allocate for
 * themselves is not among them. */
#ifndef PIER_TESTS_HELD_H
#define PIER_TESTS_HELD_H

#include <stddef.h>

/* Blocks from malloc() and its like that have not been freed. */
size_t held__heap_bytes(void);

/* Memory behind Pier's slabs. */
size_t held__slab_bytes(void);

/* How often either was asked for, since the program began. */
size_t held__allocations(void);

#endif
