#include "poller.h"
#include <stdlib.h>

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

/* Pages of its own, which are memory when something is received; null if there are none, and then it goes without. */
static char *poller__make_chunk(void) {
  char *chunk = memory__reserve(LOCAL_CHUNK_BYTES);
  if (chunk && memory__commit(chunk, LOCAL_CHUNK_BYTES))
    return chunk;
  memory__release(chunk, LOCAL_CHUNK_BYTES);
  return NULL;
}

/* Slots that a thread keeps at hand cannot be had by others: it may be one in 64 of all. */
static int poller__open_locals(struct poller *poller, const struct poller_limits *limits) {
  uint32_t count = limits->threads ? limits->threads : 1;
  uint32_t share = limits->operations_max / 64 / count;
  poller->locals = calloc(count, sizeof *poller->locals);
  if (!poller->locals)
    return PIER_ENOMEM;
  poller->locals_count = count;
  for (uint32_t i = 0; i < count; i++)
    poller->locals[i].slots_max = share < LOCAL_SLOTS ? share : LOCAL_SLOTS;
  for (uint32_t i = 0; i < count; i++)
    poller->locals[i].chunk = poller__make_chunk();
  return PIER_OK;
}

static void poller__close_locals(struct poller *poller) {
  for (uint32_t i = 0; i < poller->locals_count; i++) {
    memory__release(poller->locals[i].chunk, LOCAL_CHUNK_BYTES);
    free(poller->locals[i].batch);
  }
  free(poller->locals);
}

/* The first operation of an open handle is not to allocate; a handle may, when it is opened. */
static int poller__open_slabs(struct poller *poller, const struct poller_limits *limits) {
  int status = slab__open(&poller->operations, sizeof(struct op), limits->operations_max);
  if (status != PIER_OK)
    return status;
  status = slab__begin(&poller->operations);
  if (status == PIER_OK)
    status = slab__open(&poller->handles, sizeof(struct handle), limits->handles_max);
  if (status != PIER_OK)
    slab__close(&poller->operations);
  return status;
}

static int poller__open_memory(struct poller *poller, const struct poller_limits *limits) {
  int status = poller__open_slabs(poller, limits);
  if (status != PIER_OK)
    return status;
  status = posts__open(&poller->posts);
  if (status == PIER_OK) {
    status = poller__open_locals(poller, limits);
    if (status == PIER_OK)
      return PIER_OK;
    posts__close(&poller->posts);
  }
  slab__close(&poller->handles);
  slab__close(&poller->operations);
  return status;
}

static void poller__close_memory(struct poller *poller) {
  poller__close_locals(poller);
  posts__close(&poller->posts);
  slab__close(&poller->handles);
  slab__close(&poller->operations);
}

int poller__open(struct poller *poller, pier_loop *loop, const struct poller_limits *limits) {
  if (!own__open())
    return PIER_ENOMEM;
  poller->loop = loop;
  inbox__init(&poller->inbox);
  doze__open(&poller->doze, limits->use_port);
  mutex__init(&poller->associating);
  for (unsigned i = 0; i < POLLER_ORDER_LOCKS; i++)
    mutex__init(&poller->order_locks[i]);
  poller->port_borrowed = limits->use_port;
  int status = poller__open_memory(poller, limits);
  if (status != PIER_OK)
    return status;
  status = port__open(poller, limits);
  if (status == PIER_OK) {
    status = poller__enlist(poller);
    if (status == PIER_OK)
      return PIER_OK;
    port__close(poller);
  }
  poller__close_memory(poller);
  return status;
}

void poller__settle(struct poller *poller) {
  while (atomic_load_explicit(&poller->answering, memory_order_acquire))
    thread__yield(); /* it has delivered its last operation: a few instructions are left */
}

void poller__close(struct poller *poller) {
  atomic_store_explicit(&table[poller->index], NULL, memory_order_release);
  port__close(poller);
  poller__close_memory(poller);
  doze__close(&poller->doze);
  for (unsigned i = 0; i < POLLER_ORDER_LOCKS; i++)
    mutex__destroy(&poller->order_locks[i]);
  mutex__destroy(&poller->associating);
}

/* ---- What a thread has for itself ---- */

void poller__take_local(struct poller *poller, struct turn *turn) {
  for (uint32_t i = 0; i < poller->locals_count && !turn->local; i++)
    if (!atomic_exchange_explicit(&poller->locals[i].taken, true, memory_order_acquire))
      turn->local = &poller->locals[i];
}

void poller__leave_local(struct turn *turn) {
  if (turn->local)
    atomic_store_explicit(&turn->local->taken, false, memory_order_release);
  turn->local = NULL;
}

uint64_t poller__sum(const struct poller *poller, enum counter counter) {
  uint64_t sum = atomic_load_explicit(&((struct poller *)poller)->shared.counts[counter], memory_order_acquire);
  for (uint32_t i = 0; i < poller->locals_count; i++)
    sum += atomic_load_explicit(&poller->locals[i].counts[counter], memory_order_acquire);
  return sum;
}

/* What was given back is counted first: whoever sees that also sees that it was taken. The other way round an operation that comes
   and goes in between would hide one that stays. */
uint64_t poller__operations(const struct poller *poller) {
  uint64_t released = poller__sum(poller, COUNTER_RELEASED);
  return poller__sum(poller, COUNTER_ACQUIRED) - released;
}

uint64_t poller__closing(const struct poller *poller) {
  uint64_t closed = poller__sum(poller, COUNTER_CLOSED);
  return poller__sum(poller, COUNTER_CLOSING) - closed;
}

/* Work is counted low: what is begun meanwhile is not in it, and what ends meanwhile no more. */
uint64_t poller__expected(const struct poller *poller) {
  uint64_t released = poller__sum(poller, COUNTER_RELEASED), begun = poller__sum(poller, COUNTER_WORK_BEGUN);
  uint64_t ended = poller__sum(poller, COUNTER_WORK_ENDED), acquired = poller__sum(poller, COUNTER_ACQUIRED);
  uint64_t alive = acquired - released, work = begun > ended ? begun - ended : 0;
  return alive > work ? alive - work : 0;
}

/* ---- What is due ---- */

void poller__wake(struct poller *poller) {
  if (atomic_exchange_explicit(&poller->wake_posted, 1, memory_order_seq_cst))
    return;
  poller__count(poller, COUNTER_WAKES, 1);
  if (doze__call(poller))
    return;
  /* Queuing a packet can fail for want of non-paged memory. What was brought lies in the inbox, so nothing is lost; but
     nobody else will wake the loop for it, so this thread stays at it. */
  while (!port__post_wake(poller))
    thread__yield();
}

static void poller__put_in_inbox(struct poller *poller, struct ready *ready) {
  if (inbox__push(&poller->inbox, ready))
    poller__wake(poller);
}

/* In line here, because what is delivered comes this way most of the time. */
static inline void poller__put(struct poller *poller, struct ready *ready) {
  struct turn *turn = turn__here();
  if (!turn || turn->poller != poller || !turn__keep(turn, ready))
    poller__put_in_inbox(poller, ready);
}

void poller__enqueue(struct poller *poller, struct ready *ready) { poller__put(poller, ready); }

static void poller__deliver_in_order(struct poller *poller, struct strand *strand, struct ready *ready) {
  if (strand__enter(strand, ready))
    poller__put(poller, ready);
  else
    poller__count(poller, COUNTER_HAND_OVERS, 1);
}

HOT void poller__deliver(struct poller *poller, struct handle *handle, struct ready *ready) {
  if (!handle || strand__is_open(&handle->strand))
    poller__put(poller, ready);
  else
    poller__deliver_in_order(poller, &handle->strand, ready);
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
  poller__count(poller, COUNTER_PASSED_ON, 1);
  op->handle = handle;
  op->as.foreign.packet = *packet;
  poller__deliver(poller, handle, &op->ready);
  return true;
}

/* The operation's slot that the packet's pointer names, found by arithmetic: nothing is read. Null if it names none. */
static struct slot *poller__named(struct poller *poller, const pier_packet *packet) {
  uintptr_t address = (uintptr_t)packet->overlapped;
  return address < offsetof(struct op, system) ? NULL : slab__find(&poller->operations, address - offsetof(struct op, system));
}

static enum op_claim poller__claim(struct poller *poller, const struct handle *handle, const pier_packet *packet, struct op **op) {
  struct slot *slot = handle ? poller__named(poller, packet) : NULL;
  *op = op__of_slot(slot);
  return slot ? op__claim(*op, handle) : OP_CLAIM_NONE;
}

/* True if the packet was an operation's. */
static bool poller__complete(struct poller *poller, const struct handle *handle, const pier_packet *packet) {
  struct op *op = NULL;
  enum op_claim claim = poller__claim(poller, handle, packet, &op);
  if (claim == OP_CLAIMED) {
    struct piece piece = {0, 0};
    port__read_final(op, &piece);
    op__settle(op, piece.code, piece.bytes);
  }
  return claim != OP_CLAIM_NONE;
}

/* One that the loop has sent itself. */
static bool poller__own(struct poller *poller, const pier_packet *packet) {
  if (!port__is_wake(poller, packet))
    return port__take(poller, packet);
  atomic_store_explicit(&poller->wake_posted, 0, memory_order_seq_cst);
  return true;
}

static bool poller__others(struct poller *poller, const pier_packet *packet) {
  struct handle *handle = handle__find(poller, packet->key);
  if (poller__complete(poller, handle, packet))
    return true;
  poller__count(poller, COUNTER_FOREIGN, 1);
  if (handle && handle__enter(poller, packet->key, &handle) == PIER_OK) {
    /* One that names a slot of ours is no call of the user's: it came for an operation that had ended inside its call already. */
    if (poller__named(poller, packet) || !poller__foreign(poller, handle, packet)) {
      poller__count(poller, COUNTER_DROPPED, 1);
      handle__leave(handle);
    }
    return true; /* the key is ours, so the packet was never the host's */
  }
  return poller__foreign(poller, NULL, packet);
}

bool poller__packet(struct poller *poller, const pier_packet *packet) {
  return poller__own(poller, packet) || poller__others(poller, packet);
}

void poller__count_batch(struct poller *poller, size_t packets) {
  if (!packets)
    return;
  poller__count(poller, COUNTER_PACKETS, packets);
  if (packets > atomic_load_explicit(&poller->batch_max, memory_order_relaxed))
    atomic_store_explicit(&poller->batch_max, packets, memory_order_relaxed);
}

void poller__wait(struct poller *poller, uint64_t timeout_ns) {
  pier_packet packets[PORT_BATCH];
  size_t count = port__wait(poller, packets, PORT_BATCH, timeout_ns);
  size_t own = 0;
  poller__count(poller, COUNTER_WAITS, 1);
  for (size_t i = 0; i < count; i++) {
    if (poller__own(poller, &packets[i]))
      own++;
    else if (!poller__others(poller, &packets[i]))
      poller__count(poller, COUNTER_DROPPED, 1);
  }
  poller__count_batch(poller, count - own);
}
