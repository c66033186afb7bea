/* What a registered handle is, asked for when it is first used, and by a thread that nobody waits for.

   While a thread is inside a blocking call on a handle, the system lets nobody else in: not even the questions what kind of handle it
   is, and whether it blocks. So pier_register() asks nothing, and the first operation has a thread of the system's pool ask. Until
   the answer is there operations wait here, in the order of their submits; a cancel, a deadline or a close finds them here, whatever
   has become of the question. Should that never be answered, the thread stays in it, and what it needs is its own. */
#include "iocp_gate.h"

#include <stdlib.h>

struct gate {
  struct mutex lock;       /* never held while the system is asked */
  _Atomic uint32_t owners; /* the handle, and who asks */
  struct handle *handle;   /* null when it has ended: nobody wants the answer */
  struct poller *poller;
  handle_admit admit;
  HANDLE native;
  struct ready_list waiting;
  bool told;      /* the kind is the caller's word */
  bool asked;
  bool answered;
  DWORD asking;   /* the thread that is at it, or 0 */
  bool hopeless;  /* it is nothing that can be served */
  bool close_it;  /* the handle is gone, and the system's is to be closed by who asks */
};

static struct gate *gate__of(const struct handle *handle) { return handle->detail; }

int gate__create(struct handle *handle, handle_admit admit) {
  struct gate *gate = calloc(1, sizeof *gate);
  if (!gate)
    return PIER_ENOMEM;
  mutex__init(&gate->lock);
  atomic_init(&gate->owners, 1);
  gate->handle = handle;
  gate->poller = handle->poller;
  gate->admit = admit;
  gate->native = iocp__native(handle);
  gate->told = handle->slot.kind != PIER_KIND_UNKNOWN;
  handle->detail = gate;
  atomic_fetch_or(&handle->state, HANDLE_GATE);
  return PIER_OK;
}

static void gate__leave(struct gate *gate) {
  if (atomic_fetch_sub_explicit(&gate->owners, 1, memory_order_acq_rel) > 1)
    return;
  mutex__destroy(&gate->lock);
  free(gate);
}

/* ---- The answer ---- */

static void gate__pass(struct gate *gate, struct op *op) {
  int status = gate->hopeless ? PIER_EBADF : gate->admit(op);
  if (status == PIER_OK)
    op__relaunch(op);
  else
    op__refuse_waiting(op, status);
}

/* The next one to pass; when there is none the gate opens, so that nothing that came later can have overtaken what waited. */
static struct op *gate__next(struct gate *gate) {
  struct ready *ready = NULL;
  mutex__lock(&gate->lock);
  if (gate->handle) {
    ready = ready_list__take(&gate->waiting);
    if (!ready && !gate->hopeless)
      atomic_fetch_and_explicit(&gate->handle->state, ~HANDLE_GATE, memory_order_acq_rel);
  }
  mutex__unlock(&gate->lock);
  return ready ? op__of_ready(ready) : NULL;
}

/* The handle is alive as long as it is the gate's; the loop is as long as `answering` counts us. */
static bool gate__take_in(struct gate *gate, const struct register_answer *answer) {
  mutex__lock(&gate->lock);
  gate->asking = 0;
  bool wanted = gate->handle && !gate->answered;
  if (wanted) {
    gate->answered = true;
    gate->hopeless = answer->kind == PIER_KIND_UNKNOWN;
    register__apply(gate->handle, answer);
    atomic_fetch_add_explicit(&gate->poller->answering, 1, memory_order_relaxed);
  }
  mutex__unlock(&gate->lock);
  return wanted;
}

/* ---- The question ---- */

static void gate__close_native(HANDLE native, bool is_socket) {
  if (is_socket)
    closesocket((SOCKET)native);
  else
    CloseHandle(native);
}

/* Says whether it is a socket. */
static bool gate__ask(struct gate *gate) {
  struct poller *poller = gate->poller;
  struct register_answer answer;
  register__ask(gate->native, &answer);
  if (gate__take_in(gate, &answer)) {
    struct op *op;
    while ((op = gate__next(gate)))
      gate__pass(gate, op);
    atomic_fetch_sub_explicit(&poller->answering, 1, memory_order_release); /* the loop may go from here on */
  }
  return answer.is_socket;
}

/* On a thread of the system's pool, and perhaps for ever. */
static DWORD WINAPI gate__main(void *argument) {
  struct gate *gate = argument;
  mutex__lock(&gate->lock);
  gate->asking = gate->handle ? GetCurrentThreadId() : 0; /* where it stands, for who wants it back */
  mutex__unlock(&gate->lock);
  bool is_socket = gate__ask(gate);
  mutex__lock(&gate->lock);
  bool close_it = gate->close_it;
  mutex__unlock(&gate->lock);
  if (close_it)
    gate__close_native(gate->native, is_socket);
  gate__leave(gate);
  return 0;
}

/* Whoever calls has entered the handle. */
bool port__know(struct handle *handle) {
  struct gate *gate = handle__is_gated(handle) ? gate__of(handle) : NULL;
  if (!gate)
    return true;
  mutex__lock(&gate->lock);
  bool known = gate->answered; /* and what waited is on its way through */
  mutex__unlock(&gate->lock);
  if (!known)
    gate__ask(gate);
  mutex__lock(&gate->lock);
  bool hopeless = gate->hopeless;
  mutex__unlock(&gate->lock);
  return !hopeless;
}

/* Under the lock. */
static bool gate__have_asked(struct gate *gate) {
  static const char here = 0;
  HMODULE self;
  if (gate->asked)
    return true;
  /* As a DLL the library has to stay loaded as long as the thread may be in it. */
  (void)GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, (const wchar_t *)(const void *)&here, &self);
  atomic_fetch_add_explicit(&gate->owners, 1, memory_order_relaxed);
  gate->asked = QueueUserWorkItem(gate__main, gate, WT_EXECUTELONGFUNCTION);
  if (!gate->asked)
    atomic_fetch_sub_explicit(&gate->owners, 1, memory_order_relaxed);
  return gate->asked;
}

/* ---- Operations that wait ---- */

void port__hold_back(struct op *op) {
  struct gate *gate = gate__of(op->handle);
  mutex__lock(&gate->lock);
  bool ended = op__asked_to_end(op) != PIER_OK || handle__is_closing(op->handle);
  bool closed = !gate->hopeless && (atomic_load_explicit(&op->handle->state, memory_order_acquire) & HANDLE_GATE);
  bool asked = ended || !closed || gate__have_asked(gate);
  if (!ended && closed && asked)
    ready_list__append(&gate->waiting, &op->ready);
  mutex__unlock(&gate->lock);
  if (ended || !asked)
    op__complete(op, ended ? port__cancelled() : port__no_memory(), 0);
  else if (!closed)
    gate__pass(gate, op);
}

bool gate__give_up(struct op *op) {
  struct gate *gate = gate__of(op->handle);
  mutex__lock(&gate->lock);
  bool found = ready_list__remove(&gate->waiting, &op->ready);
  mutex__unlock(&gate->lock);
  return found;
}

/* ---- The end ---- */

/* Has the thread come out of what it may be stuck in. It is in our function as long as it says so. */
static void gate__call_back(const struct gate *gate) {
  HANDLE thread = gate->asking ? OpenThread(THREAD_TERMINATE, FALSE, gate->asking) : NULL;
  if (!thread)
    return;
  CancelSynchronousIo(thread);
  CloseHandle(thread);
}

bool gate__end(struct handle *handle, bool ours_to_close) {
  struct gate *gate = gate__of(handle);
  bool left = false;
  mutex__lock(&gate->lock);
  gate->handle = NULL;
  /* Socket or not has to be known for that, and asking may take for ever. */
  if (ours_to_close && !gate->answered && !gate->told)
    left = gate->close_it = gate__have_asked(gate);
  gate__call_back(gate);
  mutex__unlock(&gate->lock);
  handle->detail = NULL;
  gate__leave(gate);
  return left;
}
