#include "visit.h"

int visit__enter(struct visit *visit, pier_handle id) {
  struct poller *poller = poller__of(id, ID_HANDLE);
  return poller ? handle__enter(poller, id, &visit->handle) : PIER_EBADF;
}
