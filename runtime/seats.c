#include "seats.h"
#include "run.h"
#include <stdlib.h>

/* Callbacks between two looks at the port while there is always something due. */
#define SEATS_CALLBACKS_MAX 128u

/* What quick callbacks take. If those of a turn take so much longer together, it is worth calling somebody beforehand who goes on with what is behind
   the first one, for so many times as long as they took. */
#define SEATS_QUICK_NS 30000u
#define SEATS_SLOW_NS 100000u
#define SEATS_SLOW_TIMES 16u

/* Looks at the seat's port, and waits there if nothing is due. */
static void seat__look(struct seat *seat) {
  pier_loop *loop = seat->seats->loop;
  mutex__lock(&seat->tending);
  mutex__lock(&seat->share.lock);
  seat->share.away = false;
  uint64_t timeout_ns = seat->turn.ready.first ? 0 : UINT64_MAX;
  mutex__unlock(&seat->share.lock);
  atomic_store_explicit(&seat->stand_in, 0, memory_order_relaxed);
  if (seat__keeps(seat))
    run__gather(loop, &seat->turn, timeout_ns);
  else
    poller__wait(&loop->poller, timeout_ns);
  mutex__unlock(&seat->tending);
  poller__count(&loop->poller, COUNTER_TURNS, 1);
}

static struct ready *seat__next(struct seat *seat) {
  mutex__lock(&seat->share.lock);
  struct ready *ready = ready_list__take(&seat->turn.ready);
  mutex__unlock(&seat->share.lock);
  return ready;
}

static bool seat__wake(struct seat *seat) {
  bool lent = atomic_load_explicit(&seat->lent, memory_order_seq_cst);
  return lent ? lend__want_back(seat) : port__nudge(&seat->seats->loop->poller, seat__index(seat));
}

/* Whoever waits on his port has nothing to do, or has lent it, and the last ones have no handles where there are fewer processors than threads. If
   all are in callbacks the next to come back looks. */
void seats__call(struct seats *seats, uint64_t unattended) {
  atomic_fetch_or_explicit(&seats->unattended, unattended, memory_order_seq_cst);
  for (uint32_t i = seats->count; i > 0; i--)
    if (!seats__is_busy(atomic_load_explicit(&seats->seat[i - 1].beat, memory_order_relaxed)) && seat__wake(&seats->seat[i - 1]))
      return;
}

static bool seat__was_preempted(struct seat *seat) {
  uint64_t before = seat->preemptions;
  seat->preemptions = thread__preemptions();
  return seat->preemptions != before;
}

static void seat__expect_slow(struct seat *seat, uint64_t until_ns) {
  if (until_ns > atomic_load_explicit(&seat->slow_until_ns, memory_order_relaxed))
    atomic_store_explicit(&seat->slow_until_ns, until_ns, memory_order_relaxed);
}

/* Whether callbacks take long, by those of this turn; there are none in it if somebody has taken them all over. */
static void seat__learn(struct seat *seat, uint32_t ran) {
  uint64_t now_ns = clock__now_ns(), took_ns = now_ns - atomic_load_explicit(&seat->begun_ns, memory_order_relaxed);
  bool slow = ran && took_ns > (uint64_t)ran * SEATS_QUICK_NS + SEATS_SLOW_NS && !seat__was_preempted(seat);
  if (slow && seat->slow)
    seat__expect_slow(seat, now_ns + took_ns * SEATS_SLOW_TIMES);
  seat->slow = slow;
}

static void seat__run(struct seat *seat) {
  struct seats *seats = seat->seats;
  if (!seat->turn.ready.first) /* nobody takes or adds anything here before the beat */
    return;
  uint64_t now_ns = clock__now_ns();
  atomic_store_explicit(&seat->begun_ns, now_ns, memory_order_relaxed);
  /* In one order with what the watchman does before he sleeps: he sees the beat, or we see that he sleeps. */
  atomic_fetch_add_explicit(&seat->beat, 1, memory_order_seq_cst);
  if (!atomic_load_explicit(&seats->watch.active, memory_order_seq_cst))
    watch__rouse(&seats->watch);
  lend__weigh(seat, now_ns);
  if (seat__expects_slow(seat, now_ns))
    seats__call(seats, seats__bit(seat__index(seat)) | seat->stands_in);
  uint32_t ran = 0;
  struct ready *ready;
  while (ran < SEATS_CALLBACKS_MAX && (ready = seat__next(seat)))
    ran += run__one(seats->loop, ready, SEATS_CALLBACKS_MAX - ran);
  if (seats->count > 1)
    seat__learn(seat, ran);
  atomic_fetch_add_explicit(&seat->beat, 1, memory_order_seq_cst);
  if (!loop__is_alive(seats->loop))
    pool__look(&seats->loop->pool);
}

/* ---- Standing in ---- */

/* Looks at another seat's port and takes what is due there. */
static void seat__look_at(struct seat *own, struct seat *other) {
  struct poller *poller = &own->seats->loop->poller;
  atomic_store_explicit(&other->stand_in, seat__index(own) + 1, memory_order_relaxed);
  if (seat__keeps(other))
    atomic_store_explicit(&poller->keeper, seat__index(own), memory_order_seq_cst);
  mutex__lock(&other->share.lock);
  other->share.away = true;
  ready_list__move(&own->turn.ready, &other->turn.ready);
  mutex__unlock(&other->share.lock);
  seat__expect_slow(own, atomic_load_explicit(&other->slow_until_ns, memory_order_relaxed)); /* what is due there is of the same kind */
  own->turn.seat = seat__index(other);
  do
    poller__wait(poller, 0);
  while (!port__watch(poller, seat__index(own)));
  own->turn.seat = seat__index(own);
}

/* True as long as the other's thread is away, and it is us who stand in. */
static bool seat__stands_in(struct seat *own, struct seat *other, bool begins) {
  if (!begins && atomic_load_explicit(&other->stand_in, memory_order_relaxed) != seat__index(own) + 1)
    return false;
  if (!mutex__try_lock(&other->tending))
    return false;
  bool away = seats__is_busy(atomic_load_explicit(&other->beat, memory_order_acquire));
  if (away)
    seat__look_at(own, other);
  mutex__unlock(&other->tending);
  return away;
}

/* True: it has become the keeper thereby, and is to look at what that has to see to before it runs anything. In callbacks the next would become
   keeper, and so on, and nobody come to it. */
static bool seat__help(struct seat *own) {
  struct seats *seats = own->seats;
  bool kept = seat__keeps(own);
  uint64_t begins = 0;
  if (atomic_load_explicit(&seats->unattended, memory_order_relaxed))
    begins = atomic_exchange_explicit(&seats->unattended, 0, memory_order_acq_rel) & ~seats__bit(seat__index(own));
  uint64_t asked = own->stands_in | begins;
  own->stands_in = 0;
  for (uint32_t i = 0; i < seats->count && asked >> i; i++)
    if ((asked & seats__bit(i)) && seat__stands_in(own, &seats->seat[i], begins & seats__bit(i)))
      own->stands_in |= seats__bit(i);
  return !kept && seat__keeps(own);
}

static void seat__main(void *argument) {
  struct seat *seat = argument;
  struct seats *seats = seat->seats;
  turn__begin(&seat->turn, &seats->loop->poller);
  seat->turn.share = &seat->share;
  seat->turn.seat = seat->turn.home = seat__index(seat);
  poller__take_local(&seats->loop->poller, &seat->turn);
  lend__begin(seat);
  while (!atomic_load_explicit(&seats->stopping, memory_order_acquire)) {
    if (!lend__rest(seat))
      seat__look(seat);
    bool keeps_since_now = seat__help(seat);
    lend__look(seat);
    if (!keeps_since_now)
      seat__run(seat);
  }
  poller__leave_local(&seat->turn);
  turn__end(&seat->turn);
}

/* ---- Open and close ---- */

static void seats__join(struct seats *seats, uint32_t started) {
  atomic_store_explicit(&seats->stopping, true, memory_order_seq_cst);
  for (uint32_t i = 0; i < started; i++) {
    lend__want_back(&seats->seat[i]);
    port__nudge(&seats->loop->poller, i);
  }
  for (uint32_t i = 0; i < started; i++)
    thread__join(&seats->seat[i].thread);
}

static void seats__free(struct seats *seats) {
  for (uint32_t i = 0; i < seats->count; i++) {
    lend__close(&seats->seat[i]);
    mutex__destroy(&seats->seat[i].tending);
    mutex__destroy(&seats->seat[i].share.lock);
  }
  free(seats);
}

static int seats__start(struct seats *seats) {
  int status = PIER_OK;
  for (uint32_t i = 0; i < seats->count && status == PIER_OK; i++) {
    status = thread__start(&seats->seat[i].thread, seat__main, &seats->seat[i]);
    if (status != PIER_OK)
      seats__join(seats, i);
  }
  return status;
}

static int seats__open(struct pool *pool, pier_loop *loop, uint32_t count) {
  struct seats *seats = calloc(1, sizeof *seats + count * sizeof seats->seat[0]);
  if (!seats)
    return PIER_ENOMEM;
  seats->loop = loop;
  seats->count = count;
  for (uint32_t i = 0; i < count; i++) {
    seats->seat[i].seats = seats;
    mutex__init(&seats->seat[i].tending);
    mutex__init(&seats->seat[i].share.lock);
    lend__open(&seats->seat[i]);
  }
  int status = watch__open(seats);
  if (status == PIER_OK) {
    status = seats__start(seats);
    if (status == PIER_OK) {
      pool->seats = seats;
      return PIER_OK;
    }
    watch__close(seats);
  }
  seats__free(seats);
  return status;
}

static void seats__close(struct pool *pool) {
  struct seats *seats = pool->seats;
  seats__join(seats, seats->count);
  watch__close(seats);
  seats__free(seats);
}

/* The sum of the beats; an odd one's is the end of it. */
static bool seats__rest(struct seats *seats, uint64_t *beats) {
  *beats = 0;
  for (uint32_t i = 0; i < seats->count; i++) {
    uint64_t beat = atomic_load_explicit(&seats->seat[i].beat, memory_order_seq_cst);
    if (seats__is_busy(beat))
      return false;
    *beats += beat;
  }
  return true;
}

static bool seats__are_quiet(const struct pool *pool) {
  struct seats *seats = pool->seats;
  uint64_t before, after;
  /* A callback that began after the first look and ended before the last one may have left something. */
  return seats__rest(seats, &before) && !loop__is_alive(seats->loop) && seats__rest(seats, &after) && before == after;
}

const struct pool_kind seats_kind = {seats__open, seats__close, seats__are_quiet};
