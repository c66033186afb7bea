#include "run.h"
#include <stdlib.h>

/* Callbacks between two looks at the port while there is always something due: a look costs system calls, and those that
   wait there should not wait long. */
#define TURN_CALLBACKS_MAX 128

#define THREADS_MAX 64u
#define WORKERS_MAX 256u

static uint32_t loop__or(uint32_t value, uint32_t usual) { return value ? value : usual; }

static bool loop__fits(const pier_loop_options *options) {
  return options->threads <= THREADS_MAX && options->workers_max <= WORKERS_MAX && options->operations_max <= ID_SLOTS_MAX &&
         options->handles_max <= ID_SLOTS_MAX && options->timers_max <= ID_SLOTS_MAX &&
         !(options->use_port && (options->port == PIER_NATIVE_NONE || options->port == 0 || options->threads > 0));
}

/* Opens one part after the other, and closes those that are open when one cannot be had. */
static int loop__open_parts(pier_loop *loop, const pier_loop_options *options) {
  struct poller_limits limits = {.operations_max = loop__or(options->operations_max, 1u << 20),
                                 .handles_max = loop__or(options->handles_max, 1u << 18),
                                 .threads = options->threads,
                                 .use_port = options->use_port,
                                 .port = options->port};
  int status = poller__open(&loop->poller, loop, &limits);
  if (status != PIER_OK)
    return status;
  status = timers__open(&loop->timers, &loop->poller, loop__or(options->timers_max, 1u << 22));
  if (status == PIER_OK) {
    status = workers__open(&loop->workers, loop__or(options->workers_max, 4));
    if (status == PIER_OK) {
      status = pool__open(&loop->pool, loop, options->threads);
      if (status == PIER_OK)
        return PIER_OK;
      workers__close(&loop->workers);
    }
    timers__close(&loop->timers);
  }
  poller__close(&loop->poller);
  return status;
}

int pier_loop_open(const pier_loop_options *options, pier_loop **loop) {
  static const pier_loop_options usual = {0};
  if (!loop)
    return PIER_EINVAL;
  *loop = NULL;
  if (!options)
    options = &usual;
  if (!loop__fits(options))
    return PIER_EINVAL;
  pier_loop *opened = calloc(1, sizeof *opened);
  if (!opened)
    return PIER_ENOMEM;
  opened->poller.on_packet = options->on_packet;
  opened->poller.packet_context = options->packet_context;
  opened->poller.pooled = options->threads > 0;
  opened->poller.cancel_work = workers__cancel;
  opened->poller.offload = workers__submit;
  int status = loop__open_parts(opened, options);
  if (status != PIER_OK) {
    free(opened);
    return status;
  }
  *loop = opened;
  return PIER_OK;
}

static bool loop__is_mine(pier_loop *loop) {
  for (struct turn *turn = turn__here(); turn; turn = turn->outer)
    if (turn->poller == &loop->poller)
      return true;
  return false;
}

/* A wake of ours on a host's port would come to the host when the loop is gone: so it is dispatched first. */
static bool loop__has_wake_out(pier_loop *loop) { return loop->poller.port_borrowed && atomic_load(&loop->poller.wake_posted); }

uint64_t pier_loop_alive(pier_loop *loop) {
  if (!loop)
    return 0;
  struct poller *poller = &loop->poller;
  return poller__operations(poller) +
         posts__waiting(&poller->posts) + poller__closing(poller) +
         timers__running(&loop->timers) + atomic_load(&loop->holds) + loop__has_wake_out(loop);
}

/* What is most likely first: a loop that has something to do asks after each of its turns. */
bool loop__is_alive(pier_loop *loop) {
  const struct poller *poller = &loop->poller;
  return poller__operations(poller) || timers__running(&loop->timers) || atomic_load(&loop->holds) || posts__waiting(&loop->poller.posts) ||
         poller__closing(poller) || loop__has_wake_out(loop);
}

/* A repeating timer is no reason to stay; an operation, a handle or a hold is. */
static bool loop__is_busy(pier_loop *loop) {
  return poller__operations(&loop->poller) || posts__waiting(&loop->poller.posts) ||
         atomic_load_explicit(&loop->poller.handles.slots_used, memory_order_acquire) || atomic_load(&loop->holds) || atomic_load(&loop->driver) ||
         loop__has_wake_out(loop);
}

int pier_loop_close(pier_loop *loop) {
  if (!loop)
    return PIER_EINVAL;
  if (loop__is_mine(loop))
    return PIER_EDEADLK;
  if (loop__is_busy(loop))
    return PIER_EBUSY;
  poller__settle(&loop->poller);
  pool__close(&loop->pool, loop);
  workers__close(&loop->workers);
  poller__close(&loop->poller);
  timers__close(&loop->timers);
  free(loop);
  return PIER_OK;
}

/* ---- Driving ---- */

/* Nobody drives the loop any more: who brings something from now on has to wake a host, and what is here already must. */
static void loop__rest(pier_loop *loop, struct turn *turn) {
  struct ready *ready;
  struct inbox *inbox = &loop->poller.inbox;
  port__flush(&loop->poller);
  poller__leave_local(turn);
  turn__end(turn);
  bool left = turn->ready.first != NULL;
  while ((ready = ready_list__take(&turn->ready)))
    inbox__push(inbox, ready);
  if (left || !inbox__sleep(inbox))
    poller__wake(&loop->poller);
}

/* Gives how many callbacks ran. */
static uint32_t loop__turn(pier_loop *loop, struct turn *turn, uint64_t timeout_ns) {
  run__gather(loop, turn, timeout_ns);
  poller__count(&loop->poller, COUNTER_TURNS, 1);
  return run__list(loop, turn, TURN_CALLBACKS_MAX);
}

static bool loop__has_cause(pier_loop *loop, const struct turn *turn) {
  return !atomic_load(&loop->stopped) && (turn->ready.first || loop__is_alive(loop));
}

/* What is left until a moment; UINT64_MAX if there is none. */
static uint64_t loop__left_ns(uint64_t deadline_ns) {
  if (deadline_ns == PIER_NO_DEADLINE)
    return UINT64_MAX;
  uint64_t now_ns = clock__now_ns();
  return now_ns < deadline_ns ? deadline_ns - now_ns : 0;
}

static int loop__drive(pier_loop *loop, struct turn *turn, pier_run_mode mode, uint64_t timeout_ns) {
  if (mode == PIER_RUN_NOWAIT) {
    loop__turn(loop, turn, 0);
    return PIER_OK;
  }
  uint64_t deadline_ns = pier_deadline_in(timeout_ns);
  while (loop__has_cause(loop, turn)) {
    uint32_t ran = loop__turn(loop, turn, loop__left_ns(deadline_ns));
    if (mode == PIER_RUN_ONCE && ran)
      return PIER_OK;
    if (loop__left_ns(deadline_ns) == 0 && loop__has_cause(loop, turn))
      return PIER_ETIMEDOUT;
  }
  return PIER_OK;
}

static int loop__drive_here(pier_loop *loop, pier_run_mode mode, uint64_t timeout_ns) {
  struct turn turn;
  turn__begin(&turn, &loop->poller);
  turn.drives = true;
  poller__take_local(&loop->poller, &turn);
  inbox__rise(&loop->poller.inbox);
  int status = loop__drive(loop, &turn, mode, timeout_ns);
  loop__rest(loop, &turn);
  atomic_store(&loop->stopped, 0);
  return status;
}

static int loop__await_pool(pier_loop *loop, pier_run_mode mode, uint64_t timeout_ns) {
  if (mode != PIER_RUN_DEFAULT)
    return PIER_EINVAL;
  bool in_time = pool__wait(&loop->pool, loop, timeout_ns);
  atomic_store(&loop->stopped, 0);
  return in_time ? PIER_OK : PIER_ETIMEDOUT;
}

int pier_loop_run(pier_loop *loop, pier_run_mode mode, uint64_t timeout_ns) {
  if (!loop || mode < PIER_RUN_DEFAULT || mode > PIER_RUN_NOWAIT)
    return PIER_EINVAL;
  if (loop__is_mine(loop))
    return PIER_EDEADLK;
  if (loop->poller.pooled)
    return loop__await_pool(loop, mode, timeout_ns);
  uint64_t nobody = 0;
  if (!atomic_compare_exchange_strong(&loop->driver, &nobody, thread__self()))
    return PIER_EBUSY;
  int status = loop__drive_here(loop, mode, timeout_ns);
  atomic_store(&loop->driver, 0);
  return status;
}

void loop__look(pier_loop *loop) {
  if (loop->poller.pooled)
    pool__look(&loop->pool);
  else
    poller__tell(&loop->poller);
}

int pier_loop_stop(pier_loop *loop) {
  if (!loop)
    return PIER_EINVAL;
  atomic_store(&loop->stopped, 1);
  loop__look(loop);
  return PIER_OK;
}

int pier_loop_hold(pier_loop *loop) {
  if (!loop)
    return PIER_EINVAL;
  atomic_fetch_add(&loop->holds, 1);
  return PIER_OK;
}

int pier_loop_release(pier_loop *loop) {
  if (!loop)
    return PIER_EINVAL;
  uint64_t holds = atomic_load(&loop->holds);
  do {
    if (!holds)
      return PIER_EINVAL;
  } while (!atomic_compare_exchange_weak(&loop->holds, &holds, holds - 1));
  loop__look(loop);
  return PIER_OK;
}

/* ---- A host drives ---- */

int pier_loop_dispatch(pier_loop *loop, pier_packet *packets, size_t *count) {
  if (!loop || !count || (*count && !packets) || loop->poller.pooled)
    return PIER_EINVAL;
  if (loop__is_mine(loop))
    return PIER_EDEADLK;
  struct turn turn;
  size_t returned = 0;
  turn__begin(&turn, &loop->poller);
  poller__take_local(&loop->poller, &turn);
  inbox__rise(&loop->poller.inbox);
  for (size_t i = 0; i < *count; i++)
    if (!poller__packet(&loop->poller, &packets[i]))
      packets[returned++] = packets[i];
  *count = returned;
  port__collect(&loop->poller);
  inbox__drain(&loop->poller.inbox, &turn.ready);
  timers__expire(&loop->timers);
  run__list(loop, &turn, TURN_CALLBACKS_MAX);
  poller__count(&loop->poller, COUNTER_TURNS, 1);
  loop__rest(loop, &turn);
  return PIER_OK;
}

uint64_t pier_loop_timeout_ns(pier_loop *loop) { return loop ? timers__due_in_ns(&loop->timers) : PIER_NO_TIMEOUT; }

pier_native pier_loop_native(pier_loop *loop) {
  if (!loop)
    return PIER_NATIVE_NONE;
  doze__forbid(&loop->poller);
  return port__native(&loop->poller);
}

const char *pier_loop_backend(pier_loop *loop) { return loop ? port__name(&loop->poller) : "none"; }
