#include "hook.h"
#include "poller.h"

void doze__open(struct doze *doze, bool never) {
  mutex__init(&doze->lock);
  condition__init(&doze->come);
  doze->called = false;
  atomic_init(&doze->asleep, 0);
  atomic_init(&doze->never, never);
}

void doze__close(struct doze *doze) {
  condition__destroy(&doze->come);
  mutex__destroy(&doze->lock);
}

/* A wake that is on the port already would not be called here. */
static bool doze__may(struct poller *poller) {
  return !atomic_load_explicit(&poller->doze.never, memory_order_seq_cst) && !atomic_load_explicit(&poller->handles.slots_used, memory_order_seq_cst) &&
         !atomic_load_explicit(&poller->wake_posted, memory_order_seq_cst) && !port__has_handleless(poller);
}

/* Said first and looked at then; who makes a handle or wakes does both the other way round, so one of both sees the other. */
bool doze__wait(struct poller *poller) {
  struct doze *doze = &poller->doze;
  if (poller->seats || !doze__may(poller))
    return false;
  HOOK_DOZING(poller);
  mutex__lock(&doze->lock);
  atomic_exchange_explicit(&doze->asleep, 1, memory_order_acq_rel);
  bool may = doze__may(poller);
  while (may && !doze->called)
    condition__wait(&doze->come, &doze->lock);
  atomic_exchange_explicit(&doze->asleep, 0, memory_order_acq_rel);
  doze->called = false;
  if (may)
    atomic_store_explicit(&poller->wake_posted, 0, memory_order_seq_cst);
  mutex__unlock(&doze->lock);
  if (may)
    poller__count(poller, COUNTER_WAITS, 1);
  return may;
}

/* Signalled without the lock, which the one who wakes wants. */
bool doze__call(struct poller *poller) {
  struct doze *doze = &poller->doze;
  mutex__lock(&doze->lock);
  bool asleep = atomic_load_explicit(&doze->asleep, memory_order_relaxed) != 0;
  doze->called = doze->called || asleep;
  mutex__unlock(&doze->lock);
  if (asleep)
    condition__signal(&doze->come);
  return asleep;
}

void doze__disturb(struct poller *poller) {
  struct turn *turn = turn__here();
  if (turn && turn->poller == poller && turn->drives)
    return; /* the thread that sleeps there is this one */
  /* Exchanges, here and there: the later of the two sees what was before the earlier one. */
  if (atomic_fetch_add_explicit(&poller->doze.asleep, 0, memory_order_acq_rel))
    poller__wake(poller);
}

void doze__forbid(struct poller *poller) {
  atomic_store_explicit(&poller->doze.never, true, memory_order_seq_cst);
  doze__disturb(poller);
}
