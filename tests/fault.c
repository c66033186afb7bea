#include "fault_verdict.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* What is usual: the errors that the manuals name for want of something, and of interruption. */
static const int fault__usual[FAULT_CALLS] = {
    [FAULT_MEMORY] = ENOMEM,  [FAULT_MAP] = ENOMEM,        [FAULT_THREAD] = EAGAIN,  [FAULT_EVENTFD] = EMFILE,
    [FAULT_SET] = EMFILE,     [FAULT_WATCH] = ENOSPC,      [FAULT_WAIT] = EINTR,     [FAULT_ENTER] = EAGAIN,
    [FAULT_SOCKET] = EMFILE,  [FAULT_BIND] = EADDRINUSE,   [FAULT_LISTEN] = EADDRINUSE, [FAULT_NAME] = ENOBUFS,
    [FAULT_OPTION] = ENOBUFS, [FAULT_OPEN] = EMFILE,       [FAULT_STAT] = EIO,       [FAULT_RESIZE] = EIO,
    [FAULT_FLUSH] = EIO,      [FAULT_DUPLICATE] = EMFILE,  [FAULT_CONTROL] = EIO,    [FAULT_SHUTDOWN] = ENOTCONN,
    [FAULT_ACCEPT] = EMFILE,  [FAULT_CONNECT] = EADDRNOTAVAIL, [FAULT_RECEIVE] = ECONNRESET, [FAULT_SEND] = ECONNRESET,
    [FAULT_READ] = EIO,       [FAULT_WRITE] = ENOSPC,
};

typedef struct fault_order {
  unsigned first, count;
  int code;     /* 0: it is cut instead */
  size_t bytes; /* to this */
} fault_order;

static struct {
  pthread_mutex_t lock;
  fault_order orders[FAULT_CALLS];
  unsigned made[FAULT_CALLS];
  unsigned made_all, struck, nth;
  bool counts_all;
} faults = {.lock = PTHREAD_MUTEX_INITIALIZER};

static atomic_size_t fault__holds;

int fault__begin(void **state) {
  fault__clear();
  return support__begin(state);
}

int fault__end(void **state) {
  fault__clear();
  return support__end(state);
}

void fault__clear(void) {
  pthread_mutex_lock(&faults.lock);
  memset(faults.orders, 0, sizeof faults.orders);
  memset(faults.made, 0, sizeof faults.made);
  faults.made_all = faults.struck = 0;
  faults.counts_all = false;
  pthread_mutex_unlock(&faults.lock);
}

static void fault__order(fault_call call, fault_order order) {
  pthread_mutex_lock(&faults.lock);
  order.first += faults.made[call];
  faults.orders[call] = order;
  pthread_mutex_unlock(&faults.lock);
}

void fault__fail(fault_call call, unsigned first, unsigned count, int code) {
  fault__order(call, (fault_order){first, count, code, 0});
}

void fault__cut(fault_call call, unsigned first, unsigned count, size_t bytes) {
  fault__order(call, (fault_order){first, count, 0, bytes});
}

void fault__fail_nth(unsigned nth) {
  fault__clear();
  pthread_mutex_lock(&faults.lock);
  faults.counts_all = true;
  faults.nth = nth;
  pthread_mutex_unlock(&faults.lock);
}

unsigned fault__made(fault_call call) {
  pthread_mutex_lock(&faults.lock);
  unsigned made = faults.made[call];
  pthread_mutex_unlock(&faults.lock);
  return made;
}

unsigned fault__struck(void) {
  pthread_mutex_lock(&faults.lock);
  unsigned struck = faults.struck;
  pthread_mutex_unlock(&faults.lock);
  return struck;
}

size_t fault__held(void) {
  return atomic_load(&fault__holds);
}

void fault__hold(int blocks) {
  atomic_fetch_add(&fault__holds, (size_t)blocks);
}

int fault__verdict(fault_call call, size_t *room) {
  pthread_mutex_lock(&faults.lock);
  const fault_order *order = &faults.orders[call];
  int code = 0;
  *room = SIZE_MAX;
  if (order->count && faults.made[call] - order->first < order->count) {
    code = order->code;
    *room = code ? 0 : order->bytes;
    faults.struck++;
  }
  if (faults.counts_all && faults.made_all == faults.nth) {
    code = fault__usual[call];
    faults.struck++;
  }
  faults.made[call]++;
  faults.made_all++;
  pthread_mutex_unlock(&faults.lock);
  return code;
}

bool fault__fails(fault_call call) {
  size_t room;
  int code = fault__verdict(call, &room);
  if (code)
    errno = code;
  return code != 0;
}
