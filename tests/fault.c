#include "fault_verdict.h"
#include "system.h"

#include <string.h>

typedef struct fault_order {
  unsigned first, count;
  int code;     /* 0: it is cut instead */
  size_t bytes; /* to this */
} fault_order;

static struct {
  struct mutex lock;
  fault_order orders[FAULT_CALLS];
  unsigned made[FAULT_CALLS];
  unsigned made_all, struck, nth;
  bool counts_all;
  fault_call last; /* what was struck last */
  unsigned last_nth;
} faults;

static atomic_size_t fault__holds;

int fault__begin(void **state) {
  fault__clear();
  return support__begin(state);
}

/* Of a case that has failed the order that was struck last still stands, and says more than the case's message. */
int fault__end(void **state) {
  if (fault__struck())
    print_message("struck: call %u of all, of sort %d of enum fault_call\n", faults.last_nth, (int)faults.last);
  fault__clear();
  return support__end(state);
}

void fault__clear(void) {
  mutex__lock(&faults.lock);
  memset(faults.orders, 0, sizeof faults.orders);
  memset(faults.made, 0, sizeof faults.made);
  faults.made_all = faults.struck = 0;
  faults.counts_all = false;
  mutex__unlock(&faults.lock);
}

static void fault__order(fault_call call, fault_order order) {
  mutex__lock(&faults.lock);
  order.first += faults.made[call];
  faults.orders[call] = order;
  mutex__unlock(&faults.lock);
}

void fault__fail(fault_call call, unsigned first, unsigned count, int code) {
  fault__order(call, (fault_order){first, count, code ? code : fault__usual(call), 0});
}

void fault__cut(fault_call call, unsigned first, unsigned count, size_t bytes) {
  fault__order(call, (fault_order){first, count, 0, bytes});
}

void fault__fail_nth(unsigned nth) {
  fault__clear();
  mutex__lock(&faults.lock);
  faults.counts_all = true;
  faults.nth = nth;
  mutex__unlock(&faults.lock);
}

unsigned fault__made(fault_call call) {
  mutex__lock(&faults.lock);
  unsigned made = faults.made[call];
  mutex__unlock(&faults.lock);
  return made;
}

unsigned fault__struck(void) {
  mutex__lock(&faults.lock);
  unsigned struck = faults.struck;
  mutex__unlock(&faults.lock);
  return struck;
}

size_t fault__held(void) {
  return atomic_load(&fault__holds);
}

void fault__hold(int blocks) {
  atomic_fetch_add(&fault__holds, (size_t)blocks);
}

int fault__verdict(fault_call call, size_t *room) {
  mutex__lock(&faults.lock);
  const fault_order *order = &faults.orders[call];
  int code = 0;
  *room = SIZE_MAX;
  if (order->count && faults.made[call] - order->first < order->count) {
    code = order->code;
    *room = code ? 0 : order->bytes;
    faults.struck++;
  }
  if (faults.counts_all && faults.made_all == faults.nth) {
    code = fault__usual(call);
    faults.struck++;
  }
  if (code || *room != SIZE_MAX) {
    faults.last = call;
    faults.last_nth = faults.made_all;
  }
  faults.made[call]++;
  faults.made_all++;
  mutex__unlock(&faults.lock);
  return code;
}
