#include "side.h"

#include "../common/datagrams.h"

/* As many as are sent with one call. */
#define SENDS_MAX 16

struct pump {
  struct bench_datagrams count;
  pier_handle sender;
  pier_handle receiver;
  pier_address to;
};

/* What does not go at once would be submitted; nothing of that happens here, for the receiver has room for all that are on the way. */
static void pump__send(struct pump *pump) {
  char buffers[SENDS_MAX][BENCH_DATAGRAM_BYTES_MAX];
  pier_datagram datagrams[SENDS_MAX];

  while (bench_datagrams_may_send(&pump->count)) {
    size_t count = 0;
    size_t sent = 0;
    while (count < SENDS_MAX && bench_datagrams_may_send(&pump->count)) {
      datagrams[count] = (pier_datagram){buffers[count], bench_datagrams_next(&pump->count, buffers[count]), &pump->to};
      count++;
    }
    side_check(pier_try_send(pump->sender, datagrams, count, &sent), "pier_try_send");
    bench_check(sent == count, "pier_try_send", (long long)sent);
  }
}

/* When all that were on the way have come, as many are sent together. */
static void on_received(const pier_result *result) {
  struct pump *pump = result->context;

  if (!result->more) {
    bench_check(result->status == PIER_ECLOSED, "receive", result->status);
    return;
  }
  bench_datagrams_take(&pump->count, result->data, result->bytes);
  if (bench_datagrams_all_taken(&pump->count)) {
    pier_close(pump->receiver, NULL, NULL);
    pier_close(pump->sender, NULL, NULL);
  } else if (pump->count.sent == pump->count.result->operations) {
    pump__send(pump);
  }
}

static void pump__open(struct pump *pump, pier_loop *loop) {
  side_check(pier_address_parse("127.0.0.1", 0, &pump->to), "pier_address_parse");
  side_check(pier_udp_open(loop, &pump->to, NULL, &pump->sender), "pier_udp_open");
  side_check(pier_udp_open(loop, &pump->to, NULL, &pump->receiver), "pier_udp_open");
  side_check(pier_udp_local_address(pump->receiver, &pump->to), "pier_udp_local_address");
}

int side_udp_pump(const struct bench_options *options, struct bench_result *result) {
  pier_loop *loop = side_loop_open();
  struct pump pump = {.count = {.options = options, .result = result}};
  struct side_counts counts;

  pump__open(&pump, loop);
  side_counts_begin(&counts, loop);
  bench_begin(result);
  bench_check(pier_read_multishot(pump.receiver, PIER_NO_DEADLINE, on_received, &pump) != 0, "pier_read_multishot", 0);
  pump__send(&pump);
  side_check(pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  bench_end(result);
  side_counts_end(&counts, loop, result, result->operations);
  side_loop_close(loop);
  return 0;
}
