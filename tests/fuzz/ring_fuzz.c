/* What comes off the ring: completions that another ring puts there (IORING_OP_MSG_RING), with any user_data, result and flags, among
 * traffic of the loop's own. The traffic must go on undisturbed, and what names no operation goes to on_packet.
 *
 * The ids of operations in flight are left out: on io_uring a completion carries nothing but the id, so whoever may write to the ring
 * and invents one is believed. docs/systems.md says so. */
#include "fuzz.h"
#include "pier.h"

#include <liburing.h>
#include <string.h>

enum { PAIRS = 2, LENGTH = 64 };

struct talk {
  pier_handle ends[2];
  unsigned char sent[LENGTH];
  unsigned char got[LENGTH];
  pier_operation reading;
  pier_operation writing;
  unsigned turns;
  bool under_way; /* a message that has been written and not been read */
};

static struct {
  struct fuzz_input input;
  pier_loop *loop;
  struct io_uring ring;
  struct talk talks[PAIRS];
  pier_operation past; /* one that has ended */
  unsigned packets;
  bool ending;
} world;

static void on_packet(pier_loop *loop, pier_handle handle, const pier_packet *packet, void *context) {
  FUZZ_CHECK(loop == world.loop && handle == 0 && context == &world && !packet->overlapped);
  world.packets++;
}

static void on_read(const pier_result *result) {
  struct talk *talk = result->context;

  FUZZ_CHECK(result->operation == talk->reading);
  world.past = result->operation;
  talk->reading = 0;
  if (world.ending)
    return;
  FUZZ_CHECK(result->status == PIER_OK && result->bytes == LENGTH);
  FUZZ_CHECK(memcmp(talk->sent, talk->got, LENGTH) == 0);
  talk->turns++;
  talk->under_way = false;
}

static void on_written(const pier_result *result) {
  struct talk *talk = result->context;

  FUZZ_CHECK(result->operation == talk->writing);
  FUZZ_CHECK(world.ending || (result->status == PIER_OK && result->bytes == LENGTH));
  world.past = result->operation;
  talk->writing = 0;
}

/* One message there; the next one when it has arrived. */
static void talk_on(struct talk *talk) {
  if (!talk->reading) {
    talk->reading = pier_read(talk->ends[0], talk->got, LENGTH, PIER_NO_DEADLINE, on_read, talk);
    FUZZ_CHECK(talk->reading != 0);
  } else if (!talk->writing && !talk->under_way) {
    talk->under_way = true;
    memset(talk->sent, (int)(talk->turns + 1), LENGTH);
    talk->writing = pier_write(talk->ends[1], talk->sent, LENGTH, PIER_NO_DEADLINE, on_written, talk);
    FUZZ_CHECK(talk->writing != 0);
    FUZZ_CHECK(pier_loop_run(world.loop, PIER_RUN_NOWAIT, 0) == PIER_OK);
  }
}

static bool is_in_flight(uint64_t id) {
  for (unsigned i = 0; i < PAIRS; i++)
    if (id && (id == world.talks[i].reading || id == world.talks[i].writing))
      return true;
  return false;
}

static uint64_t invented(void) {
  unsigned choice = fuzz__byte(&world.input);
  struct talk *talk = &world.talks[choice % PAIRS];
  unsigned bit = fuzz__below(&world.input, 64);

  switch (choice % 7) {
  case 0:
    return choice / 7;
  case 1:
    return world.past;
  case 2:
    return talk->reading ^ (uint64_t)1 << bit;
  case 3:
    return talk->ends[0];
  case 4:
    return talk->ends[1] ^ (uint64_t)1 << bit;
  case 5:
    return world.past ^ (uint64_t)1 << bit;
  default:
    return fuzz__number(&world.input, 8);
  }
}

static void put(void) {
  uint64_t id = invented();
  struct io_uring_cqe *done;
  struct io_uring_sqe *entry = io_uring_get_sqe(&world.ring);

  FUZZ_CHECK(entry);
  if (is_in_flight(id))
    id = 0;
  io_uring_prep_msg_ring(entry, (int)pier_loop_native(world.loop), (unsigned)fuzz__number(&world.input, 4), id, 0);
  FUZZ_CHECK(io_uring_submit_and_wait(&world.ring, 1) == 1);
  FUZZ_CHECK(io_uring_wait_cqe(&world.ring, &done) == 0);
  io_uring_cqe_seen(&world.ring, done);
  /* Before anything new is submitted: that might get the id that was invented. */
  FUZZ_CHECK(pier_loop_run(world.loop, PIER_RUN_NOWAIT, 0) == PIER_OK);
}

static bool begin(const uint8_t *data, size_t length) {
  memset(&world, 0, sizeof world);
  world.input = (struct fuzz_input){data, data + length};
  pier_loop_options options = {.on_packet = fuzz__byte(&world.input) % 4 ? on_packet : NULL, .packet_context = &world};
  FUZZ_CHECK(pier_loop_open(&options, &world.loop) == PIER_OK);
  if (strcmp(pier_loop_backend(world.loop), "uring") != 0) {
    FUZZ_CHECK(pier_loop_close(world.loop) == PIER_OK);
    return false;
  }
  FUZZ_CHECK(io_uring_queue_init(8, &world.ring, 0) == 0);
  for (unsigned i = 0; i < PAIRS; i++)
    FUZZ_CHECK(pier_pipe_pair(world.loop, NULL, world.talks[i].ends) == PIER_OK);
  /* A ring may be opened disabled: it is in use from the first turn on. */
  FUZZ_CHECK(pier_loop_run(world.loop, PIER_RUN_NOWAIT, 0) == PIER_OK);
  return true;
}

static void finish(void) {
  world.ending = true;
  for (unsigned i = 0; i < PAIRS; i++) {
    FUZZ_CHECK(pier_close(world.talks[i].ends[0], NULL, NULL) == PIER_OK);
    FUZZ_CHECK(pier_close(world.talks[i].ends[1], NULL, NULL) == PIER_OK);
  }
  FUZZ_CHECK(pier_loop_run(world.loop, PIER_RUN_DEFAULT, 20 * PIER_SECOND) == PIER_OK);
  for (unsigned i = 0; i < PAIRS; i++)
    FUZZ_CHECK(!world.talks[i].reading && !world.talks[i].writing);
  FUZZ_CHECK(pier_loop_close(world.loop) == PIER_OK);
  io_uring_queue_exit(&world.ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
  if (!begin(data, length))
    return 0;
  while (!fuzz__ended(&world.input)) {
    unsigned choice = fuzz__byte(&world.input);
    if (choice % 4 == 0)
      talk_on(&world.talks[choice / 4 % PAIRS]);
    else if (choice % 4 == 1)
      FUZZ_CHECK(pier_loop_run(world.loop, PIER_RUN_NOWAIT, 0) == PIER_OK);
    else
      put();
  }
  finish();
  return 0;
}
