/* Scenes from the life of a loop, again and again, and each time one call more goes well before one fails: every allocation and
 * every system call in them gets its turn. Whatever fails, there is a status that says so, one callback for each operation, and
 * in the end nothing is left of memory, descriptors and threads. */
#include "fault.h"
#include "streams.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SWEEP_MAX = 3000, LENGTH = 3000, TIMERS = 600 };

/* A failure is allowed once something has been made to fail. */
static bool fine(int status) {
  assert_true(status == PIER_OK || fault__struck() > 0);
  assert_true(status <= 0 && status != PIER_EUNKNOWN);
  return status == PIER_OK;
}

/* The same for a submit and its callback. */
static bool ends_fine(pier_loop *loop, pier_operation operation, support_outcome *outcome) {
  if (operation)
    support__await(loop, outcome);
  else
    assert_true(fault__struck() > 0);
  return operation && fine(outcome->got.status);
}

static void close_if_open(pier_loop *loop, pier_handle handle) {
  if (handle)
    support__close_handle(loop, handle);
}

/* The scene once for every call that it makes, which fails then. */
static void sweep(void (*scene)(pier_loop *loop)) {
  unsigned nth = 0;
  bool struck = true;
  scene(NULL); /* what is made once for the whole process is made now */
  for (; struck && nth < SWEEP_MAX; nth++) {
    const pier_loop_options options = {.threads = support__threads()};
    size_t held = fault__held(), handles = support__handle_count();
    pier_loop *loop = NULL;
    fault__fail_nth(nth);
    if (fine(pier_loop_open(&options, &loop))) {
      scene(loop);
      assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, 10 * PIER_SECOND), PIER_OK);
      pier_metrics metrics = support__metrics(loop);
      assert_int_equal(metrics.submitted, metrics.completed);
      assert_status(pier_loop_close(loop), PIER_OK);
    } else {
      assert_null(loop);
    }
    struck = fault__struck() > 0;
    fault__clear();
    assert_int_equal(fault__held(), held);
    assert_int_equal(support__handle_count(), handles);
  }
  print_message("%u calls failed in turn\n", nth - 1);
  assert_false(struck);
}

/* Bytes from one end to the other. Who cannot write closes, so that nobody waits for him. */
static void exchange(pier_loop *loop, pier_handle from, pier_handle to) {
  unsigned char *sent = support__alloc(LENGTH), *got = support__alloc(LENGTH);
  support_outcome *written = support__outcome();
  const pier_buffer parts[2] = {{sent, 1000}, {sent + 1000, LENGTH - 1000}};
  support__fill(sent, LENGTH, 0);
  pier_operation operation = pier_writev(from, parts, 2, pier_deadline_in(60 * PIER_SECOND), support__take, written);
  bool whole = ends_fine(loop, operation, written);
  if (whole)
    assert_int_equal(written->got.bytes, LENGTH);
  else
    support__close_handle(loop, from);
  bool good = true;
  for (size_t have = 0; good && have < LENGTH;) {
    support_outcome *read = support__outcome();
    operation = pier_read(to, got + have, LENGTH - have, pier_deadline_in(60 * PIER_SECOND), support__take, read);
    good = ends_fine(loop, operation, read) && !read->got.end;
    if (good)
      have += read->got.bytes;
    assert_true(!good || !whole || have < LENGTH || support__filled(got, LENGTH, 0));
  }
  if (whole)
    support__close_handle(loop, from);
  support__close_handle(loop, to);
}

/* ---- Scenes ---- */

static void tcp_scene(pier_loop *loop) {
  pier_address address;
  pier_handle listener = 0;
  support_outcome *accepted = support__outcome(), *connected = support__outcome(), *shut = support__outcome();
  int value = 0;
  if (!loop || !fine(pier_address_parse("127.0.0.1", 0, &address)) || !fine(pier_tcp_listen(loop, &address, NULL, &listener)))
    return;
  const pier_tcp_options options = {.local = &address};
  pier_address to;
  bool good = fine(pier_tcp_local_address(listener, &to));
  pier_operation accept = pier_tcp_accept(listener, PIER_NO_DEADLINE, support__take, accepted);
  good = good && ends_fine(loop, pier_tcp_connect(loop, &to, &options, PIER_NO_DEADLINE, support__take, connected), connected);
  pier_handle client = connected->got.opened;
  if (good && ends_fine(loop, accept, accepted)) {
    pier_handle server = accepted->got.opened;
    fine(pier_tcp_peer_address(server, &address));
    for (pier_tcp_option option = PIER_TCP_NODELAY; option <= PIER_TCP_RECEIVE_BUFFER_BYTES; option++)
      if (fine(pier_tcp_get(client, option, &value)))
        fine(pier_tcp_set(client, option, option > PIER_TCP_LINGER_SECONDS ? 65536 : 1));
    ends_fine(loop, pier_tcp_shutdown(server, PIER_NO_DEADLINE, support__take, shut), shut);
    exchange(loop, client, server);
    support__close_handle(loop, listener);
    return;
  }
  close_if_open(loop, client);
  support__close_handle(loop, listener);
  if (accept)
    support__await(loop, accepted);
  close_if_open(loop, accepted->got.opened);
}

static void pipe_pair_scene(pier_loop *loop) {
  for (int message = 0; loop && message < 2; message++) {
    const pier_pipe_options options = {.message = message != 0};
    pier_handle ends[2];
    if (fine(pier_pipe_pair(loop, &options, ends)))
      exchange(loop, ends[0], ends[1]);
  }
}

static void pipe_name_scene(pier_loop *loop) {
  const char *name = support__temp_path();
  for (int message = 0; loop && message < 2; message++) {
    const pier_pipe_options options = {.message = message != 0};
    support_outcome *accepted = support__outcome(), *connected = support__outcome();
    pier_handle listener = 0;
    if (!fine(pier_pipe_listen(loop, name, &options, &listener)))
      continue;
    pier_operation accept = pier_pipe_accept(listener, PIER_NO_DEADLINE, support__take, accepted);
    bool good = ends_fine(loop, pier_pipe_connect(loop, name, &options, PIER_NO_DEADLINE, support__take, connected), connected);
    if (good && ends_fine(loop, accept, accepted)) {
      exchange(loop, connected->got.opened, accepted->got.opened);
      support__close_handle(loop, listener);
      continue;
    }
    support__close_handle(loop, listener);
    if (accept)
      support__await(loop, accepted);
    close_if_open(loop, accepted->got.opened);
    close_if_open(loop, connected->got.opened);
  }
}

static void file_scene(pier_loop *loop) {
  unsigned char *bytes = support__alloc(LENGTH);
  const pier_buffer parts[2] = {{bytes, 1000}, {bytes + 1000, LENGTH - 1000}};
  const unsigned flags[2] = {PIER_OPEN_READ | PIER_OPEN_WRITE, PIER_OPEN_READ | PIER_OPEN_APPEND};
  support_outcome *o[8];
  uint64_t size = 0;
  const char *path = support__temp_path();
  for (int i = 0; loop && i < 2; i++) {
    for (int k = 0; k < 8; k++)
      o[k] = support__outcome();
    if (!ends_fine(loop, pier_file_open(loop, path, flags[i] | PIER_OPEN_CREATE, PIER_NO_DEADLINE, support__take, o[0]), o[0]))
      continue;
    pier_handle file = o[0]->got.opened;
    ends_fine(loop, pier_write(file, bytes, LENGTH, PIER_NO_DEADLINE, support__take, o[1]), o[1]);
    ends_fine(loop, pier_writev(file, parts, 2, PIER_NO_DEADLINE, support__take, o[2]), o[2]);
    ends_fine(loop, pier_read_at(file, bytes, LENGTH, 0, PIER_NO_DEADLINE, support__take, o[3]), o[3]);
    ends_fine(loop, pier_readv_at(file, parts, 2, 10, PIER_NO_DEADLINE, support__take, o[4]), o[4]);
    ends_fine(loop, pier_file_flush(file, PIER_NO_DEADLINE, support__take, o[5]), o[5]);
    ends_fine(loop, pier_file_truncate(file, 100, PIER_NO_DEADLINE, support__take, o[6]), o[6]);
    if (fine(pier_file_size(file, &size)) && o[6]->got.status == PIER_OK)
      assert_int_equal(size, 100);
    support__close_handle(loop, file);
  }
  pier_handle file = 0;
  if (loop && fine(pier_file_open_sync(loop, path, PIER_OPEN_READ | PIER_OPEN_CREATE, &file)))
    support__close_handle(loop, file);
}

/* Registers both; who is refused stays the owner's. */
static bool register_both(pier_loop *loop, const int natives[2], pier_association association, pier_handle ends[2]) {
  const pier_register_options options = {.association = association};
  if (!fine(pier_register(loop, (pier_native)natives[0], &options, &ends[0]))) {
    close(natives[0]);
    close(natives[1]);
    return false;
  }
  if (!fine(pier_register(loop, (pier_native)natives[1], &options, &ends[1]))) {
    close(natives[1]);
    support__close_handle(loop, ends[0]);
    return false;
  }
  return true;
}

static void registered_scene(pier_loop *loop) {
  const pier_association associations[] = {PIER_ASSOCIATE_NOW, PIER_ASSOCIATE_LAZY, PIER_ASSOCIATE_NEVER};
  for (int i = 0; loop && i < 6; i++) {
    int natives[2], swapped[2];
    pier_handle ends[2];
    support_outcome *asked = support__outcome();
    int waiting = 0;
    assert_int_equal(i % 2 ? pipe2(natives, O_CLOEXEC) : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, natives), 0);
    swapped[0] = natives[1];
    swapped[1] = natives[0];
    if (!register_both(loop, swapped, associations[i / 2], ends))
      continue;
    ends_fine(loop, pier_ioctl(ends[1], FIONREAD, NULL, 0, &waiting, sizeof waiting, PIER_NO_DEADLINE, support__take, asked), asked);
    if (i == 2)
      fine(pier_handle_detach(ends[0]));
    exchange(loop, ends[0], ends[1]);
  }
}

/* One descriptor in two handles: a set needs another number for the second. */
static void twice_registered_scene(pier_loop *loop) {
  int natives[2];
  char byte;
  const pier_register_options options = {.association = PIER_ASSOCIATE_NOW, .keep_open = true};
  pier_handle handles[2] = {0, 0};
  if (!loop)
    return;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, natives), 0);
  assert_int_equal(write(natives[1], "ab", 2), 2);
  for (int i = 0; i < 2; i++) {
    support_outcome *read = support__outcome();
    if (fine(pier_register(loop, (pier_native)natives[0], &options, &handles[i])))
      ends_fine(loop, pier_read(handles[i], &byte, 1, PIER_NO_DEADLINE, support__take, read), read);
  }
  for (int i = 0; i < 2; i++)
    close_if_open(loop, handles[i]);
  close(natives[0]);
  close(natives[1]);
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
  pier_timer last = 0;
  if (!loop)
    return;
  for (int i = 0; i < 3; i++) {
    support_outcome *worked = support__outcome(), *posted = support__outcome();
    ends_fine(loop, pier_work(loop, do_nothing, pier_deadline_in(60 * PIER_SECOND), support__take, worked), worked);
    ends_fine(loop, pier_post(loop, support__take, posted), posted);
  }
  for (int i = 0; i < TIMERS; i++) {
    pier_timer timer = pier_timer_start(loop, 1000, 0, count_timer, fired);
    started += timer != 0;
    last = timer ? timer : last;
  }
  assert_true(started == TIMERS || fault__struck() > 0);
  fine(pier_timer_restart(last, 2000));
  support__until_count(loop, fired, started, "every timer that was started");
}

/* ---- Cases ---- */

static void nothing_scene(pier_loop *loop) {
  (void)loop;
}

#define SWEEP(scene)                                                                                                   \
  static void every_call_may_fail_in_##scene(void **state) {                                                           \
    (void)state;                                                                                                       \
    sweep(scene##_scene);                                                                                              \
  }
SWEEP(nothing)
SWEEP(tcp)
SWEEP(pipe_pair)
SWEEP(pipe_name)
SWEEP(file)
SWEEP(registered)
SWEEP(twice_registered)
SWEEP(work_and_timer)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      FAULT_TEST(every_call_may_fail_in_nothing),
      FAULT_TEST_POOL(every_call_may_fail_in_nothing),
      FAULT_TEST(every_call_may_fail_in_tcp),
      FAULT_TEST(every_call_may_fail_in_pipe_pair),
      FAULT_TEST(every_call_may_fail_in_pipe_name),
      FAULT_TEST(every_call_may_fail_in_file),
      FAULT_TEST(every_call_may_fail_in_registered),
      FAULT_TEST(every_call_may_fail_in_twice_registered),
      FAULT_TEST(every_call_may_fail_in_work_and_timer),
  };
  return support__main(argc, argv, "fault_sweep", tests, sizeof tests / sizeof tests[0]);
}
