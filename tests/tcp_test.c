/* TCP: listening, accepting, connecting, addresses and options. What flows over the connections is in stream_test.c. */
#include "streams.h"

static pier_operation accept_one(pier_handle listener, uint64_t deadline_ns, support_outcome *accepted) {
  pier_operation id = pier_tcp_accept(listener, deadline_ns, support__take, accepted);
  assert_true(id != 0);
  return id;
}

static pier_operation connect_one(pier_loop *loop, const pier_address *address, uint64_t deadline_ns,
                                  support_outcome *connected) {
  pier_operation id = pier_tcp_connect(loop, address, NULL, deadline_ns, support__take, connected);
  assert_true(id != 0);
  return id;
}

/* An address where nobody listens: it was the system's choice for a listener that is closed by now. */
static pier_address unused_address(pier_loop *loop) {
  pier_address address;
  support__close_handle(loop, streams__tcp_listen(loop, &address));
  return address;
}

static bool same_address(const pier_address *a, const pier_address *b) {
  unsigned length = a->family == PIER_IPV4 ? 4 : 16;
  bool same = a->family == b->family && a->port == b->port;
  for (unsigned i = 0; i < length; i++)
    same = same && a->bytes[i] == b->bytes[i];
  return same;
}

static void connect_and_exchange(pier_loop *loop, const char *text, const pier_tcp_options *options,
                                 const char *connect_text) {
  pier_address address;
  pier_handle listener = 0, ends[2];
  assert_status(pier_address_parse(text, 0, &address), PIER_OK);
  int status = pier_tcp_listen(loop, &address, options, &listener);
  if (status == PIER_EAFNOSUPPORT || status == PIER_EADDRNOTAVAIL) {
    support__close(loop);
    support__skip("no IPv6 here");
  }
  assert_status(status, PIER_OK);
  assert_status(pier_tcp_local_address(listener, &address), PIER_OK);
  assert_true(address.port != 0);
  uint16_t port = address.port;
  assert_status(pier_address_parse(connect_text, port, &address), PIER_OK);
  streams__tcp_connect(loop, listener, &address, ends);
  streams__exchange(loop, ends[0], ends[1], 5000, 1);
  streams__exchange(loop, ends[1], ends[0], 5000, 2);
  streams__close_pair(loop, ends);
  support__close_handle(loop, listener);
}

/* Over IPv4 bytes go both ways. */
static void ipv4_carries_bytes_both_ways(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  connect_and_exchange(loop, "127.0.0.1", NULL, "127.0.0.1");
  support__close(loop);
}

/* Over IPv6 too. */
static void ipv6_carries_bytes_both_ways(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  connect_and_exchange(loop, "::1", NULL, "::1");
  support__close(loop);
}

/* A dual-stack listener takes IPv4 connections. */
static void dual_stack_takes_both_families(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const pier_tcp_options options = {.dual_stack = true};
  connect_and_exchange(loop, "::", &options, "127.0.0.1");
  connect_and_exchange(loop, "::", &options, "::1");
  support__close(loop);
}

/* Both ends know what they are, and each other's address. */
static void kinds_and_addresses_are_told(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address listening, locals[2], peers[2];
  pier_handle ends[2], listener = streams__tcp_listen(loop, &listening);
  streams__tcp_connect(loop, listener, &listening, ends);
  assert_int_equal(pier_handle_kind(listener), PIER_KIND_TCP_LISTENER);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(pier_handle_kind(ends[i]), PIER_KIND_TCP);
    assert_ptr_equal(pier_handle_loop(ends[i]), loop);
    assert_status(pier_tcp_local_address(ends[i], &locals[i]), PIER_OK);
    assert_status(pier_tcp_peer_address(ends[i], &peers[i]), PIER_OK);
  }
  assert_true(same_address(&locals[0], &listening));
  assert_true(same_address(&peers[0], &locals[1]));
  assert_true(same_address(&peers[1], &locals[0]));
  assert_status(pier_tcp_peer_address(listener, &peers[0]), PIER_ENOTCONN);
  streams__close_pair(loop, ends);
  support__close_handle(loop, listener);
  support__close(loop);
}

/* Connecting where nobody listens is refused, and leaves nothing to close. */
static void nobody_listens_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address = unused_address(loop);
  support_outcome *connected = support__outcome();
  connect_one(loop, &address, PIER_NO_DEADLINE, connected);
  await_status(loop, connected, PIER_ECONNREFUSED);
  assert_true(connected->got.opened == 0);
  assert_true(connected->got.system_code != 0);
  support__close(loop);
}

/* A port that is taken cannot be taken again; after the close it can. */
static void a_port_in_use_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle first = streams__tcp_listen(loop, &address), second = 0;
  assert_status(pier_tcp_listen(loop, &address, NULL, &second), PIER_EADDRINUSE);
  assert_int_equal(second, 0);
  support__close_handle(loop, first);
  assert_status(pier_tcp_listen(loop, &address, NULL, &second), PIER_OK);
  support__close_handle(loop, second);
  support__close(loop);
}

/* Listening and connecting on addresses that are not ours, or none, is refused with a clear status. */
static void bad_addresses_are_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address, none = {0}, strange = {.family = 77};
  pier_handle listener = 0;
  assert_status(pier_address_parse("192.0.2.1", 0, &address), PIER_OK);
  assert_status(pier_tcp_listen(loop, &address, NULL, &listener), PIER_EADDRNOTAVAIL);
  assert_status(pier_tcp_listen(loop, &none, NULL, &listener), PIER_EINVAL);
  assert_true(pier_tcp_listen(loop, &strange, NULL, &listener) < 0);
  assert_status(pier_tcp_listen(loop, NULL, NULL, &listener), PIER_EINVAL);
  assert_status(pier_tcp_listen(NULL, &address, NULL, &listener), PIER_EINVAL);
  assert_status(pier_tcp_listen(loop, &address, NULL, NULL), PIER_EINVAL);
  assert_int_equal(listener, 0);
  const pier_address *bad[] = {NULL, &none, &strange};
  for (int i = 0; i < 3; i++) {
    support_outcome *connected = support__outcome();
    assert_true(pier_tcp_connect(loop, bad[i], NULL, PIER_NO_DEADLINE, support__take, connected) != 0);
    support__await(loop, connected);
    assert_true(connected->got.status == PIER_EINVAL || connected->got.status == PIER_EAFNOSUPPORT);
    assert_true(connected->got.opened == 0);
  }
  assert_true(pier_tcp_connect(NULL, &address, NULL, PIER_NO_DEADLINE, NULL, NULL) == 0);
  support__close(loop);
}

/* A connection can come from an address of the caller's choice; one that is not ours says so. */
static void the_local_address_can_be_chosen(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address listening, local, away;
  pier_handle listener = streams__tcp_listen(loop, &listening);
  support_outcome *accepted = support__outcome(), *connected = support__outcome(), *failed = support__outcome();
  assert_status(pier_address_parse("127.0.0.2", 0, &local), PIER_OK);
  assert_status(pier_address_parse("192.0.2.1", 0, &away), PIER_OK);
  pier_tcp_options options = {.local = &local};
  accept_one(listener, PIER_NO_DEADLINE, accepted);
  assert_true(pier_tcp_connect(loop, &listening, &options, PIER_NO_DEADLINE, support__take, connected) != 0);
  await_status(loop, connected, PIER_OK);
  await_status(loop, accepted, PIER_OK);
  assert_status(pier_tcp_peer_address(accepted->got.opened, &away), PIER_OK);
  assert_int_equal(away.bytes[3], 2);
  assert_status(pier_address_parse("192.0.2.1", 0, &away), PIER_OK);
  options.local = &away;
  assert_true(pier_tcp_connect(loop, &listening, &options, PIER_NO_DEADLINE, support__take, failed) != 0);
  await_status(loop, failed, PIER_EADDRNOTAVAIL);
  streams__close_pair(loop, (pier_handle[2]){accepted->got.opened, connected->got.opened});
  support__close_handle(loop, listener);
  support__close(loop);
}

/* The address is copied by the call: what becomes of it afterwards does not matter. */
static void connect_copies_the_address(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address listening, local, given;
  pier_handle listener = streams__tcp_listen(loop, &listening);
  support_outcome *accepted = support__outcome(), *connected = support__outcome();
  assert_status(pier_address_parse("127.0.0.1", 0, &local), PIER_OK);
  given = listening;
  pier_tcp_options options = {.local = &local};
  accept_one(listener, PIER_NO_DEADLINE, accepted);
  assert_true(pier_tcp_connect(loop, &given, &options, PIER_NO_DEADLINE, support__take, connected) != 0);
  given = local = (pier_address){0};
  options = (pier_tcp_options){0};
  await_status(loop, connected, PIER_OK);
  await_status(loop, accepted, PIER_OK);
  streams__close_pair(loop, (pier_handle[2]){accepted->got.opened, connected->got.opened});
  support__close_handle(loop, listener);
  support__close(loop);
}

/* Many accepts wait at once and many clients come: each pair is connected once, with its own bytes. */
static void many_connections(void **state) {
  (void)state;
  enum { CLIENTS = 200 };
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle listener = streams__tcp_listen(loop, &address);
  support_outcome *accepted[CLIENTS], *connected[CLIENTS], *read[CLIENTS], *written[CLIENTS];
  uint32_t *sent = support__alloc(CLIENTS * sizeof *sent), *received = support__alloc(CLIENTS * sizeof *received);
  bool seen[CLIENTS] = {false};
  for (unsigned i = 0; i < CLIENTS; i++) {
    accepted[i] = support__outcome();
    connected[i] = support__outcome();
    accept_one(listener, PIER_NO_DEADLINE, accepted[i]);
  }
  for (unsigned i = 0; i < CLIENTS; i++)
    connect_one(loop, &address, PIER_NO_DEADLINE, connected[i]);
  for (unsigned i = 0; i < CLIENTS; i++) {
    await_status(loop, connected[i], PIER_OK);
    await_status(loop, accepted[i], PIER_OK);
    assert_true(accepted[i]->got.handle == listener);
    written[i] = support__outcome();
    sent[i] = i;
    pier_write(connected[i]->got.opened, &sent[i], 4, PIER_NO_DEADLINE, support__take, written[i]);
  }
  for (unsigned i = 0; i < CLIENTS; i++) {
    read[i] = support__outcome();
    pier_read(accepted[i]->got.opened, &received[i], 4, PIER_NO_DEADLINE, support__take, read[i]);
  }
  for (unsigned i = 0; i < CLIENTS; i++) {
    await_status(loop, written[i], PIER_OK);
    await_status(loop, read[i], PIER_OK);
    assert_int_equal(read[i]->got.bytes, 4);
    assert_in_range(received[i], 0, CLIENTS - 1);
    assert_false(seen[received[i]]);
    seen[received[i]] = true;
  }
  assert_int_equal(support__metrics(loop).handles, 2 * CLIENTS + 1);
  for (unsigned i = 0; i < CLIENTS; i++)
    streams__close_pair(loop, (pier_handle[2]){accepted[i]->got.opened, connected[i]->got.opened});
  support__close_handle(loop, listener);
  support__close(loop);
}

/* Clients that come before anybody accepts wait in the backlog. */
static void early_clients_wait_in_the_backlog(void **state) {
  (void)state;
  enum { CLIENTS = 5 };
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle listener = streams__tcp_listen(loop, &address);
  for (int i = 0; i < CLIENTS; i++) {
    support_outcome *connected = support__outcome();
    connect_one(loop, &address, PIER_NO_DEADLINE, connected);
    await_status(loop, connected, PIER_OK);
    support__close_handle(loop, connected->got.opened);
  }
  for (int i = 0; i < CLIENTS; i++) {
    support_outcome *accepted = support__outcome();
    accept_one(listener, PIER_NO_DEADLINE, accepted);
    await_status(loop, accepted, PIER_OK);
    support__close_handle(loop, accepted->got.opened);
  }
  support__close_handle(loop, listener);
  support__close(loop);
}

/* B33: an accept that nobody comes for ends at its deadline, not before; the listener goes on. */
static void b33_an_accept_has_a_deadline(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle ends[2], listener = streams__tcp_listen(loop, &address);
  support_outcome *accepted = support__outcome();
  uint64_t deadline_ns = pier_deadline_in(10 * PIER_MILLISECOND);
  accept_one(listener, deadline_ns, accepted);
  await_status(loop, accepted, PIER_ETIMEDOUT);
  assert_true(accepted->at_ns >= deadline_ns);
  assert_true(accepted->got.opened == 0);
  streams__tcp_connect(loop, listener, &address, ends);
  streams__close_pair(loop, ends);
  support__close_handle(loop, listener);
  support__close(loop);
}

/* B31: a cancelled accept and a cancelled connect end once; if the connection won it is handed over and usable. */
static void b31_accept_and_connect_can_be_cancelled(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle ends[2], listener = streams__tcp_listen(loop, &address);
  support_outcome *accepted = support__outcome(), *connected = support__outcome();
  pier_operation accepting = accept_one(listener, PIER_NO_DEADLINE, accepted);
  assert_status(pier_cancel(accepting), PIER_OK);
  await_status(loop, accepted, PIER_ECANCELED);
  pier_operation connecting = connect_one(loop, &address, PIER_NO_DEADLINE, connected);
  int asked = pier_cancel(connecting);
  support__await(loop, connected);
  assert_true(connected->got.status == PIER_OK || (connected->got.status == PIER_ECANCELED && asked == PIER_OK));
  assert_true((connected->got.status == PIER_OK) == (connected->got.opened != 0));
  if (connected->got.opened)
    support__close_handle(loop, connected->got.opened);
  /* The attempt may wait in the backlog, so the next accept may get that one. */
  support_outcome *drained = support__outcome();
  accept_one(listener, pier_deadline_in(50 * PIER_MILLISECOND), drained);
  support__await(loop, drained);
  if (drained->got.opened)
    support__close_handle(loop, drained->got.opened);
  streams__tcp_connect(loop, listener, &address, ends);
  streams__exchange(loop, ends[1], ends[0], 100, 0);
  streams__close_pair(loop, ends);
  support__close_handle(loop, listener);
  support__close(loop);
}

/* Closing a listener ends all its waiting accepts at once. */
static void b35_closing_a_listener_ends_its_accepts(void **state) {
  (void)state;
  enum { ACCEPTS = 20 };
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle listener = streams__tcp_listen(loop, &address);
  support_outcome *accepted[ACCEPTS], *closed = support__outcome();
  for (int i = 0; i < ACCEPTS; i++) {
    accepted[i] = support__outcome();
    accept_one(listener, PIER_NO_DEADLINE, accepted[i]);
  }
  assert_int_equal(pier_handle_in_flight(listener), ACCEPTS);
  assert_status(pier_close(listener, support__take, closed), PIER_OK);
  await_status(loop, closed, PIER_OK);
  for (int i = 0; i < ACCEPTS; i++) {
    assert_int_equal(atomic_load(&accepted[i]->calls), 1);
    assert_status(accepted[i]->got.status, PIER_ECLOSED);
    assert_true(accepted[i]->at_ns <= closed->at_ns);
  }
  support__close(loop);
}

/* Options are set, read back, and refused where they make no sense. */
static void options_are_set_and_read(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2], pipes[2];
  int value = -7;
  streams__pair(loop, STREAMS_TCP, ends);
  assert_status(pier_pipe_pair(loop, NULL, pipes), PIER_OK);
  assert_status(pier_tcp_get(ends[0], PIER_TCP_NODELAY, &value), PIER_OK);
  assert_int_equal(value, 1);
  assert_status(pier_tcp_set(ends[0], PIER_TCP_NODELAY, 0), PIER_OK);
  assert_status(pier_tcp_get(ends[0], PIER_TCP_NODELAY, &value), PIER_OK);
  assert_int_equal(value, 0);
  assert_status(pier_tcp_set(ends[0], PIER_TCP_LINGER_SECONDS, 3), PIER_OK);
  assert_status(pier_tcp_get(ends[0], PIER_TCP_LINGER_SECONDS, &value), PIER_OK);
  assert_int_equal(value, 3);
  assert_status(pier_tcp_set(ends[0], PIER_TCP_LINGER_SECONDS, -1), PIER_OK);
  assert_status(pier_tcp_get(ends[0], PIER_TCP_LINGER_SECONDS, &value), PIER_OK);
  assert_int_equal(value, -1);
  assert_status(pier_tcp_set(ends[0], PIER_TCP_RECEIVE_BUFFER_BYTES, 32768), PIER_OK);
  assert_status(pier_tcp_get(ends[0], PIER_TCP_RECEIVE_BUFFER_BYTES, &value), PIER_OK);
  assert_true(value >= 32768);
  assert_status(pier_tcp_set(ends[0], PIER_TCP_SEND_BUFFER_BYTES, -1), PIER_EINVAL);
  assert_status(pier_tcp_set(ends[0], PIER_TCP_NODELAY, 2), PIER_EINVAL);
  assert_status(pier_tcp_set(ends[0], (pier_tcp_option)99, 0), PIER_EINVAL);
  assert_status(pier_tcp_get(ends[0], PIER_TCP_NODELAY, NULL), PIER_EINVAL);
  assert_status(pier_tcp_set(pipes[0], PIER_TCP_NODELAY, 0), PIER_EBADF);
  assert_status(pier_tcp_get(pipes[0], PIER_TCP_NODELAY, &value), PIER_EBADF);
  streams__close_pair(loop, ends);
  streams__close_pair(loop, pipes);
  support__close(loop);
}

/* The time before the first keep-alive probe is set and read back; 0 switches the probes off. */
static void keepalive_is_set_and_read(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  int value = -7;
  streams__pair(loop, STREAMS_TCP, ends);
  assert_status(pier_tcp_get(ends[0], PIER_TCP_KEEPALIVE_SECONDS, &value), PIER_OK);
  assert_int_equal(value, 0);
  int status = pier_tcp_set(ends[0], PIER_TCP_KEEPALIVE_SECONDS, 30);
  assert_status(status, PIER_OK);
  int told = pier_tcp_get(ends[0], PIER_TCP_KEEPALIVE_SECONDS, &value);
  if (told == PIER_OK)
    assert_int_equal(value, 30);
  assert_status(pier_tcp_set(ends[0], PIER_TCP_KEEPALIVE_SECONDS, 0), PIER_OK);
  assert_status(pier_tcp_get(ends[0], PIER_TCP_KEEPALIVE_SECONDS, &value), PIER_OK);
  assert_int_equal(value, 0);
  assert_status(pier_tcp_set(ends[0], PIER_TCP_KEEPALIVE_SECONDS, -1), PIER_EINVAL);
  streams__close_pair(loop, ends);
  support__close(loop);
  if (told == PIER_ENOTSUP)
    support__skip("this system sets the time before a keep-alive probe but does not tell it (TCP_KEEPALIVE)");
  assert_status(told, PIER_OK);
}

/* Nagle's algorithm is off, unless it is asked for. */
static void delay_leaves_nagle_on(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address;
  const pier_tcp_options options = {.delay = true};
  pier_handle listener = streams__tcp_listen(loop, &address);
  support_outcome *accepted = support__outcome(), *connected = support__outcome();
  int value = -1;
  accept_one(listener, PIER_NO_DEADLINE, accepted);
  assert_true(pier_tcp_connect(loop, &address, &options, PIER_NO_DEADLINE, support__take, connected) != 0);
  await_status(loop, connected, PIER_OK);
  await_status(loop, accepted, PIER_OK);
  assert_status(pier_tcp_get(connected->got.opened, PIER_TCP_NODELAY, &value), PIER_OK);
  assert_int_equal(value, 0);
  assert_status(pier_tcp_get(accepted->got.opened, PIER_TCP_NODELAY, &value), PIER_OK);
  assert_int_equal(value, 1);
  streams__close_pair(loop, (pier_handle[2]){accepted->got.opened, connected->got.opened});
  support__close_handle(loop, listener);
  support__close(loop);
}

/* Connections neither accept nor listen, and a listener neither reads nor writes. */
static void wrong_kinds_are_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle ends[2], listener = streams__tcp_listen(loop, &address);
  support_outcome *outcomes[4];
  char *byte = support__alloc(1);
  for (int i = 0; i < 4; i++)
    outcomes[i] = support__outcome();
  streams__tcp_connect(loop, listener, &address, ends);
  accept_one(ends[0], PIER_NO_DEADLINE, outcomes[0]);
  assert_true(pier_read(listener, byte, 1, PIER_NO_DEADLINE, support__take, outcomes[1]) != 0);
  assert_true(pier_write(listener, "x", 1, PIER_NO_DEADLINE, support__take, outcomes[2]) != 0);
  assert_true(pier_tcp_shutdown(listener, PIER_NO_DEADLINE, support__take, outcomes[3]) != 0);
  for (int i = 0; i < 3; i++)
    await_status(loop, outcomes[i], PIER_EBADF);
  support__await(loop, outcomes[3]);
  assert_true(outcomes[3]->got.status == PIER_EBADF || outcomes[3]->got.status == PIER_ENOTCONN);
  streams__close_pair(loop, ends);
  support__close_handle(loop, listener);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(ipv4_carries_bytes_both_ways),
      SUPPORT_TEST_POOL(ipv4_carries_bytes_both_ways),
      SUPPORT_TEST(ipv6_carries_bytes_both_ways),
      SUPPORT_TEST(dual_stack_takes_both_families),
      SUPPORT_TEST(kinds_and_addresses_are_told),
      SUPPORT_TEST(nobody_listens_is_refused),
      SUPPORT_TEST_POOL(nobody_listens_is_refused),
      SUPPORT_TEST(a_port_in_use_is_refused),
      SUPPORT_TEST(bad_addresses_are_refused),
      SUPPORT_TEST(the_local_address_can_be_chosen),
      SUPPORT_TEST(connect_copies_the_address),
      SUPPORT_TEST(many_connections),
      SUPPORT_TEST_POOL(many_connections),
      SUPPORT_TEST(early_clients_wait_in_the_backlog),
      SUPPORT_TEST(b33_an_accept_has_a_deadline),
      SUPPORT_TEST_POOL(b33_an_accept_has_a_deadline),
      SUPPORT_TEST(b31_accept_and_connect_can_be_cancelled),
      SUPPORT_TEST_POOL(b31_accept_and_connect_can_be_cancelled),
      SUPPORT_TEST(b35_closing_a_listener_ends_its_accepts),
      SUPPORT_TEST_POOL(b35_closing_a_listener_ends_its_accepts),
      SUPPORT_TEST(options_are_set_and_read),
      SUPPORT_TEST(keepalive_is_set_and_read),
      SUPPORT_TEST(delay_leaves_nagle_on),
      SUPPORT_TEST(wrong_kinds_are_refused),
      SUPPORT_TEST_POOL(wrong_kinds_are_refused),
  };
  return support__main(argc, argv, "tcp", tests, sizeof tests / sizeof tests[0]);
}
