/* Writes of one stream that wait in line go out together: to the kernel a hundred small ones in one call are little more than one. */
#ifndef PIER_GATHER_H
#define PIER_GATHER_H

#include "poller.h"

enum gather {
  GATHER_NOTHING, /* nothing was done: there are no two at the front that can go together, or the call failed */
  GATHER_DONE,    /* all that were tried are through */
  GATHER_FULL     /* the stream takes no more for now */
};

/* Tries as many as fit from the front of a lane, in one call that does not wait. Who is through is settled and goes behind `done`.
   Under the lane's lock. */
enum gather gather__write(const struct handle *handle, struct ready_list *waiting, struct ready_list *done);

/* Whether it is one that may go with others: a write of a stream socket, of one part. */
bool gather__fits(const struct op *op);

#endif
