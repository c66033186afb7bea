/* Running what is due. */
#ifndef PIER_RUN_H
#define PIER_RUN_H

#include "loop.h"

/* Runs one callback, or of the posts some, but never more than so many. What follows on its strand goes to the end of the turn's
   list. Gives how many ran. */
uint32_t run__one(pier_loop *loop, struct ready *ready, uint32_t callbacks_max);

/* Runs what is in the turn's list, at most so many callbacks, those included that become due meanwhile. Gives their number. */
uint32_t run__list(pier_loop *loop, struct turn *turn, uint32_t callbacks_max);

/* Waits on the port, at most so long and not at all if something is due, and gathers what became due. */
void run__gather(pier_loop *loop, struct turn *turn, uint64_t timeout_ns);

#endif
