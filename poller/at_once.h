/* Files: calls that the submitting thread makes itself, because they are certain not to wait and cost less than handing them over. */
#ifndef PIER_AT_ONCE_H
#define PIER_AT_ONCE_H

#include "poller.h"

/* Makes the calls of a read or write, and settles it. False: it has not come to its end; who can wait finds out what there is, or makes what is
   left together with others. */
bool at_once__move(struct op *op);

/* What is known of a file that Pier has opened with these flags of the system's. */
void at_once__opened(struct handle *handle, int flags);

#endif
