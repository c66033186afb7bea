/* Who asks for an operation's end, by its id or by its handle. He is a party of it while he does. */
#include "hook.h"
#include "poller.h"

/* The canceller is a party of the operation. */
static int op__ask(struct poller *poller, struct op *op, uint64_t before) {
  int status = PIER_OK;
  poller__count(poller, COUNTER_CANCELS, 1);
  HOOK(cancelling, op);
  if (op->slot.kind == OP_WORK && !op__is_gated(op))
    status = poller->cancel_work(poller, op);
  else if (before & OP_STARTED)
    op__ask_system(op);
  op__let_go(op);
  return status;
}

int op__cancel(struct poller *poller, pier_operation id, uint64_t why) {
  struct slot *slot = slab__at(&poller->operations, id__slot(id));
  if (!slot)
    return PIER_ENOENT;
  uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);
  do {
    if (slot__generation(word) != id__generation(id) || !(word & OP_PARTIES))
      return PIER_ENOENT;
    if (word & OP_CANCEL)
      why = word & OP_TIMED_OUT; /* the first to ask has given the reason */
  } while (!atomic_compare_exchange_weak_explicit(&slot->word, &word, (word | OP_CANCEL | why) + OP_PARTY, memory_order_acq_rel,
                                                  memory_order_acquire));
  return op__ask(poller, op__of_slot(slot), word);
}

/* Holds the operation in a slot, if there is one in flight, so that it can be looked at. */
static bool op__hold(struct slot *slot) {
  uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);
  do {
    if (!(word & OP_PARTIES))
      return false;
  } while (!atomic_compare_exchange_weak_explicit(&slot->word, &word, word + OP_PARTY, memory_order_acq_rel, memory_order_acquire));
  return true;
}

void op__cancel_each(struct poller *poller, const struct handle *handle) {
  uint32_t made = atomic_load_explicit(&poller->operations.slots_made, memory_order_acquire);
  for (uint32_t i = 0; i < made; i++) {
    struct slot *slot = slab__at(&poller->operations, i);
    if (!op__hold(slot))
      continue;
    struct op *op = op__of_slot(slot);
    if (op->handle != handle) {
      op__let_go(op);
      continue;
    }
    uint64_t before = atomic_fetch_or_explicit(&slot->word, OP_CANCEL, memory_order_acq_rel);
    if (before & OP_CANCEL)
      op__let_go(op);
    else
      op__ask(poller, op, before);
  }
}

void op__each_alike(struct poller *poller, const struct op *op, void (*visit)(struct op *other)) {
  uint32_t made = atomic_load_explicit(&poller->operations.slots_made, memory_order_acquire);
  for (uint32_t i = 0; i < made; i++) {
    struct slot *slot = slab__at(&poller->operations, i);
    if (slot == &op->slot || !op__hold(slot))
      continue;
    struct op *other = op__of_slot(slot);
    if (other->handle == op->handle && other->slot.kind == op->slot.kind && op__asked_to_end(other) == PIER_OK)
      visit(other);
    op__let_go(other);
  }
}

int pier_cancel(pier_operation operation) {
  if (operation == 0 || id__kind(operation) != ID_OPERATION)
    return PIER_EINVAL;
  struct poller *poller = poller__of(operation, ID_OPERATION);
  return poller ? op__cancel(poller, operation, 0) : PIER_ENOENT;
}
