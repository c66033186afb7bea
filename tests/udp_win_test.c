/* UDP on Windows: which answers are switched off and which stay, packets that come or do not come for a datagram that was cut, and ports of
 * others. */
#include <winsock2.h>

#include <windows.h>

#include "datagrams.h"
#include "hook.h"
#include "op.h"
#include "sync_native.h"

enum { SWITCHES_MOST = 16 };

/* What was switched on sockets of Pier's. */
static struct {
  uint32_t codes[SWITCHES_MOST];
  bool on[SWITCHES_MOST];
  unsigned count;
  bool refuse;
} switches;

static bool note_switch(uint32_t code, bool on) {
  if (switches.count < SWITCHES_MOST) {
    switches.codes[switches.count] = code;
    switches.on[switches.count] = on;
  }
  switches.count++;
  return switches.refuse;
}

static void begin_noting(bool refuse) {
  switches.count = 0;
  switches.refuse = refuse;
  pier_hooks = (struct hooks){.control = note_switch};
}

/* Both switches, SIO_UDP_CONNRESET and SIO_UDP_NETRESET, were thrown. */
static void assert_switched(bool on) {
  assert_int_equal(switches.count, 2);
  assert_true(switches.codes[0] == 0x9800000C && switches.codes[1] == 0x9800000F);
  assert_true(switches.on[0] == on && switches.on[1] == on);
  switches.count = 0;
}

/* The answers of closed ports are switched off when a handle is opened, on with a peer and off again without it. One that was registered is
 * left alone. */
static void b29_answers_are_switched_off(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_address address;
  pier_handle registered = 0;
  begin_noting(false);
  pier_handle handle = streams__udp_open(loop, &address);
  assert_switched(false);
  assert_status(pier_udp_connect(handle, &address), PIER_OK);
  assert_switched(true);
  assert_status(pier_udp_connect(handle, NULL), PIER_OK);
  assert_switched(false);
  assert_status(pier_register(loop, support__native_udp(), NULL, &registered), PIER_OK);
  assert_status(pier_udp_connect(registered, &address), PIER_OK);
  assert_status(pier_udp_connect(registered, NULL), PIER_OK);
  assert_int_equal(switches.count, 0);
  pier_hooks = (struct hooks){0};
  support__close_handle(loop, handle);
  support__close_handle(loop, registered);
  support__close(loop);
}

/* A system that refuses the switch gives a handle all the same. */
static void b29_a_refused_switch_is_not_fatal(void **state) {
  (void)state;
  begin_noting(true);
  datagrams pair = datagrams__open(DATAGRAMS_OWN);
  assert_int_equal(switches.count, 4);
  pier_hooks = (struct hooks){0};
  char *buffer = support__alloc(8);
  support_outcome *received = datagrams__receive(pair.ends[0], buffer, 8);
  datagrams__send(pair.loop, pair.ends[1], "works", 5, &pair.addresses[0]);
  await_status(pair.loop, received, PIER_OK);
  datagrams__close(&pair);
}

/* ---- A packet too many ---- */

static atomic_uint foreign_packets;
static struct op *last_started;

static void count_foreign(pier_loop *loop, pier_handle handle, const pier_packet *packet, void *context) {
  (void)loop;
  (void)handle;
  (void)packet;
  (void)context;
  support__count(&foreign_packets);
}

static void note_started(struct op *op) {
  last_started = op;
}

typedef struct expectation {
  pier_loop *loop;
  uint64_t foreign;
} expectation;

static bool packets_are_seen(void *context) {
  const expectation *wanted = context;
  return support__metrics(wanted->loop).packets_foreign >= wanted->foreign;
}

/* As the system may queue one for a datagram that was cut inside the call, on some versions and in some modes. */
static void post_stray(pier_loop *loop, pier_handle handle, struct op *op) {
  expectation wanted = {loop, support__metrics(loop).packets_foreign + 1};
  assert_true(PostQueuedCompletionStatus((HANDLE)pier_loop_native(loop), 5, (ULONG_PTR)handle, (OVERLAPPED *)(void *)op->system));
  support__until(loop, packets_are_seen, &wanted, "the stray packet");
}

static void check_stray(pier_loop *loop, pier_handle handle, pier_handle sender, const pier_address *address) {
  char *buffer = support__alloc(16);
  for (int round = 0; round < 20; round++) {
    pier_hooks = (struct hooks){.started = note_started};
    support_outcome *waiting = datagrams__receive(handle, buffer, 16);
    pier_hooks = (struct hooks){0};
    struct op *op = last_started;
    /* In flight, and then over: neither is completed by it, and nobody is told of it. */
    post_stray(loop, handle, op);
    assert_false(support__called(waiting));
    datagrams__send(loop, sender, "the real one", 12, address);
    await_status(loop, waiting, PIER_OK);
    assert_int_equal(waiting->got.bytes, 12);
    post_stray(loop, handle, op);
    assert_int_equal(atomic_load(&waiting->calls), 1);
  }
}

/* Whether a packet follows for a datagram that was cut inside the call is not written anywhere. One that comes finds no operation, or one
 * that is not over, and disturbs neither it nor the owner of the socket. */
static void b29_a_packet_too_many_disturbs_nothing(void **state) {
  (void)state;
  datagrams pair = {.loop = support__open()};
  pier_register_options options = {.association = PIER_ASSOCIATE_NOW, .on_foreign = count_foreign};
  assert_status(pier_register(pair.loop, support__native_udp(), &options, &pair.ends[0]), PIER_OK);
  assert_status(pier_udp_local_address(pair.ends[0], &pair.addresses[0]), PIER_OK);
  pair.ends[1] = streams__udp_open(pair.loop, &pair.addresses[1]);
  assert_status(pier_loop_hold(pair.loop), PIER_OK);
  check_stray(pair.loop, pair.ends[0], pair.ends[1], &pair.addresses[0]);
  check_stray(pair.loop, pair.ends[1], pair.ends[0], &pair.addresses[1]);
  assert_int_equal(atomic_load(&foreign_packets), 0);
  assert_status(pier_loop_release(pair.loop), PIER_OK);
  datagrams__close(&pair);
}

/* Cut inside the call, in each of the four combinations of modes that an owner can have set, and on a handle of Pier's: one callback each,
 * and whatever the system has queued besides goes to nobody. */
static void b29_a_cut_datagram_in_every_mode(void **state) {
  (void)state;
  for (int mode = 0; mode < 5; mode++) {
    datagrams pair = {.loop = support__open()};
    pier_native native = support__native_udp();
    pier_register_options options = {.association = PIER_ASSOCIATE_NOW, .on_foreign = count_foreign};
    char *buffer = support__alloc(4);
    if (mode && mode < 4)
      assert_true(SetFileCompletionNotificationModes((HANDLE)native, (UCHAR)mode));
    assert_status(pier_register(pair.loop, native, &options, &pair.ends[0]), PIER_OK);
    pair.ends[1] = streams__udp_open(pair.loop, &pair.addresses[1]);
    assert_status(pier_udp_local_address(pair.ends[0], &pair.addresses[0]), PIER_OK);
    int end = mode == 4;
    for (int round = 0; round < 50; round++) {
      datagrams__send(pair.loop, pair.ends[!end], "too long", 8, &pair.addresses[end]);
      support_outcome *received = datagrams__receive(pair.ends[end], buffer, 3);
      await_status(pair.loop, received, PIER_EMSGSIZE);
      assert_int_equal(received->got.bytes, 3);
      assert_int_equal(atomic_load(&received->calls), 1);
    }
    pier_metrics metrics = support__metrics(pair.loop);
    print_message("mode %d: %u packets for 100 operations, %u of them for nothing\n", mode, (unsigned)metrics.packets,
                  (unsigned)metrics.packets_foreign);
    assert_int_equal(atomic_load(&foreign_packets), 0);
    datagrams__close(&pair);
  }
}

/* ---- Ports of others ---- */

/* A socket on somebody else's port: everything works by tagged events, and that port stays silent. */
static void b6_a_socket_on_another_port(void **state) {
  (void)state;
  datagrams pair = {.loop = support__open()};
  sync_port *ports[2];
  char *buffer = support__alloc(8);
  for (int i = 0; i < 2; i++) {
    pier_native native = support__native_udp();
    ports[i] = sync_native__port(native);
    assert_status(pier_register(pair.loop, native, NULL, &pair.ends[i]), PIER_OK);
    assert_status(pier_udp_local_address(pair.ends[i], &pair.addresses[i]), PIER_OK);
  }
  for (int round = 0; round < 10; round++) {
    support_outcome *received = datagrams__receive(pair.ends[0], buffer, 3), *late = support__outcome();
    datagrams__send(pair.loop, pair.ends[1], round % 2 ? "abc" : "abcd", round % 2 ? 3 : 4, &pair.addresses[0]);
    await_status(pair.loop, received, round % 2 ? PIER_OK : PIER_EMSGSIZE);
    datagrams__assert_from(received, &pair.addresses[1]);
    assert_true(pier_receive_from(pair.ends[0], buffer, 8, pier_deadline_in(PIER_MILLISECOND), support__take, late) != 0);
    await_status(pair.loop, late, PIER_ETIMEDOUT);
  }
  assert_int_equal(pier_handle_state(pair.ends[0]), PIER_STATE_FOREIGN);
  for (int i = 0; i < 2; i++)
    sync_native__assert_silent(ports[i]);
  datagrams__close(&pair);
  for (int i = 0; i < 2; i++)
    sync_native__close_port(ports[i]);
}

/* A receive of the user's own on a registered socket is his alone. */
static void b11_a_users_own_receive_goes_to_on_foreign(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_native native = support__native_udp();
  pier_register_options options = {.association = PIER_ASSOCIATE_NOW, .on_foreign = count_foreign};
  pier_handle handle = 0;
  pier_address address, other;
  pier_handle sender = streams__udp_open(loop, &other);
  char *buffer = support__alloc(8);
  WSABUF part = {8, buffer};
  DWORD *flags = support__alloc(sizeof *flags);
  OVERLAPPED *own = support__alloc(sizeof *own);
  assert_status(pier_register(loop, native, &options, &handle), PIER_OK);
  assert_status(pier_udp_local_address(handle, &address), PIER_OK);
  assert_status(pier_loop_hold(loop), PIER_OK);
  assert_int_equal(WSARecvFrom((SOCKET)native, &part, 1, NULL, flags, NULL, NULL, own, NULL), SOCKET_ERROR);
  assert_int_equal(WSAGetLastError(), WSA_IO_PENDING);
  datagrams__send(loop, sender, "mine", 4, &address);
  support__until_count(loop, &foreign_packets, 1, "on_foreign");
  assert_int_equal(own->InternalHigh, 4);
  atomic_store(&foreign_packets, 0);
  assert_status(pier_loop_release(loop), PIER_OK);
  support__close_handle(loop, handle);
  support__close_handle(loop, sender);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b29_answers_are_switched_off),
      SUPPORT_TEST(b29_a_refused_switch_is_not_fatal),
      SUPPORT_TEST(b29_a_packet_too_many_disturbs_nothing),
      SUPPORT_TEST_POOL(b29_a_packet_too_many_disturbs_nothing),
      SUPPORT_TEST(b29_a_cut_datagram_in_every_mode),
      SUPPORT_TEST_POOL(b29_a_cut_datagram_in_every_mode),
      SUPPORT_TEST(b6_a_socket_on_another_port),
      SUPPORT_TEST_POOL(b6_a_socket_on_another_port),
      SUPPORT_TEST(b11_a_users_own_receive_goes_to_on_foreign),
  };
  return support__main(argc, argv, "udp_win", tests, sizeof tests / sizeof tests[0]);
}
