/* What is in an epoll set, as the kernel lists it: a handle on the port is in it, one that is off is not, unless it waits. */
#include "streams.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool has_a_set(pier_loop *loop) {
  return strcmp(pier_loop_backend(loop), "epoll") == 0;
}

static bool is_in_set(pier_loop *loop, pier_native native) {
  char path[64], line[256];
  bool found = false;
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", (int)pier_loop_native(loop));
  FILE *list = fopen(path, "r");
  assert_non_null(list);
  while (fgets(line, sizeof line, list)) {
    int descriptor = -1;
    found = found || (sscanf(line, "tfd: %d", &descriptor) == 1 && descriptor == (int)native);
  }
  fclose(list);
  return found;
}

static void assert_stands(pier_loop *loop, pier_handle handle, pier_state state, bool in_set) {
  assert_int_equal(pier_handle_state(handle), state);
  if (has_a_set(loop))
    assert_int_equal(is_in_set(loop, pier_handle_native(handle)), in_set);
}

static void a_set_has_what_is_on_the_port(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int w = 0; w < 2; w++) {
    pier_native natives[2];
    pier_handle ends[2];
    char *buffer = support__alloc(16);
    const pier_register_options options = {.association = w ? PIER_ASSOCIATE_NEVER : PIER_ASSOCIATE_LAZY};
    support__native_tcp_pair(natives);
    for (int i = 0; i < 2; i++)
      assert_status(pier_register(loop, natives[i], &options, &ends[i]), PIER_OK);
    assert_stands(loop, ends[0], w ? PIER_STATE_KEPT : PIER_STATE_FRESH, false);
    for (int i = 0; i < 3; i++) {
      support_outcome *read = support__outcome();
      assert_status(pier_handle_associate(ends[0]), PIER_OK);
      assert_stands(loop, ends[0], PIER_STATE_ASSOCIATED, true);
      assert_status(pier_handle_detach(ends[0]), PIER_OK);
      assert_stands(loop, ends[0], PIER_STATE_DETACHED, false);
      assert_true(pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
      assert_stands(loop, ends[0], PIER_STATE_DETACHED, true);
      assert_true(pier_write(ends[1], "data", 4, PIER_NO_DEADLINE, NULL, NULL) != 0);
      await_status(loop, read, PIER_OK);
      while (pier_handle_in_flight(ends[0]))
        support__yield();
      assert_stands(loop, ends[0], PIER_STATE_DETACHED, false);
    }
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* What has no readiness cannot be in a set, and says so. A ring takes anything. */
static void what_has_no_readiness_stays_with_the_workers(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  int natives[] = {open("/dev/null", O_RDWR | O_CLOEXEC), open(support__temp_file(100), O_RDONLY | O_CLOEXEC)};
  for (int i = 0; i < 2; i++) {
    pier_handle handle = 0;
    char *buffer = support__alloc(16);
    support_outcome *read = support__outcome();
    assert_true(natives[i] >= 0);
    assert_status(pier_register(loop, (pier_native)natives[i], NULL, &handle), PIER_OK);
    assert_status(pier_handle_associate(handle), has_a_set(loop) ? PIER_ENOTSUP : PIER_OK);
    assert_stands(loop, handle, has_a_set(loop) ? PIER_STATE_BLOCKING : PIER_STATE_ASSOCIATED, false);
    assert_true(pier_read(handle, buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, i ? 16 : 0);
    support__close_handle(loop, handle);
  }
  support__close(loop);
}

#define BOTH(function) SUPPORT_TEST(function), SUPPORT_TEST_POOL(function)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      BOTH(a_set_has_what_is_on_the_port),
      BOTH(what_has_no_readiness_stays_with_the_workers),
  };
  return support__main(argc, argv, "associate_linux", tests, sizeof tests / sizeof tests[0]);
}
