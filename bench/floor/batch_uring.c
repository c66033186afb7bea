#include "floor.h"
#include "ring.h"

#include "../common/listener.h"
#include "../common/records.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define ENTRIES 256

struct sender {
  struct io_uring ring;
  int socket;
  const struct bench_options *options;
  struct bench_result *result;
  char *records;
};

static void sender__await(struct sender *sender, int wanted) {
  struct io_uring_cqe *completion;
  int error;

  floor_ring_wait(&sender->ring);
  do {
    error = io_uring_wait_cqe(&sender->ring, &completion);
  } while (error == -EINTR);
  bench_check(error == 0 && completion->res == wanted, "send, shutdown or recv", error == 0 ? completion->res : error);
  io_uring_cqe_seen(&sender->ring, completion);
}

/* Each record is an operation of its own, linked to the next so that none overtakes another; a ring full of them is one system call and one
 * completion. */
static void sender__send_some(struct sender *sender) {
  uint64_t left = sender->options->operations - sender->result->operations;
  unsigned count = left < ENTRIES ? (unsigned)left : ENTRIES;
  size_t block = (size_t)sender->options->block_bytes;

  for (unsigned i = 0; i < count; i++) {
    struct io_uring_sqe *entry = floor_ring_entry(&sender->ring);
    io_uring_prep_send(entry, sender->socket, sender->records + (sender->result->operations + i) * block, block, MSG_WAITALL | MSG_NOSIGNAL);
    if (i + 1 < count) {
      io_uring_sqe_set_flags(entry, IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS);
    }
  }
  sender__await(sender, (int)block);
  sender->result->operations += count;
  sender->result->bytes += count * block;
}

static void sender__end(struct sender *sender) {
  char nothing;

  struct io_uring_sqe *entry = floor_ring_entry(&sender->ring);
  io_uring_prep_shutdown(entry, sender->socket, SHUT_WR);
  io_uring_sqe_set_flags(entry, IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS);
  entry = floor_ring_entry(&sender->ring);
  io_uring_prep_recv(entry, sender->socket, &nothing, 1, 0);
  sender__await(sender, 0);
}

int floor_tcp_batch(const struct bench_options *options, struct bench_result *result) {
  struct sender sender = {.options = options, .result = result, .records = bench_records_make(options)};
  uintptr_t listener = bench_listener_open();

  sender.socket = (int)bench_listener_accept(listener);
  floor_ring_open(&sender.ring, ENTRIES);
  bench_begin(result);
  while (result->operations < options->operations) {
    sender__send_some(&sender);
  }
  sender__end(&sender);
  bench_end(result);
  io_uring_queue_exit(&sender.ring);
  close(sender.socket);
  bench_listener_close(listener);
  bench_release(sender.records);
  return 0;
}
