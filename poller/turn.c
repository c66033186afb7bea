#include "turn.h"

_Thread_local struct turn *turn__current;

void turn__begin(struct turn *turn, struct poller *poller) {
  turn->poller = poller;
  turn->ready.first = turn->ready.last = 0;
  turn->outer = turn__current;
  turn->local = 0;
  turn->share = 0;
  turn->seat = 0;
  turn__current = turn;
}

void turn__end(struct turn *turn) { turn__current = turn->outer; }

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
