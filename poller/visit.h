/* A visit: a call that looks at a handle and makes no operation. The handle does not end while it lasts. */
#ifndef PIER_VISIT_H
#define PIER_VISIT_H

#include "poller.h"

struct visit {
  struct handle *handle;
  bool counted; /* among the handle's operations in flight */
};

/* Statuses as handle__enter(). */
int visit__enter(struct visit *visit, pier_handle id);

/* In the callback of a reader that goes on its handle is there until that returns, for the reader is in flight: nothing has to be counted.
   That is where answers are written, and two exchanges less for each. */
static inline int visit__begin(struct visit *visit, pier_handle id) {
  struct turn *turn = turn__here();
  struct handle *reading = turn ? turn->reading : NULL;
  visit->counted = !reading || handle__id(reading) != id;
  if (visit->counted)
    return visit__enter(visit, id);
  visit->handle = reading;
  return handle__is_closing(reading) ? PIER_ECLOSED : PIER_OK;
}

/* Of one that has begun. */
static inline void visit__end(const struct visit *visit) {
  if (visit->counted)
    handle__leave(visit->handle);
}

#endif
