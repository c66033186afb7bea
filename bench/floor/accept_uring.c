#include "floor.h"
#include "ring.h"

#include "../common/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define ENTRIES 256
#define FILES_MAX 1024
#define ACCEPTED UINT64_MAX

struct server {
  struct io_uring ring;
  int listener;
  struct bench_result *result;
  char buffer[64]; /* one for all: what is in it is not looked at */
};

/* One accept for all connections. They have numbers in the ring's table and no descriptors. */
static void server__accept(struct server *server) {
  struct io_uring_sqe *entry = floor_ring_entry(&server->ring);

  io_uring_prep_multishot_accept_direct(entry, server->listener, NULL, NULL, 0);
  io_uring_sqe_set_data64(entry, ACCEPTED);
}

static void server__read_and_close(struct server *server, unsigned connection) {
  struct io_uring_sqe *entry = floor_ring_entry(&server->ring);

  io_uring_prep_recv(entry, (int)connection, server->buffer, sizeof server->buffer, 0);
  io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE | IOSQE_IO_LINK);
  io_uring_sqe_set_data64(entry, connection);
  entry = floor_ring_entry(&server->ring);
  io_uring_prep_close_direct(entry, connection);
  io_uring_sqe_set_flags(entry, IOSQE_CQE_SKIP_SUCCESS);
  io_uring_sqe_set_data64(entry, connection);
}

static void server__completed(struct server *server, const struct io_uring_cqe *completion) {
  bench_check(completion->res >= 0, "accept, recv or close", completion->res);
  if (completion->user_data != ACCEPTED) {
    server->result->bytes += (uint64_t)completion->res;
    server->result->operations++;
    return;
  }
  server__read_and_close(server, (unsigned)completion->res);
  if ((completion->flags & IORING_CQE_F_MORE) == 0) {
    server__accept(server);
  }
}

static void server__open(struct server *server) {
  int one = 1;

  server->listener = (int)bench_listener_open();
  int error = setsockopt(server->listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* what it accepts inherits it */
  bench_check(error == 0, "TCP_NODELAY", errno);
  floor_ring_open(&server->ring, ENTRIES);
  error = io_uring_register_files_sparse(&server->ring, FILES_MAX);
  bench_check(error == 0, "io_uring_register_files_sparse", error);
}

int floor_tcp_accept(const struct bench_options *options, struct bench_result *result) {
  struct server server = {.result = result};

  server__open(&server);
  bench_begin(result);
  server__accept(&server);
  while (result->operations < options->operations) {
    struct io_uring_cqe *completion;
    unsigned head;
    unsigned count = 0;
    floor_ring_wait(&server.ring);
    io_uring_for_each_cqe(&server.ring, head, completion) {
      server__completed(&server, completion);
      count++;
    }
    io_uring_cq_advance(&server.ring, count);
  }
  bench_end(result);
  io_uring_queue_exit(&server.ring);
  close(server.listener);
  return 0;
}
