/* The watchman of a loop whose poller threads have seats: see seats.h. */
#include "seats.h"

/* Who has been in callbacks for so long is away. Each look takes the processor from a thread that is busy, so there is none before somebody can
   be away, and looks are close together only where a thread has been away lately: callbacks that take long are seldom the only ones of their kind.
   A loop with one thread has nobody who could stand in for it: just what it has submitted waits. */
#define WATCH_AWAY_NS 7000000u
#define WATCH_WARY_NS 1800000u
#define WATCH_LATELY_NS 1000000000u
/* And while somebody is, for what he does meanwhile. */
#define WATCH_TICK_NS 1000000u
/* Without a beat for so long there is nothing to watch: whoever is in callbacks has been found away by then. */
#define WATCH_QUIET_NS 8000000u

static uint64_t watch__patience_ns(const struct seats *seats, uint64_t now_ns) {
  bool lately = seats->watch.found_ns && now_ns - seats->watch.found_ns < WATCH_LATELY_NS;
  return lately && seats->count > 1 ? WATCH_WARY_NS : WATCH_AWAY_NS;
}

/* In what time the seat's thread is away, unless it comes back; 0: it is. */
static uint64_t watch__away_in_ns(struct seats *seats, uint32_t index, uint64_t now_ns) {
  struct seat *seat = &seats->seat[index];
  if (!seats__is_busy(atomic_load_explicit(&seat->beat, memory_order_seq_cst)))
    return watch__patience_ns(seats, now_ns);
  uint64_t away_ns = atomic_load_explicit(&seat->begun_ns, memory_order_relaxed) + watch__patience_ns(seats, now_ns);
  return away_ns > now_ns ? away_ns - now_ns : 0;
}

static bool watch__is_attended(struct seats *seats, uint32_t index, uint64_t now_ns) {
  uint32_t stand_in = atomic_load_explicit(&seats->seat[index].stand_in, memory_order_relaxed);
  return stand_in && watch__away_in_ns(seats, stand_in - 1, now_ns);
}

/* Gives the time until the next look. */
static uint64_t watch__look(struct seats *seats) {
  uint64_t away = 0, now_ns = clock__now_ns(), next_ns = watch__patience_ns(seats, now_ns);
  for (uint32_t i = 0; i < seats->count; i++) {
    uint64_t in_ns = watch__away_in_ns(seats, i, now_ns), look_ns = in_ns ? in_ns : WATCH_TICK_NS;
    next_ns = look_ns < next_ns ? look_ns : next_ns;
    if (in_ns || watch__is_attended(seats, i, now_ns))
      continue;
    port__hurry(&seats->loop->poller, i);
    away |= seats__bit(i);
  }
  if (away) {
    seats->watch.found_ns = now_ns;
    seats__call(seats, away);
  }
  return next_ns;
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
  uint64_t beaten_ns = 0, next_ns = WATCH_AWAY_NS;
  mutex__lock(&watch->lock);
  while (!atomic_load_explicit(&seats->stopping, memory_order_acquire)) {
    if (!atomic_load_explicit(&watch->active, memory_order_relaxed)) {
      condition__wait(&watch->changed, &watch->lock);
      continue;
    }
    condition__wait_for(&watch->changed, &watch->lock, next_ns);
    next_ns = watch__look(seats);
    if (watch__note(seats))
      beaten_ns = clock__now_ns();
    if (clock__now_ns() - beaten_ns < WATCH_QUIET_NS)
      continue;
    /* Who begins from here on sees it; who began before that is seen here. */
    atomic_store_explicit(&watch->active, false, memory_order_seq_cst);
    if (watch__note(seats))
      atomic_store_explicit(&watch->active, true, memory_order_relaxed);
    beaten_ns = clock__now_ns();
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
