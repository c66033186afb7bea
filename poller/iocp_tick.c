/* The end of the loop's wait, to a fraction of a millisecond.

   The port's own timeout is whole milliseconds, and on Windows it may be late by a tick of the clock, up to 15.6 ms. A
   high-resolution timer is not; a wait-completion packet has it wake whoever waits on the port. Where the system lacks either, the
   port's timeout does it.

   The timer stays armed when something else ends the wait: the next wait most often ends no earlier. It may then go off before
   anything is due, which costs one turn in vain. */
#include "iocp.h"

#include <stdlib.h>

#ifndef CREATE_WAITABLE_TIMER_HIGH_RESOLUTION
#define CREATE_WAITABLE_TIMER_HIGH_RESOLUTION 0x2u
#endif

struct tick {
  HANDLE timer;
  HANDLE packet;
  _Atomic bool out;  /* associated, and not dequeued yet */
  uint64_t until_ns; /* when it goes off, if it is out; of the one thread that waits */
};

static struct tick *tick__of(const struct poller *poller) { return poller->system; }

static bool tick__create(struct tick *tick) {
  if (nt()->create_wait_completion_packet(&tick->packet, GENERIC_ALL, NULL) != NT_STATUS_SUCCESS)
    return false;
  tick->timer = nt()->create_waitable_timer_ex(NULL, NULL, CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, SYNCHRONIZE | TIMER_MODIFY_STATE);
  if (!tick->timer)
    CloseHandle(tick->packet);
  return tick->timer != NULL;
}

void tick__open(struct poller *poller) {
  struct tick *tick = calloc(1, sizeof *tick);
  if (tick && !tick__create(tick)) {
    free(tick);
    tick = NULL;
  }
  poller->system = tick;
}

void tick__close(struct poller *poller) {
  struct tick *tick = tick__of(poller);
  if (!tick)
    return;
  /* A host's port goes on without us: nothing with our address may come off it. "Pending" is a packet on its way to the port. */
  while (nt()->cancel_wait_completion_packet(tick->packet, TRUE) == NT_STATUS_PENDING)
    thread__yield();
  CloseHandle(tick->packet);
  CloseHandle(tick->timer);
  free(tick);
  poller->system = NULL;
}

bool tick__arm(struct poller *poller, uint64_t timeout_ns) {
  struct tick *tick = tick__of(poller);
  if (!tick || timeout_ns == 0 || timeout_ns >= INT64_MAX)
    return false;
  uint64_t until_ns = clock__now_ns() + timeout_ns;
  bool out = atomic_load_explicit(&tick->out, memory_order_acquire);
  if (out && tick->until_ns <= until_ns)
    return true;
  LARGE_INTEGER due;
  due.QuadPart = -(LONGLONG)(timeout_ns / 100 + 1); /* never early */
  if (!SetWaitableTimer(tick->timer, &due, 0, NULL, NULL, FALSE))
    return false;
  tick->until_ns = until_ns;
  if (out)
    return true;
  /* Before the call, for it may be dequeued before that returns. */
  atomic_store_explicit(&tick->out, true, memory_order_release);
  if (nt()->associate_wait_completion_packet(tick->packet, (HANDLE)poller->port, tick->timer, tick, tick, 0, 0, NULL) == NT_STATUS_SUCCESS)
    return true;
  atomic_store_explicit(&tick->out, false, memory_order_release);
  return false;
}

bool tick__take(struct poller *poller, const pier_packet *packet) {
  struct tick *tick = tick__of(poller);
  if (!tick || packet->overlapped != tick || packet->key != (uintptr_t)tick)
    return false;
  atomic_store_explicit(&tick->out, false, memory_order_release);
  return true;
}
