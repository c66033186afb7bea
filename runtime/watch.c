/* The watchman of a loop whose poller threads have seats: see seats.h. */
#include "seats.h"

#define WATCH_TICK_NS 1000000u
/* Without a beat for so many ticks there is nothing to watch. */
#define WATCH_QUIET_TICKS 8u

/* Not back since the last tick. */
static bool watch__is_away(struct seats *seats, uint32_t index) {
  uint64_t beat = atomic_load_explicit(&seats->seat[index].beat, memory_order_seq_cst);
  return seats__is_busy(beat) && beat == seats->watch.beats[index];
}

static bool watch__is_attended(struct seats *seats, uint32_t index) {
  uint32_t stand_in = atomic_load_explicit(&seats->seat[index].stand_in, memory_order_relaxed);
  return stand_in && !watch__is_away(seats, stand_in - 1);
}

/* Whoever waits on his port has nothing to do. */
static void watch__call_somebody(struct seats *seats) {
  for (uint32_t i = 0; i < seats->count; i++) {
    if (!seats__is_busy(atomic_load_explicit(&seats->seat[i].beat, memory_order_relaxed))) {
      port__nudge(&seats->loop->poller, i);
      return;
    }
  }
  /* All are in callbacks: the next to come back will look. */
}

static void watch__look(struct seats *seats) {
  uint64_t away = 0;
  for (uint32_t i = 0; i < seats->count; i++) {
    if (!watch__is_away(seats, i) || watch__is_attended(seats, i))
      continue;
    port__hurry(&seats->loop->poller, i);
    away |= seats__bit(i);
  }
  if (!away)
    return;
  atomic_fetch_or_explicit(&seats->unattended, away, memory_order_acq_rel);
  watch__call_somebody(seats);
}

/* Whether there was a beat since the last time. */
static bool watch__note(struct seats *seats) {
  bool beaten = false;
  for (uint32_t i = 0; i < seats->count; i++) {
    uint64_t beat = atomic_load_explicit(&seats->seat[i].beat, memory_order_seq_cst);
    beaten = beaten || beat != seats->watch.beats[i];
    seats->watch.beats[i] = beat;
  }
  return beaten;
}

static void watch__main(void *argument) {
  struct seats *seats = argument;
  struct watch *watch = &seats->watch;
  unsigned quiet = 0;
  mutex__lock(&watch->lock);
  while (!atomic_load_explicit(&seats->stopping, memory_order_acquire)) {
    if (!atomic_load_explicit(&watch->active, memory_order_relaxed)) {
      condition__wait(&watch->changed, &watch->lock);
      continue;
    }
    condition__wait_for(&watch->changed, &watch->lock, WATCH_TICK_NS);
    watch__look(seats);
    quiet = watch__note(seats) ? 0 : quiet + 1;
    if (quiet < WATCH_QUIET_TICKS)
      continue;
    /* Who begins from here on sees it; who began before that is seen here. */
    atomic_store_explicit(&watch->active, false, memory_order_seq_cst);
    if (watch__note(seats))
      atomic_store_explicit(&watch->active, true, memory_order_relaxed);
    quiet = 0;
  }
  mutex__unlock(&watch->lock);
}

void watch__rouse(struct watch *watch) {
  mutex__lock(&watch->lock);
  atomic_store_explicit(&watch->active, true, memory_order_relaxed);
  condition__signal(&watch->changed);
  mutex__unlock(&watch->lock);
}

int watch__open(struct seats *seats) {
  struct watch *watch = &seats->watch;
  mutex__init(&watch->lock);
  condition__init(&watch->changed);
  int status = thread__start(&watch->thread, watch__main, seats);
  if (status == PIER_OK)
    return PIER_OK;
  condition__destroy(&watch->changed);
  mutex__destroy(&watch->lock);
  return status;
}

/* After the threads have ended, or none has begun. */
void watch__close(struct seats *seats) {
  struct watch *watch = &seats->watch;
  atomic_store_explicit(&seats->stopping, true, memory_order_release);
  watch__rouse(watch);
  thread__join(&watch->thread);
  condition__destroy(&watch->changed);
  mutex__destroy(&watch->lock);
}
