#include "iocp_gate.h"
#include "multishot.h"
#include "pipe_name.h"

_Static_assert(sizeof(pier_packet) == sizeof(OVERLAPPED_ENTRY), "pier_packet is laid out as OVERLAPPED_ENTRY");
_Static_assert(offsetof(pier_packet, overlapped) == offsetof(OVERLAPPED_ENTRY, lpOverlapped), "and its pointer");
_Static_assert(offsetof(pier_packet, bytes) == offsetof(OVERLAPPED_ENTRY, dwNumberOfBytesTransferred), "and its count");
_Static_assert(sizeof(OVERLAPPED) <= sizeof(((struct op *)0)->system), "an OVERLAPPED fits into the slot");

int port__open(struct poller *poller, const struct poller_limits *limits) {
  int status = winsock__start();
  if (status != PIER_OK)
    return status;
  /* Wine ignores the concurrency; on Windows the poller threads decide how many run, not the port. */
  poller->port = limits->use_port ? limits->port : (uintptr_t)CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
  if (!poller->port)
    return pier_error_from_system(GetLastError());
  tick__open(poller);
  waitlist__open(poller);
  return PIER_OK;
}

/* A wake of ours must not be left on a host's port: its address will be another's. What is the host's goes back behind the others. */
static void iocp__take_wake_back(struct poller *poller) {
  pier_packet packet;
  ULONG count = 0;
  HANDLE port = (HANDLE)poller->port;
  while (atomic_load(&poller->wake_posted) && GetQueuedCompletionStatusEx(port, (OVERLAPPED_ENTRY *)(void *)&packet, 1, &count, 0, FALSE)) {
    if (port__is_wake(poller, &packet))
      atomic_store(&poller->wake_posted, 0);
    else
      PostQueuedCompletionStatus(port, packet.bytes, packet.key, packet.overlapped);
  }
}

void port__close(struct poller *poller) {
  iocp__close_events(poller);
  waitlist__close(poller);
  tick__close(poller);
  if (poller->port_borrowed)
    iocp__take_wake_back(poller);
  if (!poller->port_borrowed)
    CloseHandle((HANDLE)poller->port);
}

int port__associate(struct handle *handle) {
  HANDLE port = nt()->create_io_completion_port(iocp__native(handle), (HANDLE)handle->poller->port, (ULONG_PTR)handle__id(handle), 0);
  if (port)
    return PIER_OK;
  /* The one answer for "it is on another port": there is no way to ask before. */
  DWORD error = GetLastError();
  return error == ERROR_INVALID_PARAMETER ? PIER_EBUSY : pier_error_from_system(error);
}

int port__disassociate(struct handle *handle) { return nt__replace_completion(iocp__native(handle), NULL, 0); }

bool port__has_handleless(struct poller *poller) {
  (void)poller;
  return false;
}

/* ---- Operations ---- */

/* A packet may be there, and another thread have it, while the call has not returned. */
bool port__submit_away(struct op *op) {
  (void)op;
  return false;
}

void port__prepare(struct op *op) { *(volatile ULONG_PTR *)&iocp__overlapped(op)->Internal = IOCP_STATUS_PENDING; }

bool iocp__begin(struct op *op, uint64_t offset, DWORD *code) {
  OVERLAPPED *overlapped = iocp__overlapped(op);
  *overlapped = (OVERLAPPED){.Internal = IOCP_STATUS_PENDING};
  overlapped->Offset = (DWORD)offset;
  overlapped->OffsetHigh = (DWORD)(offset >> 32);
  if (!op__is(op, OP_EVENT))
    return true;
  HANDLE event = iocp__event(op);
  if (!event) {
    *code = GetLastError();
    return false;
  }
  /* The low bit keeps the packet off every port: ours, the caller's, anybody's. */
  overlapped->hEvent = (HANDLE)((uintptr_t)event | 1);
  return true;
}

void iocp__look(struct op *op, struct piece *piece) {
  OVERLAPPED *overlapped = iocp__overlapped(op);
  error__from_ntstatus((uint32_t)overlapped->Internal, &piece->code);
  piece->bytes = (uint32_t)overlapped->InternalHigh;
}

enum port_start iocp__outcome(struct op *op, bool succeeded, DWORD error, struct piece *piece) {
  if (!succeeded && error != ERROR_IO_PENDING) {
    /* A message cut off is a warning, not a failure; it brings its bytes. On a port it would be anybody's guess whether a packet
       follows, so reads of message pipes are always tagged (see port__submit). */
    piece->code = error;
    piece->bytes = port__is_cut(error) ? (uint32_t)iocp__overlapped(op)->InternalHigh : 0;
    return PORT_DONE;
  }
  if (op__is(op, OP_EVENT)) {
    /* No packet comes in any case, so whatever is final now is final. What ends in this very moment is seen here and by the
       event's waiter, and the claim decides who of both has it. */
    if (iocp__still_pending(op)) {
      iocp__watch(op);
      return PORT_PENDING;
    }
    iocp__look(op, piece);
    return PORT_DONE;
  }
  if (!succeeded || !(op->handle->slot.flags & HANDLE_SKIPS))
    return PORT_PENDING;
  iocp__look(op, piece);
  return PORT_DONE;
}

/* Whether an operation has to complete through its event. */
static bool iocp__needs_event(const struct op *op) {
  const struct handle *handle = op->handle;
  if (handle__standing(handle) != PIER_STATE_ASSOCIATED)
    return true;
  if (handle->slot.flags & HANDLE_MODES_UNKNOWN)
    return true;
  /* Where it is not certain whether a packet follows: a message that was cut inside the call, and control codes, whose drivers have
     their own ideas (Wine says "pending" of a code that it refuses, and queues nothing). */
  return op->slot.kind == OP_IOCTL || (handle->slot.kind == PIER_KIND_MESSAGE_PIPE && op->slot.kind == OP_READ);
}

enum port_start port__submit(struct op *op, struct piece *piece) {
  poller__count(op->handle->poller, COUNTER_SYSTEM_CALLS, 1);
  op__count(op); /* before the call: afterwards its packet may have been dequeued and the operation be gone */
  if (op__is_multishot(op) && !multishot__lend(op)) {
    piece->code = port__no_memory();
    return PORT_DONE;
  }
  if (iocp__needs_event(op)) {
    op__mark(op, OP_EVENT);
    if (!order__enter(op))
      return PORT_WAITS;
  }
  switch ((enum op_code)op->slot.kind) {
  case OP_READ:
  case OP_WRITE:
    return op->handle->slot.flags & HANDLE_SOCKET ? iocp__transfer_socket(op, piece) : iocp__transfer_file(op, piece);
  case OP_ACCEPT:
    return iocp__accept(op, piece);
  case OP_CONNECT:
    return iocp__connect(op, piece);
  case OP_PIPE_ACCEPT:
    return iocp__pipe_accept(op, piece);
  case OP_SHUTDOWN:
    return iocp__shutdown(op, piece);
  case OP_IOCTL:
    return iocp__ioctl(op, piece);
  case OP_OPEN: /* these two are work here */
  case OP_LOAD:
  case OP_WORK:
  case OP_FOREIGN:
    break; /* never launched */
  }
  piece->code = ERROR_INVALID_FUNCTION;
  return PORT_DONE;
}

void port__cancel(struct op *op) {
  struct handle *handle = op->handle;
  struct poller *poller = handle->poller;
  if (op__is_gated(op)) {
    if (gate__give_up(op))
      op__complete(op, port__cancelled(), 0);
    return;
  }
  if (handle__standing(handle) == PIER_STATE_BLOCKING) {
    poller->cancel_work(poller, op);
    return;
  }
  if (op__is(op, OP_EVENT) && order__give_up(op)) {
    op__complete(op, port__cancelled(), 0);
    return;
  }
  poller__count(poller, COUNTER_SYSTEM_CALLS, 1);
  if (op->slot.kind == OP_PIPE_ACCEPT)
    handle = op->as.pipe_accept.instance;
  /* ERROR_NOT_FOUND (1168) is benign: it has ended by itself, and its end is on the way. */
  CancelIoEx(iocp__native(handle), iocp__overlapped(op));
}

bool port__cancel_all(struct handle *handle) {
  bool alone = handle->slot.flags & HANDLE_OURS && handle->slot.kind != PIER_KIND_PIPE_LISTENER;
  /* What waits in a lane is not in the kernel's hands. */
  if (!alone || handle->slot.kind == PIER_KIND_MESSAGE_PIPE ||
      handle__standing(handle) != PIER_STATE_ASSOCIATED)
    return false;
  poller__count(handle->poller, COUNTER_SYSTEM_CALLS, 1);
  CancelIoEx(iocp__native(handle), NULL);
  return true;
}

/* ---- Packets ---- */

/* Never more than can be there: asked for more, Wine's server is asked once again, for nothing. Windows does not mind. */
static ULONG iocp__batch(struct poller *poller, size_t max) {
  uint32_t expected = (uint32_t)poller__expected(poller);
  if (expected < 1)
    return 1;
  return expected < max ? (ULONG)expected : (ULONG)max;
}

/* A look at an empty port costs microseconds under Wine, where a server has to be asked, twice. What waits there waits no longer
   than a slow callback would have it wait anyway. */
uint64_t port__look_interval_ns(const struct poller *poller) {
  (void)poller;
  return 100000;
}

static DWORD iocp__milliseconds(uint64_t timeout_ns) {
  uint64_t rounded_up = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0); /* never early */
  if (timeout_ns == UINT64_MAX)
    return INFINITE;
  return rounded_up < INFINITE - 1 ? (DWORD)rounded_up : INFINITE - 1;
}

size_t port__wait(struct poller *poller, pier_packet *packets, size_t max, uint64_t timeout_ns) {
  DWORD timeout_ms = tick__arm(poller, timeout_ns) ? INFINITE : iocp__milliseconds(timeout_ns);
  ULONG count = 0;
  if (!waitlist__wait(poller, &timeout_ms))
    return 0;
  if (!GetQueuedCompletionStatusEx((HANDLE)poller->port, (OVERLAPPED_ENTRY *)(void *)packets, iocp__batch(poller, max), &count, timeout_ms, FALSE))
    return 0; /* the time was up */
  return count;
}

static OVERLAPPED *iocp__wake_mark(const struct poller *poller) { return (OVERLAPPED *)(void *)&((struct poller *)poller)->wake_posted; }

bool port__post_wake(struct poller *poller) {
  return PostQueuedCompletionStatus((HANDLE)poller->port, 0, (ULONG_PTR)iocp__wake_mark(poller), iocp__wake_mark(poller)) != 0;
}

bool port__is_wake(const struct poller *poller, const pier_packet *packet) {
  return packet->overlapped == iocp__wake_mark(poller) && packet->key == (uintptr_t)packet->overlapped;
}

bool port__take(struct poller *poller, const pier_packet *packet) {
  return tick__take(poller, packet) || iocp__take_signal(poller, packet);
}

bool port__post_settled(struct op *op) {
  iocp__overlapped(op)->Internal = 0;
  return PostQueuedCompletionStatus((HANDLE)op->handle->poller->port, 0, (ULONG_PTR)handle__id(op->handle), iocp__overlapped(op)) != 0;
}

bool port__is_final(struct op *op) { return !iocp__still_pending(op); }

/* The packet says the same as the OVERLAPPED, but anybody can post a packet. */
void port__read_final(struct op *op, struct piece *piece) { iocp__look(op, piece); }

bool port__is_end(uint32_t code) { return error__is_end(code); }
bool port__is_cut(uint32_t code) { return code == ERROR_MORE_DATA || code == WSAEMSGSIZE; }
bool port__is_cancelled(uint32_t code) { return code == ERROR_OPERATION_ABORTED; }
uint32_t port__no_memory(void) { return ERROR_NOT_ENOUGH_MEMORY; }
uint32_t port__write_fault(void) { return ERROR_WRITE_FAULT; }
const char *port__name(const struct poller *poller) {
  (void)poller;
  return "iocp";
}

void port__flush(struct poller *poller) { (void)poller; /* each call is one of the system's */ }
/* The host has dequeued. */
void port__collect(struct poller *poller) { waitlist__visit(poller); }

uintptr_t port__native(struct poller *poller) {
  waitlist__host(poller);
  return poller->port;
}

uint32_t port__cancelled(void) { return ERROR_OPERATION_ABORTED; }
/* Wine says "not connected" of one that was reset before it was accepted. */
bool port__peer_went_away(uint32_t code) { return code == ERROR_NETNAME_DELETED || code == WSAECONNRESET || code == WSAENOTCONN; }

int port__opened(struct op *op, pier_handle *opened) {
  return op->slot.kind == OP_PIPE_ACCEPT ? iocp__opened_pipe(op, opened) : iocp__opened_socket(op, opened);
}

void port__shut(struct handle *handle) {
  if (handle->slot.kind == PIER_KIND_PIPE_LISTENER)
    port__unlisten_pipe(handle);
  bool keep = handle->slot.flags & HANDLE_BORROWED || handle->native == PIER_NATIVE_NONE;
  bool may_block = handle__standing(handle) == PIER_STATE_BLOCKING || handle__is_gated(handle);
  /* Somebody who is inside a blocking call would hold up the end of the handle that he uses. */
  if (!keep && may_block)
    CancelIoEx(iocp__native(handle), NULL);
  if (!(handle->slot.flags & HANDLE_OURS) && handle->detail && gate__end(handle, !keep))
    return;
  if (keep)
    return;
  if (handle->slot.flags & HANDLE_SOCKET)
    closesocket((SOCKET)handle->native);
  else
    CloseHandle(iocp__native(handle));
}
