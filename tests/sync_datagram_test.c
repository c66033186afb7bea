/* The sync path's datagrams: with their senders, cut, empty, timed out, on a port that is somebody else's. */
#include "datagrams.h"
#include "sync_native.h"

#include <string.h>

/* Two sockets of the test's own; the first is on a port, which has to be silent at the end. */
typedef struct udp_pair {
  pier_native ends[2];
  pier_address addresses[2];
  sync_port *port;
} udp_pair;

static udp_pair open_pair(void) {
  udp_pair pair;
  pier_loop *loop = support__open();
  for (int i = 0; i < 2; i++) {
    pier_register_options options = {.association = PIER_ASSOCIATE_NEVER, .keep_open = true};
    pier_handle handle = 0;
    pair.ends[i] = support__native_udp();
    assert_status(pier_register(loop, pair.ends[i], &options, &handle), PIER_OK);
    assert_status(pier_udp_local_address(handle, &pair.addresses[i]), PIER_OK);
    support__close_handle(loop, handle);
  }
  support__close(loop);
  pair.port = sync_native__port(pair.ends[0]);
  return pair;
}

static void close_pair(udp_pair *pair) {
  sync_native__assert_silent(pair->port);
  support__native_close_socket(pair->ends[0]);
  support__native_close_socket(pair->ends[1]);
  sync_native__close_port(pair->port);
}

static void send_text(const udp_pair *pair, int from, const char *text) {
  pier_sync_result result;
  assert_status(pier_sync_send_to(pair->ends[from], text, strlen(text), &pair->addresses[!from], PIER_SECOND, &result), PIER_OK);
  assert_int_equal(result.bytes, strlen(text));
}

static void receive_is(const udp_pair *pair, int to, size_t asked, uint64_t timeout_ns, int status, const char *text) {
  char buffer[64] = "";
  pier_address from;
  pier_sync_result result;
  assert_status(pier_sync_receive_from(pair->ends[to], buffer, asked, timeout_ns, &from, &result), status);
  assert_int_equal(result.status, status);
  assert_int_equal(result.bytes, strlen(text));
  assert_string_equal(buffer, text);
  assert_false(result.end);
  assert_true(status == PIER_OK ? result.system_code == 0 : result.system_code != 0);
  assert_true(datagrams__same(&from, &pair->addresses[!to]));
}

/* Datagrams come with their senders, whole, empty or cut, with a timeout or without one, and the port sees nothing. */
static void b7_datagrams_on_a_port(void **state) {
  (void)state;
  udp_pair pair = open_pair();
  const uint64_t timeouts_ns[] = {0, PIER_SECOND, PIER_NO_TIMEOUT};
  for (int t = 0; t < 3; t++) {
    for (int way = 0; way < 2; way++) {
      send_text(&pair, way, "with a sender");
      receive_is(&pair, !way, 60, timeouts_ns[t], PIER_OK, "with a sender");
      send_text(&pair, way, "");
      receive_is(&pair, !way, 60, timeouts_ns[t], PIER_OK, "");
      send_text(&pair, way, "larger than the buffer");
      receive_is(&pair, !way, 6, timeouts_ns[t], PIER_EMSGSIZE, "larger");
      send_text(&pair, way, "next");
      receive_is(&pair, !way, 60, timeouts_ns[t], PIER_OK, "next");
    }
  }
  close_pair(&pair);
}

/* On a handle that is on Pier's own port its packets are not disturbed either. */
static void b7_datagrams_beside_a_loop(void **state) {
  (void)state;
  datagrams pair = datagrams__open(DATAGRAMS_OWN);
  char *waiting = support__alloc(8), buffer[8];
  pier_address from;
  pier_sync_result result;
  for (int round = 0; round < 10; round++) {
    support_outcome *received = datagrams__receive(pair.ends[1], waiting, 8);
    assert_status(pier_sync_send_to(pier_handle_native(pair.ends[0]), "sync", 4, &pair.addresses[1], PIER_SECOND, &result), PIER_OK);
    await_status(pair.loop, received, PIER_OK);
    datagrams__assert_from(received, &pair.addresses[0]);
    datagrams__send(pair.loop, pair.ends[1], "async", 5, &pair.addresses[0]);
    assert_status(pier_sync_receive_from(pier_handle_native(pair.ends[0]), buffer, 8, PIER_SECOND, &from, &result), PIER_OK);
    assert_true(result.bytes == 5 && datagrams__same(&from, &pair.addresses[1]));
  }
  assert_int_equal(support__metrics(pair.loop).packets_foreign, 0);
  datagrams__close(&pair);
}

/* A receive that nothing comes for ends in time, and what comes later is whole. */
static void b21_a_receive_times_out(void **state) {
  (void)state;
  udp_pair pair = open_pair();
  char buffer[8];
  pier_address from;
  pier_sync_result result;
  for (uint64_t i = 0; i < 5; i++) {
    uint64_t began_ns = pier_now_ns(), timeout_ns = i * 3 * PIER_MILLISECOND;
    memset(&from, 0x5A, sizeof from);
    assert_status(pier_sync_receive_from(pair.ends[0], buffer, 8, timeout_ns, &from, &result), PIER_ETIMEDOUT);
    assert_true(pier_now_ns() - began_ns >= timeout_ns);
    assert_true(from.family == PIER_FAMILY_NONE && result.bytes == 0);
  }
  send_text(&pair, 1, "later");
  receive_is(&pair, 0, 60, PIER_SECOND, PIER_OK, "later");
  close_pair(&pair);
}

/* A receive of no length waits for a datagram, and leaves it there. */
static void b29_a_receive_without_room_takes_nothing(void **state) {
  (void)state;
  udp_pair pair = open_pair();
  pier_address from;
  pier_sync_result result;
  assert_status(pier_sync_receive_from(pair.ends[0], NULL, 0, PIER_MILLISECOND, &from, &result), PIER_ETIMEDOUT);
  for (int i = 0; i < 2; i++) {
    send_text(&pair, 1, i ? "" : "still there");
    assert_status(pier_sync_receive_from(pair.ends[0], NULL, 0, PIER_SECOND, NULL, &result), PIER_OK);
    assert_int_equal(result.bytes, 0);
    receive_is(&pair, 0, 60, 0, PIER_OK, i ? "" : "still there");
  }
  close_pair(&pair);
}

static void bad_input_is_refused(void **state) {
  (void)state;
  udp_pair pair = open_pair();
  char buffer[8] = "";
  pier_address six, portless, none = {0}, from;
  pier_native file = sync_native__open_file(support__temp_path(), true);
  assert_status(pier_address_parse("::1", 9, &six), PIER_OK);
  assert_status(pier_address_parse("127.0.0.1", 0, &portless), PIER_OK);
  assert_status(pier_sync_receive_from(pair.ends[0], NULL, 8, 0, &from, NULL), PIER_EINVAL);
  assert_status(pier_sync_receive_from(PIER_NATIVE_NONE, buffer, 8, 0, &from, NULL), PIER_EBADF);
  assert_status(pier_sync_receive_from(file, buffer, 8, 0, &from, NULL), PIER_EBADF);
  assert_status(pier_sync_send_to(pair.ends[0], NULL, 8, &pair.addresses[1], 0, NULL), PIER_EINVAL);
  assert_status(pier_sync_send_to(pair.ends[0], buffer, 8, NULL, 0, NULL), PIER_EINVAL);
  assert_status(pier_sync_send_to(pair.ends[0], buffer, 8, &none, 0, NULL), PIER_EINVAL);
  assert_status(pier_sync_send_to(pair.ends[0], buffer, 8, &portless, 0, NULL), PIER_EINVAL);
  assert_status(pier_sync_send_to(pair.ends[0], buffer, 8, &six, 0, NULL), PIER_EAFNOSUPPORT);
  assert_status(pier_sync_send_to(pair.ends[0], support__alloc(70000), 70000, &pair.addresses[1], 0, NULL), PIER_EMSGSIZE);
  assert_status(pier_sync_send_to(pair.ends[0], buffer, SIZE_MAX, &pair.addresses[1], 0, NULL), PIER_EMSGSIZE);
  assert_status(pier_sync_send_to(PIER_NATIVE_NONE, buffer, 8, &pair.addresses[1], 0, NULL), PIER_EBADF);
  assert_status(pier_sync_send_to(file, buffer, 8, &pair.addresses[1], 0, NULL), PIER_EBADF);
  send_text(&pair, 1, "after it");
  receive_is(&pair, 0, 60, PIER_SECOND, PIER_OK, "after it");
  sync_native__close(file);
  close_pair(&pair);
}

/* A million calls' worth of it in small: neither handles nor memory grow. */
static void b19_calls_create_nothing(void **state) {
  (void)state;
  udp_pair pair = open_pair();
  size_t handles = 0, heap_bytes = 0;
  for (int round = 0; round < 2000; round++) {
    if (round == 100) {
      handles = support__handle_count();
      heap_bytes = support__heap_bytes();
    }
    send_text(&pair, 1, "again");
    receive_is(&pair, 0, 60, PIER_SECOND, PIER_OK, "again");
  }
  assert_int_equal(support__handle_count(), handles);
  assert_true(support__heap_bytes() <= heap_bytes + 1024);
  close_pair(&pair);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b7_datagrams_on_a_port),
      SUPPORT_TEST(b7_datagrams_beside_a_loop),
      SUPPORT_TEST_POOL(b7_datagrams_beside_a_loop),
      SUPPORT_TEST(b21_a_receive_times_out),
      SUPPORT_TEST(b29_a_receive_without_room_takes_nothing),
      SUPPORT_TEST(bad_input_is_refused),
      SUPPORT_TEST(b19_calls_create_nothing),
  };
  return support__main(argc, argv, "sync_datagram", tests, sizeof tests / sizeof tests[0]);
}
