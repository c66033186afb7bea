#include "port.h"

#include <errno.h>

void port_common__open(struct port_common *common) {
  for (unsigned i = 0; i < PORT_LOCKS; i++)
    mutex__init(&common->locks[i]);
  mutex__init(&common->posted_lock);
  trust__open(&common->trust);
}

void port_common__close(struct port_common *common) {
  for (unsigned i = 0; i < PORT_LOCKS; i++)
    mutex__destroy(&common->locks[i]);
  mutex__destroy(&common->posted_lock);
  trust__close(&common->trust);
}

void port_common__post(struct op *op) {
  struct poller *poller = op->handle->poller;
  struct port_common *common = port_common__of(poller);
  mutex__lock(&common->posted_lock);
  ready_list__append(&common->posted, &op->ready);
  atomic_fetch_add_explicit(&common->posted_count, 1, memory_order_seq_cst);
  mutex__unlock(&common->posted_lock);
  poller__tell(poller);
}

void port_common__drain(struct poller *poller) {
  struct port_common *common = port_common__of(poller);
  if (!port_common__has_posted(common))
    return;
  mutex__lock(&common->posted_lock);
  struct ready_list posted = common->posted;
  common->posted = (struct ready_list){NULL, NULL};
  mutex__unlock(&common->posted_lock);
  struct ready *ready;
  while ((ready = ready_list__take(&posted))) {
    atomic_fetch_sub_explicit(&common->posted_count, 1, memory_order_seq_cst);
    op__complete(op__of_ready(ready), 0, 0);
  }
}

bool port_common__unlink(struct lane *lane, struct op *op) {
  struct ready_list kept = {NULL, NULL};
  struct ready *ready;
  bool found = false;
  while ((ready = ready_list__take(&lane->waiting))) {
    if (ready == &op->ready)
      found = true;
    else
      ready_list__append(&kept, ready);
  }
  lane->waiting = kept;
  return found;
}

unsigned port_common__cancel_waiting(struct handle *handle) {
  struct mutex *lock = port_common__lock(handle);
  struct ready_list taken = {NULL, NULL};
  unsigned count = 0;
  mutex__lock(lock);
  for (int i = 0; i < 2; i++)
    ready_list__move(&taken, &handle->lanes[i].waiting);
  mutex__unlock(lock);
  struct ready *ready;
  while ((ready = ready_list__take(&taken))) {
    op__complete(op__of_ready(ready), ECANCELED, 0);
    count++;
  }
  return count;
}
