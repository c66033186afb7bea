/* What comes off a completion port, fed to the part that judges it: packets with any key, pointer, status and count, in any order, among
 * those of operations that are really in flight.
 *
 * The port is played here: a backend that has the operations and says when they are over, the way the kernel does with an OVERLAPPED.
 * port__is_final() and port__read_final() are stood in for by the linker (--wrap), so the code that is tested is the one that runs
 * on Windows. An operation must end with what this kernel said of it, once, and not before both: it is over, and a packet for it came. */
#include "fuzz.h"
#include "loop.h"
#include "pier.h"
#include "piece.h"
#include "port.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { HANDLES = 4, SUBMITS_MAX = 128, PACKETS_MAX = 16, LENGTH = 32 };

/* In op->system, where an OVERLAPPED would be. */
enum { WORD_OVER, WORD_CODE, WORD_BYTES };

struct submit {
  pier_operation id;
  struct op *op;   /* while the kernel has it */
  unsigned calls;
  bool writes;
  size_t bytes;    /* what the kernel has moved */
  uint32_t code;   /* and what it said last */
  bool packeted;   /* a packet for it was offered after it was over */
  unsigned char buffer[LENGTH];
};

static struct {
  struct fuzz_input input;
  pier_loop *loop;
  struct port_backend backend; /* the loop's own, but for what is played */
  const struct port_backend *real;
  pier_handle handles[HANDLES];
  int natives[2 * HANDLES];
  struct submit submits[SUBMITS_MAX];
  unsigned submits_used;
  struct op *last; /* released by the kernel: its slot may hold anything */
  unsigned foreign;
  bool ending;
} world;

bool __real_port__is_final(struct op *op);
bool __wrap_port__is_final(struct op *op);
void __wrap_port__read_final(struct op *op, struct piece *piece);

/* ---- The kernel ---- */

bool __wrap_port__is_final(struct op *op) {
  return op->system[WORD_OVER] != 0;
}

void __wrap_port__read_final(struct op *op, struct piece *piece) {
  *piece = (struct piece){(uint32_t)op->system[WORD_CODE], (uint32_t)op->system[WORD_BYTES]};
}

static struct submit *submit_of(const struct op *op) {
  for (unsigned i = 0; i < world.submits_used; i++)
    if (world.submits[i].op == op)
      return &world.submits[i];
  return NULL;
}

/* Either a new one, whose submit is waiting for its id, or the rest of one that was moved in part. */
static enum port_start kernel__submit(struct op *op, struct piece *piece) {
  struct submit *submit = op->context;

  FUZZ_CHECK(!submit->op || submit->op == op);
  submit->op = op;
  submit->packeted = false;
  /* Now and then it ends inside the call. */
  if (fuzz__below(&world.input, 8) == 7) {
    piece->code = submit->code = 0;
    piece->bytes = op__piece(op).bytes;
    submit->bytes += piece->bytes;
    submit->op = NULL;
    return PORT_DONE;
  }
  return PORT_PENDING;
}

static void kernel__end(struct submit *submit, uint32_t code, uint32_t bytes) {
  struct op *op = submit->op;

  if (op->system[WORD_OVER])
    return;
  submit->code = code;
  submit->bytes += bytes;
  op->system[WORD_CODE] = code;
  op->system[WORD_BYTES] = bytes;
  op->system[WORD_OVER] = 1;
}

/* It only asks: whether the operation ends by it is the kernel's affair. */
static void kernel__cancel(struct op *op) {
  struct submit *submit = submit_of(op);
  if (submit && fuzz__below(&world.input, 4) != 3)
    kernel__end(submit, ECANCELED, 0);
}

static bool kernel__cancel_all(struct handle *handle) {
  (void)handle;
  return false; /* one by one */
}

static pier_packet packet_of(const struct submit *submit) {
  const struct op *op = submit->op;
  return (pier_packet){.key = handle__id(op->handle), .overlapped = (void *)(uintptr_t)op->system, .status = op->system[WORD_CODE], .bytes = 0};
}

/* Offers a packet; the operation whose it is may be judged by it. */
static void note_offered(const pier_packet *packet) {
  for (unsigned i = 0; i < world.submits_used; i++) {
    struct submit *submit = &world.submits[i];
    if (submit->op && submit->op->system[WORD_OVER] && packet->key == handle__id(submit->op->handle) && packet->overlapped == (void *)submit->op->system)
      submit->packeted = true;
  }
}

static size_t kernel__wait(struct poller *poller, pier_packet *packets, size_t max, uint64_t timeout_ns) {
  size_t count = 0;

  (void)timeout_ns;
  port_common__drain(poller);
  for (unsigned i = 0; i < world.submits_used && count < max; i++) {
    struct submit *submit = &world.submits[i];
    if (!submit->op)
      continue;
    if (world.ending)
      kernel__end(submit, ECANCELED, 0);
    if (submit->op->system[WORD_OVER] && (world.ending || fuzz__below(&world.input, 2))) {
      packets[count++] = packet_of(submit);
      submit->packeted = true;
    }
  }
  return count;
}

static void kernel__wake(struct poller *poller) {
  atomic_store(&poller->wake_posted, 0); /* whoever drives it is here */
}

static void kernel__forget(struct handle *handle) {
  (void)handle;
}

/* ---- The user ---- */

static void on_done(const pier_result *result) {
  struct submit *submit = result->context;

  FUZZ_CHECK(submit->calls++ == 0);
  FUZZ_CHECK(submit->id == 0 || result->operation == submit->id);
  FUZZ_CHECK(!submit->op || (submit->packeted && submit->op->system[WORD_OVER]));
  FUZZ_CHECK(result->bytes == submit->bytes);
  if (submit->code == 0 && result->status == PIER_OK)
    FUZZ_CHECK(!submit->writes || result->bytes == LENGTH);
  world.last = submit->op ? submit->op : world.last;
  submit->op = NULL;
}

static void on_foreign(pier_loop *loop, pier_handle handle, const pier_packet *packet, void *context) {
  FUZZ_CHECK(loop == world.loop && packet && context == &world);
  (void)handle;
  world.foreign++;
}

static void submit_one(void) {
  unsigned choice = fuzz__byte(&world.input);
  pier_handle handle = world.handles[choice % HANDLES];
  if (world.submits_used == SUBMITS_MAX)
    return;
  struct submit *submit = &world.submits[world.submits_used++];
  submit->writes = choice & 64;
  submit->id = choice & 64 ? pier_write(handle, submit->buffer, LENGTH, PIER_NO_DEADLINE, on_done, submit)
                           : pier_read(handle, submit->buffer, LENGTH, PIER_NO_DEADLINE, on_done, submit);
}

static struct submit *chosen(void) {
  unsigned choice = fuzz__byte(&world.input);
  return world.submits_used ? &world.submits[world.submits_used - 1 - choice % world.submits_used] : NULL;
}

static void end_one(void) {
  static const uint32_t codes[] = {0, 0, 0, ECONNRESET, EMSGSIZE, ECANCELED, EPIPE, 0xffff};
  struct submit *submit = chosen();
  uint32_t code = codes[fuzz__below(&world.input, 8)];
  uint32_t bytes = fuzz__byte(&world.input);

  if (submit && submit->op) {
    uint32_t asked = op__piece(submit->op).bytes;
    kernel__end(submit, code, code == ECANCELED ? 0 : bytes < asked ? bytes : asked);
  }
}

/* ---- Packets ---- */

static uintptr_t invented_key(void) {
  unsigned choice = fuzz__byte(&world.input);
  pier_handle handle = world.handles[choice % HANDLES];

  switch (choice >> 5) {
  case 0:
  case 1:
    return handle;
  case 2:
    return handle ^ (uint64_t)1 << fuzz__below(&world.input, 64);
  case 3: {
    struct submit *submit = chosen();
    return submit ? submit->id : 0;
  }
  case 4:
    return (uintptr_t)&world.loop->poller;
  default:
    return fuzz__number(&world.input, 8);
  }
}

static void *invented_pointer(void) {
  unsigned choice = fuzz__byte(&world.input);
  struct slab *slab = &world.loop->poller.operations;
  struct submit *submit = chosen();
  struct op *op = submit && submit->op ? submit->op : world.last;

  switch (choice % 8) {
  case 0:
    return NULL;
  case 1:
  case 2:
    return op ? op->system : NULL;
  case 3:
    return op ? (char *)op->system + (int8_t)fuzz__byte(&world.input) : NULL;
  case 4:
    return slab->base + (size_t)(fuzz__number(&world.input, 2) * slab->slot_bytes) + offsetof(struct op, system);
  case 5:
    return slab->base + (int16_t)fuzz__number(&world.input, 2);
  case 6:
    return world.last ? world.last->system : (void *)slab;
  default:
    return (void *)(uintptr_t)fuzz__number(&world.input, 8);
  }
}

/* Through the door by which a host hands in what it has dequeued. */
static void deliver(void) {
  pier_packet packets[PACKETS_MAX];
  size_t count = fuzz__below(&world.input, PACKETS_MAX);

  for (size_t i = 0; i < count; i++) {
    struct submit *submit = chosen();
    if (fuzz__below(&world.input, 3) == 0 && submit && submit->op)
      packets[i] = packet_of(submit);
    else
      packets[i] = (pier_packet){.key = invented_key(), .overlapped = invented_pointer(), .status = fuzz__byte(&world.input), .bytes = (uint32_t)fuzz__number(&world.input, 4)};
    note_offered(&packets[i]);
  }
  FUZZ_CHECK(pier_loop_dispatch(world.loop, packets, &count) == PIER_OK);
  FUZZ_CHECK(count <= PACKETS_MAX);
}

static void step(void) {
  struct submit *submit;

  switch (fuzz__below(&world.input, 8)) {
  case 0:
  case 1:
    submit_one();
    break;
  case 2:
    end_one();
    break;
  case 3:
    FUZZ_CHECK(pier_loop_run(world.loop, PIER_RUN_NOWAIT, 0) == PIER_OK);
    break;
  case 4:
    submit = chosen();
    if (submit)
      (void)pier_cancel(submit->id);
    break;
  case 5:
    (void)pier_close(world.handles[fuzz__below(&world.input, HANDLES)], NULL, NULL);
    break;
  default:
    deliver();
  }
}

/* ---- One input ---- */

static void begin(const uint8_t *data, size_t length) {
  memset(&world, 0, sizeof world);
  world.input = (struct fuzz_input){data, data + length};
  unsigned choice = fuzz__byte(&world.input);
  pier_loop_options options = {.operations_max = 64, .on_packet = choice & 1 ? on_foreign : NULL, .packet_context = &world};
  setenv("PIER_BACKEND", "epoll", 1); /* any would do, for it is stood in for; this one starts nothing of its own */
  FUZZ_CHECK(pier_loop_open(&options, &world.loop) == PIER_OK);
  for (unsigned i = 0; i < HANDLES; i++) {
    int ends[2];
    pier_register_options how = {.kind = i % 2 ? PIER_KIND_TCP : PIER_KIND_PIPE, .on_foreign = i < 2 ? on_foreign : NULL, .foreign_context = &world};
    FUZZ_CHECK(pipe(ends) == 0);
    world.natives[i] = ends[0];
    FUZZ_CHECK(pier_register(world.loop, (pier_native)ends[1], &how, &world.handles[i]) == PIER_OK);
  }
  struct poller *poller = &world.loop->poller;
  world.real = poller->backend;
  world.backend = *poller->backend;
  world.backend.submit = kernel__submit;
  world.backend.cancel = kernel__cancel;
  world.backend.cancel_all = kernel__cancel_all;
  world.backend.wait = kernel__wait;
  world.backend.wake = kernel__wake;
  world.backend.forget = kernel__forget;
  poller->backend = &world.backend;
}

static void finish(void) {
  pier_metrics metrics;

  world.ending = true;
  for (unsigned i = 0; i < HANDLES; i++)
    (void)pier_close(world.handles[i], NULL, NULL);
  FUZZ_CHECK(pier_loop_run(world.loop, PIER_RUN_DEFAULT, 20 * PIER_SECOND) == PIER_OK);
  for (unsigned i = 0; i < world.submits_used; i++)
    FUZZ_CHECK(world.submits[i].calls == (world.submits[i].id != 0));
  FUZZ_CHECK(pier_loop_metrics(world.loop, &metrics) == PIER_OK);
  FUZZ_CHECK(metrics.submitted == metrics.completed && metrics.packets_foreign >= world.foreign + metrics.packets_dropped);
  world.loop->poller.backend = world.real;
  FUZZ_CHECK(pier_loop_close(world.loop) == PIER_OK);
  for (unsigned i = 0; i < HANDLES; i++)
    close(world.natives[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
  begin(data, length);
  while (!fuzz__ended(&world.input))
    step();
  finish();
  return 0;
}
