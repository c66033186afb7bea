#include "timers.h"
#include "hook.h"
#include "loop.h"

/* The lower half of a timer's word; written under the lock. */
#define TIMER_ARMED ((uint64_t)1)   /* an entry of the heap stands for it */
#define TIMER_READY ((uint64_t)2)   /* due, and on its way to its callback */
#define TIMER_RUNNING ((uint64_t)4) /* in its callback */
#define TIMER_STOPPED ((uint64_t)8) /* stopped meanwhile */
#define TIMER_MOVED ((uint64_t)16)  /* restarted while ready or running: armed again when that is over */
#define TIMER_STATES ((uint64_t)0x1f)

struct timer {
  struct slot slot;
  struct ready ready; /* code: its place in the order of starts */
  uint64_t due_ns;
  uint64_t period_ns;
  pier_timer_callback callback;
  void *context;
};

_Static_assert(sizeof(struct timer) == 64, "a timer is one cache line");

static uint64_t timer__word(const struct timer *timer) {
  return atomic_load_explicit(&((struct timer *)timer)->slot.word, memory_order_relaxed);
}

static void timer__become(struct timer *timer, uint64_t state) {
  atomic_store_explicit(&timer->slot.word, (timer__word(timer) & ~TIMER_STATES) | state, memory_order_relaxed);
}

static bool timer__is(const struct timer *timer, uint64_t state) { return timer__word(timer) & state; }

/* The timer that an id names, if it does. Under the lock. */
static struct timer *timers__find(struct timers *timers, pier_timer id) {
  struct slot *slot = slab__at(&timers->slab, id__slot(id));
  if (!slot || slot__generation(atomic_load_explicit(&slot->word, memory_order_relaxed)) != id__generation(id))
    return NULL;
  struct timer *timer = (struct timer *)(void *)slot;
  return timer__is(timer, TIMER_STATES) && !timer__is(timer, TIMER_STOPPED) ? timer : NULL;
}

static pier_timer timers__id(const struct timers *timers, const struct timer *timer) {
  return id__make(ID_TIMER, timers->poller->index, slab__index(&timer->slot), slot__generation(timer__word(timer)));
}

/* ---- The entries of the heap ---- */

/* A timer's: its order is that of the starts, which also tells it from entries that the timer, or its slot, has had before. */
static struct heap_entry entry__of_timer(const struct timer *timer) {
  return (struct heap_entry){timer->due_ns, timer->ready.code, slab__index(&timer->slot)};
}

/* A deadline's: the operation's generation takes the place of an order. */
static struct heap_entry entry__of_deadline(uint64_t due_ns, pier_operation operation) {
  return (struct heap_entry){due_ns, id__generation(operation), HEAP_UNORDERED | id__slot(operation)};
}

/* One that has the posts looked at: of no operation's slot, and there is at most one. */
static struct heap_entry entry__of_look(uint64_t due_ns) { return (struct heap_entry){due_ns, 0, HEAP_UNORDERED | ID_SLOT_NONE}; }
static bool entry__is_look(const struct heap_entry *entry) { return entry->what == (HEAP_UNORDERED | ID_SLOT_NONE); }

static struct timer *entry__timer(struct timers *timers, const struct heap_entry *entry) {
  return (struct timer *)(void *)slab__at(&timers->slab, entry->what);
}

static pier_operation entry__operation(const struct timers *timers, const struct heap_entry *entry) {
  return id__make(ID_OPERATION, timers->poller->index, entry->what & ~HEAP_UNORDERED, entry->order);
}

/* What an entry names has memory behind it, for slabs don't shrink. */
static bool timers__stands(void *owner, const struct heap_entry *entry) {
  struct timers *timers = owner;
  if (entry__is_look(entry))
    return true;
  if (entry->what & HEAP_UNORDERED) {
    struct slot *slot = slab__at(&timers->poller->operations, entry->what & ~HEAP_UNORDERED);
    return slot__generation(atomic_load_explicit(&slot->word, memory_order_relaxed)) == entry->order;
  }
  const struct timer *timer = entry__timer(timers, entry);
  return (timer__word(timer) / TIMER_ARMED & (timer->ready.code == entry->order)) != 0;
}

int timers__open(struct timers *timers, struct poller *poller, uint32_t timers_max) {
  struct heap_rules rules = {timers__stands, timers};
  int status = slab__open(&timers->slab, sizeof(struct timer), timers_max);
  if (status != PIER_OK)
    return status;
  timers->poller = poller;
  timers->void_entries = 0;
  timers->away = 0;
  timers->started = 0;
  atomic_init(&timers->next_due_ns, UINT64_MAX);
  atomic_init(&timers->fired, 0);
  heap__init(&timers->heap, &rules);
  mutex__init(&timers->lock);
  return PIER_OK;
}

void timers__close(struct timers *timers) {
  heap__free(&timers->heap);
  slab__close(&timers->slab);
  mutex__destroy(&timers->lock);
}

/* ---- Under the lock ---- */

static void timers__note_next(struct timers *timers) {
  const struct heap_entry *first = heap__first(&timers->heap);
  atomic_store_explicit(&timers->next_due_ns, first ? first->due_ns : UINT64_MAX, memory_order_seq_cst);
}

/* A void entry costs memory until its time comes. When half of them are void they are swept out: a constant cost for each. */
static void timers__note_void(struct timers *timers) {
  timers->void_entries++;
  if (timers->void_entries < 64 || (size_t)timers->void_entries * 2 < timers->heap.count)
    return;
  heap__sweep(&timers->heap);
  timers->void_entries = 0;
  timers__note_next(timers);
}

/* For one entry more, beside the places of those that are away. */
static bool timers__make_room(struct timers *timers) { return heap__make_room(&timers->heap, (size_t)timers->away + 1); }

/* There is room. True: it is the earliest, and the loop must not sleep as long as it meant to. */
static bool timers__add(struct timers *timers, struct heap_entry entry) {
  bool earliest = entry.due_ns < atomic_load_explicit(&timers->next_due_ns, memory_order_relaxed);
  heap__add(&timers->heap, entry);
  if (earliest)
    atomic_store_explicit(&timers->next_due_ns, entry.due_ns, memory_order_seq_cst);
  return earliest;
}

/* A timer begins to wait. True as for timers__add(). */
static bool timers__arm(struct timers *timers, struct timer *timer) {
  timer->ready.code = timers->started++;
  timer__become(timer, TIMER_ARMED);
  return timers__add(timers, entry__of_timer(timer));
}

static uint64_t timers__moment(uint64_t now_ns, uint64_t timeout_ns) {
  return timeout_ns < UINT64_MAX - 1 - now_ns ? now_ns + timeout_ns : UINT64_MAX - 1;
}

/* ---- Deadlines, and looks at the posts ---- */

static bool timers__add_unordered(struct timers *timers, struct heap_entry entry) {
  mutex__lock(&timers->lock);
  bool room = timers__make_room(timers);
  bool earliest = room && timers__add(timers, entry);
  mutex__unlock(&timers->lock);
  if (earliest)
    poller__tell(timers->poller);
  return room;
}

bool timers__add_deadline(struct timers *timers, uint64_t due_ns, pier_operation operation) {
  return timers__add_unordered(timers, entry__of_deadline(due_ns, operation));
}

bool timers__add_look(struct timers *timers, uint64_t due_ns) { return timers__add_unordered(timers, entry__of_look(due_ns)); }

void timers__forget_deadline(struct timers *timers) {
  mutex__lock(&timers->lock);
  timers__note_void(timers);
  mutex__unlock(&timers->lock);
}

uint64_t timers__due_in_ns(struct timers *timers) {
  uint64_t due_ns = atomic_load_explicit(&timers->next_due_ns, memory_order_seq_cst);
  if (due_ns == UINT64_MAX)
    return UINT64_MAX;
  uint64_t now_ns = clock__now_ns();
  return due_ns > now_ns ? due_ns - now_ns : 0;
}

/* So many at a time: what is due is run while it is still in the processor's cache. */
#define EXPIRE_BATCH 64

/* An entry that stood when it came up. */
static size_t timers__fall_due(struct timers *timers, const struct heap_entry *entry, pier_operation *operation) {
  if (entry__is_look(entry)) {
    poller__deliver(timers->poller, NULL, &timers->poller->posts.ready);
    return 0;
  }
  if (entry->what & HEAP_UNORDERED) {
    *operation = entry__operation(timers, entry);
    timers->void_entries--; /* the end of the operation will count one, and its entry is gone */
    return 1;
  }
  struct timer *timer = entry__timer(timers, entry);
  timer__become(timer, TIMER_READY);
  timers->away++;
  poller__deliver(timers->poller, NULL, &timer->ready);
  return 0;
}

/* Takes what is due, under the lock; the cancels are left to the caller, who holds none then. First all from the heap and then what
   the entries stand for, so that the processor can fetch the one while it waits for the other. */
static size_t timers__take_due(struct timers *timers, uint64_t now_ns, pier_operation *operations) {
  struct heap_entry entries[EXPIRE_BATCH];
  size_t taken = 0, count = 0;
  const struct heap_entry *first;
  mutex__lock(&timers->lock);
  for (; taken < EXPIRE_BATCH && (first = heap__first(&timers->heap)) && first->due_ns <= now_ns; taken++) {
    entries[taken] = *first;
    heap__drop_first(&timers->heap);
  }
  for (size_t i = 0; i < taken; i++) {
    if (timers__stands(timers, &entries[i]))
      count += timers__fall_due(timers, &entries[i], &operations[count]);
    else
      timers->void_entries--;
  }
  timers__note_next(timers);
  mutex__unlock(&timers->lock);
  return count;
}

void timers__expire_due(struct timers *timers) {
  uint64_t due_ns = atomic_load_explicit(&timers->next_due_ns, memory_order_relaxed);
  pier_operation operations[EXPIRE_BATCH];
  uint64_t now_ns = clock__now_ns();
  size_t count = due_ns <= now_ns ? timers__take_due(timers, now_ns, operations) : 0;
  for (size_t i = 0; i < count; i++)
    op__cancel(timers->poller, operations[i], OP_TIMED_OUT);
}

/* ---- Timers ---- */

/* Under the lock: it comes back to its place. */
static void timers__come_back(struct timers *timers, struct timer *timer) {
  timers->away--;
  timers__arm(timers, timer);
}

/* Under the lock: it never comes back. */
static void timers__stay_away(struct timers *timers, struct timer *timer) {
  timers->away--;
  slab__release_locked(&timers->slab, &timer->slot);
}

/* What was missed is skipped, and the beat kept. */
static void timers__next_beat(struct timer *timer) {
  uint64_t now_ns = clock__now_ns();
  timer->due_ns = timers__moment(timer->due_ns, timer->period_ns);
  if (timer->due_ns <= now_ns)
    timer->due_ns = now_ns + timer->period_ns - (now_ns - timer->due_ns) % timer->period_ns;
}

/* After its callback: again, or never. */
static void timers__ran(struct timers *timers, struct timer *timer) {
  mutex__lock(&timers->lock);
  bool stopped = timer__is(timer, TIMER_STOPPED);
  if (stopped) {
    timers__stay_away(timers, timer);
  } else {
    if (!timer__is(timer, TIMER_MOVED))
      timers__next_beat(timer);
    timers__come_back(timers, timer);
  }
  mutex__unlock(&timers->lock);
  if (!stopped)
    poller__tell(timers->poller);
}

/* What to do with a timer whose turn has come. */
enum timer_turn { TIMER_TURN_DROP, TIMER_TURN_MOVE, TIMER_TURN_ONCE, TIMER_TURN_REPEAT };

static enum timer_turn timers__begin(struct timers *timers, struct timer *timer) {
  if (timer__is(timer, TIMER_STOPPED)) {
    timers__stay_away(timers, timer);
    return TIMER_TURN_DROP;
  }
  if (timer__is(timer, TIMER_MOVED)) {
    timers__come_back(timers, timer);
    return TIMER_TURN_MOVE;
  }
  atomic_store_explicit(&timers->fired, atomic_load_explicit(&timers->fired, memory_order_relaxed) + 1, memory_order_relaxed);
  if (timer->period_ns) {
    timer__become(timer, TIMER_RUNNING);
    return TIMER_TURN_REPEAT;
  }
  timers__stay_away(timers, timer); /* no id finds it any more */
  return TIMER_TURN_ONCE;
}

void timers__run(struct timers *timers, struct ready *ready, pier_loop *loop) {
  struct timer *timer = (struct timer *)(void *)((char *)ready - offsetof(struct timer, ready));
  HOOK(timer_taken, timers);
  mutex__lock(&timers->lock);
  pier_timer id = timers__id(timers, timer);
  pier_timer_callback callback = timer->callback;
  void *context = timer->context;
  enum timer_turn turn = timers__begin(timers, timer);
  mutex__unlock(&timers->lock);
  if (turn == TIMER_TURN_MOVE)
    poller__tell(timers->poller); /* who waits on the port does so without knowing of it */
  if (turn == TIMER_TURN_DROP || turn == TIMER_TURN_MOVE)
    return;
  callback(loop, id, context);
  if (turn == TIMER_TURN_REPEAT)
    timers__ran(timers, timer);
}

pier_timer pier_timer_start(pier_loop *loop, uint64_t timeout_ns, uint64_t repeat_ns, pier_timer_callback callback, void *context) {
  if (!loop || !callback)
    return 0;
  struct timers *timers = loop__timers(loop);
  uint64_t due_ns = timers__moment(clock__now_ns(), timeout_ns);
  pier_timer id = 0;
  bool earliest = false;
  mutex__lock(&timers->lock);
  struct timer *timer = timers__make_room(timers) ? (struct timer *)(void *)slab__acquire_locked(&timers->slab) : NULL;
  if (timer) {
    timer->ready.kind = READY_TIMER;
    timer->due_ns = due_ns;
    timer->period_ns = repeat_ns;
    timer->callback = callback;
    timer->context = context;
    id = timers__id(timers, timer);
    earliest = timers__arm(timers, timer);
  }
  mutex__unlock(&timers->lock);
  if (earliest)
    poller__tell(timers->poller);
  return id;
}

/* The timers that an id leads to; null with the status to answer. */
static struct timers *timers__of(pier_timer id, int *status) {
  struct poller *poller = poller__of(id, ID_TIMER);
  *status = id && id__kind(id) == ID_TIMER ? PIER_ENOENT : PIER_EINVAL;
  return poller ? loop__timers(poller->loop) : NULL;
}

int pier_timer_stop(pier_timer id) {
  int status;
  struct timers *timers = timers__of(id, &status);
  if (!timers)
    return status;
  mutex__lock(&timers->lock);
  struct timer *timer = timers__find(timers, id);
  if (timer && timer__is(timer, TIMER_ARMED)) {
    slab__release_locked(&timers->slab, &timer->slot);
    timers__note_void(timers);
  } else if (timer) {
    timer__become(timer, TIMER_STOPPED); /* on its way to its callback, or in it: it is released there */
  }
  mutex__unlock(&timers->lock);
  if (!timer)
    return PIER_ENOENT;
  if (timers__running(timers) == 0)
    loop__look(timers->poller->loop); /* it may have been the last thing alive */
  return PIER_OK;
}

int pier_timer_restart(pier_timer id, uint64_t timeout_ns) {
  int status;
  struct timers *timers = timers__of(id, &status);
  if (!timers)
    return status;
  bool earliest = false;
  mutex__lock(&timers->lock);
  struct timer *timer = timers__find(timers, id);
  bool armed = timer && timer__is(timer, TIMER_ARMED);
  if (!timer) {
    status = PIER_ENOENT;
  } else if (armed && !timers__make_room(timers)) {
    status = PIER_ENOMEM; /* and it is due when it was */
  } else {
    status = PIER_OK;
    timer->due_ns = timers__moment(clock__now_ns(), timeout_ns);
    if (armed) {
      earliest = timers__arm(timers, timer); /* first: with its new order the old entry is void */
      timers__note_void(timers);
    } else {
      timer__become(timer, (timer__word(timer) & TIMER_STATES) | TIMER_MOVED);
    }
  }
  mutex__unlock(&timers->lock);
  if (earliest)
    poller__tell(timers->poller);
  return status;
}

uint64_t pier_timer_due_in_ns(pier_timer id) {
  int status;
  struct timers *timers = timers__of(id, &status);
  if (!timers)
    return PIER_NO_TIMEOUT;
  uint64_t now_ns = clock__now_ns();
  uint64_t due_ns = now_ns;
  mutex__lock(&timers->lock);
  struct timer *timer = timers__find(timers, id);
  if (timer && timer__is(timer, TIMER_ARMED))
    due_ns = timer->due_ns;
  else if (timer && timer__is(timer, TIMER_MOVED))
    due_ns = timer->due_ns;
  else if (timer && timer__is(timer, TIMER_RUNNING))
    due_ns = timers__moment(timer->due_ns, timer->period_ns);
  mutex__unlock(&timers->lock);
  if (!timer)
    return PIER_NO_TIMEOUT;
  return due_ns > now_ns ? due_ns - now_ns : 0;
}
