/* Between two chunks an overlapped read waits, with a buffer of the operation's own, as any read does. Of a stream it is a small one: what
   fills it has more behind it, and that is received here and now into the thread's buffer, until a receive comes back short. So a thread's
   many busy streams go through one buffer, which stays in its processor's cache, and none of them keeps a large one. */
#include "iocp.h"
#include "multishot.h"

/* Not beside another read, which the kernel has and which comes first. */
static bool multishot__may_receive(struct op *op) {
  struct handle *handle = op->handle;
  return handle->slot.kind == PIER_KIND_TCP && atomic_load_explicit(&handle->pending[0], memory_order_seq_cst) <= 1 && iocp__never_waits(handle);
}

static enum receive multishot__over(struct op *op, uint32_t code) {
  op__settle(op, code, 0);
  return RECEIVE_OVER;
}

static enum receive multishot__receive_now(struct op *op, struct chunk *chunk) {
  WSABUF buffer = {(ULONG)chunk->room_bytes, chunk->buffer};
  DWORD received = 0, flags = 0;
  if (op__asked_to_end(op) != PIER_OK || handle__is_closing(op->handle))
    return multishot__over(op, port__cancelled());
  poller__count(op->handle->poller, COUNTER_SYSTEM_CALLS, 1);
  if (WSARecv((SOCKET)op->handle->native, &buffer, 1, &received, &flags, NULL, NULL)) {
    DWORD code = (DWORD)WSAGetLastError();
    return code == WSAEWOULDBLOCK ? RECEIVE_NOTHING : multishot__over(op, code);
  }
  if (!received)
    return multishot__over(op, 0);
  chunk->data = chunk->buffer;
  chunk->bytes = received;
  op->bytes = received == chunk->room_bytes ? received : 0; /* who was short waits */
  return RECEIVE_CHUNK;
}

/* What a read of a stream has brought is some bytes. */
enum receive port__receive(struct op *op, struct chunk *chunk) {
  bool is_stream = op->handle->slot.kind == PIER_KIND_TCP;
  return is_stream && !op->bytes ? multishot__receive_now(op, chunk) : multishot__received(op, chunk);
}

void port__receive_next(struct op *op, struct chunk *chunk) {
  (void)op;
  (void)chunk; /* there is never one left */
}

void port__resume(struct op *op) {
  bool is_full = op->bytes >= op->as.data.one.length;
  if (is_full && multishot__may_receive(op)) {
    op->bytes = 0;
    multishot__due(op);
    return;
  }
  if (is_full)
    multishot__grow(op);
  multishot__start_again(op);
}
