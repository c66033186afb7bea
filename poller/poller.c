#include "poller.h"

/* Where ids lead. A slot is written by open and close only. */
static _Atomic(struct poller *) table[ID_LOOPS_MAX];

struct poller *poller__of(uint64_t id, unsigned kind) {
  if (id__kind(id) != kind)
    return NULL;
  return atomic_load_explicit(&table[id__loop(id)], memory_order_acquire);
}

static int poller__enlist(struct poller *poller) {
  for (uint32_t i = 0; i < ID_LOOPS_MAX; i++) {
    struct poller *none = NULL;
    poller->index = i;
    if (atomic_compare_exchange_strong(&table[i], &none, poller))
      return PIER_OK;
  }
  return PIER_EMFILE;
}

static int poller__open_slabs(struct poller *poller, const struct poller_limits *limits) {
  int status = slab__open(&poller->operations, sizeof(struct op), limits->operations_max);
  if (status != PIER_OK)
    return status;
  status = slab__open(&poller->handles, sizeof(struct handle), limits->handles_max);
  if (status != PIER_OK)
    slab__close(&poller->operations);
  return status;
}

int poller__open(struct poller *poller, pier_loop *loop, const struct poller_limits *limits) {
  poller->loop = loop;
  inbox__init(&poller->inbox);
  mutex__init(&poller->associating);
  poller->port_borrowed = limits->use_port;
  int status = poller__open_slabs(poller, limits);
  if (status != PIER_OK)
    return status;
  status = port__open(poller, limits);
  if (status == PIER_OK) {
    status = poller__enlist(poller);
    if (status == PIER_OK)
      return PIER_OK;
    port__close(poller);
  }
  slab__close(&poller->handles);
  slab__close(&poller->operations);
  return status;
}

void poller__close(struct poller *poller) {
  atomic_store_explicit(&table[poller->index], NULL, memory_order_release);
  port__close(poller);
  slab__close(&poller->handles);
  slab__close(&poller->operations);
  mutex__destroy(&poller->associating);
}

/* ---- What is due ---- */

void poller__wake(struct poller *poller) {
  if (atomic_exchange_explicit(&poller->wake_posted, 1, memory_order_seq_cst))
    return;
  counter__add(&poller->counters.wakes, 1);
  /* Queuing a packet can fail for want of non-paged memory. What was brought lies in the inbox, so nothing is lost; but
     nobody else will wake the loop for it, so this thread stays at it. */
  while (!port__post(poller, PORT_WAKE_KEY, NULL))
    thread__yield();
}

void poller__enqueue(struct poller *poller, struct ready *ready) {
  struct turn *turn = turn__here();
  if (turn && turn->poller == poller)
    ready_list__append(&turn->ready, ready);
  else if (inbox__push(&poller->inbox, ready))
    poller__wake(poller);
}

void poller__deliver(struct poller *poller, struct handle *handle, struct ready *ready) {
  if (handle && !strand__enter(&handle->strand, ready)) {
    counter__add(&poller->counters.hand_overs, 1);
    return;
  }
  poller__enqueue(poller, ready);
}

void poller__tell(struct poller *poller) {
  struct turn *turn = turn__here();
  if ((poller->pooled || !turn || turn->poller != poller) && inbox__tell(&poller->inbox))
    poller__wake(poller);
}

/* ---- What comes off the port ---- */

/* A packet that none of our operations stands behind goes to its handle's callback, on the handle's strand. */
static bool poller__foreign(struct poller *poller, struct handle *handle, const pier_packet *packet) {
  bool wanted = handle ? handle->on_foreign != NULL : poller->on_packet != NULL;
  struct op *op = wanted ? op__acquire(poller, OP_FOREIGN, NULL, NULL) : NULL;
  if (!op)
    return false;
  op->handle = handle;
  op->as.foreign.packet = *packet;
  poller__deliver(poller, handle, &op->ready);
  return true;
}

/* The operation in flight that the packet's pointer names, now believed; found by arithmetic before anything is read. */
static struct op *poller__claimed(struct poller *poller, const struct handle *handle, const pier_packet *packet) {
  uintptr_t address = (uintptr_t)packet->overlapped;
  if (address < offsetof(struct op, system))
    return NULL;
  struct slot *slot = slab__find(&poller->operations, address - offsetof(struct op, system));
  return slot && op__claim(op__of_slot(slot), handle) ? op__of_slot(slot) : NULL;
}

bool poller__packet(struct poller *poller, const pier_packet *packet) {
  if (packet->key == PORT_WAKE_KEY && !packet->overlapped) {
    atomic_store_explicit(&poller->wake_posted, 0, memory_order_seq_cst);
    return true;
  }
  struct handle *handle = handle__find(poller, packet->key);
  struct op *op = handle ? poller__claimed(poller, handle, packet) : NULL;
  if (op) {
    struct piece piece = {0, 0};
    port__read_packet(packet, op, &piece);
    op__settle(op, piece.code, piece.bytes);
    return true;
  }
  counter__add(&poller->counters.foreign, 1);
  if (handle && handle__enter(poller, packet->key, &handle) == PIER_OK) {
    if (!poller__foreign(poller, handle, packet)) {
      counter__add(&poller->counters.dropped, 1);
      handle__leave(handle);
    }
    return true; /* the key is ours, so the packet was never the host's */
  }
  return poller__foreign(poller, NULL, packet);
}

void poller__wait(struct poller *poller, uint64_t timeout_ns) {
  pier_packet packets[PORT_BATCH];
  size_t count = port__wait(poller, packets, PORT_BATCH, timeout_ns);
  counter__add(&poller->counters.waits, 1);
  counter__add(&poller->counters.packets, count);
  if (count > atomic_load_explicit(&poller->counters.batch_max, memory_order_relaxed))
    atomic_store_explicit(&poller->counters.batch_max, count, memory_order_relaxed);
  for (size_t i = 0; i < count; i++)
    if (!poller__packet(poller, &packets[i]))
      counter__add(&poller->counters.dropped, 1);
}
