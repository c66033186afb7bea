/* Files on a system that ends their I/O inside the call and yet says "pending".

   Wine does so with every read and write of a regular file: the bytes are there when the call returns, and a packet is queued
   all the same, which costs several times what the read did. A handle that was seen to behave so, many times in a row, is from
   then on called without event and without completion context: no packet is queued for such a call. Should one really be pending
   after all, a worker waits for its end, and the handle is never trusted again. On Windows a read that ends inside the call
   says so, and the skip mode keeps its packet off the port: none of this is used there. */
#include "iocp.h"

#define INSIDE_TRUSTED 16u
#define INSIDE_NEVER UINT32_MAX

static bool inside__concerns(const struct handle *handle) {
  return handle->slot.kind == PIER_KIND_FILE && (handle->slot.flags & HANDLE_OURS) && (handle->slot.flags & HANDLE_SKIPS);
}

bool inside__is_trusted(const struct handle *handle) {
  uint32_t seen = atomic_load_explicit(&((struct handle *)handle)->learned, memory_order_relaxed);
  return seen >= INSIDE_TRUSTED && seen != INSIDE_NEVER;
}

void inside__note(struct op *op) {
  struct handle *handle = op->handle;
  if (!inside__concerns(handle))
    return;
  uint32_t seen = atomic_load_explicit(&handle->learned, memory_order_relaxed);
  if (seen == INSIDE_NEVER)
    return;
  /* Submits that race may lose a count, which does no harm: it is only a hint. */
  atomic_store_explicit(&handle->learned, iocp__still_pending(op) ? 0 : seen + 1, memory_order_relaxed);
}

static void inside__is_over(struct op *op) { op->slot.detail = (uint16_t)(op->slot.detail & ~OP_AWAITED); }

enum port_start inside__transfer(struct op *op, const struct op_piece *asked, uint64_t offset, struct piece *piece) {
  struct handle *handle = op->handle;
  struct nt_io_status *io = (struct nt_io_status *)(void *)op->system;
  LARGE_INTEGER position;
  position.QuadPart = (LONGLONG)offset;
  const struct nt_table *table = nt();
  op__mark(op, OP_AWAITED); /* before the call: a stray signal of the slot's event must not be taken for this one's */
  NTSTATUS status = op->slot.kind == OP_READ
                        ? table->read_file(iocp__native(handle), NULL, NULL, NULL, io, asked->base, asked->bytes, &position, NULL)
                        : table->write_file(iocp__native(handle), NULL, NULL, NULL, io, asked->base, asked->bytes, &position, NULL);
  if (!iocp__still_pending(op)) {
    inside__is_over(op);
    iocp__look(op, piece);
    return PORT_DONE;
  }
  if (status != (NTSTATUS)IOCP_STATUS_PENDING) { /* refused, with nothing written */
    inside__is_over(op);
    error__from_ntstatus((uint32_t)status, &piece->code);
    return PORT_DONE;
  }
  atomic_store_explicit(&handle->learned, INSIDE_NEVER, memory_order_relaxed);
  op__mark(op, OP_EVENT); /* no packet is one of its either */
  handle->poller->offload(handle->poller, op);
  return PORT_PENDING;
}

/* With no event given the kernel signals the file object, for any operation on it: so it is a hint, looked at again and again; and no
   more often than each millisecond, should the object stay signalled meanwhile. */
void inside__await(struct op *op, struct piece *piece) {
  while (iocp__still_pending(op))
    if (WaitForSingleObject(iocp__native(op->handle), 1) != WAIT_TIMEOUT && iocp__still_pending(op))
      Sleep(1);
  iocp__look(op, piece);
}
