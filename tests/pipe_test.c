/* Pipes: names, listening, accepting, connecting, pairs. What flows over them is in stream_test.c and message_test.c.
 */
#include "streams.h"

#include <string.h>

static support_outcome *accept_one(pier_handle listener, uint64_t deadline_ns) {
  support_outcome *accepted = support__outcome();
  assert_true(pier_pipe_accept(listener, deadline_ns, support__take, accepted) != 0);
  return accepted;
}

static support_outcome *connect_one(pier_loop *loop, const char *name, uint64_t deadline_ns) {
  support_outcome *connected = support__outcome();
  assert_true(pier_pipe_connect(loop, name, NULL, deadline_ns, support__take, connected) != 0);
  return connected;
}

static pier_handle listen_on(pier_loop *loop, const char *name, const pier_pipe_options *options) {
  pier_handle listener = 0;
  assert_status(pier_pipe_listen(loop, name, options, &listener), PIER_OK);
  assert_true(listener != 0);
  return listener;
}

/* A pair is two connected ends that know what they are. */
static void a_pair_is_connected(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int message = 0; message < 2; message++) {
    const pier_pipe_options options = {.message = message};
    pier_handle ends[2];
    assert_status(pier_pipe_pair(loop, &options, ends), PIER_OK);
    for (int i = 0; i < 2; i++) {
      assert_int_equal(pier_handle_kind(ends[i]), message ? PIER_KIND_MESSAGE_PIPE : PIER_KIND_PIPE);
      assert_ptr_equal(pier_handle_loop(ends[i]), loop);
      assert_int_equal(pier_handle_in_flight(ends[i]), 0);
    }
    streams__exchange(loop, ends[0], ends[1], 500, 0);
    streams__exchange(loop, ends[1], ends[0], 500, 1);
    streams__close_pair(loop, ends);
  }
  assert_status(pier_pipe_pair(NULL, NULL, (pier_handle[2]){0}), PIER_EINVAL);
  assert_status(pier_pipe_pair(loop, NULL, NULL), PIER_EINVAL);
  support__close(loop);
}

/* A client reaches a listener by its name, with and without the prefix of the system. */
static void a_client_reaches_the_listener(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int i = 0; i < 2; i++) {
    const char *name = support__pipe_name();
    char *full = support__alloc(strlen(name) + 32);
    strcpy(full, strcmp(pier_loop_backend(loop), "iocp") == 0 ? "\\\\.\\pipe\\" : "");
    strcat(full, name);
    pier_handle listener = listen_on(loop, i == 0 ? name : full, NULL);
    assert_int_equal(pier_handle_kind(listener), PIER_KIND_PIPE_LISTENER);
    support_outcome *accepted = accept_one(listener, PIER_NO_DEADLINE);
    support_outcome *connected = connect_one(loop, i == 0 ? full : name, PIER_NO_DEADLINE);
    await_status(loop, connected, PIER_OK);
    await_status(loop, accepted, PIER_OK);
    pier_handle ends[2] = {accepted->got.opened, connected->got.opened};
    assert_true(accepted->got.handle == listener);
    assert_int_equal(pier_handle_kind(ends[0]), PIER_KIND_PIPE);
    streams__exchange(loop, ends[0], ends[1], 3000, 0);
    streams__exchange(loop, ends[1], ends[0], 3000, 1);
    streams__close_pair(loop, ends);
    support__close_handle(loop, listener);
  }
  support__close(loop);
}

/* Many clients are served at once by many instances, each with its own bytes. */
static void many_instances_serve_many_clients(void **state) {
  (void)state;
  enum { CLIENTS = 40 };
  pier_loop *loop = support__open();
  const char *name = support__pipe_name();
  pier_handle listener = listen_on(loop, name, NULL), ends[CLIENTS][2];
  support_outcome *accepted[CLIENTS], *connected[CLIENTS];
  bool seen[CLIENTS] = {false};
  for (int i = 0; i < CLIENTS; i++)
    accepted[i] = accept_one(listener, PIER_NO_DEADLINE);
  for (int i = 0; i < CLIENTS; i++)
    connected[i] = connect_one(loop, name, PIER_NO_DEADLINE);
  for (int i = 0; i < CLIENTS; i++) {
    await_status(loop, connected[i], PIER_OK);
    await_status(loop, accepted[i], PIER_OK);
    ends[i][0] = accepted[i]->got.opened;
    ends[i][1] = connected[i]->got.opened;
  }
  uint8_t *numbers = support__alloc(CLIENTS), *received = support__alloc(CLIENTS);
  for (uint8_t i = 0; i < CLIENTS; i++) {
    numbers[i] = i;
    assert_true(pier_write(ends[i][1], &numbers[i], 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
  }
  for (unsigned i = 0; i < CLIENTS; i++) {
    support_outcome *read = support__outcome();
    assert_true(pier_read(ends[i][0], &received[i], 1, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_in_range(received[i], 0, CLIENTS - 1);
    assert_false(seen[received[i]]);
    seen[received[i]] = true;
  }
  for (int i = 0; i < CLIENTS; i++)
    streams__close_pair(loop, ends[i]);
  support__close_handle(loop, listener);
  support__close(loop);
}

/* Where nobody listens there is nothing to connect to. */
static void a_missing_name_is_told(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  support_outcome *connected = connect_one(loop, support__pipe_name(), PIER_NO_DEADLINE);
  await_status(loop, connected, PIER_ENOENT);
  assert_true(connected->got.opened == 0);
  support__close(loop);
}

/* A name that somebody has cannot be taken; once it is free again it can. */
static void a_name_in_use_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *name = support__pipe_name();
  pier_handle first = listen_on(loop, name, NULL), second = 0;
  assert_status(pier_pipe_listen(loop, name, NULL, &second), PIER_EADDRINUSE);
  assert_int_equal(second, 0);
  support__close_handle(loop, first);
  second = listen_on(loop, name, NULL);
  support__close_handle(loop, second);
  support__close(loop);
}

/* Names that are none, and options out of range, are refused. */
static void bad_names_and_options_are_refused(void **state) {
  (void)state;
  enum { LONG = 5000 };
  pier_loop *loop = support__open();
  pier_handle listener = 0;
  char *longer = support__alloc(LONG);
  memset(longer, 'a', LONG - 1);
  const struct {
    const char *name;
    int status;
  } bad[] = {{NULL, PIER_EINVAL}, {"", PIER_EINVAL}, {"no\xffutf8", PIER_EILSEQ}, {longer, PIER_ENAMETOOLONG}};
  for (int i = 0; i < 4; i++) {
    assert_status(pier_pipe_listen(loop, bad[i].name, NULL, &listener), bad[i].status);
    support_outcome *connected = connect_one(loop, bad[i].name, PIER_NO_DEADLINE);
    await_status(loop, connected, bad[i].status);
  }
  const pier_pipe_options many = {.instances_max = 255};
  assert_status(pier_pipe_listen(loop, support__pipe_name(), &many, &listener), PIER_EINVAL);
  assert_status(pier_pipe_listen(NULL, support__pipe_name(), NULL, &listener), PIER_EINVAL);
  assert_status(pier_pipe_listen(loop, support__pipe_name(), NULL, NULL), PIER_EINVAL);
  assert_int_equal(listener, 0);
  assert_true(pier_pipe_connect(NULL, "x", NULL, PIER_NO_DEADLINE, NULL, NULL) == 0);
  support__close(loop);
}

/* With instances_max connections open an accept says so; after one is closed there is room again. */
static void instances_max_is_a_limit(void **state) {
  (void)state;
  const pier_pipe_options options = {.instances_max = 2};
  pier_loop *loop = support__open();
  const char *name = support__pipe_name();
  pier_handle listener = listen_on(loop, name, &options), ends[3][2];
  for (int i = 0; i < 2; i++) {
    support_outcome *accepted = accept_one(listener, PIER_NO_DEADLINE),
                    *connected = connect_one(loop, name, PIER_NO_DEADLINE);
    await_status(loop, connected, PIER_OK);
    await_status(loop, accepted, PIER_OK);
    ends[i][0] = accepted->got.opened;
    ends[i][1] = connected->got.opened;
  }
  support_outcome *refused = accept_one(listener, PIER_NO_DEADLINE);
  await_status(loop, refused, PIER_EMFILE);
  streams__close_pair(loop, ends[0]);
  support_outcome *accepted = accept_one(listener, PIER_NO_DEADLINE),
                  *connected = connect_one(loop, name, PIER_NO_DEADLINE);
  await_status(loop, connected, PIER_OK);
  await_status(loop, accepted, PIER_OK);
  ends[2][0] = accepted->got.opened;
  ends[2][1] = connected->got.opened;
  streams__exchange(loop, ends[2][0], ends[2][1], 10, 0);
  streams__close_pair(loop, ends[1]);
  streams__close_pair(loop, ends[2]);
  support__close_handle(loop, listener);
  support__close(loop);
}

/* A client that comes while nobody accepts waits, and is served by the next accept. */
static void a_client_waits_for_an_accept(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *name = support__pipe_name();
  pier_handle listener = listen_on(loop, name, NULL);
  support_outcome *connected[3], *accepted[3];
  for (int i = 0; i < 3; i++)
    connected[i] = connect_one(loop, name, PIER_NO_DEADLINE);
  for (int i = 0; i < 3; i++)
    accepted[i] = accept_one(listener, PIER_NO_DEADLINE);
  for (int i = 0; i < 3; i++) {
    await_status(loop, connected[i], PIER_OK);
    await_status(loop, accepted[i], PIER_OK);
  }
  for (int i = 0; i < 3; i++)
    streams__close_pair(loop, (pier_handle[2]){accepted[i]->got.opened, connected[i]->got.opened});
  support__close_handle(loop, listener);
  support__close(loop);
}

/* B33: an accept that nobody comes for, and a connect that nobody takes, end at their deadlines. */
static void b33_accept_and_connect_have_deadlines(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *name = support__pipe_name();
  pier_handle listener = listen_on(loop, name, NULL);
  uint64_t deadline_ns = pier_deadline_in(10 * PIER_MILLISECOND);
  support_outcome *accepted = accept_one(listener, deadline_ns);
  await_status(loop, accepted, PIER_ETIMEDOUT);
  assert_true(accepted->at_ns >= deadline_ns);
  /* The first two may be taken by an instance that waits already; the one after them cannot. */
  support_outcome *connected[3];
  for (int i = 0; i < 3; i++)
    connected[i] = connect_one(loop, name, pier_deadline_in(100 * PIER_MILLISECOND));
  unsigned timed_out = 0;
  for (int i = 0; i < 3; i++) {
    support__await(loop, connected[i]);
    assert_true(connected[i]->got.status == PIER_OK || connected[i]->got.status == PIER_ETIMEDOUT);
    timed_out += connected[i]->got.status == PIER_ETIMEDOUT;
    if (connected[i]->got.opened)
      support__close_handle(loop, connected[i]->got.opened);
  }
  assert_true(timed_out >= 1);
  support__close_handle(loop, listener);
  support__close(loop);
}

/* B31: a waiting accept can be cancelled, any number of times, and the listener goes on. */
static void b31_an_accept_can_be_cancelled(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *name = support__pipe_name();
  pier_handle listener = listen_on(loop, name, NULL);
  for (int i = 0; i < 30; i++) {
    support_outcome *accepted = support__outcome();
    pier_operation id = pier_pipe_accept(listener, PIER_NO_DEADLINE, support__take, accepted);
    assert_true(id != 0);
    assert_status(pier_cancel(id), PIER_OK);
    await_status(loop, accepted, PIER_ECANCELED);
    assert_status(pier_cancel(id), PIER_ENOENT);
  }
  support_outcome *accepted = accept_one(listener, PIER_NO_DEADLINE),
                  *connected = connect_one(loop, name, PIER_NO_DEADLINE);
  await_status(loop, connected, PIER_OK);
  await_status(loop, accepted, PIER_OK);
  pier_handle ends[2] = {accepted->got.opened, connected->got.opened};
  streams__exchange(loop, ends[0], ends[1], 10, 0);
  streams__close_pair(loop, ends);
  support__close_handle(loop, listener);
  support__close(loop);
}

/* Closing a listener ends all its waiting accepts at once; connections that were accepted live on. */
static void b35_closing_a_listener_ends_its_accepts(void **state) {
  (void)state;
  enum { ACCEPTS = 10 };
  pier_loop *loop = support__open();
  const char *name = support__pipe_name();
  pier_handle listener = listen_on(loop, name, NULL);
  support_outcome *first = accept_one(listener, PIER_NO_DEADLINE),
                  *connected = connect_one(loop, name, PIER_NO_DEADLINE);
  await_status(loop, connected, PIER_OK);
  await_status(loop, first, PIER_OK);
  support_outcome *accepted[ACCEPTS], *closed = support__outcome();
  for (int i = 0; i < ACCEPTS; i++)
    accepted[i] = accept_one(listener, PIER_NO_DEADLINE);
  assert_status(pier_close(listener, support__take, closed), PIER_OK);
  await_status(loop, closed, PIER_OK);
  for (int i = 0; i < ACCEPTS; i++) {
    assert_int_equal(atomic_load(&accepted[i]->calls), 1);
    assert_status(accepted[i]->got.status, PIER_ECLOSED);
    assert_true(accepted[i]->at_ns <= closed->at_ns);
  }
  pier_handle ends[2] = {first->got.opened, connected->got.opened};
  streams__exchange(loop, ends[0], ends[1], 10, 0);
  support_outcome *late = connect_one(loop, name, pier_deadline_in(50 * PIER_MILLISECOND));
  support__await(loop, late);
  assert_true(late->got.status != PIER_OK);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* A listener neither reads nor writes, and a connection does not accept. */
static void wrong_kinds_are_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2], listener = listen_on(loop, support__pipe_name(), NULL);
  support_outcome *read = support__outcome(), *written = support__outcome();
  char *byte = support__alloc(1);
  assert_status(pier_pipe_pair(loop, NULL, ends), PIER_OK);
  await_status(loop, accept_one(ends[0], PIER_NO_DEADLINE), PIER_EBADF);
  assert_true(pier_read(listener, byte, 1, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, PIER_EBADF);
  assert_true(pier_write(listener, byte, 1, PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(loop, written, PIER_EBADF);
  streams__close_pair(loop, ends);
  support__close_handle(loop, listener);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(a_pair_is_connected),
      SUPPORT_TEST_POOL(a_pair_is_connected),
      SUPPORT_TEST(a_client_reaches_the_listener),
      SUPPORT_TEST_POOL(a_client_reaches_the_listener),
      SUPPORT_TEST(many_instances_serve_many_clients),
      SUPPORT_TEST_POOL(many_instances_serve_many_clients),
      SUPPORT_TEST(a_missing_name_is_told),
      SUPPORT_TEST(a_name_in_use_is_refused),
      SUPPORT_TEST(bad_names_and_options_are_refused),
      SUPPORT_TEST(instances_max_is_a_limit),
      SUPPORT_TEST(a_client_waits_for_an_accept),
      SUPPORT_TEST_POOL(a_client_waits_for_an_accept),
      SUPPORT_TEST(b33_accept_and_connect_have_deadlines),
      SUPPORT_TEST_POOL(b33_accept_and_connect_have_deadlines),
      SUPPORT_TEST(b31_an_accept_can_be_cancelled),
      SUPPORT_TEST_POOL(b31_an_accept_can_be_cancelled),
      SUPPORT_TEST(b35_closing_a_listener_ends_its_accepts),
      SUPPORT_TEST_POOL(b35_closing_a_listener_ends_its_accepts),
      SUPPORT_TEST(wrong_kinds_are_refused),
  };
  return support__main(argc, argv, "pipe", tests, sizeof tests / sizeof tests[0]);
}
