#include "timers.h"
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
  return id__make(ID_TIMER, timers->poller->index, slab__index(&timers->slab, &timer->slot), slot__generation(timer__word(timer)));
}

/* ---- The heap's rules ---- */

static uint32_t timers__order(struct timers *timers, uint64_t id) {
  struct slot *slot = slab__at(&timers->slab, id__slot(id));
  return slot ? ((struct timer *)(void *)slot)->ready.code : 0;
}

static bool timers__before(void *owner, uint64_t first_id, uint64_t second_id) {
  if (id__kind(first_id) != ID_TIMER || id__kind(second_id) != ID_TIMER)
    return false; /* deadlines of the same moment have no order */
  return (int32_t)(timers__order(owner, first_id) - timers__order(owner, second_id)) < 0;
}

static bool timers__stands(void *owner, const struct heap_entry *entry) {
  struct timers *timers = owner;
  if (id__kind(entry->id) == ID_TIMER) {
    struct timer *timer = timers__find(timers, entry->id);
    return timer && timer__is(timer, TIMER_ARMED) && timer->due_ns == entry->due_ns;
  }
  struct slot *slot = slab__at(&timers->poller->operations, id__slot(entry->id));
  return slot && slot__generation(atomic_load_explicit(&slot->word, memory_order_relaxed)) == id__generation(entry->id);
}

int timers__open(struct timers *timers, struct poller *poller, uint32_t timers_max) {
  struct heap_rules rules = {timers__before, timers__stands, timers};
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
static bool timers__add(struct timers *timers, uint64_t due_ns, uint64_t id) {
  bool earliest = due_ns < atomic_load_explicit(&timers->next_due_ns, memory_order_relaxed);
  heap__add(&timers->heap, (struct heap_entry){due_ns, id});
  if (earliest)
    atomic_store_explicit(&timers->next_due_ns, due_ns, memory_order_seq_cst);
  return earliest;
}

static uint64_t timers__moment(uint64_t now_ns, uint64_t timeout_ns) {
  return timeout_ns < UINT64_MAX - 1 - now_ns ? now_ns + timeout_ns : UINT64_MAX - 1;
}

/* ---- Deadlines ---- */

bool timers__add_deadline(struct timers *timers, uint64_t due_ns, pier_operation operation) {
  mutex__lock(&timers->lock);
  bool room = timers__make_room(timers);
  bool earliest = room && timers__add(timers, due_ns, operation);
  mutex__unlock(&timers->lock);
  if (earliest)
    poller__tell(timers->poller);
  return room;
}

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

/* Takes what is due, under the lock; the cancels are left to the caller, who holds none then. */
static size_t timers__take_due(struct timers *timers, uint64_t now_ns, pier_operation *operations) {
  size_t count = 0;
  const struct heap_entry *first;
  mutex__lock(&timers->lock);
  for (int taken = 0; taken < EXPIRE_BATCH && (first = heap__first(&timers->heap)) && first->due_ns <= now_ns; taken++) {
    uint64_t id = first->id;
    bool stands = timers__stands(timers, first);
    heap__drop_first(&timers->heap);
    if (!stands) {
      timers->void_entries--;
    } else if (id__kind(id) == ID_OPERATION) {
      operations[count++] = id;
      timers->void_entries--; /* the end of the operation will count one, and its entry is gone */
    } else {
      struct timer *timer = timers__find(timers, id);
      timer__become(timer, TIMER_READY);
      timers->away++;
      poller__deliver(timers->poller, NULL, &timer->ready);
    }
  }
  timers__note_next(timers);
  mutex__unlock(&timers->lock);
  return count;
}

void timers__expire(struct timers *timers) {
  uint64_t due_ns = atomic_load_explicit(&timers->next_due_ns, memory_order_relaxed);
  pier_operation operations[EXPIRE_BATCH];
  if (due_ns == UINT64_MAX)
    return;
  uint64_t now_ns = clock__now_ns();
  size_t count = due_ns <= now_ns ? timers__take_due(timers, now_ns, operations) : 0;
  for (size_t i = 0; i < count; i++)
    op__cancel(timers->poller, operations[i], OP_TIMED_OUT);
}

/* ---- Timers ---- */

/* Under the lock: it comes back to its place. */
static void timers__arm(struct timers *timers, struct timer *timer) {
  timers->away--;
  timer->ready.code = timers->started++;
  timer__become(timer, TIMER_ARMED);
  timers__add(timers, timer->due_ns, timers__id(timers, timer));
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
    timers->away--;
  } else {
    if (!timer__is(timer, TIMER_MOVED))
      timers__next_beat(timer);
    timers__arm(timers, timer);
  }
  mutex__unlock(&timers->lock);
  if (stopped)
    slab__release(&timers->slab, &timer->slot);
  else
    poller__tell(timers->poller);
}

/* What to do with a timer whose turn has come. */
enum timer_turn { TIMER_TURN_DROP, TIMER_TURN_SKIP, TIMER_TURN_ONCE, TIMER_TURN_REPEAT };

static enum timer_turn timers__begin(struct timers *timers, struct timer *timer) {
  if (timer__is(timer, TIMER_STOPPED)) {
    timers->away--;
    return TIMER_TURN_DROP;
  }
  if (timer__is(timer, TIMER_MOVED)) {
    timers__arm(timers, timer);
    return TIMER_TURN_SKIP;
  }
  if (timer->period_ns) {
    timer__become(timer, TIMER_RUNNING);
    return TIMER_TURN_REPEAT;
  }
  timer__become(timer, TIMER_STOPPED); /* no id finds it any more */
  timers->away--;
  return TIMER_TURN_ONCE;
}

void timers__run(struct timers *timers, struct ready *ready, pier_loop *loop) {
  struct timer *timer = (struct timer *)(void *)((char *)ready - offsetof(struct timer, ready));
  mutex__lock(&timers->lock);
  pier_timer id = timers__id(timers, timer);
  pier_timer_callback callback = timer->callback;
  void *context = timer->context;
  enum timer_turn turn = timers__begin(timers, timer);
  mutex__unlock(&timers->lock);
  if (turn == TIMER_TURN_DROP || turn == TIMER_TURN_ONCE)
    slab__release(&timers->slab, &timer->slot);
  if (turn == TIMER_TURN_DROP || turn == TIMER_TURN_SKIP)
    return;
  atomic_fetch_add_explicit(&timers->fired, 1, memory_order_relaxed);
  callback(loop, id, context);
  if (turn == TIMER_TURN_REPEAT)
    timers__ran(timers, timer);
}

pier_timer pier_timer_start(pier_loop *loop, uint64_t timeout_ns, uint64_t repeat_ns, pier_timer_callback callback, void *context) {
  if (!loop || !callback)
    return 0;
  struct timers *timers = loop__timers(loop);
  struct timer *timer = (struct timer *)(void *)slab__acquire(&timers->slab);
  if (!timer)
    return 0;
  timer->ready.kind = READY_TIMER;
  timer->period_ns = repeat_ns;
  timer->callback = callback;
  timer->context = context;
  timer->due_ns = timers__moment(clock__now_ns(), timeout_ns);
  mutex__lock(&timers->lock);
  timer->ready.code = timers->started++;
  pier_timer id = timers__id(timers, timer);
  bool room = timers__make_room(timers);
  if (room)
    timer__become(timer, TIMER_ARMED);
  bool earliest = room && timers__add(timers, timer->due_ns, id);
  mutex__unlock(&timers->lock);
  if (!room) {
    slab__release(&timers->slab, &timer->slot);
    return 0;
  }
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
  bool idle = timer && !timer__is(timer, TIMER_READY | TIMER_RUNNING);
  if (timer) {
    bool armed = timer__is(timer, TIMER_ARMED);
    /* One that is on its way to its callback, or in it, is released there. */
    timer__become(timer, TIMER_STOPPED);
    if (armed)
      timers__note_void(timers);
  }
  mutex__unlock(&timers->lock);
  if (!timer)
    return PIER_ENOENT;
  if (idle)
    slab__release(&timers->slab, &timer->slot);
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
      timers__note_void(timers);
      timer->ready.code = timers->started++;
      earliest = timers__add(timers, timer->due_ns, id);
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
