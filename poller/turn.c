#include "turn.h"

static _Thread_local struct turn *here;

struct turn *turn__here(void) { return here; }

void turn__begin(struct turn *turn, struct poller *poller) {
  turn->poller = poller;
  turn->ready.first = turn->ready.last = 0;
  turn->outer = here;
  turn->share = 0;
  turn->seat = 0;
  here = turn;
}

void turn__end(struct turn *turn) { here = turn->outer; }

bool turn__keep(struct turn *turn, struct ready *ready) {
  struct turn_share *share = turn->share;
  if (!share) {
    ready_list__append(&turn->ready, ready);
    return true;
  }
  mutex__lock(&share->lock);
  bool kept = !share->away;
  if (kept)
    ready_list__append(&turn->ready, ready);
  mutex__unlock(&share->lock);
  return kept;
}
