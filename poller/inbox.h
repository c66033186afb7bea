/* The inbox: what threads outside a turn have for the loop, and whether it has to be woken for it.

   Three states. Awake: the loop will look before it sleeps. Asleep: it waits on the port, or nobody drives it, and the first
   to bring something wakes it. Told: it has been woken, or will find out when it wants to sleep. So any number of
   deliveries cost at most one wake packet. */
#ifndef PIER_INBOX_H
#define PIER_INBOX_H

#include "ready.h"
#include <stdatomic.h>
#include <stdbool.h>

struct inbox {
  _Atomic(struct ready *) latest;
  _Atomic uint32_t state; /* enum inbox_state */
};

enum inbox_state { INBOX_AWAKE, INBOX_ASLEEP, INBOX_TOLD };

void inbox__init(struct inbox *inbox);

/* True: the loop sleeps, and the caller has to wake it. */
bool inbox__push(struct inbox *inbox, struct ready *ready);
/* The same with nothing to bring: the loop has to look at something else, its timers for instance. */
bool inbox__tell(struct inbox *inbox);

/* Moves everything behind `list`, in the order of each thread's deliveries. True if there was any. */
bool inbox__drain(struct inbox *inbox, struct ready_list *list);

/* True: the loop may sleep. False: something has come; do not. */
bool inbox__sleep(struct inbox *inbox);
void inbox__rise(struct inbox *inbox);

#endif
