#include "turn.h"

static _Thread_local struct turn *here;

struct turn *turn__here(void) { return here; }

void turn__begin(struct turn *turn, struct poller *poller) {
  turn->poller = poller;
  turn->ready.first = turn->ready.last = 0;
  turn->outer = here;
  turn->seat = 0;
  here = turn;
}

void turn__end(struct turn *turn) { here = turn->outer; }
