/* UDP handles: options, groups, sharing, what is refused, and the states that a registered one can be in. */
#include "datagrams.h"

#include <string.h>

enum { LOOPBACK_INDEX = 1 };

static pier_address parsed(const char *text, uint16_t port) {
  pier_address address;
  assert_status(pier_address_parse(text, port, &address), PIER_OK);
  return address;
}

/* ---- Options ---- */

static void set_and_get(pier_handle handle, pier_udp_option option, int value) {
  int got = -77;
  assert_status(pier_udp_set(handle, option, value), PIER_OK);
  assert_status(pier_udp_get(handle, option, &got), PIER_OK);
  if (option == PIER_UDP_SEND_BUFFER_BYTES || option == PIER_UDP_RECEIVE_BUFFER_BYTES)
    assert_true(got >= value);
  else
    assert_int_equal(got, value);
}

static void check_options(const char *text) {
  pier_loop *loop = support__open();
  pier_address address = parsed(text, 0);
  pier_handle handle = 0;
  int status = pier_udp_open(loop, &address, NULL, &handle);
  if (status == PIER_EAFNOSUPPORT || status == PIER_EADDRNOTAVAIL) {
    support__close(loop);
    support__skip("no IPv6 here");
  }
  assert_status(status, PIER_OK);
  set_and_get(handle, PIER_UDP_BROADCAST, 1);
  set_and_get(handle, PIER_UDP_BROADCAST, 0);
  set_and_get(handle, PIER_UDP_HOPS, 1);
  set_and_get(handle, PIER_UDP_HOPS, 255);
  set_and_get(handle, PIER_UDP_GROUP_HOPS, 0);
  set_and_get(handle, PIER_UDP_GROUP_HOPS, 200);
  set_and_get(handle, PIER_UDP_GROUP_LOOP, 0);
  set_and_get(handle, PIER_UDP_GROUP_LOOP, 1);
  set_and_get(handle, PIER_UDP_SEND_BUFFER_BYTES, 100000);
  set_and_get(handle, PIER_UDP_RECEIVE_BUFFER_BYTES, 100000);
  assert_status(pier_udp_set(handle, PIER_UDP_GROUP_INTERFACE, 0), PIER_OK);
  support__close_handle(loop, handle);
  support__close(loop);
}

/* What is set is read again. */
static void options_are_set_and_read(void **state) {
  (void)state;
  check_options("127.0.0.1");
}

static void options_of_ipv6_are_set_and_read(void **state) {
  (void)state;
  check_options("::1");
}

static void options_out_of_range_are_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle handle = streams__udp_open(loop, &address);
  const struct {
    pier_udp_option option;
    int value;
  } bad[] = {{PIER_UDP_BROADCAST, 2},  {PIER_UDP_BROADCAST, -1},        {PIER_UDP_HOPS, 0},
             {PIER_UDP_HOPS, 256},     {PIER_UDP_HOPS, -1},             {PIER_UDP_GROUP_HOPS, 256},
             {PIER_UDP_GROUP_HOPS, -1}, {PIER_UDP_GROUP_LOOP, 2},       {PIER_UDP_GROUP_INTERFACE, -1},
             {PIER_UDP_SEND_BUFFER_BYTES, -1}, {PIER_UDP_RECEIVE_BUFFER_BYTES, -1}, {(pier_udp_option)0, 0}, {(pier_udp_option)99, 1}};
  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_status(pier_udp_set(handle, bad[i].option, bad[i].value), PIER_EINVAL);
  int value = 5;
  assert_status(pier_udp_get(handle, (pier_udp_option)99, &value), PIER_EINVAL);
  assert_status(pier_udp_get(handle, PIER_UDP_GROUP_INTERFACE, &value), PIER_EINVAL);
  assert_status(pier_udp_get(handle, PIER_UDP_HOPS, NULL), PIER_EINVAL);
  support__close_handle(loop, handle);
  support__close(loop);
}

/* Sending to everybody has to be allowed first. */
static void broadcast_has_to_be_allowed(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address everybody = parsed("127.255.255.255", 9), any = parsed("0.0.0.0", 0);
  pier_handle handle = 0;
  for (int way = 0; way < 3; way++) {
    const pier_udp_options options = {.broadcast = way == 1};
    support_outcome *sent = support__outcome();
    assert_status(pier_udp_open(loop, &any, &options, &handle), PIER_OK);
    if (way == 2)
      assert_status(pier_udp_set(handle, PIER_UDP_BROADCAST, 1), PIER_OK);
    assert_true(pier_send_to(handle, "x", 1, &everybody, PIER_NO_DEADLINE, support__take, sent) != 0);
    support__await(loop, sent);
    if (way == 0)
      assert_status(sent->got.status, PIER_EACCES);
    else
      assert_status(sent->got.status, PIER_OK);
    support__close_handle(loop, handle);
  }
  support__close(loop);
}

/* ---- Sharing ---- */

/* An address that is taken cannot be taken again, unless both have agreed to share it; after the close it is free. */
static void an_address_in_use_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address;
  const pier_udp_options share = {.share_address = true};
  pier_handle first = streams__udp_open(loop, &address), second = 5, third = 0;
  assert_status(pier_udp_open(loop, &address, NULL, &second), PIER_EADDRINUSE);
  assert_int_equal(second, 0);
  int status = pier_udp_open(loop, &address, &share, &second);
  assert_true(status == PIER_EADDRINUSE || status == PIER_EACCES);
  support__close_handle(loop, first);
  assert_status(pier_udp_open(loop, &address, &share, &second), PIER_OK);
  assert_status(pier_udp_open(loop, &address, &share, &third), PIER_OK);
  support__close_handle(loop, second);
  support__close_handle(loop, third);
  support__close(loop);
}

/* ---- Groups ---- */

/* False: nothing can be sent to groups here. */
static bool hear_the_group(pier_loop *loop, pier_handle member, pier_handle sender, const pier_address *group) {
  char *buffer = support__alloc(16);
  support_outcome *heard = support__outcome(), *sent = support__outcome();
  assert_true(pier_send_to(sender, "to all", 6, group, PIER_NO_DEADLINE, support__take, sent) != 0);
  support__await(loop, sent);
  if (sent->got.status == PIER_ENETUNREACH)
    return false;
  await_status(loop, sent, PIER_OK);
  assert_true(pier_receive_from(member, buffer, 16, PIER_NO_DEADLINE, support__take, heard) != 0);
  await_status(loop, heard, PIER_OK);
  assert_int_equal(heard->got.bytes, 6);
  assert_memory_equal(buffer, "to all", 6);
  return true;
}

static pier_handle open_or_skip(pier_loop *loop, const char *text, pier_address *bound) {
  pier_handle handle = 0;
  *bound = parsed(text, 0);
  int status = pier_udp_open(loop, bound, NULL, &handle);
  if (status == PIER_EAFNOSUPPORT || status == PIER_EADDRNOTAVAIL) {
    support__close(loop);
    support__skip("no IPv6 here");
  }
  assert_status(status, PIER_OK);
  assert_status(pier_udp_local_address(handle, bound), PIER_OK);
  return handle;
}

static void check_group(const char *any, const char *group_text, const char *source_text) {
  pier_loop *loop = support__open();
  pier_address bound, sending, source, *from = NULL;
  pier_handle member = open_or_skip(loop, any, &bound), sender = open_or_skip(loop, source_text ? source_text : any, &sending);
  pier_address group = parsed(group_text, bound.port);
  if (source_text) {
    source = parsed(source_text, 0);
    from = &source;
  }
  /* Wine knows an interface of IPv4 by its address only. */
  uint32_t index = LOOPBACK_INDEX;
  int status = pier_udp_join(member, &group, from, index);
  if (status != PIER_OK)
    status = pier_udp_join(member, &group, from, index = 0);
  if (status == PIER_OK)
    status = pier_udp_set(sender, PIER_UDP_GROUP_INTERFACE, (int)index);
  if (status == PIER_OK)
    status = pier_udp_set(sender, PIER_UDP_GROUP_HOPS, 0); /* nobody else is to hear it */
  bool heard = status == PIER_OK && hear_the_group(loop, member, sender, &group) && hear_the_group(loop, member, sender, &group);
  if (status == PIER_OK) {
    assert_true(pier_udp_join(member, &group, from, index) < 0); /* a member already */
    assert_status(pier_udp_leave(member, &group, from, index), PIER_OK);
    assert_true(pier_udp_leave(member, &group, from, index) < 0);
  }
  support__close_handle(loop, member);
  support__close_handle(loop, sender);
  support__close(loop);
  if (!heard) {
    print_message("joining says %s\n", pier_error_name(status));
    support__skip(status == PIER_OK ? "there is no way to a group on this machine" : "this system cannot join the group");
  }
}

/* A member hears what is sent to its group, until it leaves. */
static void a_member_hears_its_group(void **state) {
  (void)state;
  check_group("0.0.0.0", "239.255.77.1", NULL);
}

static void a_member_hears_its_group_over_ipv6(void **state) {
  (void)state;
  check_group("::", "ff11::77", NULL);
}

/* The same with one sender alone. */
static void a_member_hears_one_sender(void **state) {
  (void)state;
  check_group("0.0.0.0", "232.1.77.2", "127.0.0.1");
}

static void what_is_no_group_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address, group = parsed("239.255.77.3", 0), six = parsed("ff11::77", 0), none = {0}, single = parsed("127.0.0.1", 0);
  pier_handle handle = streams__udp_open(loop, &address), listener = streams__tcp_listen(loop, &address);
  assert_status(pier_udp_join(handle, NULL, NULL, 0), PIER_EINVAL);
  assert_status(pier_udp_join(handle, &none, NULL, 0), PIER_EINVAL);
  assert_status(pier_udp_join(handle, &single, NULL, 0), PIER_EINVAL);
  assert_status(pier_udp_join(handle, &six, NULL, 0), PIER_EAFNOSUPPORT);
  assert_status(pier_udp_join(handle, &group, &six, 0), PIER_EAFNOSUPPORT);
  assert_status(pier_udp_join(handle, &group, &none, 0), PIER_EINVAL);
  assert_true(pier_udp_join(handle, &group, NULL, 0x7fffffff) < 0);
  assert_status(pier_udp_leave(handle, &single, NULL, 0), PIER_EINVAL);
  assert_status(pier_udp_leave(handle, NULL, NULL, 0), PIER_EINVAL);
  assert_status(pier_udp_join(listener, &group, NULL, 0), PIER_EBADF);
  support__close_handle(loop, handle);
  support__close_handle(loop, listener);
  support__close(loop);
}

/* ---- What is refused ---- */

static void bad_addresses_are_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address, none = {0}, strange = {.family = 77}, six = parsed("::1", 9), portless = parsed("127.0.0.1", 0);
  pier_address elsewhere = parsed("192.0.2.1", 0);
  const pier_udp_options strange_family = {.family = (pier_family)77};
  pier_handle handle = streams__udp_open(loop, &address), opened = 5;
  const struct {
    const pier_address *to;
    int status;
  } bad[] = {{NULL, PIER_EINVAL}, {&none, PIER_EINVAL}, {&strange, PIER_EINVAL}, {&portless, PIER_EINVAL}, {&six, PIER_EAFNOSUPPORT}};
  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    support_outcome *sent = support__outcome();
    assert_true(pier_send_to(handle, "x", 1, bad[i].to, PIER_NO_DEADLINE, support__take, sent) != 0);
    await_status(loop, sent, bad[i].status);
    if (bad[i].to)
      assert_status(pier_udp_connect(handle, bad[i].to), bad[i].status);
  }
  assert_status(pier_udp_open(loop, &none, NULL, &opened), PIER_EINVAL);
  assert_int_equal(opened, 0);
  assert_status(pier_udp_open(loop, &strange, NULL, &opened), PIER_EINVAL);
  assert_status(pier_udp_open(loop, NULL, &strange_family, &opened), PIER_EINVAL);
  if (!support__is_wine()) /* takes any address there */
    assert_status(pier_udp_open(loop, &elsewhere, NULL, &opened), PIER_EADDRNOTAVAIL);
  assert_status(pier_udp_open(NULL, &address, NULL, &opened), PIER_EINVAL);
  assert_status(pier_udp_open(loop, &address, NULL, NULL), PIER_EINVAL);
  support__close_handle(loop, handle);
  support__close(loop);
}

static void bad_buffers_are_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle handle = streams__udp_open(loop, &address);
  char byte = 0;
  const pier_buffer holes[2] = {{&byte, 1}, {NULL, 1}}, endless[2] = {{&byte, SIZE_MAX / 2}, {&byte, SIZE_MAX / 2}};
  for (int way = 0; way < 8; way++) {
    support_outcome *refused = support__outcome();
    pier_operation id =
        way == 0   ? pier_receive_from(handle, NULL, 1, PIER_NO_DEADLINE, support__take, refused)
        : way == 1 ? pier_send_to(handle, NULL, 1, &address, PIER_NO_DEADLINE, support__take, refused)
        : way == 2 ? pier_receivev_from(handle, NULL, 1, PIER_NO_DEADLINE, support__take, refused)
        : way == 3 ? pier_sendv_to(handle, NULL, 1, &address, PIER_NO_DEADLINE, support__take, refused)
        : way == 4 ? pier_receivev_from(handle, holes, 2, PIER_NO_DEADLINE, support__take, refused)
        : way == 5 ? pier_sendv_to(handle, endless, 2, &address, PIER_NO_DEADLINE, support__take, refused)
        : way == 6 ? pier_receivev_from(handle, holes, PIER_PARTS_MAX + 1, PIER_NO_DEADLINE, support__take, refused)
                   : pier_sendv_to(handle, holes, PIER_PARTS_MAX + 1, &address, PIER_NO_DEADLINE, support__take, refused);
    assert_true(id != 0);
    await_status(loop, refused, PIER_EINVAL);
    assert_int_equal(refused->got.bytes, 0);
    assert_int_equal(refused->got.from.family, PIER_FAMILY_NONE);
  }
  support__close_handle(loop, handle);
  support__close(loop);
}

/* Of a UDP handle nothing is asked that only another one has, and of others nothing that only UDP has. */
static void the_wrong_kind_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address, peer;
  pier_handle ends[2], listener = streams__tcp_listen(loop, &peer), handle = streams__udp_open(loop, &address);
  int value = 0;
  streams__pair(loop, STREAMS_PIPE, ends);
  const pier_handle wrong[] = {ends[0], listener};
  for (unsigned i = 0; i < 2; i++) {
    support_outcome *received = support__outcome(), *sent = support__outcome();
    assert_true(pier_receive_from(wrong[i], &value, sizeof value, PIER_NO_DEADLINE, support__take, received) != 0);
    assert_true(pier_send_to(wrong[i], &value, sizeof value, &address, PIER_NO_DEADLINE, support__take, sent) != 0);
    await_status(loop, received, PIER_EBADF);
    await_status(loop, sent, PIER_EBADF);
    assert_status(pier_udp_connect(wrong[i], &address), PIER_EBADF);
    assert_status(pier_udp_set(wrong[i], PIER_UDP_HOPS, 3), PIER_EBADF);
    assert_status(pier_udp_get(wrong[i], PIER_UDP_HOPS, &value), PIER_EBADF);
    assert_status(pier_udp_local_address(wrong[i], &peer), PIER_EBADF);
    assert_status(pier_udp_peer_address(wrong[i], &peer), PIER_EBADF);
  }
  support_outcome *accepted = support__outcome(), *shut = support__outcome(), *positioned = support__outcome();
  assert_true(pier_tcp_accept(handle, PIER_NO_DEADLINE, support__take, accepted) != 0);
  assert_true(pier_tcp_shutdown(handle, PIER_NO_DEADLINE, support__take, shut) != 0);
  assert_true(pier_read_at(handle, &value, 1, 0, PIER_NO_DEADLINE, support__take, positioned) != 0);
  await_status(loop, accepted, PIER_EBADF);
  await_status(loop, shut, PIER_EBADF);
  await_status(loop, positioned, PIER_ESPIPE);
  streams__close_pair(loop, ends);
  support__close_handle(loop, listener);
  support__close_handle(loop, handle);
  assert_status(pier_udp_connect(handle, &address), PIER_ECLOSED);
  assert_status(pier_udp_set(handle, PIER_UDP_HOPS, 3), PIER_ECLOSED);
  assert_status(pier_udp_local_address(handle, &peer), PIER_ECLOSED);
  support__close(loop);
}

/* ---- Registered ---- */

static void check_works(datagrams *pair) {
  char *buffer = support__alloc(8);
  for (int round = 0; round < 4; round++) {
    int from = round % 2;
    support_outcome *early = round < 2 ? datagrams__receive(pair->ends[!from], buffer, 8) : NULL;
    datagrams__send(pair->loop, pair->ends[from], "works", 5, &pair->addresses[!from]);
    support_outcome *received = early ? early : datagrams__receive(pair->ends[!from], buffer, 8);
    await_status(pair->loop, received, PIER_OK);
    assert_int_equal(received->got.bytes, 5);
    datagrams__assert_from(received, &pair->addresses[from]);
  }
}

/* A registered one is found to be what it is, and works in each state: fresh, on the port, taken off it, never on it. */
static void a_registered_one_works_in_every_state(void **state) {
  (void)state;
  const pier_association ways[] = {PIER_ASSOCIATE_LAZY, PIER_ASSOCIATE_NOW, PIER_ASSOCIATE_NEVER};
  for (int w = 0; w < 3; w++) {
    datagrams pair = {.loop = support__open()};
    for (int i = 0; i < 2; i++) {
      pier_register_options options = {.association = ways[w]};
      assert_status(pier_register(pair.loop, support__native_udp(), &options, &pair.ends[i]), PIER_OK);
      assert_int_equal(pier_handle_kind(pair.ends[i]), PIER_KIND_UDP);
      assert_status(pier_udp_local_address(pair.ends[i], &pair.addresses[i]), PIER_OK);
    }
    const pier_state first[] = {PIER_STATE_FRESH, PIER_STATE_ASSOCIATED, PIER_STATE_KEPT};
    const pier_state then[] = {PIER_STATE_ASSOCIATED, PIER_STATE_ASSOCIATED, PIER_STATE_KEPT};
    assert_int_equal(pier_handle_state(pair.ends[0]), first[w]);
    check_works(&pair);
    assert_int_equal(pier_handle_state(pair.ends[0]), then[w]);
    int status = pier_handle_detach(pair.ends[0]);
    if (then[w] == PIER_STATE_KEPT)
      assert_status(status, PIER_OK);
    else
      assert_true(status == PIER_OK || (support__is_wine() && status == PIER_ENOTSUP));
    check_works(&pair);
    datagrams__close(&pair);
  }
}

/* Two handles for one socket: the second finds it taken (on Windows and with epoll), and works all the same. */
static void b8_a_socket_registered_twice(void **state) {
  (void)state;
  datagrams pair = datagrams__open(DATAGRAMS_REGISTERED);
  pier_handle again = 0;
  pier_register_options options = {.association = PIER_ASSOCIATE_NOW, .keep_open = true};
  char *buffer = support__alloc(8);
  assert_status(pier_register(pair.loop, pier_handle_native(pair.ends[0]), &options, &again), PIER_OK);
  for (int round = 0; round < 4; round++) {
    support_outcome *received = datagrams__receive(again, buffer, 8);
    datagrams__send(pair.loop, pair.ends[1], "twice", 5, &pair.addresses[0]);
    await_status(pair.loop, received, PIER_OK);
    datagrams__assert_from(received, &pair.addresses[1]);
    datagrams__send(pair.loop, again, "back", 4, &pair.addresses[1]);
    received = datagrams__receive(pair.ends[1], buffer, 8);
    await_status(pair.loop, received, PIER_OK);
    datagrams__assert_from(received, &pair.addresses[0]);
  }
  support__close_handle(pair.loop, again);
  check_works(&pair);
  datagrams__close(&pair);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(options_are_set_and_read),
      SUPPORT_TEST(options_of_ipv6_are_set_and_read),
      SUPPORT_TEST(options_out_of_range_are_refused),
      SUPPORT_TEST(broadcast_has_to_be_allowed),
      SUPPORT_TEST(an_address_in_use_is_refused),
      SUPPORT_TEST(a_member_hears_its_group),
      SUPPORT_TEST(a_member_hears_its_group_over_ipv6),
      SUPPORT_TEST(a_member_hears_one_sender),
      SUPPORT_TEST(what_is_no_group_is_refused),
      SUPPORT_TEST(bad_addresses_are_refused),
      SUPPORT_TEST(bad_buffers_are_refused),
      SUPPORT_TEST(the_wrong_kind_is_refused),
      SUPPORT_TEST_POOL(the_wrong_kind_is_refused),
      SUPPORT_TEST(a_registered_one_works_in_every_state),
      SUPPORT_TEST_POOL(a_registered_one_works_in_every_state),
      SUPPORT_TEST(b8_a_socket_registered_twice),
      SUPPORT_TEST_POOL(b8_a_socket_registered_twice),
  };
  return support__main(argc, argv, "udp_handle", tests, sizeof tests / sizeof tests[0]);
}
