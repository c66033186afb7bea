#include "loop.h"

static uint64_t metrics__read(_Atomic uint64_t *counter) { return atomic_load_explicit(counter, memory_order_relaxed); }

int pier_loop_metrics(pier_loop *loop, pier_metrics *metrics) {
  if (!loop || !metrics)
    return PIER_EINVAL;
  const struct poller *poller = &loop->poller;
  struct posts *posts = &loop->poller.posts;
  uint64_t released = poller__sum(poller, COUNTER_RELEASED); /* before those acquired, see poller__operations() */
  uint64_t acquired = poller__sum(poller, COUNTER_ACQUIRED);
  *metrics = (pier_metrics){
      .turns = poller__sum(poller, COUNTER_TURNS),
      .waits = poller__sum(poller, COUNTER_WAITS),
      .packets = poller__sum(poller, COUNTER_PACKETS),
      .packets_foreign = poller__sum(poller, COUNTER_FOREIGN),
      .packets_dropped = poller__sum(poller, COUNTER_DROPPED),
      .wakes = poller__sum(poller, COUNTER_WAKES),
      .batch_packets_max = metrics__read(&loop->poller.batch_max),
      .submitted = acquired - poller__sum(poller, COUNTER_PASSED_ON) + posts__added(posts),
      .completed = released - poller__sum(poller, COUNTER_PASSED) + posts__taken(posts),
      .immediate = poller__sum(poller, COUNTER_IMMEDIATE),
      .system_calls = poller__sum(poller, COUNTER_SYSTEM_CALLS),
      .cancels = poller__sum(poller, COUNTER_CANCELS),
      .strand_hand_overs = poller__sum(poller, COUNTER_HAND_OVERS),
      .timers_fired = metrics__read(&loop->timers.fired),
      .events_created = poller__sum(poller, COUNTER_EVENTS),
      .operations = (uint32_t)(acquired - released) + (uint32_t)posts__waiting(posts),
      .handles = atomic_load(&loop->poller.handles.slots_used),
      .timers = timers__running(&loop->timers),
  };
  mutex__lock(&loop->workers.lock);
  metrics->work_queued = loop->workers.queued;
  metrics->workers = loop->workers.started;
  mutex__unlock(&loop->workers.lock);
  return PIER_OK;
}
