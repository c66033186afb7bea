/* Listening sockets that their owner has opened: accepts on them, wherever they are with respect to the port. */
#include "streams.h"
#include "sync_native.h"

static support_outcome *accept_one(pier_handle listener, uint64_t deadline_ns, pier_operation *id) {
  support_outcome *accepted = support__outcome();
  *id = pier_tcp_accept(listener, deadline_ns, support__take, accepted);
  assert_true(*id != 0);
  return accepted;
}

static void use(pier_loop *loop, pier_handle listener, const pier_address *address) {
  pier_operation id;
  uint64_t deadline_ns = pier_deadline_in(5 * PIER_MILLISECOND);
  support_outcome *late = accept_one(listener, deadline_ns, &id);
  await_status(loop, late, PIER_ETIMEDOUT);
  assert_true(late->at_ns >= deadline_ns && !late->got.opened);
  support_outcome *cancelled = accept_one(listener, PIER_NO_DEADLINE, &id);
  assert_status(pier_cancel(id), PIER_OK);
  await_status(loop, cancelled, PIER_ECANCELED);
  for (int i = 0; i < 4; i++) {
    pier_handle ends[2];
    if (i % 2 == 0) {
      streams__tcp_connect(loop, listener, address, ends);
    } else { /* the client comes first */
      support_outcome *connected = support__outcome();
      assert_true(pier_tcp_connect(loop, address, NULL, PIER_NO_DEADLINE, support__take, connected) != 0);
      await_status(loop, connected, PIER_OK);
      support_outcome *accepted = accept_one(listener, PIER_NO_DEADLINE, &id);
      await_status(loop, accepted, PIER_OK);
      ends[0] = accepted->got.opened;
      ends[1] = connected->got.opened;
    }
    assert_int_equal(pier_handle_kind(ends[0]), PIER_KIND_TCP);
    streams__exchange(loop, ends[0], ends[1], 1000, 1);
    streams__exchange(loop, ends[1], ends[0], 1000, 2);
    streams__close_pair(loop, ends);
  }
}

/* Registered in each way: accepts wait, come, end at their time, are cancelled; and end at once with their listener. */
static void b35_a_registered_listener_in_every_state(void **state) {
  (void)state;
  const pier_association ways[] = {PIER_ASSOCIATE_LAZY, PIER_ASSOCIATE_NOW, PIER_ASSOCIATE_NEVER};
  const pier_state states[] = {PIER_STATE_ASSOCIATED, PIER_STATE_ASSOCIATED, PIER_STATE_KEPT};
  pier_loop *loop = support__open();
  for (int w = 0; w < 3; w++) {
    enum { ACCEPTS = 6 };
    pier_address address;
    pier_handle listener = 0;
    pier_operation ids[ACCEPTS];
    support_outcome *accepted[ACCEPTS], *closed = support__outcome();
    const pier_register_options options = {.association = ways[w]};
    assert_status(pier_register(loop, sync_native__listener(&address), &options, &listener), PIER_OK);
    assert_int_equal(pier_handle_kind(listener), PIER_KIND_TCP_LISTENER);
    use(loop, listener, &address);
    assert_int_equal(pier_handle_state(listener), states[w]);
    for (int i = 0; i < ACCEPTS; i++)
      accepted[i] = accept_one(listener, PIER_NO_DEADLINE, &ids[i]);
    assert_status(pier_close(listener, support__take, closed), PIER_OK);
    await_status(loop, closed, PIER_OK);
    for (int i = 0; i < ACCEPTS; i++) {
      assert_int_equal(atomic_load(&accepted[i]->calls), 1);
      assert_status(accepted[i]->got.status, PIER_ECLOSED);
      assert_true(accepted[i]->at_ns <= closed->at_ns);
    }
  }
  support__close(loop);
}

/* On a port that its owner has: nothing of an accept is seen there, and the connection is on Pier's. */
static void b6_a_listener_on_another_port(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle listener = 0;
  pier_native native = sync_native__listener(&address);
  sync_port *port = sync_native__port(native);
  assert_status(pier_register(loop, native, NULL, &listener), PIER_OK);
  for (int i = 0; i < 3; i++)
    use(loop, listener, &address);
  assert_int_equal(pier_handle_state(listener), support__windows ? PIER_STATE_FOREIGN : PIER_STATE_ASSOCIATED);
  sync_native__assert_silent(port);
  support__close_handle(loop, listener);
  sync_native__close_port(port);
  support__close(loop);
}

#define BOTH(function) SUPPORT_TEST(function), SUPPORT_TEST_POOL(function)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      BOTH(b35_a_registered_listener_in_every_state),
      BOTH(b6_a_listener_on_another_port),
  };
  return support__main(argc, argv, "listener", tests, sizeof tests / sizeof tests[0]);
}
