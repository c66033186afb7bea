/* Between two chunks an overlapped read waits, with a buffer of the operation's own, as any read does: a small one, or a large one for a stream
   that has filled that. What is behind a full buffer is received here and now, into the thread's buffer, until there is no more. So streams
   that are behind go through one buffer, which stays in its processor's cache, and those that are not have all with the one call that they
   waited with.

   A peer may also send just what fills a buffer and wait for an answer: where nothing was behind it time and again it is not tried. */
#include "iocp.h"
#include "multishot.h"

/* What is known of a stream, in the place of a file's offset. */
struct hunger {
  uint32_t vain;  /* grows with each time in a row that there was nothing */
  uint32_t sated; /* so many full buffers more are taken as they are */
};
#define HUNGER_VAIN_MAX 31u

_Static_assert(sizeof(struct hunger) <= sizeof(((struct op_data *)0)->offset), "it fits into the offset's place");

static struct hunger *hunger__of(struct op *op) { return (struct hunger *)(void *)&op->as.data.offset; }

static void hunger__learn(struct op *op, bool found) {
  struct hunger *hunger = hunger__of(op);
  hunger->vain = found ? 0 : hunger->vain < HUNGER_VAIN_MAX ? 2 * hunger->vain + 1 : HUNGER_VAIN_MAX;
  hunger->sated = hunger->vain / 2;
}

/* One full buffer more; whether more is to be looked for behind it. */
static bool hunger__goes_on(struct op *op) {
  struct hunger *hunger = hunger__of(op);
  if (!hunger->sated)
    return true;
  hunger->sated--;
  return false;
}

/* Not beside another read, which the kernel has and which comes first. */
static bool multishot__may_receive(struct op *op) {
  struct handle *handle = op->handle;
  bool alone = handle->slot.kind == PIER_KIND_TCP && atomic_load_explicit(&handle->pending[0], memory_order_seq_cst) <= 1;
  return alone && iocp__never_waits(handle) && hunger__goes_on(op);
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
  if (op->as.data.one.length < MULTISHOT_BYTES)
    multishot__grow(op);
  poller__count(op->handle->poller, COUNTER_SYSTEM_CALLS, 1);
  if (WSARecv((SOCKET)op->handle->native, &buffer, 1, &received, &flags, NULL, NULL)) {
    DWORD code = (DWORD)WSAGetLastError();
    hunger__learn(op, false);
    return code == WSAEWOULDBLOCK ? RECEIVE_NOTHING : multishot__over(op, code);
  }
  if (!received)
    return multishot__over(op, 0);
  hunger__learn(op, true);
  chunk->data = chunk->buffer;
  chunk->bytes = received;
  chunk->more = received == chunk->room_bytes;
  return RECEIVE_CHUNK;
}

static bool multishot__is_full(const struct op *op) { return op->bytes && op->bytes == op->as.data.one.length; }

/* What a read of a stream has brought is some bytes. */
enum receive port__receive(struct op *op, struct chunk *chunk) {
  if (op->handle->slot.kind == PIER_KIND_TCP && !op->bytes)
    return multishot__receive_now(op, chunk);
  multishot__received(op, chunk);
  chunk->more = multishot__is_full(op) && multishot__may_receive(op);
  if (chunk->more)
    op->bytes = 0;
  return RECEIVE_CHUNK;
}

void port__receive_next(struct op *op, struct chunk *chunk) {
  (void)op;
  (void)chunk; /* there is never one left */
}

void port__resume(struct op *op, const struct chunk *chunk) {
  if (chunk->more) {
    multishot__due(op);
    return;
  }
  if (multishot__is_full(op))
    multishot__grow(op);
  multishot__start_again(op);
}
