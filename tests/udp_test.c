/* UDP: datagrams to and from anybody, cut ones, empty ones, refused ones, peers. Reading and writing between two connected ends is in the
 * tests of streams. */
#include "datagrams.h"

#include <string.h>

/* ---- Where a datagram comes from ---- */

static void exchange_over(const char *text, const pier_udp_options *options, const char *seen_text) {
  pier_loop *loop = support__open();
  pier_handle ends[2];
  pier_address bound[2], to, seen;
  char *buffer = support__alloc(64);
  for (int i = 0; i < 2; i++) {
    assert_status(pier_address_parse(text, 0, &bound[i]), PIER_OK);
    int status = pier_udp_open(loop, &bound[i], options, &ends[i]);
    if (status == PIER_EAFNOSUPPORT || status == PIER_EADDRNOTAVAIL) {
      support__close(loop);
      support__skip("no IPv6 here");
    }
    assert_status(status, PIER_OK);
    assert_int_equal(pier_handle_kind(ends[i]), PIER_KIND_UDP);
    assert_status(pier_udp_local_address(ends[i], &bound[i]), PIER_OK);
    assert_true(bound[i].port != 0);
  }
  for (int round = 0; round < 4; round++) {
    int from = round % 2;
    assert_status(pier_address_parse(seen_text, bound[!from].port, &to), PIER_OK);
    assert_status(pier_address_parse(seen_text, bound[from].port, &seen), PIER_OK);
    support_outcome *early = round < 2 ? datagrams__receive(ends[!from], buffer, 64) : NULL;
    datagrams__send(loop, ends[from], "hello", 5, &to);
    support_outcome *received = early ? early : datagrams__receive(ends[!from], buffer, 64);
    await_status(loop, received, PIER_OK);
    assert_int_equal(received->got.bytes, 5);
    assert_memory_equal(buffer, "hello", 5);
    assert_false(received->got.end);
    datagrams__assert_from(received, &seen);
  }
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* Each datagram says who sent it, whether it was waited for or there already. */
static void a_datagram_says_who_sent_it(void **state) {
  (void)state;
  exchange_over("127.0.0.1", NULL, "127.0.0.1");
}

/* Over IPv6 too. */
static void a_datagram_over_ipv6_says_who_sent_it(void **state) {
  (void)state;
  exchange_over("::1", NULL, "::1");
}

/* With both families the addresses of IPv4 are written as IPv6. */
static void dual_stack_speaks_both_families(void **state) {
  (void)state;
  const pier_udp_options options = {.dual_stack = true};
  exchange_over("::", &options, "::ffff:127.0.0.1");
  exchange_over("::", &options, "::1");
}

/* Without an address: any of this machine's, and a port that can be received on at once. */
static void no_address_is_any(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address bound, to;
  pier_handle any = 0, sender = streams__udp_open(loop, &to);
  char *buffer = support__alloc(8);
  assert_status(pier_udp_open(loop, NULL, NULL, &any), PIER_OK);
  assert_status(pier_udp_local_address(any, &bound), PIER_OK);
  assert_true(bound.family == PIER_IPV4 && bound.port != 0);
  support_outcome *received = datagrams__receive(any, buffer, 8);
  assert_status(pier_address_parse("127.0.0.1", bound.port, &bound), PIER_OK);
  datagrams__send(loop, sender, "any", 3, &bound);
  await_status(loop, received, PIER_OK);
  datagrams__assert_from(received, &to);
  support__close_handle(loop, any);
  support__close_handle(loop, sender);
  support__close(loop);
}

/* Only a datagram has a sender: the results of other operations have no address in them. */
static void nothing_else_has_a_sender(void **state) {
  (void)state;
  datagrams pair = datagrams__open(DATAGRAMS_OWN);
  char *buffer = support__alloc(8);
  support_outcome *posted = support__outcome(), *read = support__outcome();
  assert_true(pier_post(pair.loop, support__take, posted) != 0);
  await_status(pair.loop, posted, PIER_OK);
  assert_int_equal(posted->got.from.family, PIER_FAMILY_NONE);
  assert_true(pier_read(pair.ends[0], buffer, 8, PIER_NO_DEADLINE, support__take, read) != 0);
  support_outcome *sent = datagrams__send(pair.loop, pair.ends[1], "x", 1, &pair.addresses[0]);
  assert_int_equal(sent->got.from.family, PIER_FAMILY_NONE);
  await_status(pair.loop, read, PIER_OK);
  assert_int_equal(read->got.from.family, PIER_FAMILY_NONE);
  datagrams__close(&pair);
}

/* ---- What fits and what does not ---- */

static void check_cut(datagrams *pair, bool data_first, bool vectored) {
  char *buffer = support__alloc(16);
  pier_buffer *parts = support__alloc(3 * sizeof *parts);
  support_outcome *received = NULL, *next = NULL;
  parts[0] = (pier_buffer){buffer, 2};
  parts[1] = (pier_buffer){NULL, 0};
  parts[2] = (pier_buffer){buffer + 2, 3};
  for (int step = 0; step < 2; step++) {
    if ((step == 0) == data_first) {
      datagrams__send(pair->loop, pair->ends[1], "a long one", 10, &pair->addresses[0]);
      datagrams__send(pair->loop, pair->ends[1], "short", 5, &pair->addresses[0]);
    } else {
      received = vectored ? datagrams__receivev(pair->ends[0], parts, 3) : datagrams__receive(pair->ends[0], buffer, 5);
      next = datagrams__receive(pair->ends[0], buffer + 8, 8);
    }
  }
  await_status(pair->loop, received, PIER_EMSGSIZE);
  await_status(pair->loop, next, PIER_OK);
  assert_int_equal(received->got.bytes, 5);
  assert_memory_equal(buffer, "a lon", 5);
  assert_true(received->got.system_code != 0 && !received->got.end);
  datagrams__assert_from(received, &pair->addresses[1]);
  /* The rest of it is gone, and the next is whole. */
  assert_int_equal(next->got.bytes, 5);
  assert_memory_equal(buffer + 8, "short", 5);
  assert_int_equal(atomic_load(&received->calls), 1);
  assert_int_equal(atomic_load(&next->calls), 1);
}

/* A datagram larger than the buffer gives the bytes that fit and EMSGSIZE, whether it was there already or comes later, and there is one
 * callback for it on every path. */
static void b29_a_datagram_larger_than_the_buffer(void **state) {
  (void)state;
  for (int sort = 0; sort < DATAGRAMS_SORTS; sort++) {
    datagrams pair = datagrams__open((datagrams_sort)sort);
    for (int round = 0; round < 40; round++)
      check_cut(&pair, round % 2, round % 4 / 2);
    datagrams__close(&pair);
  }
}

/* An empty datagram is a message with its sender, and no end. */
static void an_empty_datagram_is_no_end(void **state) {
  (void)state;
  for (int sort = 0; sort < DATAGRAMS_SORTS; sort++) {
    datagrams pair = datagrams__open((datagrams_sort)sort);
    char *buffer = support__alloc(8);
    for (int round = 0; round < 4; round++) {
      support_outcome *early = round % 2 ? datagrams__receive(pair.ends[0], buffer, 8) : NULL;
      datagrams__send(pair.loop, pair.ends[1], round / 2 ? "" : NULL, 0, &pair.addresses[0]);
      support_outcome *received = early ? early : datagrams__receive(pair.ends[0], buffer, 8);
      await_status(pair.loop, received, PIER_OK);
      assert_true(received->got.bytes == 0 && !received->got.end);
      datagrams__assert_from(received, &pair.addresses[1]);
    }
    datagrams__close(&pair);
  }
}

/* A receive without room, be it a length of 0, no parts or empty ones, is no EFAULT: it waits for a datagram and takes nothing. */
static void b29_a_receive_without_room_takes_nothing(void **state) {
  (void)state;
  for (int sort = 0; sort < DATAGRAMS_SORTS; sort++) {
    datagrams pair = datagrams__open((datagrams_sort)sort);
    char *buffer = support__alloc(8);
    pier_buffer *empty = support__alloc(2 * sizeof *empty);
    for (int round = 0; round < 6; round++) {
      support_outcome *waiting = support__outcome();
      if (round % 2)
        datagrams__send(pair.loop, pair.ends[1], "kept", 4, &pair.addresses[0]);
      pier_operation id = round < 2   ? pier_receive_from(pair.ends[0], NULL, 0, PIER_NO_DEADLINE, support__take, waiting)
                          : round < 4 ? pier_receivev_from(pair.ends[0], NULL, 0, PIER_NO_DEADLINE, support__take, waiting)
                                      : pier_receivev_from(pair.ends[0], empty, 2, PIER_NO_DEADLINE, support__take, waiting);
      assert_true(id != 0);
      if (round % 2 == 0)
        datagrams__send(pair.loop, pair.ends[1], "kept", 4, &pair.addresses[0]);
      await_status(pair.loop, waiting, PIER_OK);
      assert_int_equal(waiting->got.bytes, 0);
      assert_int_equal(waiting->got.from.family, PIER_FAMILY_NONE);
      support_outcome *received = datagrams__receive(pair.ends[0], buffer, 8);
      await_status(pair.loop, received, PIER_OK);
      assert_int_equal(received->got.bytes, 4);
    }
    datagrams__close(&pair);
  }
}

/* Parts are gathered into one datagram and scattered out of it. */
static void parts_are_one_datagram(void **state) {
  (void)state;
  enum { PARTS = PIER_PARTS_MAX };
  for (int sort = 0; sort < DATAGRAMS_SORTS; sort++) {
    datagrams pair = datagrams__open((datagrams_sort)sort);
    const size_t counts[] = {1, 2, 64, PARTS};
    unsigned char *sent = support__alloc(PARTS * 3), *received = support__alloc(PARTS * 3);
    pier_buffer *out = support__alloc(PARTS * sizeof *out), *in = support__alloc(PARTS * sizeof *in);
    support__fill(sent, PARTS * 3, 7);
    for (unsigned c = 0; c < sizeof counts / sizeof counts[0]; c++) {
      support_outcome *written = support__outcome();
      for (size_t i = 0; i < counts[c]; i++) {
        out[i] = (pier_buffer){sent + 3 * i, 3};
        in[i] = (pier_buffer){received + 3 * i, 3};
      }
      memset(received, 0, PARTS * 3);
      support_outcome *taken = datagrams__receivev(pair.ends[0], in, counts[c]);
      assert_true(pier_sendv_to(pair.ends[1], out, counts[c], &pair.addresses[0], PIER_NO_DEADLINE, support__take, written) != 0);
      await_status(pair.loop, written, PIER_OK);
      await_status(pair.loop, taken, PIER_OK);
      assert_true(written->got.bytes == 3 * counts[c] && taken->got.bytes == 3 * counts[c]);
      assert_true(support__filled(received, 3 * counts[c], 7));
    }
    datagrams__close(&pair);
  }
}

/* What is larger than a datagram can be says so, and nothing of it is sent. */
static void too_large_a_datagram_is_refused(void **state) {
  (void)state;
  for (int sort = 0; sort < DATAGRAMS_SORTS; sort++) {
    datagrams pair = datagrams__open((datagrams_sort)sort);
    char *buffer = support__alloc(8), *large = support__alloc(1 << 20);
    const size_t lengths[] = {65536, 1 << 20, (size_t)3 << 30, SIZE_MAX / 4};
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
      support_outcome *refused = support__outcome();
      assert_true(pier_send_to(pair.ends[1], large, lengths[i], &pair.addresses[0], PIER_NO_DEADLINE, support__take, refused) != 0);
      await_status(pair.loop, refused, PIER_EMSGSIZE);
      assert_int_equal(refused->got.bytes, 0);
    }
    datagrams__send(pair.loop, pair.ends[1], "after", 5, &pair.addresses[0]);
    support_outcome *received = datagrams__receive(pair.ends[0], buffer, 8);
    await_status(pair.loop, received, PIER_OK);
    assert_int_equal(received->got.bytes, 5);
    datagrams__close(&pair);
  }
}

/* ---- Closed ports and peers ---- */

/* What a closed port answers does not disturb a handle without a peer: everything is received that comes. */
static void b29_the_answer_of_a_closed_port_is_not_told(void **state) {
  (void)state;
  for (int sort = 0; sort < DATAGRAMS_SORTS; sort++) {
    datagrams pair = datagrams__open((datagrams_sort)sort);
    pier_address closed = datagrams__closed_port(pair.loop);
    char *buffer = support__alloc(8);
    for (int round = 0; round < 6; round++) {
      support_outcome *early = round % 2 ? datagrams__receive(pair.ends[0], buffer, 8) : NULL;
      for (int i = 0; i < 3; i++)
        datagrams__send(pair.loop, pair.ends[0], "lost", 4, &closed);
      datagrams__send(pair.loop, pair.ends[1], "heard", 5, &pair.addresses[0]);
      support_outcome *received = early ? early : datagrams__receive(pair.ends[0], buffer, 8);
      await_status(pair.loop, received, PIER_OK);
      assert_int_equal(received->got.bytes, 5);
    }
    datagrams__close(&pair);
  }
}

/* To a handle with a peer the answer is told once, and it goes on working. */
static void b29_a_peers_closed_port_is_told(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address own, closed = datagrams__closed_port(loop);
  pier_handle handle = streams__udp_open(loop, &own), peer = 0;
  char *buffer = support__alloc(8);
  assert_status(pier_udp_connect(handle, &closed), PIER_OK);
  support_outcome *refused = datagrams__receive(handle, buffer, 8), *lost = support__outcome();
  assert_true(pier_write(handle, "lost", 4, PIER_NO_DEADLINE, support__take, lost) != 0);
  await_status(loop, lost, PIER_OK);
  support__await(loop, refused);
  assert_true(refused->got.status == PIER_ECONNREFUSED || refused->got.status == PIER_ECONNRESET);
  assert_int_equal(refused->got.bytes, 0);
  /* The peer comes to be. Wine looks no more for a receive that waits after such an answer: there it is made when there is something. */
  support_outcome *received = support__is_wine() ? NULL : datagrams__receive(handle, buffer, 8);
  assert_status(pier_udp_open(loop, &closed, NULL, &peer), PIER_OK);
  datagrams__send(loop, peer, "here", 4, &own);
  if (!received)
    received = datagrams__receive(handle, buffer, 8);
  await_status(loop, received, PIER_OK);
  assert_int_equal(received->got.bytes, 4);
  support__close_handle(loop, handle);
  support__close_handle(loop, peer);
  support__close(loop);
}

/* With a peer: it is written to without an address and nobody else is heard. Without it again: everybody, at the same address. */
static void a_peer_comes_and_goes(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address own, peers[2], got;
  pier_handle handle = streams__udp_open(loop, &own), others[2];
  char *buffer = support__alloc(8);
  for (int i = 0; i < 2; i++)
    others[i] = streams__udp_open(loop, &peers[i]);
  for (int round = 0; round < 3; round++) {
    pier_handle peer = others[round % 2], stranger = others[!(round % 2)];
    assert_status(pier_udp_peer_address(handle, &got), PIER_ENOTCONN);
    assert_status(pier_udp_connect(handle, &peers[round % 2]), PIER_OK);
    assert_status(pier_udp_peer_address(handle, &got), PIER_OK);
    assert_true(datagrams__same(&got, &peers[round % 2]));
    support_outcome *written = support__outcome(), *received = datagrams__receive(handle, buffer, 8);
    datagrams__send(loop, stranger, "stranger", 8, &own);
    datagrams__send(loop, peer, "peer", 4, &own);
    await_status(loop, received, PIER_OK);
    datagrams__assert_from(received, &peers[round % 2]);
    received = datagrams__receive(peer, buffer, 8);
    assert_true(pier_write(handle, "written", 7, PIER_NO_DEADLINE, support__take, written) != 0);
    await_status(loop, written, PIER_OK);
    await_status(loop, received, PIER_OK);
    datagrams__assert_from(received, &own);
    /* An address of its own goes before the peer's. */
    received = datagrams__receive(stranger, buffer, 8);
    datagrams__send(loop, handle, "to him", 6, &peers[!(round % 2)]);
    await_status(loop, received, PIER_OK);
    assert_status(pier_udp_connect(handle, NULL), PIER_OK);
    assert_status(pier_udp_local_address(handle, &got), PIER_OK);
    assert_true(datagrams__same(&got, &own));
    received = datagrams__receive(handle, buffer, 8);
    datagrams__send(loop, stranger, "anybody", 7, &own);
    await_status(loop, received, PIER_OK);
    datagrams__assert_from(received, &peers[!(round % 2)]);
  }
  support__close_handle(loop, handle);
  streams__close_pair(loop, others);
  support__close(loop);
}

/* A write without a peer has nowhere to go. */
static void a_write_without_a_peer_is_refused(void **state) {
  (void)state;
  for (int sort = 0; sort < DATAGRAMS_SORTS; sort++) {
    datagrams pair = datagrams__open((datagrams_sort)sort);
    support_outcome *written = support__outcome();
    assert_true(pier_write(pair.ends[0], "x", 1, PIER_NO_DEADLINE, support__take, written) != 0);
    support__await(pair.loop, written);
    /* Wine has one code for this and for every argument that it does not like. */
    assert_true(written->got.status == PIER_ENOTCONN || (support__is_wine() && written->got.status == PIER_EINVAL));
    datagrams__close(&pair);
  }
}

/* ---- Many at once, cancelled, late, closed ---- */

/* Several receives in flight take what comes in the order of their submits. */
static void b39_receives_keep_their_order(void **state) {
  (void)state;
  enum { AT_ONCE = 32 };
  for (int sort = 0; sort < DATAGRAMS_SORTS; sort++) {
    datagrams pair = datagrams__open((datagrams_sort)sort);
    unsigned char *bytes = support__alloc(AT_ONCE);
    support_outcome *received[AT_ONCE];
    for (int round = 0; round < 6; round++) {
      for (unsigned char i = 0; i < AT_ONCE; i++)
        received[i] = datagrams__receive(pair.ends[0], &bytes[i], 1);
      for (unsigned char i = 0; i < AT_ONCE; i++)
        datagrams__send(pair.loop, pair.ends[1], &i, 1, &pair.addresses[0]);
      for (unsigned char i = 0; i < AT_ONCE; i++) {
        await_status(pair.loop, received[i], PIER_OK);
        assert_int_equal(bytes[i], i);
        datagrams__assert_from(received[i], &pair.addresses[1]);
        assert_true(i == 0 || received[i]->at_ns >= received[i - 1]->at_ns);
      }
    }
    datagrams__close(&pair);
  }
}

/* A receive that waits is cancelled, is late, and ends with its handle; what comes afterwards goes to the next. */
static void a_waiting_receive_ends_in_every_way(void **state) {
  (void)state;
  for (int sort = 0; sort < DATAGRAMS_SORTS; sort++) {
    datagrams pair = datagrams__open((datagrams_sort)sort);
    char *buffer = support__alloc(8);
    for (int round = 0; round < 4; round++) {
      support_outcome *cancelled = support__outcome(), *late = support__outcome();
      pier_operation id = pier_receive_from(pair.ends[0], buffer, 8, PIER_NO_DEADLINE, support__take, cancelled);
      assert_status(pier_cancel(id), PIER_OK);
      await_status(pair.loop, cancelled, PIER_ECANCELED);
      assert_int_equal(cancelled->got.from.family, PIER_FAMILY_NONE);
      uint64_t deadline_ns = pier_deadline_in(2 * PIER_MILLISECOND);
      assert_true(pier_receive_from(pair.ends[0], buffer, 8, deadline_ns, support__take, late) != 0);
      await_status(pair.loop, late, PIER_ETIMEDOUT);
      assert_true(late->at_ns >= deadline_ns);
      support_outcome *received = datagrams__receive(pair.ends[0], buffer, 8);
      datagrams__send(pair.loop, pair.ends[1], "still", 5, &pair.addresses[0]);
      await_status(pair.loop, received, PIER_OK);
      assert_int_equal(received->got.bytes, 5);
    }
    support_outcome *waiting[3];
    for (int i = 0; i < 3; i++)
      waiting[i] = datagrams__receive(pair.ends[0], buffer, 8);
    support__close_handle(pair.loop, pair.ends[0]);
    for (int i = 0; i < 3; i++)
      await_status(pair.loop, waiting[i], PIER_ECLOSED);
    support__close_handle(pair.loop, pair.ends[1]);
    support__close(pair.loop);
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(a_datagram_says_who_sent_it),
      SUPPORT_TEST_POOL(a_datagram_says_who_sent_it),
      SUPPORT_TEST(a_datagram_over_ipv6_says_who_sent_it),
      SUPPORT_TEST(dual_stack_speaks_both_families),
      SUPPORT_TEST(no_address_is_any),
      SUPPORT_TEST(nothing_else_has_a_sender),
      SUPPORT_TEST(b29_a_datagram_larger_than_the_buffer),
      SUPPORT_TEST_POOL(b29_a_datagram_larger_than_the_buffer),
      SUPPORT_TEST(an_empty_datagram_is_no_end),
      SUPPORT_TEST_POOL(an_empty_datagram_is_no_end),
      SUPPORT_TEST(b29_a_receive_without_room_takes_nothing),
      SUPPORT_TEST_POOL(b29_a_receive_without_room_takes_nothing),
      SUPPORT_TEST(parts_are_one_datagram),
      SUPPORT_TEST_POOL(parts_are_one_datagram),
      SUPPORT_TEST(too_large_a_datagram_is_refused),
      SUPPORT_TEST(b29_the_answer_of_a_closed_port_is_not_told),
      SUPPORT_TEST_POOL(b29_the_answer_of_a_closed_port_is_not_told),
      SUPPORT_TEST(b29_a_peers_closed_port_is_told),
      SUPPORT_TEST_POOL(b29_a_peers_closed_port_is_told),
      SUPPORT_TEST(a_peer_comes_and_goes),
      SUPPORT_TEST_POOL(a_peer_comes_and_goes),
      SUPPORT_TEST(a_write_without_a_peer_is_refused),
      SUPPORT_TEST(b39_receives_keep_their_order),
      SUPPORT_TEST_POOL(b39_receives_keep_their_order),
      SUPPORT_TEST(a_waiting_receive_ends_in_every_way),
      SUPPORT_TEST_POOL(a_waiting_receive_ends_in_every_way),
  };
  return support__main(argc, argv, "udp", tests, sizeof tests / sizeof tests[0]);
}
