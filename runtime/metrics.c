#include "loop.h"

static uint64_t metrics__read(_Atomic uint64_t *counter) { return atomic_load_explicit(counter, memory_order_relaxed); }

int pier_loop_metrics(pier_loop *loop, pier_metrics *metrics) {
  if (!loop || !metrics)
    return PIER_EINVAL;
  struct counters *counters = &loop->poller.counters;
  struct posts *posts = &loop->poller.posts;
  *metrics = (pier_metrics){
      .turns = metrics__read(&loop->turns),
      .waits = metrics__read(&counters->waits),
      .packets = metrics__read(&counters->packets),
      .packets_foreign = metrics__read(&counters->foreign),
      .packets_dropped = metrics__read(&counters->dropped),
      .wakes = metrics__read(&counters->wakes),
      .batch_packets_max = metrics__read(&counters->batch_max),
      .submitted = metrics__read(&counters->submitted) + posts__added(posts),
      .completed = metrics__read(&counters->completed) + posts__taken(posts),
      .immediate = metrics__read(&counters->immediate),
      .system_calls = metrics__read(&counters->system_calls),
      .cancels = metrics__read(&counters->cancels),
      .strand_hand_overs = metrics__read(&counters->hand_overs),
      .timers_fired = metrics__read(&loop->timers.fired),
      .events_created = metrics__read(&counters->events),
      .operations = atomic_load(&loop->poller.operations.slots_used) + (uint32_t)posts__waiting(posts),
      .handles = atomic_load(&loop->poller.handles.slots_used),
      .timers = timers__running(&loop->timers),
  };
  mutex__lock(&loop->workers.lock);
  metrics->work_queued = loop->workers.queued;
  metrics->workers = loop->workers.started;
  mutex__unlock(&loop->workers.lock);
  return PIER_OK;
}
