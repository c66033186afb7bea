/* Files: calls that the submitting thread makes itself, because they are certain not to wait and cost less than handing them over. */
#ifndef PIER_AT_ONCE_H
#define PIER_AT_ONCE_H

#include "poller.h"

/* Makes the operation's next call. False: nothing was done, and who can wait finds out what there is. `together`: he can make several such
   calls at a time, and has nobody to wake for that; so of many in flight he is to have them. */
bool at_once__move(struct op *op, bool together, struct piece *piece);

/* What is known of a file that Pier has opened with these flags of the system's. */
void at_once__opened(struct handle *handle, int flags);

#endif
