#include "twin.h"

#include "../common/datagrams.h"

/* What libuv wants to have for each datagram of a batch, where the system can bring several. */
#define SHARE_BYTES 65536

struct pump {
  struct bench_datagrams count;
  uv_udp_t sender;
  uv_udp_t receiver;
  struct sockaddr_in to;
  char *buffer;
  size_t buffer_bytes;
};

/* As many as are sent with one call. */
#define SENDS_MAX 16

static void pump__send(struct pump *pump) {
  char buffers[SENDS_MAX][BENCH_DATAGRAM_BYTES_MAX];
  uv_buf_t parts[SENDS_MAX];
  uv_buf_t *parts_of[SENDS_MAX];
  unsigned parts_counts[SENDS_MAX];
  struct sockaddr *to[SENDS_MAX];

  while (bench_datagrams_may_send(&pump->count)) {
    unsigned count = 0;
    while (count < SENDS_MAX && bench_datagrams_may_send(&pump->count)) {
      parts[count] = uv_buf_init(buffers[count], (unsigned)bench_datagrams_next(&pump->count, buffers[count]));
      parts_of[count] = &parts[count];
      parts_counts[count] = 1;
      to[count] = (struct sockaddr *)&pump->to;
      count++;
    }
    int sent = uv_udp_try_send2(&pump->sender, count, parts_of, parts_counts, to, 0);
    bench_check(sent == (int)count, "uv_udp_try_send2", sent);
  }
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *part) {
  struct pump *pump = handle->data;

  (void)suggested;
  *part = uv_buf_init(pump->buffer, (unsigned)pump->buffer_bytes);
}

static void on_received(uv_udp_t *handle, ssize_t bytes, const uv_buf_t *part, const struct sockaddr *from, unsigned flags) {
  struct pump *pump = handle->data;

  (void)flags;
  twin_check((int)bytes, "receive");
  if (from == NULL) {
    pump__send(pump); /* there is no more for now, or the batch has come to its end */
    return;
  }
  bench_datagrams_take(&pump->count, part->base, (size_t)bytes);
  if (bench_datagrams_all_taken(&pump->count)) {
    uv_close((uv_handle_t *)&pump->sender, NULL);
    uv_close((uv_handle_t *)&pump->receiver, NULL);
  }
}

static void pump__open(struct pump *pump, uv_loop_t *loop) {
  int length = sizeof pump->to;

  twin_check(uv_ip4_addr("127.0.0.1", 0, &pump->to), "uv_ip4_addr");
  twin_check(uv_udp_init(loop, &pump->sender), "uv_udp_init");
  twin_check(uv_udp_init_ex(loop, &pump->receiver, AF_INET | UV_UDP_RECVMMSG), "uv_udp_init_ex");
  twin_check(uv_udp_bind(&pump->sender, (const struct sockaddr *)&pump->to, 0), "uv_udp_bind");
  twin_check(uv_udp_bind(&pump->receiver, (const struct sockaddr *)&pump->to, 0), "uv_udp_bind");
  twin_check(uv_udp_getsockname(&pump->receiver, (struct sockaddr *)&pump->to, &length), "uv_udp_getsockname");
  pump->receiver.data = pump;
}

int twin_udp_pump(const struct bench_options *options, struct bench_result *result) {
  uv_loop_t *loop = uv_default_loop();
  struct pump pump = {.count = {.options = options, .result = result}, .buffer_bytes = options->depth * SHARE_BYTES};

  pump.buffer = bench_allocate(1, pump.buffer_bytes);
  pump__open(&pump, loop);
  bench_begin(result);
  twin_check(uv_udp_recv_start(&pump.receiver, on_allocate, on_received), "uv_udp_recv_start");
  pump__send(&pump);
  twin_check(uv_run(loop, UV_RUN_DEFAULT), "uv_run");
  bench_end(result);
  bench_release(pump.buffer);
  return uv_loop_close(loop);
}
