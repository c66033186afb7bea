/* Sequences of calls: each byte of the input is a command or its argument. Whatever the order, every submit has exactly one callback,
 * none of them inside the submitting call; no byte is moved outside a buffer; the loop can be closed at the end, and no descriptor is
 * left. Memory is watched by the sanitizer. */
#include "calls.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_NS (20 * PIER_SECOND)
#define GUARD 0xA5

struct world world;
_Thread_local unsigned calls__submitting;
_Thread_local unsigned calls__inside;

/* ---- What was submitted ---- */

struct submit *calls__submit(size_t length, bool reads) {
  if (world.submits_used == SUBMITS_MAX)
    return NULL;
  struct submit *submit = &world.submits[world.submits_used];
  submit->buffer = malloc(length + 2 * GUARD_BYTES);
  if (!submit->buffer)
    return NULL;
  world.submits_used++;
  memset(submit->buffer, GUARD, length + 2 * GUARD_BYTES);
  submit->length = length;
  submit->reads = reads;
  submit->acts = !world.pooled && fuzz__byte(&world.input) % 4 == 1;
  calls__submitting++;
  return submit;
}

void calls__submitted(struct submit *submit, pier_operation id) {
  calls__submitting--;
  submit->posted = id != 0;
  atomic_store(&submit->id, id);
}

/* What is in the guards, and what a write must leave alone. */
static void check_buffer(const struct submit *submit, size_t touched) {
  size_t all = submit->length + 2 * GUARD_BYTES;

  for (size_t i = 0; i < all; i++)
    if (i < GUARD_BYTES || i >= GUARD_BYTES + touched)
      FUZZ_CHECK(submit->buffer[i] == GUARD);
}

/* How much of its buffer an operation may have written to. A file's read that failed may have had some of it from the cache before its end
   was asked for; of a stream that would be lost bytes. What has no handle is loaded, from the start again if need be. */
static size_t touched_by(const struct submit *submit, const pier_result *result) {
  pier_kind kind = pier_handle_kind(result->handle);
  if (submit->reads && !result->handle)
    return submit->length;
  if (submit->reads && result->status != PIER_OK && (kind == PIER_KIND_FILE || kind == PIER_KIND_UNKNOWN))
    return submit->length;
  return submit->reads ? result->bytes : 0;
}

void calls__on_done(const pier_result *result) {
  struct submit *submit = result->context;

  FUZZ_CHECK(calls__submitting == 0);
  FUZZ_CHECK(atomic_fetch_add(&submit->calls, 1) == 0);
  FUZZ_CHECK(result->loop == world.loop);
  FUZZ_CHECK(result->status <= 0 && result->status >= PIER_EUNKNOWN);
  FUZZ_CHECK(world.pooled || result->operation == atomic_load(&submit->id));
  FUZZ_CHECK(result->bytes <= submit->length);
  FUZZ_CHECK(pier_cancel(result->operation) == PIER_ENOENT);
  check_buffer(submit, touched_by(submit, result));
  if (result->opened) {
    FUZZ_CHECK(result->status == PIER_OK);
    (void)pier_tcp_set(result->opened, PIER_TCP_LINGER_SECONDS, 0); /* a port that lingers is missed soon */
    calls__keep(result->opened);
  }
  if (submit->acts && !atomic_load(&world.ending)) {
    calls__inside++;
    calls__step();
    calls__inside--;
  }
}

/* ---- Handles ---- */

static void on_closed(const pier_result *result) {
  FUZZ_CHECK(result->status == PIER_OK);
  FUZZ_CHECK(pier_handle_state(result->handle) == PIER_STATE_NONE);
  atomic_fetch_add(&world.closes_done, 1);
}

void calls__close(pier_handle handle) {
  int status = pier_close(handle, on_closed, NULL);

  FUZZ_CHECK(status == PIER_OK || status == PIER_ECLOSED || status == PIER_EBADF);
  if (status == PIER_OK) {
    atomic_fetch_add(&world.closes, 1);
    atomic_store(&world.closed, handle);
  }
}

void calls__keep(pier_handle handle) {
  unsigned place = atomic_fetch_add(&world.handle_next, 1) % HANDLES_MAX;
  pier_handle before = atomic_exchange(&world.handles[place], handle);

  if (before)
    calls__close(before);
  /* Whoever ends everything closes what is here after the mark. */
  if (atomic_load(&world.ending))
    calls__close(handle);
}

/* The newest are the likeliest to be of use. */
pier_handle calls__handle(void) {
  unsigned choice = fuzz__byte(&world.input);
  unsigned next = atomic_load(&world.handle_next);

  if (choice == 255)
    return 0;
  if (choice == 254)
    return atomic_load(&world.closed);
  if (choice == 253)
    return fuzz__number(&world.input, 8);
  return atomic_load(&world.handles[(next + HANDLES_MAX - 1 - choice % HANDLES_MAX) % HANDLES_MAX]);
}

void calls__keep_native(int descriptor) {
  FUZZ_CHECK(world.natives_used < NATIVES_MAX);
  world.natives[world.natives_used++] = descriptor;
}

/* ---- Arguments ---- */

uint64_t calls__deadline(void) {
  unsigned choice = fuzz__byte(&world.input);

  if (choice < 192)
    return PIER_NO_DEADLINE;
  return choice == 255 ? 1 : pier_deadline_in((uint64_t)(choice - 192) * 20 * PIER_MICROSECOND);
}

const char *calls__name(void) {
  return world.names[fuzz__below(&world.input, NAMES)];
}

size_t calls__length(void) {
  unsigned choice = fuzz__byte(&world.input);
  return choice < 128 ? choice % 17 : (size_t)(choice - 128) * 23;
}

static int64_t offset_of_input(void) {
  static const int64_t offsets[] = {0, 1, 4096, -1, INT64_MIN, INT64_MAX, (int64_t)1 << 33, 70000};
  return offsets[fuzz__below(&world.input, 8)];
}

/* ---- Commands ---- */

static void move(bool reads) {
  pier_handle handle = calls__handle();
  struct submit *submit = calls__submit(calls__length(), reads);
  uint64_t deadline_ns = calls__deadline();
  if (!submit)
    return;
  unsigned char *bytes = submit->buffer + GUARD_BYTES;
  calls__submitted(submit, reads ? pier_read(handle, bytes, submit->length, deadline_ns, calls__on_done, submit)
                                 : pier_write(handle, bytes, submit->length, deadline_ns, calls__on_done, submit));
}

static void move_at(bool reads) {
  pier_handle handle = calls__handle();
  int64_t offset = offset_of_input();
  struct submit *submit = calls__submit(calls__length(), reads);
  uint64_t deadline_ns = calls__deadline();
  if (!submit)
    return;
  unsigned char *bytes = submit->buffer + GUARD_BYTES;
  calls__submitted(submit, reads ? pier_read_at(handle, bytes, submit->length, offset, deadline_ns, calls__on_done, submit)
                                 : pier_write_at(handle, bytes, submit->length, offset, deadline_ns, calls__on_done, submit));
}

static void move_parts(bool reads) {
  pier_handle handle = calls__handle();
  unsigned choice = fuzz__byte(&world.input);
  size_t count = choice % (PARTS_MAX + 1), used = 0;
  int64_t offset = offset_of_input();
  struct submit *submit = calls__submit(calls__length(), reads);
  uint64_t deadline_ns = calls__deadline();
  if (!submit)
    return;
  for (size_t i = 0; i < count; i++) {
    size_t length = i + 1 == count ? submit->length - used : (submit->length - used) * (choice >> 4) / 16;
    submit->parts[i] = (pier_buffer){submit->buffer + GUARD_BYTES + used, length};
    used += length;
  }
  pier_operation id;
  if (choice & 8)
    id = reads ? pier_readv_at(handle, submit->parts, count, offset, deadline_ns, calls__on_done, submit)
               : pier_writev_at(handle, submit->parts, count, offset, deadline_ns, calls__on_done, submit);
  else
    id = reads ? pier_readv(handle, submit->parts, count, deadline_ns, calls__on_done, submit)
               : pier_writev(handle, submit->parts, count, deadline_ns, calls__on_done, submit);
  calls__submitted(submit, id);
}

static void ask(void) {
  pier_handle handle = calls__handle();
  struct submit *submit = calls__submit(sizeof(int), true);
  uint64_t deadline_ns = calls__deadline();

  if (submit)
    calls__submitted(submit, pier_ioctl(handle, FIONREAD, NULL, 0, submit->buffer + GUARD_BYTES, submit->length, deadline_ns, calls__on_done, submit));
}

static int work(void *context) {
  const struct submit *submit = context;
  return submit->length ? PIER_EIO : PIER_OK;
}

/* What has no buffer. */
static void start(void) {
  unsigned choice = fuzz__below(&world.input, 5);
  pier_handle handle = choice < 3 ? calls__handle() : 0;
  struct submit *submit = calls__submit(choice == 4 ? calls__length() : 0, false);
  uint64_t deadline_ns = calls__deadline();
  if (!submit)
    return;
  switch (choice) {
  case 0:
    calls__submitted(submit, pier_tcp_shutdown(handle, deadline_ns, calls__on_done, submit));
    break;
  case 1:
    calls__submitted(submit, pier_file_flush(handle, deadline_ns, calls__on_done, submit));
    break;
  case 2:
    calls__submitted(submit, pier_file_truncate(handle, fuzz__byte(&world.input) * 100u, deadline_ns, calls__on_done, submit));
    break;
  case 3:
    calls__submitted(submit, pier_post(world.loop, calls__on_done, submit));
    break;
  default:
    calls__submitted(submit, pier_work(world.loop, work, deadline_ns, calls__on_done, submit));
  }
}

static void on_timer(pier_loop *loop, pier_timer timer, void *context) {
  FUZZ_CHECK(calls__submitting == 0 && loop == world.loop && timer != 0 && context == &world);
}

static void time_it(void) {
  unsigned choice = fuzz__below(&world.input, 4);
  pier_timer *timer = &world.timers[fuzz__below(&world.input, TIMERS_MAX)];
  uint64_t timeout_ns = fuzz__byte(&world.input) * 10 * PIER_MICROSECOND;
  int status = PIER_OK;

  if (choice < 2) {
    (void)pier_timer_stop(*timer);
    *timer = pier_timer_start(world.loop, timeout_ns, choice ? timeout_ns : 0, on_timer, &world);
  } else if (choice == 2) {
    status = pier_timer_restart(*timer, timeout_ns);
  } else {
    status = pier_timer_stop(*timer);
  }
  FUZZ_CHECK(status == PIER_OK || status == PIER_ENOENT || status == PIER_EINVAL);
}

static void cancel(void) {
  unsigned choice = fuzz__byte(&world.input);
  pier_operation id = choice == 255 || !world.submits_used ? fuzz__number(&world.input, 8)
                                                           : atomic_load(&world.submits[world.submits_used - 1 - choice % world.submits_used].id);

  int status = pier_cancel(id);
  FUZZ_CHECK(status == PIER_OK || status == PIER_ENOENT || status == PIER_EINVAL || status == PIER_EBUSY);
}

/* Turns of the loop, of every kind; from inside a callback none is possible. */
static void run(void) {
  unsigned choice = fuzz__byte(&world.input);
  int expected = calls__inside ? PIER_EDEADLK : PIER_OK;
  size_t count = 0;

  if (world.pooled) {
    (void)pier_loop_run(world.loop, PIER_RUN_DEFAULT, choice * PIER_MICROSECOND);
    return;
  }
  switch (choice % 4) {
  case 0:
    FUZZ_CHECK(pier_loop_dispatch(world.loop, NULL, &count) == expected);
    FUZZ_CHECK(count == 0);
    break;
  case 1: {
    int status = pier_loop_run(world.loop, PIER_RUN_ONCE, choice * PIER_MICROSECOND);
    FUZZ_CHECK(status == expected || (!calls__inside && status == PIER_ETIMEDOUT));
    break;
  }
  default:
    FUZZ_CHECK(pier_loop_run(world.loop, PIER_RUN_NOWAIT, 0) == expected);
  }
}

/* What only asks, or sets a value. */
static void look(void) {
  pier_handle handle = calls__handle();
  unsigned choice = fuzz__byte(&world.input);
  pier_address address;
  uint64_t number;
  int value = 0;

  (void)pier_handle_kind(handle);
  FUZZ_CHECK(pier_handle_state(handle) != PIER_STATE_NONE || pier_handle_in_flight(handle) == 0);
  FUZZ_CHECK(strcmp(pier_state_name(pier_handle_state(handle)), "") != 0);
  switch (choice % 6) {
  case 0:
    (void)pier_tcp_get(handle, (pier_tcp_option)(choice / 6), &value);
    break;
  case 1:
    (void)pier_tcp_set(handle, choice & 64 ? PIER_TCP_NODELAY : PIER_TCP_RECEIVE_BUFFER_BYTES, (int)choice);
    break;
  case 2:
    (void)pier_tcp_peer_address(handle, &address);
    (void)pier_tcp_local_address(handle, &address);
    break;
  case 3:
    (void)pier_file_seek(handle, choice & 128 ? UINT64_MAX : choice);
    (void)pier_file_position(handle, &number);
    break;
  case 4:
    (void)pier_file_size(handle, &number);
    break;
  default:
    (void)pier_loop_timeout_ns(world.loop);
  }
}

static void hold(void) {
  unsigned choice = fuzz__below(&world.input, 3);

  if (choice == 0) {
    FUZZ_CHECK(pier_loop_hold(world.loop) == PIER_OK);
    world.holds++;
  } else if (choice == 1) {
    FUZZ_CHECK(pier_loop_release(world.loop) == (world.holds ? PIER_OK : PIER_EINVAL));
    world.holds -= world.holds > 0;
  } else {
    (void)pier_loop_stop(world.loop);
  }
}

static void drop_native(void) {
  if (!world.natives_used)
    return;
  unsigned place = fuzz__below(&world.input, world.natives_used);
  int *native = &world.natives[place];
  /* One that is a handle's stays open until that is closed: to close it before is the owner's own fault. */
  for (unsigned i = 0; i < HANDLES_MAX; i++)
    if (pier_handle_native(atomic_load(&world.handles[i])) == (pier_native)*native)
      return;
  if (atomic_load(&world.closes) != atomic_load(&world.closes_done))
    return;
  close(*native);
  *native = world.natives[--world.natives_used];
}

/* Off the port what is on it, and on it what is not. */
static void place(void) {
  pier_handle handle = calls__handle();
  bool was_on = pier_handle_state(handle) == PIER_STATE_ASSOCIATED;
  (void)pier_handle_associate(handle);
  if (was_on)
    (void)pier_handle_detach(handle);
}

static void *step_elsewhere(void *context) {
  (void)context;
  calls__step();
  return NULL;
}

/* The next command on a thread that the loop does not know, and which then ends. */
static void elsewhere(void) {
  pthread_t thread;

  if (!calls__inside && pthread_create(&thread, NULL, step_elsewhere, NULL) == 0)
    pthread_join(thread, NULL);
}

void calls__step(void) {
  switch (fuzz__below(&world.input, 32)) {
  case 0: calls__open_pair(); break;
  case 1: calls__open_server(); break;
  case 2: calls__open_client(); break;
  case 3: calls__open_accept(); break;
  case 4: calls__open_pipe_server(); break;
  case 5: calls__open_pipe_client(); break;
  case 6: calls__open_file(); break;
  case 7: calls__open_file_later(); break;
  case 8: calls__open_registered(); break;
  case 9: move(true); break;
  case 10: calls__keep_reading(); break;
  case 11: move(false); break;
  case 12: calls__try(); break;
  case 13: move_at(true); break;
  case 14: move_at(false); break;
  case 15: move_parts(true); break;
  case 16: move_parts(false); break;
  case 17: ask(); break;
  case 18: start(); break;
  case 19: time_it(); break;
  case 20: place(); break;
  case 21: calls__close(calls__handle()); break;
  case 22: cancel(); break;
  case 23: case 24: run(); break;
  case 25: look(); break;
  case 26: (fuzz__byte(&world.input) % 2 ? hold : drop_native)(); break;
  case 27: calls__open_datagrams(); break;
  case 28: calls__receive(); break;
  case 29: calls__send(); break;
  case 30: calls__set_datagrams(); break;
  default: elsewhere();
  }
}

/* ---- One input ---- */

static void name_them(void) {
  static char folder[64];

  if (!folder[0]) {
    snprintf(folder, sizeof folder, "/tmp/pier_fuzz_%ld", (long)getpid());
    FUZZ_CHECK(mkdir(folder, 0700) == 0 || errno == EEXIST);
  }
  for (unsigned i = 0; i < NAMES; i++)
    snprintf(world.names[i], sizeof world.names[i], "%s/%u", folder, i);
}

static void begin(const uint8_t *data, size_t length) {
  memset(&world, 0, sizeof world);
  world.input = (struct fuzz_input){data, data + length};
  unsigned choice = fuzz__byte(&world.input);
  world.pooled = choice % 4 == 3;
  /* Few slots now and then, so that they run out. */
  pier_loop_options options = {.threads = world.pooled ? 2 : 0, .workers_max = 2, .operations_max = choice & 16 ? 8 : 0, .handles_max = choice & 32 ? 4 : 0};
  name_them();
  FUZZ_CHECK(pier_loop_open(&options, &world.loop) == PIER_OK);
}

static void finish(void) {
  pier_metrics metrics;

  atomic_store(&world.ending, true);
  for (unsigned i = 0; i < TIMERS_MAX; i++)
    (void)pier_timer_stop(world.timers[i]);
  for (; world.holds; world.holds--)
    FUZZ_CHECK(pier_loop_release(world.loop) == PIER_OK);
  for (unsigned i = 0; i < HANDLES_MAX; i++)
    calls__close(atomic_load(&world.handles[i]));
  (void)pier_loop_run(world.loop, PIER_RUN_DEFAULT, 0); /* a stop is used up */
  FUZZ_CHECK(pier_loop_run(world.loop, PIER_RUN_DEFAULT, PATIENCE_NS) == PIER_OK);
  FUZZ_CHECK(atomic_load(&world.closes) == atomic_load(&world.closes_done));
  for (unsigned i = 0; i < world.submits_used; i++)
    FUZZ_CHECK(atomic_load(&world.submits[i].calls) == world.submits[i].posted);
  FUZZ_CHECK(pier_loop_metrics(world.loop, &metrics) == PIER_OK);
  FUZZ_CHECK(metrics.submitted == metrics.completed && metrics.operations == 0 && metrics.handles == 0);
  FUZZ_CHECK(pier_loop_close(world.loop) == PIER_OK);
}

static void tidy_up(void) {
  for (unsigned i = 0; i < world.submits_used; i++)
    free(world.submits[i].buffer);
  for (unsigned i = 0; i < world.natives_used; i++)
    close(world.natives[i]);
  for (unsigned i = 0; i < NAMES; i++)
    unlink(world.names[i]);
}

/* The lowest free descriptor: one that leaks keeps its place. */
static int next_descriptor(void) {
  int descriptor = dup(0);
  FUZZ_CHECK(descriptor >= 0);
  close(descriptor);
  return descriptor;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
  int descriptor = next_descriptor();

  begin(data, length);
  while (!fuzz__ended(&world.input) && world.submits_used < SUBMITS_MAX)
    calls__step();
  finish();
  tidy_up();
  FUZZ_CHECK(next_descriptor() == descriptor);
  return 0;
}
