/* Calls that are made inside the submit: a plain call costs less than a submission and a completion, as long as it does not wait. */
#include "piece.h"
#include "transfer.h"
#include "uring.h"

/* A socket mostly has room; but of several writes that are submitted one after the other only the first goes at once, and the rest
   goes out together (gather.h). To receive from it is worth it when there is something left of the last time. */
bool uring__goes_at_once(const struct op *op) {
  struct handle *handle = op->handle;
  if (!(handle->slot.flags & HANDLE_SOCKET))
    return false;
  if (op->slot.kind == OP_WRITE)
    return atomic_load_explicit(&handle->pending[1], memory_order_relaxed) == (op__is(op, OP_COUNTED) ? 1 : 0);
  return uring__hint(handle) == HINT_MORE;
}

bool uring__try(struct op *op) {
  struct piece piece = {0, 0};
  bool receives = op->slot.kind == OP_READ;
  for (;;) {
    enum transfer outcome = transfer__try(op, &piece);
    if (receives && outcome != TRANSFER_DONE)
      uring__learn(op->handle, HINT_EMPTY);
    if (outcome == TRANSFER_WAITS)
      return false;
    if (!op__progress(op, &piece))
      return true;
  }
}

void uring__received(struct op *op, int32_t result, uint32_t flags) {
  /* Of a TCP connection the kernel knows it; of others it may not say so. */
  bool full = op->handle->slot.kind != PIER_KIND_TCP && (uint32_t)result == op__piece(op).bytes;
  bool more = result > 0 && ((flags & IORING_CQE_F_SOCK_NONEMPTY) || full);
  uring__learn(op->handle, more ? HINT_MORE : result > 0 ? HINT_EMPTY : HINT_NONE);
}
