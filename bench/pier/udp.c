#include "side.h"

#include "../common/datagrams.h"

struct slot {
  struct pump *pump;
  struct slot *next; /* among those that may be sent with */
  char buffer[BENCH_DATAGRAM_BYTES_MAX];
};

struct pump {
  struct bench_datagrams count;
  pier_handle sender;
  pier_handle receiver;
  pier_address to;
  struct slot *spare;
};

static void on_sent(const pier_result *result);

static void pump__send(struct pump *pump) {
  while (pump->spare != NULL && bench_datagrams_may_send(&pump->count)) {
    struct slot *slot = pump->spare;
    pump->spare = slot->next;
    size_t length = bench_datagrams_next(&pump->count, slot->buffer);
    bench_check(pier_send_to(pump->sender, slot->buffer, length, &pump->to, PIER_NO_DEADLINE, on_sent, slot) != 0, "pier_send_to", 0);
  }
}

static void on_sent(const pier_result *result) {
  struct slot *slot = result->context;

  side_check(result->status, "send");
  slot->next = slot->pump->spare;
  slot->pump->spare = slot;
  pump__send(slot->pump);
}

static void on_received(const pier_result *result);

static void slot__receive(struct slot *slot) {
  pier_operation receive =
      pier_receive_from(slot->pump->receiver, slot->buffer, BENCH_DATAGRAM_BYTES_MAX, PIER_NO_DEADLINE, on_received, slot);
  bench_check(receive != 0, "pier_receive_from", 0);
}

static void on_received(const pier_result *result) {
  struct slot *slot = result->context;
  struct pump *pump = slot->pump;

  if (result->status == PIER_ECLOSED) {
    return;
  }
  side_check(result->status, "receive");
  bench_datagrams_take(&pump->count, slot->buffer, result->bytes);
  if (bench_datagrams_all_taken(&pump->count)) {
    pier_close(pump->receiver, NULL, NULL);
    pier_close(pump->sender, NULL, NULL);
    return;
  }
  slot__receive(slot);
  pump__send(pump);
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
  struct slot *slots = bench_allocate(options->receives + options->depth, sizeof *slots);
  struct side_counts counts;

  pump__open(&pump, loop);
  side_counts_begin(&counts, loop);
  bench_begin(result);
  for (uint64_t i = 0; i < options->receives; i++) {
    slots[i].pump = &pump;
    slot__receive(&slots[i]);
  }
  for (uint64_t i = options->receives; i < options->receives + options->depth; i++) {
    slots[i].pump = &pump;
    slots[i].next = pump.spare;
    pump.spare = &slots[i];
  }
  pump__send(&pump);
  side_check(pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT), "pier_loop_run");
  bench_end(result);
  side_counts_end(&counts, loop, result, result->operations);
  side_loop_close(loop);
  bench_release(slots);
  return 0;
}
