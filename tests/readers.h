/* Files that are read with many calls in flight, so that a ring has them in its table; and what tells whether it has. */
#ifndef PIER_TESTS_READERS_H
#define PIER_TESTS_READERS_H

#include "support.h"

enum { READERS_BLOCK = 512, READERS_BLOCKS = 100, READERS_DEPTH = 16 };

typedef struct reader reader;

/* A file of the pattern, opened by Pier, with a lock that ends when nobody has this opening of it any more. */
reader *readers__open(pier_loop *loop);
/* The same, opened by the case and registered. */
reader *readers__register(pier_loop *loop);
pier_handle readers__handle(const reader *self);

/* Reads so many blocks, each submitted by a callback but the first ones, which a posted callback submits. */
void readers__read(reader *self, unsigned blocks);
/* Only begins with it, and closes the file in the callback that has submitted the first ones. */
void readers__read_and_close(reader *self);
/* Closes it, and finds that it is closed. */
void readers__close(reader *self);

/* Whether it stands in the ring's table; whether it can; and whether that ring's table is empty. */
bool readers__has_place(const reader *self);
bool readers__can_have_place(const reader *self);
bool readers__is_table_empty(const reader *self);

#endif
