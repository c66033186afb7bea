/* The same as fault_sweep_test.c, with what only Linux has: fifos, control codes of its own, a descriptor in two handles. */
#include "fault_sweep.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Registers both; who is refused stays the owner's. */
static bool register_both(pier_loop *loop, const int natives[2], pier_association association, pier_handle ends[2]) {
  const pier_register_options options = {.association = association};
  if (!fault__fine(pier_register(loop, (pier_native)natives[0], &options, &ends[0]))) {
    close(natives[0]);
    close(natives[1]);
    return false;
  }
  if (!fault__fine(pier_register(loop, (pier_native)natives[1], &options, &ends[1]))) {
    close(natives[1]);
    support__close_handle(loop, ends[0]);
    return false;
  }
  return true;
}

static void registered_scene(pier_loop *loop) {
  const pier_association associations[] = {PIER_ASSOCIATE_NOW, PIER_ASSOCIATE_LAZY, PIER_ASSOCIATE_NEVER};
  for (int i = 0; i < 6; i++) {
    int natives[2], swapped[2];
    pier_handle ends[2];
    support_outcome *asked = support__outcome();
    int waiting = 0;
    assert_int_equal(i % 2 ? pipe2(natives, O_CLOEXEC) : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, natives), 0);
    swapped[0] = natives[1];
    swapped[1] = natives[0];
    if (!register_both(loop, swapped, associations[i / 2], ends))
      continue;
    fault__ends_fine(loop, pier_ioctl(ends[1], FIONREAD, NULL, 0, &waiting, sizeof waiting, PIER_NO_DEADLINE, support__take, asked), asked);
    if (i == 2)
      fault__fine(pier_handle_detach(ends[0]));
    if (i == 3 || i == 5)
      fault__fine(pier_handle_associate(ends[0]));
    fault__exchange(loop, ends[0], ends[1]);
  }
}

/* One descriptor in two handles: a set needs another number for the second. */
static void twice_registered_scene(pier_loop *loop) {
  int natives[2];
  char byte;
  const pier_register_options options = {.association = PIER_ASSOCIATE_NOW, .keep_open = true};
  pier_handle handles[2] = {0, 0};
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, natives), 0);
  assert_int_equal(write(natives[1], "ab", 2), 2);
  for (int i = 0; i < 2; i++) {
    support_outcome *read = support__outcome();
    if (fault__fine(pier_register(loop, (pier_native)natives[0], &options, &handles[i])))
      fault__ends_fine(loop, pier_read(handles[i], &byte, 1, PIER_NO_DEADLINE, support__take, read), read);
  }
  if (handles[1] && fault__fine(pier_handle_detach(handles[1])))
    fault__fine(pier_handle_associate(handles[1]));
  for (int i = 0; i < 2; i++)
    fault__close_if_open(loop, handles[i]);
  close(natives[0]);
  close(natives[1]);
}

/* The path is taken before the socket listens: when that fails it is given up again. */
static void a_name_that_cannot_be_listened_on_is_not_left_behind(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *path = support__temp_path();
  const fault_call calls[] = {FAULT_LISTEN, FAULT_STAT};
  pier_handle listener = 0;
  for (int i = 0; i < 2; i++) {
    fault__fail(calls[i], 0, 1, 0);
    assert_true(pier_pipe_listen(loop, path, NULL, &listener) < 0);
    assert_int_equal(access(path, F_OK), -1);
    fault__clear();
  }
  assert_status(pier_pipe_listen(loop, path, NULL, &listener), PIER_OK);
  support__close_handle(loop, listener);
  assert_int_equal(access(path, F_OK), -1);
  support__close(loop);
}

FAULT_SWEEP(registered)
FAULT_SWEEP(twice_registered)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      FAULT_TEST(a_name_that_cannot_be_listened_on_is_not_left_behind),
      FAULT_TEST(every_call_may_fail_in_registered),
      FAULT_TEST(every_call_may_fail_in_twice_registered),
  };
  return support__main(argc, argv, "fault_sweep_linux", tests, sizeof tests / sizeof tests[0]);
}
