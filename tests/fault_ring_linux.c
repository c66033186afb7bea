/* Stand-ins for io_uring. An entry that is to fail goes to the kernel as one that does nothing, and its completion is given the
 * error; one that is to be cut is made shorter. Entries should fail only in loops that one thread drives: nobody else takes
 * completions meanwhile. */
#include "fault_verdict.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <string.h>

enum { RINGS_MAX = 256, FAILED_MAX = 1024 };

typedef struct fault_ring {
  struct io_uring *ring;
  unsigned seen; /* entries before this one have been looked at */
  struct {
    uint64_t id;
    int32_t result;
  } failed[FAILED_MAX];
  unsigned failed_count;
  unsigned checked; /* completions before this one have been looked at */
} fault_ring;

static fault_ring fault__rings[RINGS_MAX];
static pthread_mutex_t fault__rings_lock = PTHREAD_MUTEX_INITIALIZER;

int faulty_io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params) {
  size_t room;
  int code = fault__verdict(FAULT_SET, &room);
  if (code)
    return -code;
  int result = io_uring_queue_init_params(entries, ring, params);
  pthread_mutex_lock(&fault__rings_lock);
  for (int i = 0; result == 0 && i < RINGS_MAX; i++) {
    if (!fault__rings[i].ring) {
      fault__rings[i] = (fault_ring){.ring = ring};
      break;
    }
  }
  pthread_mutex_unlock(&fault__rings_lock);
  return result;
}

/* A ring goes by its descriptor, or by the number that the kernel has given that for quicker calls. */
static fault_ring *fault__ring_of(int descriptor) {
  for (int i = 0; i < RINGS_MAX; i++) {
    const struct io_uring *ring = fault__rings[i].ring;
    if (ring && (ring->ring_fd == descriptor || ring->enter_ring_fd == descriptor))
      return &fault__rings[i];
  }
  return NULL;
}

void faulty_io_uring_queue_exit(struct io_uring *ring) {
  pthread_mutex_lock(&fault__rings_lock);
  fault_ring *known = fault__ring_of(ring->ring_fd);
  if (known)
    known->ring = NULL;
  pthread_mutex_unlock(&fault__rings_lock);
  io_uring_queue_exit(ring);
}

struct io_uring_probe *faulty_io_uring_get_probe_ring(struct io_uring *ring) {
  return fault__fails(FAULT_MEMORY) ? NULL : io_uring_get_probe_ring(ring);
}

int faulty_io_uring_register_files_sparse(struct io_uring *ring, unsigned count) {
  return fault__fails(FAULT_WATCH) ? -errno : io_uring_register_files_sparse(ring, count);
}

int faulty_io_uring_register_files_update(struct io_uring *ring, unsigned offset, const int *descriptors, unsigned count) {
  return *descriptors >= 0 && fault__fails(FAULT_WATCH) ? -errno : io_uring_register_files_update(ring, offset, descriptors, count);
}

/* Of which sort a call is; FAULT_CALLS: of none. */
static fault_call fault__entry_call(const struct io_uring_sqe *entry) {
  switch (entry->opcode) {
  case IORING_OP_RECV:
  case IORING_OP_RECVMSG:
    return FAULT_RECEIVE;
  case IORING_OP_SEND:
  case IORING_OP_SENDMSG:
    return FAULT_SEND;
  case IORING_OP_READ:
  case IORING_OP_READV:
    return FAULT_READ;
  case IORING_OP_WRITE:
  case IORING_OP_WRITEV:
    return FAULT_WRITE;
  case IORING_OP_ACCEPT:
    return FAULT_ACCEPT;
  case IORING_OP_CONNECT:
    return FAULT_CONNECT;
  case IORING_OP_OPENAT:
    return FAULT_OPEN;
  default:
    return FAULT_CALLS;
  }
}

/* Of several parts the first is left, whole. */
static void fault__shorten(struct io_uring_sqe *entry, size_t room) {
  if (entry->opcode == IORING_OP_RECVMSG || entry->opcode == IORING_OP_SENDMSG)
    ((struct msghdr *)(uintptr_t)entry->addr)->msg_iovlen = 1;
  else if (entry->opcode == IORING_OP_READV || entry->opcode == IORING_OP_WRITEV)
    entry->len = 1;
  else if (entry->len > room)
    entry->len = (uint32_t)room;
}

/* Linux 6.10: what does nothing ends as it is told to, and what is linked to it sees that. */
#define FAULT_NOP_RESULT (1U << 0)

static bool fault__is_linked(const struct io_uring_sqe *entry) {
  return entry->flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK);
}

static void fault__fail_linked(struct io_uring_sqe *entry, int code) {
  uint64_t id = entry->user_data;
  uint8_t flags = entry->flags & (uint8_t)~IOSQE_FIXED_FILE;
  io_uring_prep_nop(entry);
  entry->user_data = id;
  entry->flags = flags;
  entry->len = (uint32_t)-code;
  entry->rw_flags = FAULT_NOP_RESULT;
}

static void fault__judge(fault_ring *known, struct io_uring_sqe *entry) {
  fault_call call = fault__entry_call(entry);
  size_t room;
  int code = call < FAULT_CALLS ? fault__verdict(call, &room) : 0;
  if (call == FAULT_CALLS)
    return;
  if (code && fault__is_linked(entry)) {
    fault__fail_linked(entry, code);
  } else if (code) {
    uint64_t id = entry->user_data;
    io_uring_prep_nop(entry);
    entry->user_data = id;
    assert_true(known->failed_count < FAILED_MAX);
    known->failed[known->failed_count].id = id;
    known->failed[known->failed_count++].result = -code;
  } else if (room != SIZE_MAX && !(entry->flags & IOSQE_CQE_SKIP_SUCCESS) && call != FAULT_ACCEPT && call != FAULT_CONNECT && call != FAULT_OPEN) {
    fault__shorten(entry, room);
  }
}

/* Completions that have come since the last time: what did nothing gets its error. */
static void fault__tell(fault_ring *known) {
  struct io_uring_cq *queue = &known->ring->cq;
  unsigned tail = io_uring_smp_load_acquire(queue->ktail);
  for (; known->checked != tail; known->checked++) {
    struct io_uring_cqe *completion = &queue->cqes[known->checked & *queue->kring_mask];
    for (unsigned i = 0; i < known->failed_count; i++) {
      if (known->failed[i].id == completion->user_data) {
        completion->res = known->failed[i].result;
        known->failed[i] = known->failed[--known->failed_count];
        break;
      }
    }
  }
}

static void fault__judge_all(fault_ring *known) {
  struct io_uring_sq *queue = &known->ring->sq;
  unsigned tail = io_uring_smp_load_acquire(queue->ktail);
  for (; known->seen != tail; known->seen++)
    fault__judge(known, &queue->sqes[known->seen & *queue->kring_mask]);
}

int faulty_io_uring_enter2(unsigned descriptor, unsigned count, unsigned wait, unsigned flags, sigset_t *argument, size_t argument_bytes) {
  size_t room;
  int code = fault__verdict(FAULT_ENTER, &room);
  if (code)
    return -code;
  pthread_mutex_lock(&fault__rings_lock);
  fault_ring *known = fault__ring_of((int)descriptor);
  assert_non_null(known);
  fault__judge_all(known);
  pthread_mutex_unlock(&fault__rings_lock);
  int result = io_uring_enter2(descriptor, count, wait, flags, argument, argument_bytes);
  pthread_mutex_lock(&fault__rings_lock);
  fault__tell(known);
  pthread_mutex_unlock(&fault__rings_lock);
  return result;
}
