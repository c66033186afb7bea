#include "turn.h"

void turn__begin(struct turn *turn, struct poller *poller) {
  turn->poller = poller;
  turn->ready.first = turn->ready.last = 0;
  turn->outer = turn__here();
  turn->local = 0;
  turn->reading = 0;
  turn->share = 0;
  turn->drives = false;
  turn->seat = turn->home = 0;
  turn->shown = 0;
  own__set(turn);
}

void turn__end(struct turn *turn) { own__set(turn->outer); }

bool turn__keep_shared(struct turn *turn, struct ready *ready) {
  struct turn_share *share = turn->share;
  mutex__lock(&share->lock);
  bool kept = !share->away;
  if (kept)
    ready_list__append(&turn->ready, ready);
  mutex__unlock(&share->lock);
  return kept;
}
