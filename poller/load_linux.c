/* Loading a file by plain calls: those that are certain not to wait in the submitting thread, what is left on a worker. */
#include "load.h"
#include "call_linux.h"
#include "opening.h"
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { LOAD_FLAGS = O_RDONLY | O_CLOEXEC };

/* What takes longer to copy than to hand to a worker is a worker's, as with other reads (at_once_linux.c). */
enum { LOAD_AT_ONCE_BYTES_MAX = 65536 };

static struct iovec load__rest(const struct op *op, size_t bytes_max) {
  const struct op_load *load = &op->as.load;
  size_t rest = load->length_bytes - op->bytes;
  return (struct iovec){load->buffer + op->bytes, rest < bytes_max ? rest : bytes_max};
}

static void load__close(struct op *op) {
  poller__count(op__poller(op), COUNTER_SYSTEM_CALLS, 1);
  close(op->as.load.descriptor);
  op->as.load.descriptor = -1;
}

void load__abandon(struct op *op) {
  const struct op_load *load = &op->as.load;
  if (load->descriptor >= 0)
    load__close(op);
  if (load->place && op__is(op, OP_REFUSED)) /* before it was begun */
    load->poller->backend->disclaim_load(op);
}

/* ---- In the submitting thread ---- */

/* Which of the failures of a read that is not to wait a worker would be told too. */
static bool load__is_final(int code) {
  return code != EAGAIN && code != EINTR && code != EOPNOTSUPP && code != ENOSYS && code != EINVAL && code != ESPIPE;
}

/* A short read may be the end of the file, or of what is in the system's cache; the next one says which. False: it would wait, or take long. */
static bool load__read_at_once(struct op *op) {
  while (!load__is_full(op)) {
    struct iovec rest = load__rest(op, LOAD_AT_ONCE_BYTES_MAX);
    if (op->bytes >= LOAD_AT_ONCE_BYTES_MAX)
      return false;
    poller__count(op__poller(op), COUNTER_SYSTEM_CALLS, 1);
    ssize_t got = call__preadv2(op->as.load.descriptor, &rest, 1, -1, RWF_NOWAIT);
    if (got < 0) {
      op->ready.code = (uint32_t)errno;
      return load__is_final(errno);
    }
    if (got == 0) {
      op__mark(op, OP_END);
      break;
    }
    op->bytes += (size_t)got;
  }
  op->ready.code = 0;
  return true;
}

bool load__at_once(struct op *op) {
  struct op_load *load = &op->as.load;
  const struct port_backend *backend = load->poller->backend;
  if (backend->claim_load && backend->claim_load(op))
    return false;
  load->descriptor = opening__try(load->poller, load->path, LOAD_FLAGS);
  if (load->descriptor < 0) {
    op->ready.code = (uint32_t)errno;
    return opening__is_final(errno);
  }
  if (!load__read_at_once(op))
    return false;
  load__close(op);
  return true;
}

/* ---- By who may wait ---- */

void load__submit(struct op *op) {
  struct poller *poller = op__poller(op);
  if (!op->as.load.place || !poller->backend->begin_load(op))
    poller->offload(poller, op);
}

void load__start_over(struct op *op) {
  struct poller *poller = op__poller(op);
  op->bytes = 0;
  poller->offload(poller, op);
}

/* Opens what is not open yet. What was opened so as not to block is to do so now. */
static int load__open(struct op *op) {
  struct op_load *load = &op->as.load;
  if (load->descriptor < 0)
    load->descriptor = opening__wait(load->poller, load->path, LOAD_FLAGS);
  else
    fcntl(load->descriptor, F_SETFL, LOAD_FLAGS);
  return load->descriptor < 0 ? errno : 0;
}

/* Nobody can be called back from a read; but between two of them it is looked whether the rest is wanted. */
static int load__read(struct op *op) {
  while (!load__is_full(op)) {
    struct iovec rest = load__rest(op, OP_PIECE_BYTES_MAX);
    if (op__asked_to_end(op) != PIER_OK)
      return ECANCELED;
    poller__count(op__poller(op), COUNTER_SYSTEM_CALLS, 1);
    ssize_t got = readv(op->as.load.descriptor, &rest, 1);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return errno;
    if (got == 0) {
      op__mark(op, OP_END);
      break;
    }
    op->bytes += (size_t)got;
  }
  return 0;
}

void load__block(struct op *op, struct piece *piece) {
  int code = load__open(op);
  if (!code) {
    code = load__read(op);
    load__close(op);
  }
  *piece = (struct piece){(uint32_t)code, 0};
}
