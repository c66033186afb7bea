/* The io_uring backend: completions from the kernel, as the port's. */
#include "uring.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

/* Most completions that one wait takes. */
#define URING_BATCH 1024

/* ---- Open and close ---- */

static int uring__setup(struct poller *poller, struct uring *uring) {
  struct io_uring_params params = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL, .cq_entries = URING_COMPLETIONS};
  /* The thread that drives the loop comes to the kernel soon by itself; one in a callback of the pool may not. */
  if (!poller->pooled)
    params.flags |= IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
  int code = io_uring_queue_init_params(URING_ENTRIES, &uring->ring, &params);
  if (code < 0)
    return code == -ENOSYS || code == -EINVAL || code == -EPERM ? PIER_ENOTSUP : pier_error_from_system((uint32_t)-code);
  const unsigned wanted = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL | IORING_FEAT_CQE_SKIP;
  struct io_uring_probe *probe = io_uring_get_probe_ring(&uring->ring);
  /* With 5.19 came this operation, and cancelling by descriptor. */
  bool fits = (params.features & wanted) == wanted && params.sq_entries == URING_ENTRIES && probe && io_uring_opcode_supported(probe, IORING_OP_SOCKET);
  io_uring_free_probe(probe);
  if (!fits) {
    io_uring_queue_exit(&uring->ring);
    return PIER_ENOTSUP;
  }
  for (unsigned i = 0; i < URING_ENTRIES; i++)
    uring->ring.sq.array[i] = i;
  return PIER_OK;
}

static int uring__open(struct poller *poller) {
  struct uring *uring = calloc(1, sizeof *uring);
  if (!uring)
    return PIER_ENOMEM;
  int status = port_common__open(&uring->common);
  if (status == PIER_OK) {
    status = uring__setup(poller, uring);
    if (status != PIER_OK)
      port_common__close(&uring->common);
  }
  if (status != PIER_OK) {
    free(uring);
    return status;
  }
  mutex__init(&uring->lock);
  mutex__init(&uring->handing);
  poller->system = uring;
  poller->port = (uintptr_t)uring->ring.ring_fd;
  return PIER_OK;
}

static void uring__close(struct poller *poller) {
  struct uring *uring = uring__of(poller);
  io_uring_queue_exit(&uring->ring);
  mutex__destroy(&uring->lock);
  mutex__destroy(&uring->handing);
  port_common__close(&uring->common);
  free(uring);
}

/* A ring has no set of handles: each operation names its descriptor. */
static int uring__associate(struct handle *handle) {
  (void)handle;
  return PIER_OK;
}

static void uring__disassociate(struct handle *handle) { (void)handle; }
static void uring__forget(struct handle *handle) { (void)handle; }

static void uring__wake(struct poller *poller) { eventfd_write(uring__of(poller)->common.wake, 1); }

/* ---- Waiting ---- */

struct uring_completion {
  uint64_t id;
  int32_t result;
  uint32_t flags;
};

/* Takes completions out of the queue; several host threads may come at once. */
static size_t uring__take(struct uring *uring, struct uring_completion *completions, size_t max) {
  struct io_uring_cqe *entry;
  unsigned head;
  size_t count = 0;
  mutex__lock(&uring->lock);
  io_uring_for_each_cqe(&uring->ring, head, entry) {
    if (count == max)
      break;
    completions[count++] = (struct uring_completion){entry->user_data, entry->res, entry->flags};
  }
  io_uring_cq_advance(&uring->ring, (unsigned)count);
  mutex__unlock(&uring->lock);
  return count;
}

static void uring__woken(struct poller *poller, const struct uring_completion *completion) {
  if (completion->flags & IORING_CQE_F_MORE)
    atomic_store_explicit(&poller->wake_posted, 0, memory_order_seq_cst);
  else if (completion->result != -ECANCELED)
    uring__of(poller)->armed_by = 0; /* it has run out: the next wait arms it again */
}

/* Gives how many completions were nobody's: those go to the host's callback as packets, and are counted there. */
static size_t uring__sort(struct poller *poller, const struct uring_completion *completions, size_t count, pier_packet *packets, size_t max) {
  size_t foreign = 0, ours = 0;
  for (size_t i = 0; i < count; i++) {
    const struct uring_completion *completion = &completions[i];
    if (completion->id == URING_WAKE)
      uring__woken(poller, completion);
    else if (completion->id == URING_CANCEL)
      continue; /* it came too late: the operation has its own completion */
    else if (uring__completed(poller, completion->id, completion->result, completion->flags))
      ours++;
    else if (foreign < max)
      packets[foreign++] = (pier_packet){.key = completion->id, .status = (uint32_t)completion->result, .bytes = completion->flags};
  }
  poller__count_batch(poller, ours);
  return foreign;
}

static size_t uring__wait(struct poller *poller, pier_packet *packets, size_t max, uint64_t timeout_ns) {
  struct uring *uring = uring__of(poller);
  struct uring_completion completions[PORT_BATCH];
  size_t taken = 0, foreign = 0, count;
  port_common__drain(poller);
  if (!uring->armed_by || (!poller->pooled && uring->armed_by != thread__self()))
    uring__push_wake(poller);
  uring__take_over(poller);
  /* Some of that may be through already, and is not to wait for what is not. */
  uring__enter(poller, port__has_due(poller) ? 0 : timeout_ns);
  do {
    count = uring__take(uring, completions, PORT_BATCH);
    foreign += uring__sort(poller, completions, count, packets + foreign, max - foreign);
    taken += count;
  } while (count == PORT_BATCH && taken < URING_BATCH);
  return foreign;
}

const struct port_backend uring_backend = {
    .name = "uring",
    .blocking_files = false,
    .non_blocking = false,
    .open = uring__open,
    .close = uring__close,
    .associate = uring__associate,
    .disassociate = uring__disassociate,
    .submit = uring__submit,
    .cancel = uring__cancel,
    .cancel_all = uring__cancel_all,
    .wait = uring__wait,
    .wake = uring__wake,
    .flush = uring__flush,
    .forget = uring__forget,
};
