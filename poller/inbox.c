#include "inbox.h"

void inbox__init(struct inbox *inbox) {
  atomic_init(&inbox->latest, NULL);
  atomic_init(&inbox->state, INBOX_ASLEEP);
}

bool inbox__tell(struct inbox *inbox) {
  /* The usual case on a busy loop, without writing to a line that all threads share. The order is that of one total
     history: what was brought before this load is seen by the drain that follows inbox__rise(). */
  if (atomic_load_explicit(&inbox->state, memory_order_seq_cst) == INBOX_TOLD)
    return false;
  return atomic_exchange_explicit(&inbox->state, INBOX_TOLD, memory_order_seq_cst) == INBOX_ASLEEP;
}

bool inbox__push(struct inbox *inbox, struct ready *ready) {
  struct ready *latest = atomic_load_explicit(&inbox->latest, memory_order_relaxed);
  do
    ready->next = latest;
  while (!atomic_compare_exchange_weak_explicit(&inbox->latest, &latest, ready, memory_order_seq_cst, memory_order_relaxed));
  return inbox__tell(inbox);
}

bool inbox__drain(struct inbox *inbox, struct ready_list *list) {
  if (!atomic_load_explicit(&inbox->latest, memory_order_seq_cst))
    return false;
  struct ready *latest = atomic_exchange_explicit(&inbox->latest, NULL, memory_order_acquire);
  struct ready_list turned = {NULL, NULL};
  turned.last = latest;
  while (latest) {
    struct ready *earlier = latest->next;
    latest->next = turned.first;
    turned.first = latest;
    latest = earlier;
  }
  ready_list__move(list, &turned);
  return true;
}

bool inbox__sleep(struct inbox *inbox) {
  uint32_t state = INBOX_AWAKE;
  return atomic_compare_exchange_strong_explicit(&inbox->state, &state, INBOX_ASLEEP, memory_order_seq_cst, memory_order_seq_cst);
}

void inbox__rise(struct inbox *inbox) { atomic_store_explicit(&inbox->state, INBOX_AWAKE, memory_order_seq_cst); }
