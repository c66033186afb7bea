/* What is in an epoll set, as the kernel lists it: a handle on the port is in it, one that is off is not, unless it waits. */
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
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

static bool has_news(int set, int timeout_ms) {
  struct epoll_event seen;
  int count;
  do
    count = epoll_wait(set, &seen, 1, timeout_ms);
  while (count < 0 && errno == EINTR); /* what a ring completes is delivered to the thread that submitted it, wherever that waits */
  return count == 1;
}

/* In an epoll set of its owner's a descriptor stays, whatever Pier does with it; that set sees what it would have seen. */
static void b1_b6_a_descriptor_in_its_owners_set(void **state) {
  (void)state;
  const pier_association ways[] = {PIER_ASSOCIATE_LAZY, PIER_ASSOCIATE_NOW, PIER_ASSOCIATE_NEVER};
  pier_loop *loop = support__open();
  for (int w = 0; w < 3; w++) {
    pier_native natives[2];
    pier_handle ends[2];
    struct epoll_event event = {.events = EPOLLIN};
    char byte;
    const pier_register_options options = {.association = ways[w]};
    pier_sync_result result;
    int set = epoll_create1(EPOLL_CLOEXEC);
    support__native_tcp_pair(natives);
    int flags = fcntl((int)natives[0], F_GETFL);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, (int)natives[0], &event), 0);
    for (int i = 0; i < 2; i++)
      assert_status(pier_register(loop, natives[i], &options, &ends[i]), PIER_OK);
    for (int i = 0; i < 5; i++) {
      streams__exchange(loop, ends[0], ends[1], 100, 1);
      streams__exchange(loop, ends[1], ends[0], 100, 2);
      assert_false(has_news(set, 0));
      assert_status(pier_sync_write(natives[1], "x", 1, PIER_NO_TIMEOUT, &result), PIER_OK);
      assert_true(has_news(set, 5000));
      assert_status(pier_sync_read(natives[0], &byte, 1, PIER_NO_TIMEOUT, &result), PIER_OK);
    }
    assert_int_equal(fcntl((int)natives[0], F_GETFL), flags);
    streams__close_pair(loop, ends);
    close(set);
  }
  support__close(loop);
}

#define BOTH(function) SUPPORT_TEST(function), SUPPORT_TEST_POOL(function)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      BOTH(a_set_has_what_is_on_the_port),
      BOTH(b1_b6_a_descriptor_in_its_owners_set),
      BOTH(what_has_no_readiness_stays_with_the_workers),
  };
  return support__main(argc, argv, "associate_linux", tests, sizeof tests / sizeof tests[0]);
}
