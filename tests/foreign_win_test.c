/* What comes off the port and is none of Pier's: the user's own overlapped calls and posted packets. */
#include <winsock2.h>

#include <windows.h>

#include "streams.h"

#include <stdlib.h>
#include <string.h>

#ifndef SIO_ADDRESS_LIST_CHANGE
#define SIO_ADDRESS_LIST_CHANGE _WSAIO(IOC_WS2, 23)
#endif

enum { FLOWS = 2 };

/* The user's own structure, with bytes around it that nobody may touch. */
typedef struct own_call {
  unsigned char before[64];
  OVERLAPPED overlapped;
  unsigned char after[64];
  char buffer[64];
} own_call;

static own_call *new_call(void) {
  own_call *call = support__alloc(sizeof *call);
  memset(call->before, 0xA5, sizeof call->before);
  memset(call->after, 0x5A, sizeof call->after);
  return call;
}

static void assert_untouched(const own_call *call) {
  for (size_t i = 0; i < sizeof call->before; i++) {
    assert_int_equal(call->before[i], 0xA5);
    assert_int_equal(call->after[i], 0x5A);
  }
}

/* What on_foreign and on_packet were given. */
typedef struct foreign_log {
  atomic_uint calls;
  pier_loop *loop;
  pier_handle handle;
  pier_packet packet;
} foreign_log;

static void log_foreign(pier_loop *loop, pier_handle handle, const pier_packet *packet, void *context) {
  foreign_log *log = context;
  log->loop = loop;
  log->handle = handle;
  log->packet = *packet;
  support__count(&log->calls);
}

typedef struct fixture {
  pier_loop *loop;
  foreign_log *foreign, *packets;
  pier_handle ends[2];
  pier_native natives[2];
} fixture;

/* Two registered ends of a connection; with `wanted` the first has an on_foreign and the loop an on_packet. */
static fixture open_fixture(bool wanted) {
  fixture all;
  all.foreign = support__alloc(sizeof *all.foreign);
  all.packets = support__alloc(sizeof *all.packets);
  pier_loop_options options = {
      .threads = support__threads(), .on_packet = wanted ? log_foreign : NULL, .packet_context = all.packets};
  all.loop = support__open_with(&options);
  /* Calls that are not Pier's do not keep its loop alive. */
  assert_status(pier_loop_hold(all.loop), PIER_OK);
  support__native_tcp_pair(all.natives);
  pier_register_options registered = {
      .association = PIER_ASSOCIATE_NOW, .on_foreign = wanted ? log_foreign : NULL, .foreign_context = all.foreign};
  for (int i = 0; i < 2; i++) {
    assert_status(pier_register(all.loop, all.natives[i], &registered, &all.ends[i]), PIER_OK);
    assert_int_equal(pier_handle_state(all.ends[i]), PIER_STATE_ASSOCIATED);
    registered.on_foreign = NULL;
  }
  return all;
}

static void close_fixture(fixture *all) {
  assert_status(pier_loop_release(all->loop), PIER_OK);
  streams__close_pair(all->loop, all->ends);
  support__close(all->loop);
}

static void start_receive(const fixture *all, own_call *call, bool tagged) {
  WSABUF buffer = {sizeof call->buffer, call->buffer};
  DWORD flags = 0;
  HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
  call->overlapped.hEvent = tagged ? (HANDLE)((uintptr_t)event | 1) : event;
  int result = WSARecv((SOCKET)all->natives[0], &buffer, 1, NULL, &flags, &call->overlapped, NULL);
  assert_true(result == SOCKET_ERROR && WSAGetLastError() == WSA_IO_PENDING);
}

static HANDLE event_of(const own_call *call) {
  return (HANDLE)((uintptr_t)call->overlapped.hEvent & ~(uintptr_t)1);
}

static void assert_received(own_call *call, const char *text) {
  assert_int_equal(WaitForSingleObject(event_of(call), 10000), WAIT_OBJECT_0);
  assert_int_equal(call->overlapped.InternalHigh, strlen(text));
  assert_memory_equal(call->buffer, text, strlen(text));
  assert_untouched(call);
  CloseHandle(event_of(call));
}

static void send_text(const fixture *all, const char *text) {
  support_outcome *written = support__outcome();
  assert_true(pier_write(all->ends[1], text, strlen(text), PIER_NO_DEADLINE, support__take, written) != 0);
  await_status(all->loop, written, PIER_OK);
}

/* A receive of the user's own, with an ordinary event: its packet is handed to on_foreign as it is, and its event is
 * set. */
static void b11_a_users_own_receive_goes_to_on_foreign(void **state) {
  (void)state;
  fixture all = open_fixture(true);
  for (int i = 0; i < 5; i++) {
    own_call *call = new_call();
    start_receive(&all, call, false);
    send_text(&all, "for the user");
    support__until_count(all.loop, &all.foreign->calls, (unsigned)i + 1, "on_foreign");
    assert_ptr_equal(all.foreign->packet.overlapped, &call->overlapped);
    assert_int_equal(all.foreign->packet.bytes, 12);
    assert_true((uint32_t)all.foreign->packet.status == 0);
    assert_true(all.foreign->handle == all.ends[0]);
    assert_ptr_equal(all.foreign->loop, all.loop);
    assert_received(call, "for the user");
    streams__exchange(all.loop, all.ends[1], all.ends[0], 100, (uint64_t)i);
  }
  pier_metrics metrics = support__metrics(all.loop);
  assert_int_equal(metrics.packets_foreign, 5);
  assert_int_equal(metrics.packets_dropped, 0);
  close_fixture(&all);
}

/* Where nobody wants it, it is counted and dropped; the user's event is set all the same. */
static void b11_a_packet_that_nobody_wants_is_dropped(void **state) {
  (void)state;
  fixture all = open_fixture(false);
  own_call *call = new_call();
  start_receive(&all, call, false);
  send_text(&all, "dropped");
  assert_received(call, "dropped");
  streams__exchange(all.loop, all.ends[1], all.ends[0], 100, 0);
  pier_metrics metrics = support__metrics(all.loop);
  assert_int_equal(metrics.packets_foreign, 1);
  assert_int_equal(metrics.packets_dropped, 1);
  close_fixture(&all);
}

/* A control code of the user's own that he cancels: the packet of the cancelled call is his too. */
static void b11_a_users_own_ioctl_goes_to_on_foreign(void **state) {
  (void)state;
  fixture all = open_fixture(true);
  own_call *call = new_call();
  DWORD bytes = 0;
  call->overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
  int result =
      WSAIoctl((SOCKET)all.natives[0], SIO_ADDRESS_LIST_CHANGE, NULL, 0, NULL, 0, &bytes, &call->overlapped, NULL);
  assert_true(result == SOCKET_ERROR && WSAGetLastError() == WSA_IO_PENDING);
  assert_true(CancelIoEx((HANDLE)all.natives[0], &call->overlapped));
  support__until_count(all.loop, &all.foreign->calls, 1, "on_foreign");
  assert_ptr_equal(all.foreign->packet.overlapped, &call->overlapped);
  assert_int_equal((uint32_t)all.foreign->packet.status, 0xC0000120u);
  assert_int_equal(WaitForSingleObject(event_of(call), 10000), WAIT_OBJECT_0);
  CloseHandle(event_of(call));
  assert_untouched(call);
  streams__exchange(all.loop, all.ends[1], all.ends[0], 100, 0);
  close_fixture(&all);
}

/* With the low bit of the event set no packet comes at all. */
static void b12_a_tagged_event_keeps_the_packet_off_the_port(void **state) {
  (void)state;
  fixture all = open_fixture(true);
  own_call *call = new_call();
  start_receive(&all, call, true);
  send_text(&all, "silent");
  assert_received(call, "silent");
  /* Completions that come after it have been through the port by the end of this. */
  streams__exchange(all.loop, all.ends[1], all.ends[0], 100, 0);
  assert_int_equal(atomic_load(&all.foreign->calls), 0);
  assert_int_equal(support__metrics(all.loop).packets_foreign, 0);
  close_fixture(&all);
}

/* A packet that the user posts to the port with a key of his own goes to on_packet as he posted it. */
static void b13_a_posted_packet_goes_to_on_packet(void **state) {
  (void)state;
  fixture all = open_fixture(true);
  HANDLE port = (HANDLE)pier_loop_native(all.loop);
  const struct {
    ULONG_PTR key;
    uintptr_t overlapped;
    DWORD bytes;
  } posted[] = {{1, 0, 7}, {0, 0, 0}, {0, 1, 9}, {UINT64_MAX, UINT64_MAX, UINT32_MAX}, {0x1234567890abcdefu, 16, 3}};
  for (unsigned i = 0; i < 5; i++) {
    assert_true(PostQueuedCompletionStatus(port, posted[i].bytes, posted[i].key, (OVERLAPPED *)posted[i].overlapped));
    support__until_count(all.loop, &all.packets->calls, i + 1, "on_packet");
    assert_true(all.packets->packet.key == posted[i].key);
    assert_true((uintptr_t)all.packets->packet.overlapped == posted[i].overlapped);
    assert_int_equal(all.packets->packet.bytes, posted[i].bytes);
    assert_true(all.packets->handle == 0);
  }
  assert_int_equal(atomic_load(&all.foreign->calls), 0);
  close_fixture(&all);
}

/* Bytes that go round and round between two ends and are checked each time. */
typedef struct traffic {
  pier_handle ends[2];
  atomic_uint rounds, strange, ended;
  atomic_bool stop;
  uint32_t sent, received;
} traffic;

static void traffic_read(const pier_result *result);

static void traffic_write(const pier_result *result) {
  traffic *flow = result->context;
  if (result->status != PIER_OK || result->bytes != sizeof flow->sent)
    atomic_fetch_add(&flow->strange, 1);
}

static void traffic_next(traffic *flow) {
  flow->sent++;
  pier_read(flow->ends[0], &flow->received, sizeof flow->received, PIER_NO_DEADLINE, traffic_read, flow);
  pier_write(flow->ends[1], &flow->sent, sizeof flow->sent, PIER_NO_DEADLINE, traffic_write, flow);
}

static void traffic_read(const pier_result *result) {
  traffic *flow = result->context;
  if (result->status != PIER_OK || result->bytes != sizeof flow->received || flow->received != flow->sent)
    atomic_fetch_add(&flow->strange, 1);
  atomic_fetch_add(&flow->rounds, 1);
  if (atomic_load(&flow->stop))
    support__count(&flow->ended);
  else
    traffic_next(flow);
}

typedef struct poster {
  HANDLE port;
  ULONG_PTR keys[6]; /* of live handles, of a closed one, and numbers that look like keys */
  void *pointers[5]; /* where something is, but no operation */
  uint64_t seed;
  unsigned count;
} poster;

static void post_rubbish(void *context) {
  poster *self = context;
  for (unsigned i = 0; i < self->count; i++) {
    uint64_t chance = support__random_below(&self->seed, 8), place = support__random_below(&self->seed, 8);
    uint64_t number = support__random(&self->seed) >> support__random_below(&self->seed, 64);
    ULONG_PTR key = chance < 6 ? self->keys[chance] : number;
    uintptr_t pointer = place < 5 ? (uintptr_t)self->pointers[place] + 8 * (number % 8) : place < 7 ? ~number : 0;
    while (!PostQueuedCompletionStatus(self->port, (DWORD)number, key, (OVERLAPPED *)pointer))
      support__yield();
  }
}

typedef struct expectation {
  pier_loop *loop;
  uint64_t packets_foreign;
} expectation;

static bool all_rubbish_seen(void *context) {
  const expectation *wanted = context;
  return support__metrics(wanted->loop).packets_foreign >= wanted->packets_foreign;
}

/* The key of a handle is learnt the way a user would: from a packet of a call of his own. */
static ULONG_PTR learn_key(fixture *all) {
  own_call *call = new_call();
  start_receive(all, call, false);
  send_text(all, "key");
  support__until_count(all->loop, &all->foreign->calls, 1, "on_foreign");
  assert_received(call, "key");
  return all->foreign->packet.key;
}

static void start_traffic(const fixture *all, traffic *flows[FLOWS]) {
  for (int i = 0; i < FLOWS; i++) {
    flows[i] = support__alloc(sizeof *flows[i]);
    if (i == 0)
      memcpy(flows[i]->ends, all->ends, sizeof all->ends);
    else
      streams__pair(all->loop, STREAMS_PIPE, flows[i]->ends);
    traffic_next(flows[i]);
  }
}

static void end_traffic(const fixture *all, traffic *flows[FLOWS]) {
  for (int i = 0; i < FLOWS; i++) {
    atomic_store(&flows[i]->stop, true);
    support__until_count(all->loop, &flows[i]->ended, 1, "the traffic to end");
    print_message("%u rounds of traffic\n", atomic_load(&flows[i]->rounds));
    assert_int_equal(atomic_load(&flows[i]->strange), 0);
    assert_true(atomic_load(&flows[i]->rounds) > 10);
    if (i > 0)
      streams__close_pair(all->loop, flows[i]->ends);
  }
}

static void post_among_traffic(unsigned count) {
  /* 15 s on an idle machine with one processor for Wine and its server; many times that beside others. */
  support__watch(__func__, 300 * PIER_SECOND);
  fixture all = open_fixture(true);
  pier_handle closed[2];
  poster *self = support__alloc(sizeof *self);
  traffic *flows[FLOWS];
  assert_status(pier_pipe_pair(all.loop, NULL, closed), PIER_OK);
  streams__close_pair(all.loop, closed);
  ULONG_PTR key = learn_key(&all);
  expectation wanted = {all.loop, support__metrics(all.loop).packets_foreign + count};
  start_traffic(&all, flows);
  *self = (poster){.port = (HANDLE)pier_loop_native(all.loop), .seed = support__seed(), .count = count};
  const ULONG_PTR keys[6] = {key, key, key ^ 1, closed[0], 0, all.ends[1]};
  void *const pointers[5] = {self, flows[0], &all, (void *)key, all.loop};
  memcpy(self->keys, keys, sizeof keys);
  memcpy(self->pointers, pointers, sizeof pointers);
  support_thread *thread = support__thread_start(post_rubbish, self);
  /* In steps, for it takes a while. */
  uint64_t last = wanted.packets_foreign;
  for (uint64_t step = last - count + 50000; step < last; step += 50000) {
    wanted.packets_foreign = step;
    support__until(all.loop, all_rubbish_seen, &wanted, "the next posted packets");
  }
  wanted.packets_foreign = last;
  support__until(all.loop, all_rubbish_seen, &wanted, "every posted packet");
  support__thread_join(thread);
  end_traffic(&all, flows);
  pier_metrics metrics = support__metrics(all.loop);
  assert_int_equal(metrics.packets_foreign, wanted.packets_foreign);
  uint64_t handed_over = (uint64_t)atomic_load(&all.foreign->calls) + atomic_load(&all.packets->calls);
  print_message("%u to on_foreign, %u to on_packet, %u dropped\n", atomic_load(&all.foreign->calls),
                atomic_load(&all.packets->calls), (unsigned)metrics.packets_dropped);
  assert_int_equal(handed_over + metrics.packets_dropped, wanted.packets_foreign);
  close_fixture(&all);
}

/* A million packets of chance keys and pointers: each is handed over, or dropped and counted; the traffic does not
 * notice. */
static void b13_a_million_posted_packets_disturb_nothing(void **state) {
  (void)state;
  /* Whether there are wait-completion packets makes little difference to this: the run that is about them has fewer. */
  post_among_traffic(getenv("PIER_PACKETS") ? 100000 : 1000000);
}

/* The same with poller threads, and fewer of them. */
static void b13_posted_packets_disturb_no_poller_thread(void **state) {
  (void)state;
  post_among_traffic(50000);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b11_a_users_own_receive_goes_to_on_foreign),
      SUPPORT_TEST_POOL(b11_a_users_own_receive_goes_to_on_foreign),
      SUPPORT_TEST(b11_a_packet_that_nobody_wants_is_dropped),
      SUPPORT_TEST(b11_a_users_own_ioctl_goes_to_on_foreign),
      SUPPORT_TEST(b12_a_tagged_event_keeps_the_packet_off_the_port),
      SUPPORT_TEST_POOL(b12_a_tagged_event_keeps_the_packet_off_the_port),
      SUPPORT_TEST(b13_a_posted_packet_goes_to_on_packet),
      SUPPORT_TEST_POOL(b13_a_posted_packet_goes_to_on_packet),
      SUPPORT_TEST(b13_a_million_posted_packets_disturb_nothing),
      SUPPORT_TEST_POOL(b13_posted_packets_disturb_no_poller_thread),
  };
  return support__main(argc, argv, "foreign", tests, sizeof tests / sizeof tests[0]);
}
