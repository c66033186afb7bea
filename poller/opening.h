/* Opening a file as an operation: the calls behind it, and the handle that they fill. */
#ifndef PIER_OPENING_H
#define PIER_OPENING_H

#include "poller.h"

/* In the submitting thread, if it is certain not to wait there: everything on the way to the file is in the system's cache, and nothing
   is created or cut. False: nothing was done. */
bool opening__at_once(struct op *op);
/* The attempt itself: a descriptor that does not block (O_NONBLOCK), or -1 and errno; and whether whoever can wait would be told the same. */
int opening__try(struct poller *poller, const char *path, int flags);
bool opening__is_final(int code);
/* The same to the end, on a worker; -1 and errno. */
int opening__wait(struct poller *poller, const char *path, int flags);
/* Likewise. */
void opening__block(struct op *op, struct piece *piece);
/* What such a call has brought, whoever made it: a descriptor, or a negated errno. */
void opening__took(struct op *op, int64_t result, struct piece *piece);
/* It was successful: the operation's handle gets the descriptor. */
pier_handle opening__finish(struct op *op);

/* What a file is created with, less the process's umask. */
#define OPENING_MODE 0666

#endif
