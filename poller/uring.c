/* The io_uring backend: completions from the kernel, as the port's. */
#include "hook.h"
#include "uring.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Most completions that one wait takes. */
#define URING_BATCH 1024

/* ---- Open and close ---- */

static int uring__setup(struct io_uring *ring) {
  /* The thread of a ring comes to the kernel soon by itself. One that is long in a callback does at the next tick of the clock, and the
     completion is there for who stands in. That is why not IORING_SETUP_DEFER_TASKRUN: nobody else could have it then. */
  struct io_uring_params params = {
      .flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
      .cq_entries = URING_COMPLETIONS,
  };
  int code = io_uring_queue_init_params(URING_ENTRIES, ring, &params);
  if (code < 0)
    return code == -ENOSYS || code == -EINVAL || code == -EPERM ? PIER_ENOTSUP : pier_error_from_system((uint32_t)-code);
  const unsigned wanted = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL | IORING_FEAT_CQE_SKIP;
  struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
  /* With 5.19 came this operation, and cancelling by descriptor. */
  bool fits = (params.features & wanted) == wanted && params.sq_entries == URING_ENTRIES && probe && io_uring_opcode_supported(probe, IORING_OP_SOCKET);
  io_uring_free_probe(probe);
  if (!fits) {
    io_uring_queue_exit(ring);
    return PIER_ENOTSUP;
  }
  for (unsigned i = 0; i < URING_ENTRIES; i++)
    ring->sq.array[i] = i;
  return PIER_OK;
}

static int uring__open_ring(struct uring_ring *ring, bool seated) {
  ring->set = -1;
  ring->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (ring->wake < 0)
    return pier_error_from_system((uint32_t)errno);
  int status = uring__setup(&ring->ring);
  if (status == PIER_OK && seated) {
    status = set__open(ring);
    if (status != PIER_OK)
      io_uring_queue_exit(&ring->ring);
  }
  if (status != PIER_OK) {
    close(ring->wake);
    return status;
  }
  mutex__init(&ring->lock);
  mutex__init(&ring->handing);
  inbox__init(&ring->inbox);
  files__open(ring);
  return PIER_OK;
}

static void uring__close_rings(struct uring *uring) {
  while (uring->count) {
    struct uring_ring *ring = &uring->rings[--uring->count];
    set__close(ring);
    io_uring_queue_exit(&ring->ring);
    mutex__destroy(&ring->lock);
    mutex__destroy(&ring->handing);
    close(ring->wake);
  }
  port_common__close(&uring->common);
  free(uring);
}

/* Before anybody drives the loop, a host may wait for its descriptor. */
static void uring__arm(struct poller *poller) {
  struct turn turn;
  turn__begin(&turn, poller);
  uring__push_wake(poller);
  uring__flush(poller);
  turn__end(&turn);
}

/* More threads at work than there are processors would only take them from one another, and each sleep as often as all together. The rest
   stand in for those whose callbacks take long. */
static uint32_t uring__homes(uint32_t rings) {
  uint32_t processors = HOOK_PROCESSORS(thread__processors());
  return processors && processors < rings ? processors : rings;
}

static int uring__open(struct poller *poller, uint32_t threads) {
  uint32_t count = threads ? threads : 1;
  struct uring *uring = calloc(1, sizeof *uring + count * sizeof uring->rings[0]);
  if (!uring)
    return PIER_ENOMEM;
  port_common__open(&uring->common);
  int status = PIER_OK;
  while (uring->count < count && status == PIER_OK) {
    status = uring__open_ring(&uring->rings[uring->count], threads > 0);
    atomic_init(&uring->rings[uring->count].tender, uring->count);
    uring->count += status == PIER_OK;
  }
  if (status != PIER_OK) {
    uring__close_rings(uring);
    return status;
  }
  poller->seats = threads;
  poller->homes = uring__homes(count);
  poller->system = uring;
  poller->port = (uintptr_t)uring->rings[0].ring.ring_fd;
  if (!threads)
    uring__arm(poller);
  return PIER_OK;
}

static void uring__close(struct poller *poller) { uring__close_rings(uring__of(poller)); }

/* A ring has no set of handles: each operation names its descriptor, or its place in the ring's table. */
static int uring__associate(struct handle *handle) {
  (void)handle;
  return PIER_OK;
}

static void uring__wake(struct poller *poller) {
  eventfd_write(uring__of(poller)->rings[atomic_load_explicit(&poller->keeper, memory_order_seq_cst)].wake, 1);
}

/* ---- Where each poller thread has a ring ---- */

bool uring__nudge(struct poller *poller, uint32_t seat) {
  struct uring_ring *ring = &uring__of(poller)->rings[seat];
  bool slept = inbox__tell(&ring->inbox);
  if (slept)
    eventfd_write(ring->wake, 1);
  return slept;
}

static bool uring__watch(struct poller *poller, uint32_t own_seat) {
  if (!uring__settle(poller))
    return false;
  uring__push_watch(poller, own_seat, turn__here()->seat);
  return true;
}

/* ---- Waiting ---- */

struct uring_completion {
  uint64_t id;
  int32_t result;
  uint32_t flags;
};

/* Takes completions out of the queue; several host threads may come at once. */
static size_t uring__take(struct uring_ring *ring, struct uring_completion *completions, size_t max) {
  struct io_uring_cqe *entry;
  unsigned head;
  size_t count = 0;
  if (io_uring_smp_load_acquire(ring->ring.cq.ktail) == io_uring_smp_load_acquire(ring->ring.cq.khead))
    return 0;
  mutex__lock(&ring->lock);
  io_uring_for_each_cqe(&ring->ring, head, entry) {
    if (count == max)
      break;
    completions[count++] = (struct uring_completion){entry->user_data, entry->res, entry->flags};
  }
  io_uring_cq_advance(&ring->ring, (unsigned)count);
  mutex__unlock(&ring->lock);
  return count;
}

static void uring__woken(struct poller *poller, const struct uring_completion *completion) {
  if (completion->flags & IORING_CQE_F_MORE)
    atomic_store_explicit(&poller->wake_posted, 0, memory_order_seq_cst);
  else if (completion->result != -ECANCELED)
    uring__here(poller)->armed_by = 0; /* it has run out: the next wait arms it again */
}

/* Each time that something in the set is ready. */
static void uring__shown(struct poller *poller, const struct uring_completion *completion) {
  struct uring *uring = uring__of(poller);
  if (!(completion->flags & IORING_CQE_F_MORE) && completion->result != -ECANCELED)
    uring->set_armed_by = 0;
  if (uring__here(poller)->set >= 0)
    set__wait(poller, uring__here(poller), 0);
}

/* Another seat's set has something; whose thread looks there is not decided here. */
static void uring__watched(struct poller *poller, uint64_t seat) {
  uint32_t own = turn__here()->seat + 1;
  atomic_compare_exchange_strong_explicit(&uring__of(poller)->rings[seat].watched_by, &own, 0, memory_order_acq_rel, memory_order_relaxed);
}

/* One that the backend has asked for itself. False: it is none of those. */
static bool uring__own(struct poller *poller, const struct uring_completion *completion) {
  uint64_t own = completion->id - uring__key(poller, 0);
  if (own >= URING_WATCH + uring__of(poller)->count)
    return uring__load_told(poller, completion->id, completion->result);
  switch ((enum uring_own)own) {
  case URING_WAKE:
    uring__woken(poller, completion);
    break;
  case URING_SET:
    uring__shown(poller, completion);
    break;
  case URING_TICK:
    trust__tick(poller);
    break;
  case URING_AGAIN:
    uring__load_again(poller);
    break;
  case URING_CANCEL: /* it came too late: the operation has its own completion */
    break;
  case URING_WATCH:
  default:
    uring__watched(poller, own - URING_WATCH);
  }
  return true;
}

/* Gives how many completions were nobody's: those go to the host's callback as packets, and are counted there. */
static size_t uring__sort(struct poller *poller, const struct uring_completion *completions, size_t count, pier_packet *packets, size_t max) {
  size_t foreign = 0, ours = 0;
  for (size_t i = 0; i < count; i++) {
    const struct uring_completion *completion = &completions[i];
    if (uring__completed(poller, completion->id, completion->result, completion->flags))
      ours++;
    else if (!uring__own(poller, completion) && foreign < max)
      packets[foreign++] = (pier_packet){.key = completion->id, .status = (uint32_t)completion->result, .bytes = completion->flags};
  }
  poller__count_batch(poller, ours);
  return foreign;
}

/* Whether this thread may sleep now: nothing is due, and nothing was handed over since we looked. */
static bool uring__may_sleep(struct poller *poller, struct uring_ring *ring) {
  return !port__has_due(poller) && (!poller->seats || inbox__sleep(&ring->inbox));
}

/* Hands over what is in line, and waits. Of that some may be through already, and is not to wait for what is not. Whether there may be
   completions then: most of the time it is the set alone that has something, and the ring is left in peace. */
static bool uring__await(struct poller *poller, struct uring_ring *ring, uint64_t timeout_ns) {
  uint64_t wait_ns = timeout_ns && uring__may_sleep(poller, ring) ? timeout_ns : 0;
  if (!set__is_awaited(uring__of(poller), ring)) {
    uring__enter(poller, ring, wait_ns);
    return true;
  }
  return set__wait(poller, ring, uring__hand_in_all(poller, ring) ? wait_ns : 0);
}

static size_t uring__collect(struct poller *poller, struct uring_ring *ring, pier_packet *packets, size_t max) {
  struct uring_completion completions[PORT_BATCH];
  size_t taken = 0, foreign = 0, count;
  do {
    count = uring__take(ring, completions, PORT_BATCH);
    foreign += uring__sort(poller, completions, count, packets + foreign, max - foreign);
    taken += count;
  } while (count == PORT_BATCH && taken < URING_BATCH);
  return foreign;
}

static size_t uring__wait(struct poller *poller, pier_packet *packets, size_t max, uint64_t timeout_ns) {
  struct uring_ring *ring = uring__here(poller);
  if (ring->armed_by != thread__self() && (!ring->armed_by || atomic_load_explicit(&ring->tender, memory_order_relaxed) == turn__here()->home))
    uring__push_wake(poller);
  set__show(poller);
  if (atomic_load_explicit(&ring->handed, memory_order_seq_cst))
    uring__take_over(poller);
  bool completed = uring__await(poller, ring, timeout_ns);
  if (poller->seats) {
    HOOK_RISING(poller);
    inbox__rise(&ring->inbox);
  }
  size_t foreign = completed ? uring__collect(poller, ring, packets, max) : 0;
  set__shown_next(poller);
  return foreign;
}

const struct port_backend uring_backend = {
    .name = "uring",
    .blocking_files = false,
    .non_blocking = false,
    .open = uring__open,
    .close = uring__close,
    .associate = uring__associate,
    .disassociate = files__leave,
    .submit = uring__submit,
    .submit_away = uring__submit_away,
    .cancel = uring__cancel,
    .claim_load = uring__claim_load,
    .disclaim_load = uring__disclaim_load,
    .begin_load = uring__begin_load,
    .has_loads = uring__has_loads,
    .cancel_all = uring__cancel_all,
    .gathers = uring__is_home,
    .wait = uring__wait,
    .wake = uring__wake,
    .flush = uring__flush,
    .host = set__host,
    .post = uring__hand_settled,
    .resume = uring__resume,
    .end = uring__end,
    .hurry = uring__hurry,
    .nudge = uring__nudge,
    .watch = uring__watch,
    .lend = uring__lend,
    .take_back = uring__take_back,
    .settle = uring__settle,
    .arm = uring__push_tick,
    .look = uring__look,
    .forget = files__leave,
};
