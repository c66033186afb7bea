#include "at_once.h"
#include "call_linux.h"
#include "piece.h"
#include "port.h"
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

/* What takes longer to copy than to hand to a worker is a worker's; and few calls have more parts. */
enum { AT_ONCE_BYTES_MAX = 65536, AT_ONCE_PARTS_MAX = 8 };

/* With io_uring so many of a file's calls go to the ring when one has found that it would have had to wait; a worker is dearer than a
   call in vain. */
#define RING_PATIENCE 32u

/* In a file's two hints. What is above AT_ONCE_YES counts those that are not tried. */
enum { AT_ONCE_UNKNOWN = 0, AT_ONCE_NEVER, AT_ONCE_ANYWAY, AT_ONCE_YES };

static void at_once__learn(_Atomic uint8_t *hint, unsigned value) { atomic_store_explicit(hint, (uint8_t)value, memory_order_relaxed); }

static bool at_once__has_ring(const struct handle *handle) { return !handle->poller->backend->blocking_files; }

/* What goes past the cache waits for the device, whatever it is told, and so does a write that is to be on the device; and one that is cut
   short, as it may be here, is no way to append. */
void at_once__opened(struct handle *handle, int flags) {
  bool writes = !(flags & (O_DIRECT | O_SYNC | O_APPEND));
  at_once__learn(&handle->hint, flags & O_DIRECT ? AT_ONCE_NEVER : AT_ONCE_YES);
  at_once__learn(&handle->write_hint, writes ? AT_ONCE_YES : AT_ONCE_NEVER);
}

/* What its owner has opened himself may be opened in any way. To a ring that is all one. */
static COLD void at_once__ask(struct handle *handle) {
  int flags = at_once__has_ring(handle) ? -1 : fcntl((int)handle->native, F_GETFL);
  at_once__opened(handle, flags < 0 ? O_DIRECT : flags);
}

/* Where nobody knows how to say that it would wait. To read or write a file in memory (tmpfs, which is known by its files' having seals) is
   a copy all the same. */
static unsigned at_once__without_a_word(const struct handle *handle) {
  return fcntl((int)handle->native, F_GET_SEALS) >= 0 ? AT_ONCE_ANYWAY : AT_ONCE_NEVER;
}

/* Whether there are so many in flight that a ring is to have them, which this thread does not have to wake anybody for. */
static inline bool at_once__gathers(const struct handle *handle) {
  bool many = (atomic_load_explicit(&((struct handle *)handle)->slot.word, memory_order_relaxed) & HANDLE_FLIGHTS) >= PORT_TOGETHER;
  return many && handle->poller->backend->gathers && handle->poller->backend->gathers(handle);
}

/* Whether to try it, and how. */
static HOT unsigned at_once__how(struct op *op, _Atomic uint8_t *hint) {
  unsigned how = atomic_load_explicit(hint, memory_order_relaxed);
  if (how == AT_ONCE_UNKNOWN) {
    at_once__ask(op->handle);
    how = atomic_load_explicit(hint, memory_order_relaxed);
  }
  if (how > AT_ONCE_YES) {
    at_once__learn(hint, how - 1);
    return AT_ONCE_NEVER;
  }
  return how == AT_ONCE_YES && at_once__gathers(op->handle) ? AT_ONCE_NEVER : how;
}

/* Whether whoever can wait would say the same. A short read may be the end of the file or of what is cached. A write that has moved
   something has begun. */
static bool at_once__is_final(const struct op *op, unsigned how, ssize_t moved, size_t asked_bytes) {
  if (how == AT_ONCE_ANYWAY)
    return moved >= 0 || errno != EINTR;
  if (op->slot.kind == OP_WRITE)
    return moved > 0;
  if (moved < 0)
    return errno != EAGAIN && errno != EINTR && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL;
  return moved == 0 || (size_t)moved == asked_bytes;
}

/* Not every file system has reads and writes that do not wait. */
static bool at_once__is_unknown(ssize_t moved) { return moved < 0 && (errno == EOPNOTSUPP || errno == ENOSYS); }

static inline ssize_t at_once__call(struct op *op, unsigned how, const struct iovec *parts, int count) {
  int descriptor = (int)op->handle->native, flags = how == AT_ONCE_ANYWAY ? 0 : RWF_NOWAIT;
  off_t offset = (off_t)(op->as.data.offset + op->bytes);
  poller__count(op->handle->poller, COUNTER_SYSTEM_CALLS, 1);
  return op->slot.kind == OP_READ ? call__preadv2(descriptor, parts, count, offset, flags) : call__pwritev2(descriptor, parts, count, offset, flags);
}

/* What the call has brought; it is made again where it has to be made in another way. */
static COLD bool at_once__took(struct op *op, _Atomic uint8_t *hint, unsigned how, const struct iovec *parts, int count, size_t asked_bytes,
                          ssize_t moved, struct piece *piece) {
  if (at_once__is_unknown(moved)) {
    how = at_once__without_a_word(op->handle);
    at_once__learn(hint, how);
    if (how == AT_ONCE_NEVER)
      return false;
    moved = at_once__call(op, how, parts, count);
  }
  if (at_once__is_final(op, how, moved, asked_bytes)) {
    transfer__read(op, moved < 0 ? -errno : moved, asked_bytes, piece);
    return true;
  }
  if (how == AT_ONCE_YES && at_once__has_ring(op->handle))
    at_once__learn(hint, AT_ONCE_YES + RING_PATIENCE);
  return false;
}

static COLD bool at_once__several(struct op *op, _Atomic uint8_t *hint, unsigned how, struct piece *piece) {
  struct iovec parts[AT_ONCE_PARTS_MAX];
  const struct op_data *data = &op->as.data;
  size_t asked_bytes;
  if (data->count - data->part > AT_ONCE_PARTS_MAX)
    return false;
  int count = (int)transfer__parts(op, parts, &asked_bytes);
  if (asked_bytes == 0 || asked_bytes > AT_ONCE_BYTES_MAX)
    return false;
  return at_once__took(op, hint, how, parts, count, asked_bytes, at_once__call(op, how, parts, count), piece);
}

static bool at_once__again(struct op *op, _Atomic uint8_t *hint, struct piece *piece) {
  unsigned how = at_once__how(op, hint); /* by now more is known of it */
  return how != AT_ONCE_NEVER && at_once__several(op, hint, how, piece);
}

/* Of one that is not the usual one, or has not come to the usual end: a call was made, or not. */
static COLD bool at_once__go_on(struct op *op, _Atomic uint8_t *hint, bool made, struct piece *piece) {
  while (made && op__progress(op, piece))
    made = at_once__again(op, hint, piece);
  return made;
}

/* One part, and all of it is moved: that is what comes most. */
HOT bool at_once__move(struct op *op) {
  const struct op_data *data = &op->as.data;
  _Atomic uint8_t *hint = op->slot.kind == OP_READ ? &op->handle->hint : &op->handle->write_hint;
  struct piece piece;
  unsigned how = at_once__how(op, hint);
  if (how == AT_ONCE_NEVER)
    return false;
  if (data->count != 1)
    return at_once__go_on(op, hint, at_once__several(op, hint, how, &piece), &piece);
  struct iovec one = {data->parts->base, data->parts->length};
  if (one.iov_len - 1 >= AT_ONCE_BYTES_MAX)
    return false;
  ssize_t moved = at_once__call(op, how, &one, 1);
  if (moved != (ssize_t)one.iov_len)
    return at_once__go_on(op, hint, at_once__took(op, hint, how, &one, 1, one.iov_len, moved, &piece), &piece);
  piece__take_in_all(op, one.iov_len);
  op__mark(op, OP_SETTLED);
  return true;
}
