#include "ring.h"
#include "stream_linux.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ENTRIES 256
#define BUFFERS_ECHO 2048 /* a power of two, and at least one for each connection */
#define BUFFERS_PUMP 4
#define BUFFER_GROUP 0
#define ALIGNMENT 4096
#define SEND_FAILED UINT64_C(0x100000000)

struct server {
  struct io_uring ring;
  struct io_uring_buf_ring *buffers;
  char *bytes;
  size_t buffer_bytes;
  unsigned buffers_count;
  size_t open;
  uint64_t receives;
  bool echo;
  int *lent; /* the buffer that the last echo of each connection went out from, -1 for none */
  struct bench_result *result;
};

static char *server__buffer(const struct server *server, int buffer) {
  return server->bytes + (size_t)buffer * server->buffer_bytes;
}

static void server__give_back(struct server *server, int buffer) {
  io_uring_buf_ring_add(server->buffers, server__buffer(server, buffer), (unsigned)server->buffer_bytes, (unsigned short)buffer,
                        (int)server->buffers_count - 1, 0);
  io_uring_buf_ring_advance(server->buffers, 1);
}

/* One receive for the whole life of the connection: each message is a completion with a buffer that the kernel took from the group. The sockets are
 * registered (the connection's number stands for its descriptor), which saves the kernel a look-up per call. */
static void server__receive(struct server *server, size_t connection) {
  struct io_uring_sqe *entry = floor_ring_entry(&server->ring);

  io_uring_prep_recv_multishot(entry, (int)connection, NULL, 0, 0);
  io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT);
  entry->buf_group = BUFFER_GROUP;
  io_uring_sqe_set_data64(entry, connection);
}

/* Only a failed send has a completion. The buffer is the kernel's until the peer has the bytes, which its next message proves. */
static void server__answer(struct server *server, size_t connection, int buffer, size_t length) {
  struct io_uring_sqe *entry = floor_ring_entry(&server->ring);

  io_uring_prep_send(entry, (int)connection, server__buffer(server, buffer), length, MSG_NOSIGNAL | MSG_WAITALL);
  io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS);
  io_uring_sqe_set_data64(entry, SEND_FAILED | connection);
  if (server->lent[connection] >= 0) {
    server__give_back(server, server->lent[connection]);
  }
  server->lent[connection] = buffer;
}

static void server__received(struct server *server, const struct io_uring_cqe *completion) {
  size_t connection = (size_t)completion->user_data;

  bench_check((completion->user_data & SEND_FAILED) == 0, "send", completion->res);
  if (completion->res == 0) {
    if (--server->open == 0) {
      bench_end(server->result);
    }
    return;
  }
  bench_check(completion->res > 0 || completion->res == -ENOBUFS, "recv", completion->res);
  if (completion->res > 0) {
    int buffer = (int)(completion->flags >> IORING_CQE_BUFFER_SHIFT);
    server->result->bytes += (uint64_t)completion->res;
    server->receives++;
    if (server->echo) {
      server__answer(server, connection, buffer, (size_t)completion->res);
    } else {
      server__give_back(server, buffer);
    }
  }
  if ((completion->flags & IORING_CQE_F_MORE) == 0) {
    server__receive(server, connection);
  }
}

static void server__run(struct server *server) {
  while (server->open > 0) {
    struct io_uring_cqe *completion;
    unsigned head;
    unsigned count = 0;
    floor_ring_wait(&server->ring);
    io_uring_for_each_cqe(&server->ring, head, completion) {
      server__received(server, completion);
      count++;
    }
    io_uring_cq_advance(&server->ring, count);
  }
}

static void *pages(size_t bytes) {
  void *memory = aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
  bench_check(memory != NULL, "out of memory, bytes asked for", (long long)bytes);
  return memory;
}

static void server__lend_buffers(struct server *server) {
  struct io_uring_buf_reg group = {.ring_entries = server->buffers_count, .bgid = BUFFER_GROUP};

  server->buffers = pages(server->buffers_count * sizeof(struct io_uring_buf));
  server->bytes = pages(server->buffers_count * server->buffer_bytes);
  group.ring_addr = (uint64_t)(uintptr_t)server->buffers;
  int error = io_uring_register_buf_ring(&server->ring, &group, 0);
  bench_check(error == 0, "io_uring_register_buf_ring", error);
  io_uring_buf_ring_init(server->buffers);
  for (unsigned i = 0; i < server->buffers_count; i++) {
    server__give_back(server, (int)i);
  }
}

uint64_t floor_serve(const int *sockets, size_t count, bool echo, struct bench_result *result) {
  struct server server = {.echo = echo, .open = count, .result = result};

  server.buffer_bytes = echo ? FLOOR_ECHO_BYTES_MAX : FLOOR_PUMP_BYTES;
  server.buffers_count = echo ? BUFFERS_ECHO : BUFFERS_PUMP;
  bench_check(count * 2 <= BUFFERS_ECHO, "--connections is at most", BUFFERS_ECHO / 2);
  server.lent = bench_allocate(count, sizeof *server.lent);
  floor_ring_open(&server.ring, ENTRIES);
  server__lend_buffers(&server);
  int error = io_uring_register_files(&server.ring, sockets, (unsigned)count);
  bench_check(error == 0, "io_uring_register_files", error);
  bench_begin(result);
  for (size_t i = 0; i < count; i++) {
    server.lent[i] = -1;
    server__receive(&server, i);
  }
  server__run(&server);
  io_uring_queue_exit(&server.ring);
  for (size_t i = 0; i < count; i++) {
    close(sockets[i]);
  }
  free(server.buffers);
  free(server.bytes);
  bench_release(server.lent);
  return server.receives;
}
