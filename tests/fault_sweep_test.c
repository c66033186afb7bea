/* Every allocation and every system call in scenes from the life of a loop gets its turn to fail. */
#include "fault_sweep.h"

enum { LENGTH = 3000, TIMERS = 600 };

/* ---- Scenes ---- */

static void tcp_scene(pier_loop *loop) {
  pier_address address;
  pier_handle listener = 0;
  support_outcome *accepted = support__outcome(), *connected = support__outcome(), *shut = support__outcome();
  int value = 0;
  if (!fault__fine(pier_address_parse("127.0.0.1", 0, &address)) || !fault__fine(pier_tcp_listen(loop, &address, NULL, &listener)))
    return;
  const pier_tcp_options options = {.local = &address};
  pier_address to;
  bool good = fault__fine(pier_tcp_local_address(listener, &to));
  pier_operation accept = pier_tcp_accept(listener, PIER_NO_DEADLINE, support__take, accepted);
  good = good && fault__ends_fine(loop, pier_tcp_connect(loop, &to, &options, PIER_NO_DEADLINE, support__take, connected), connected);
  pier_handle client = connected->got.opened;
  if (good && fault__ends_fine(loop, accept, accepted)) {
    pier_handle server = accepted->got.opened;
    fault__fine(pier_tcp_peer_address(server, &address));
    for (pier_tcp_option option = PIER_TCP_NODELAY; option <= PIER_TCP_RECEIVE_BUFFER_BYTES; option++)
      if (!(option == PIER_TCP_KEEPALIVE_SECONDS && support__is_wine()) && fault__fine(pier_tcp_get(client, option, &value)))
        fault__fine(pier_tcp_set(client, option, option > PIER_TCP_LINGER_SECONDS ? 65536 : 1));
    fault__ends_fine(loop, pier_tcp_shutdown(server, PIER_NO_DEADLINE, support__take, shut), shut);
    fault__exchange(loop, client, server);
    support__close_handle(loop, listener);
    return;
  }
  fault__close_if_open(loop, client);
  support__close_handle(loop, listener);
  if (accept)
    support__await(loop, accepted);
  fault__close_if_open(loop, accepted->got.opened);
}

static void pipe_pair_scene(pier_loop *loop) {
  for (int message = 0; message < 2; message++) {
    const pier_pipe_options options = {.message = message != 0};
    pier_handle ends[2];
    if (fault__fine(pier_pipe_pair(loop, &options, ends)))
      fault__exchange(loop, ends[0], ends[1]);
  }
}

static void pipe_name_scene(pier_loop *loop) {
  const char *name = support__windows ? support__pipe_name() : support__temp_path();
  for (int message = 0; message < 2; message++) {
    const pier_pipe_options options = {.message = message != 0};
    support_outcome *accepted = support__outcome(), *connected = support__outcome();
    pier_handle listener = 0;
    if (!fault__fine(pier_pipe_listen(loop, name, &options, &listener)))
      continue;
    pier_operation accept = pier_pipe_accept(listener, PIER_NO_DEADLINE, support__take, accepted);
    bool good = fault__ends_fine(loop, pier_pipe_connect(loop, name, &options, PIER_NO_DEADLINE, support__take, connected), connected);
    if (good && fault__ends_fine(loop, accept, accepted)) {
      fault__exchange(loop, connected->got.opened, accepted->got.opened);
      support__close_handle(loop, listener);
      continue;
    }
    support__close_handle(loop, listener);
    if (accept)
      support__await(loop, accepted);
    fault__close_if_open(loop, accepted->got.opened);
    fault__close_if_open(loop, connected->got.opened);
  }
}

static void file_scene(pier_loop *loop) {
  unsigned char *bytes = support__alloc(LENGTH);
  const pier_buffer parts[2] = {{bytes, 1000}, {bytes + 1000, LENGTH - 1000}};
  const unsigned flags[2] = {PIER_OPEN_READ | PIER_OPEN_WRITE, PIER_OPEN_READ | PIER_OPEN_APPEND};
  support_outcome *o[8];
  uint64_t size = 0;
  const char *path = support__temp_path();
  for (int i = 0; i < 2; i++) {
    for (int k = 0; k < 8; k++)
      o[k] = support__outcome();
    if (!fault__ends_fine(loop, pier_file_open(loop, path, flags[i] | PIER_OPEN_CREATE, PIER_NO_DEADLINE, support__take, o[0]), o[0]))
      continue;
    pier_handle file = o[0]->got.opened;
    fault__ends_fine(loop, pier_write(file, bytes, LENGTH, PIER_NO_DEADLINE, support__take, o[1]), o[1]);
    fault__ends_fine(loop, pier_writev(file, parts, 2, PIER_NO_DEADLINE, support__take, o[2]), o[2]);
    fault__ends_fine(loop, pier_read_at(file, bytes, LENGTH, 0, PIER_NO_DEADLINE, support__take, o[3]), o[3]);
    fault__ends_fine(loop, pier_readv_at(file, parts, 2, 10, PIER_NO_DEADLINE, support__take, o[4]), o[4]);
    fault__ends_fine(loop, pier_file_flush(file, PIER_NO_DEADLINE, support__take, o[5]), o[5]);
    fault__ends_fine(loop, pier_file_truncate(file, 100, PIER_NO_DEADLINE, support__take, o[6]), o[6]);
    if (fault__fine(pier_file_size(file, &size)) && o[6]->got.status == PIER_OK)
      assert_int_equal(size, 100);
    support__close_handle(loop, file);
  }
  pier_handle file = 0;
  if (fault__fine(pier_file_open_sync(loop, path, PIER_OPEN_READ | PIER_OPEN_CREATE, &file)))
    support__close_handle(loop, file);
}

/* Registers both; who is refused stays the owner's. */
static bool register_both(pier_loop *loop, const pier_native natives[2], pier_association association, pier_handle ends[2]) {
  const pier_register_options options = {.association = association};
  for (int i = 0; i < 2; i++) {
    if (fault__fine(pier_register(loop, natives[i], &options, &ends[i])))
      continue;
    if (i == 1)
      support__close_handle(loop, ends[0]);
    for (int k = i; k < 2; k++)
      support__native_close_pipe(natives[k]);
    return false;
  }
  return true;
}

static void registered_scene(pier_loop *loop) {
  const pier_association associations[] = {PIER_ASSOCIATE_NOW, PIER_ASSOCIATE_LAZY, PIER_ASSOCIATE_NEVER};
  for (int i = 0; i < 3; i++) {
    pier_native natives[2];
    pier_handle ends[2];
    support__native_pipe_pair(false, true, true, natives);
    if (register_both(loop, natives, associations[i], ends))
      fault__exchange(loop, ends[0], ends[1]);
  }
}

/* Blocking ends are served by workers where there is no readiness. */
static void blocking_scene(pier_loop *loop) {
  pier_native natives[2];
  pier_handle ends[2];
  support__native_pipe_pair(false, false, false, natives);
  if (register_both(loop, natives, PIER_ASSOCIATE_LAZY, ends))
    fault__exchange(loop, ends[0], ends[1]);
}

static int do_nothing(void *context) {
  (void)context;
  return PIER_OK;
}

static void count_timer(pier_loop *loop, pier_timer timer, void *context) {
  (void)loop;
  (void)timer;
  support__count(context);
}

static void work_and_timer_scene(pier_loop *loop) {
  atomic_uint *fired = support__alloc(sizeof *fired);
  unsigned started = 0;
  for (int i = 0; i < 3; i++) {
    support_outcome *worked = support__outcome(), *posted = support__outcome();
    fault__ends_fine(loop, pier_work(loop, do_nothing, pier_deadline_in(60 * PIER_SECOND), support__take, worked), worked);
    fault__ends_fine(loop, pier_post(loop, support__take, posted), posted);
  }
  pier_timer moved = pier_timer_start(loop, 3600 * PIER_SECOND, 0, count_timer, fired);
  started += moved != 0;
  for (int i = 1; i < TIMERS; i++)
    started += pier_timer_start(loop, 1000, 0, count_timer, fired) != 0;
  assert_true(started == TIMERS || fault__struck() > 0);
  if (moved && !fault__fine(pier_timer_restart(moved, 2000)))
    fault__fine(pier_timer_restart(moved, 2000)); /* it failed once */
  support__until_count(loop, fired, started, "every timer that was started");
}

/* ---- Cases ---- */

static void nothing_scene(pier_loop *loop) {
  (void)loop;
}

FAULT_SWEEP(nothing)
FAULT_SWEEP(tcp)
FAULT_SWEEP(pipe_pair)
FAULT_SWEEP(pipe_name)
FAULT_SWEEP(file)
FAULT_SWEEP(registered)
FAULT_SWEEP(blocking)
FAULT_SWEEP(work_and_timer)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      FAULT_TEST(every_call_may_fail_in_nothing),
      FAULT_TEST_POOL(every_call_may_fail_in_nothing),
      FAULT_TEST(every_call_may_fail_in_tcp),
      FAULT_TEST_POOL(every_call_may_fail_in_tcp),
      FAULT_TEST(every_call_may_fail_in_pipe_pair),
      FAULT_TEST_POOL(every_call_may_fail_in_pipe_pair),
      FAULT_TEST(every_call_may_fail_in_pipe_name),
      FAULT_TEST_POOL(every_call_may_fail_in_pipe_name),
      FAULT_TEST(every_call_may_fail_in_file),
      FAULT_TEST_POOL(every_call_may_fail_in_file),
      FAULT_TEST(every_call_may_fail_in_registered),
      FAULT_TEST_POOL(every_call_may_fail_in_registered),
      FAULT_TEST(every_call_may_fail_in_blocking),
      FAULT_TEST_POOL(every_call_may_fail_in_blocking),
      FAULT_TEST(every_call_may_fail_in_work_and_timer),
      FAULT_TEST_POOL(every_call_may_fail_in_work_and_timer),
  };
  return support__main(argc, argv, "fault_sweep", tests, sizeof tests / sizeof tests[0]);
}
