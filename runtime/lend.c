/* Seats that are lent. While one thread is enough for its own seat and its neighbours', these sleep, and it looks at their ports too. Each that is awake
   beside it would be woken for a few completions at a time, and take the processor from whoever brings the next ones. One that finds no time to
   sleep has a neighbour take back what it has lent, with everything that belongs there; so the work is divided in halves, thirds and fourths, and
   no handle ever changes its seat. */
#include "seats.h"

/* So many seats beside each other lend to the first of them. */
#define LEND_NEIGHBOURS 4u

/* How busy a thread is shows in so long. One that has not slept has too much to do for one. To be parted was worth it if they then run, with who stands
   in for them, for three fifths of the time on the average: two take a tenth from one another, by waking and from the caches. Otherwise there is no
   processor that nobody else needs; they are joined again, and not parted for a while, which is longer each time. */
#define LEND_LOOK_NS 10000000u
#define LEND_STALE_NS (4 * LEND_LOOK_NS)
#define LEND_WORTH_PERMILLE 600u
#define LEND_PATIENCE_NS 40000000u
#define LEND_PATIENCE_MAX_NS 1000000000u

static uint32_t lend__to(const struct seat *seat) {
  uint32_t index = seat__index(seat);
  return index < seat->seats->loop->poller.homes ? index - index % LEND_NEIGHBOURS : index;
}

static void lend__count_from(struct load *load, uint64_t now_ns, uint64_t ran_ns, uint64_t sleeps) {
  atomic_store_explicit(&load->since_ns, now_ns, memory_order_relaxed);
  load->ran_ns = ran_ns;
  load->sleeps = sleeps;
}

static void lend__count_from_now(struct seat *seat) { lend__count_from(&seat->load, clock__now_ns(), thread__ran_ns(), thread__sleeps()); }

void lend__open(struct seat *seat) {
  mutex__init(&seat->lending);
  condition__init(&seat->back);
}

void lend__begin(struct seat *seat) {
  seat->idle = true;
  lend__count_from_now(seat);
}

void lend__close(struct seat *seat) {
  condition__destroy(&seat->back);
  mutex__destroy(&seat->lending);
}

/* ---- Who lends, and takes back ---- */

static bool lend__is_to_be(struct seat *seat) {
  struct seats *seats = seat->seats;
  return seat->idle && lend__to(seat) != seat__index(seat) && !seat->stands_in && !atomic_load_explicit(&seats->unattended, memory_order_relaxed);
}

/* Who stood in may just be taking it. */
static bool lend__has_due(struct seat *seat) {
  mutex__lock(&seat->share.lock);
  bool due = seat->turn.ready.first != NULL;
  mutex__unlock(&seat->share.lock);
  return due;
}

/* Who keeps has others look after the inbox and the timers, and waken for them. */
static void lend__hand_on(struct seat *seat, uint32_t to) {
  struct poller *poller = &seat->seats->loop->poller;
  if (!seat__keeps(seat))
    return;
  atomic_store_explicit(&poller->keeper, to, memory_order_seq_cst);
  port__nudge(poller, to);
}

static bool lend__give(struct seat *seat, uint32_t to) {
  mutex__lock(&seat->tending);
  atomic_store_explicit(&seat->lent, true, memory_order_seq_cst); /* before anybody can find it there */
  bool lent = !lend__has_due(seat) && port__lend(&seat->seats->loop->poller, to);
  if (lent) {
    lend__hand_on(seat, to);
    atomic_store_explicit(&seat->load.permille, 0, memory_order_relaxed);
  } else {
    atomic_store_explicit(&seat->lent, false, memory_order_relaxed);
  }
  mutex__unlock(&seat->tending);
  return lent;
}

static void lend__take_back(struct seat *seat, uint32_t from) {
  mutex__lock(&seat->tending);
  port__take_back(&seat->seats->loop->poller, from);
  atomic_store_explicit(&seat->lent, false, memory_order_relaxed);
  mutex__lock(&seat->share.lock);
  seat->share.away = false; /* somebody may have stood in before it lent */
  mutex__unlock(&seat->share.lock);
  mutex__unlock(&seat->tending);
  seat->idle = false; /* until it has shown that it is */
  lend__count_from_now(seat);
}

/* Who calls somebody says what for and then looks whether a port is lent: he sees that it is, or we see what he has said. */
static bool lend__is_called(struct seats *seats) {
  return atomic_load_explicit(&seats->unattended, memory_order_seq_cst) || atomic_load_explicit(&seats->stopping, memory_order_seq_cst);
}

static void lend__sleep(struct seat *seat) {
  mutex__lock(&seat->lending);
  while (!seat->wanted && !lend__is_called(seat->seats))
    condition__wait(&seat->back, &seat->lending);
  seat->wanted = false;
  mutex__unlock(&seat->lending);
}

bool lend__rest(struct seat *seat) {
  uint32_t to = lend__to(seat);
  if (!lend__is_to_be(seat) || !lend__give(seat, to))
    return false;
  lend__sleep(seat);
  lend__take_back(seat, to);
  return true;
}

bool lend__want_back(struct seat *seat) {
  mutex__lock(&seat->lending);
  bool first = !seat->wanted;
  seat->wanted = true;
  condition__signal(&seat->back);
  mutex__unlock(&seat->lending);
  return first;
}

/* ---- Who it is lent to ---- */

/* Somebody else may be at it, or its thread about to take it back. */
static void lend__look_at(struct seat *own, struct seat *other) {
  struct poller *poller = &own->seats->loop->poller;
  if (!mutex__try_lock(&other->tending))
    return;
  if (atomic_load_explicit(&other->lent, memory_order_relaxed)) {
    own->turn.seat = seat__index(other);
    do
      poller__wait(poller, 0);
    while (!port__settle(poller));
    own->turn.seat = seat__index(own);
  }
  mutex__unlock(&other->tending);
}

void lend__look(struct seat *seat) {
  uint64_t shown = seat->turn.shown;
  seat->turn.shown = 0;
  for (; shown; shown &= shown - 1)
    lend__look_at(seat, &seat->seats->seat[__builtin_ctzll(shown)]);
}

/* ---- How busy it is ---- */

static void lend__divide(struct seat *seat) {
  struct seat *last = &seat->seats->seat[seat->seats->count];
  for (struct seat *other = seat + 1; other < last && lend__to(other) == seat__index(seat); other++)
    if (atomic_load_explicit(&other->lent, memory_order_relaxed) && lend__want_back(other))
      return;
}

/* They are joined again: they were parted in vain. Or that was worth it. */
static void lend__stay_whole(struct load *load, bool in_vain, uint64_t now_ns) {
  uint64_t before_ns = atomic_load_explicit(&load->patience_ns, memory_order_relaxed), patience_ns = 0;
  if (in_vain)
    patience_ns = !before_ns ? LEND_PATIENCE_NS : before_ns < LEND_PATIENCE_MAX_NS / 2 ? 2 * before_ns : LEND_PATIENCE_MAX_NS;
  atomic_store_explicit(&load->patience_ns, patience_ns, memory_order_relaxed);
  atomic_store_explicit(&load->whole_until_ns, now_ns + patience_ns, memory_order_relaxed);
}

/* What all have run lately, for each of those that have handles: the calling one is among them. */
static uint32_t lend__mean_permille(struct seats *seats, uint64_t now_ns) {
  uint32_t all = 0, count = 0;
  for (uint32_t i = 0; i < seats->count; i++) {
    struct seat *seat = &seats->seat[i];
    uint64_t since_ns = atomic_load_explicit(&seat->load.since_ns, memory_order_relaxed);
    if (since_ns < now_ns && now_ns - since_ns > LEND_STALE_NS)
      continue;
    all += atomic_load_explicit(&seat->load.permille, memory_order_relaxed);
    count += i < seats->loop->poller.homes && !atomic_load_explicit(&seat->lent, memory_order_relaxed);
  }
  return all / count;
}

static void lend__reconsider(struct seat *seat, struct seat *to, uint64_t now_ns) {
  uint32_t permille = lend__mean_permille(seat->seats, now_ns);
  bool worth = permille >= LEND_WORTH_PERMILLE, slow = seat__expects_slow(seat, now_ns) || seat__expects_slow(to, now_ns);
  seat->idle = !worth && !slow;
  if (worth || seat->idle)
    lend__stay_whole(&to->load, !worth, now_ns);
}

static void lend__judge(struct seat *seat, uint64_t now_ns) {
  struct load *load = &seat->load;
  struct seat *to = &seat->seats->seat[lend__to(seat)];
  uint64_t ran_ns = thread__ran_ns(), sleeps = thread__sleeps();
  bool full = sleeps == load->sleeps;
  uint64_t span_ns = now_ns - atomic_load_explicit(&load->since_ns, memory_order_relaxed);
  atomic_store_explicit(&load->permille, (uint32_t)((ran_ns - load->ran_ns) * 1000 / span_ns), memory_order_relaxed);
  lend__count_from(load, now_ns, ran_ns, sleeps);
  if (to != seat)
    lend__reconsider(seat, to, now_ns);
  else if (full && now_ns >= atomic_load_explicit(&load->whole_until_ns, memory_order_relaxed))
    lend__divide(seat);
}

void lend__weigh(struct seat *seat, uint64_t now_ns) {
  uint64_t since_ns = atomic_load_explicit(&seat->load.since_ns, memory_order_relaxed);
  if (seat->seats->loop->poller.homes > 1 && now_ns - since_ns >= LEND_LOOK_NS)
    lend__judge(seat, now_ns);
}
