#include "seats.h"

/* io_uring has a ring for each thread, epoll one set for all. */
const struct pool_kind *pool__kind(const struct pier_loop *loop) { return loop->poller.seats ? &seats_kind : NULL; }
