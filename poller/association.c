/* Moving a handle: off Pier's port and on it again, at its owner's word.

   Both are decided in one exchange: the mark that a handle is being moved is set only while nothing is in flight, and as long as it is set no
   operation comes in and no close begins. So what is in flight was started where the handle is, and ends in the way that it was started for:
   by a packet or by an event. */
#include "hook.h"
#include "poller.h"

/* Sets the mark. PIER_EBUSY: there is something in flight, or somebody else moves it. */
static int association__begin(struct slot *slot, pier_handle id) {
  uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);
  do {
    if (slot__generation(word) != id__generation(id))
      return handle__stale(word, id);
    if (!(word & HANDLE_LIVE))
      return PIER_EBADF;
    if (word & HANDLE_CLOSING)
      return PIER_ECLOSED;
    if (word & (HANDLE_FLIGHTS | HANDLE_MOVING))
      return PIER_EBUSY;
  } while (!atomic_compare_exchange_weak_explicit(&slot->word, &word, word | HANDLE_MOVING, memory_order_seq_cst, memory_order_acquire));
  return PIER_OK;
}

static void association__end(struct slot *slot) { atomic_fetch_and_explicit(&slot->word, ~HANDLE_MOVING, memory_order_seq_cst); }

static int association__take_off(struct handle *handle) {
  /* The listener of a pipe's name has no handle of the system's; its instances have. */
  if (handle->native == PIER_NATIVE_NONE || handle__standing(handle) != PIER_STATE_ASSOCIATED)
    return PIER_OK;
  int status = port__disassociate(handle);
  if (status == PIER_OK)
    handle__stand(handle, PIER_STATE_DETACHED);
  return status;
}

static int association__put_on(struct handle *handle) {
  int status = PIER_OK;
  switch (handle__standing(handle)) {
  case PIER_STATE_ASSOCIATED:
    return PIER_OK;
  case PIER_STATE_BLOCKING:
    return PIER_ENOTSUP; /* no port takes it */
  case PIER_STATE_FRESH:
  case PIER_STATE_FOREIGN: /* its owner may have taken it off the other port meanwhile */
  case PIER_STATE_DETACHED:
  case PIER_STATE_KEPT:
    status = port__reassociate(handle);
    if (status == PIER_OK)
      handle__stand(handle, PIER_STATE_ASSOCIATED);
    else if (status == PIER_EBUSY)
      handle__stand(handle, PIER_STATE_FOREIGN); /* that is what has come to light, whatever it was thought to be */
    return status;
  case PIER_STATE_NONE:
  case PIER_STATE_CLOSING:
    break; /* nobody stands there: both are in the slot's word */
  }
  return PIER_EBADF;
}

static int association__move(pier_handle id, int (*move)(struct handle *handle)) {
  struct poller *poller = poller__of(id, ID_HANDLE);
  struct slot *slot = poller ? slab__at(&poller->handles, id__slot(id)) : NULL;
  int status = slot ? association__begin(slot, id) : PIER_EBADF;
  if (status != PIER_OK)
    return status;
  struct handle *handle = (struct handle *)(void *)slot;
  HOOK(moving, handle);
  status = move(handle);
  association__end(slot);
  return status;
}

int pier_handle_detach(pier_handle id) { return association__move(id, association__take_off); }

/* A port takes handles of some sorts only. Finding out may have the caller wait, so it comes before the mark. */
static int association__know(struct poller *poller, pier_handle id) {
  struct handle *handle = handle__find(poller, id);
  if (!handle || !handle__is_gated(handle))
    return PIER_OK;
  int status = handle__enter(poller, id, &handle);
  if (status != PIER_OK)
    return status;
  status = port__know(handle) ? PIER_OK : PIER_EBADF;
  handle__leave(handle);
  return status;
}

int pier_handle_associate(pier_handle id) {
  struct poller *poller = poller__of(id, ID_HANDLE);
  int status = poller ? association__know(poller, id) : PIER_EBADF;
  if (status == PIER_OK)
    status = association__move(id, association__put_on);
  /* What is in flight is in nobody's way where there is nothing to move. */
  return status == PIER_EBUSY && pier_handle_state(id) == PIER_STATE_ASSOCIATED ? PIER_OK : status;
}
