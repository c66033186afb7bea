/* pier_try_send(): datagrams that go here and now, many at a time, without an operation. */
#include "chunks.h"
#include "datagrams.h"
#include <string.h>

enum { COUNT = 100, LENGTH = 20 };

/* A receiver that keeps reading; each datagram has its number in front. */
typedef struct numbered {
  pier_address sender;
  unsigned next;
  unsigned wrong;
} numbered;

static void take_numbered(chunks *reader, const pier_result *result) {
  numbered *books = reader->context;
  unsigned number = 0;
  if (result->bytes >= sizeof number)
    memcpy(&number, result->data, sizeof number);
  books->wrong += number != books->next || result->bytes != LENGTH || !datagrams__same(&result->from, &books->sender);
  books->next++;
}

static void fill_numbered(pier_datagram *many, char (*bytes)[LENGTH], const pier_address *to) {
  for (unsigned i = 0; i < COUNT; i++) {
    memset(bytes[i], 'd', LENGTH);
    memcpy(bytes[i], &i, sizeof i);
    many[i] = (pier_datagram){bytes[i], LENGTH, to};
  }
}

/* What is not Pier's own on Windows is not written to without an operation, for its owner's calls would not be the same any more. */
static bool is_sent(datagrams_sort sort) { return !support__windows || sort == DATAGRAMS_OWN; }

static void send_all(pier_handle from, const pier_datagram *many) {
  size_t done = 0;
  while (done < COUNT) {
    size_t sent = 99;
    int status = pier_try_send(from, many + done, COUNT - done, &sent);
    if (status == PIER_EAGAIN) { /* the system's buffer is full for a moment: the receiver is on the same machine and takes them */
      assert_int_equal(sent, 0);
      continue;
    }
    assert_status(status, PIER_OK);
    assert_true(sent >= 1 && sent <= COUNT - done);
    done += sent;
  }
}

/* More than one call takes, in their order, each with its sender's address, however many come at once. */
static void many_arrive_in_their_order(void **state) {
  (void)state;
  for (datagrams_sort sort = 0; sort < DATAGRAMS_SORTS; sort++) {
    datagrams pair = datagrams__open(sort);
    pier_datagram many[COUNT];
    char bytes[COUNT][LENGTH];
    numbered books = {pair.addresses[1], 0, 0};
    chunks *reader = chunks__new(0);
    size_t sent = 99;
    fill_numbered(many, bytes, &pair.addresses[0]);
    if (is_sent(sort)) {
      reader->datagrams = true;
      reader->then = take_numbered;
      reader->context = &books;
      pier_operation operation = chunks__read(reader, pair.ends[0], PIER_NO_DEADLINE);
      send_all(pair.ends[1], many);
      chunks__await_bytes(pair.loop, reader, COUNT * LENGTH);
      pier_cancel(operation);
      await_last(pair.loop, reader, PIER_ECANCELED);
      assert_int_equal(books.next, COUNT);
      assert_int_equal(books.wrong, 0);
    } else {
      assert_status(pier_try_send(pair.ends[1], many, COUNT, &sent), PIER_EAGAIN);
      assert_int_equal(sent, 0);
    }
    datagrams__close(&pair);
  }
}

/* To the peer, and of nothing. */
static void the_peer_needs_no_address(void **state) {
  (void)state;
  datagrams pair = datagrams__open(DATAGRAMS_OWN);
  char buffers[2][8];
  support_outcome *first = datagrams__receive(pair.ends[0], buffers[0], sizeof buffers[0]);
  support_outcome *second = datagrams__receive(pair.ends[0], buffers[1], sizeof buffers[1]);
  pier_datagram both[2] = {{"abc", 3, NULL}, {NULL, 0, NULL}};
  size_t sent = 99;
  assert_status(pier_udp_connect(pair.ends[1], &pair.addresses[0]), PIER_OK);
  assert_status(pier_try_send(pair.ends[1], both, 2, &sent), PIER_OK);
  assert_int_equal(sent, 2);
  await_status(pair.loop, first, PIER_OK);
  await_status(pair.loop, second, PIER_OK);
  assert_int_equal(first->got.bytes, 3);
  assert_memory_equal(buffers[0], "abc", 3);
  assert_int_equal(second->got.bytes, 0);
  datagrams__close(&pair);
}

/* Alone, to an address, to the peer, and with nobody to go to. */
static void one_goes_alone(void **state) {
  (void)state;
  datagrams pair = datagrams__open(DATAGRAMS_OWN);
  char buffer[8];
  pier_datagram addressed = {"one", 3, &pair.addresses[0]}, to_the_peer = {"two", 3, NULL};
  const pier_datagram *each[] = {&addressed, &to_the_peer};
  size_t sent = 99;
  assert_true(pier_try_send(pair.ends[1], &to_the_peer, 1, &sent) != PIER_OK);
  assert_int_equal(sent, 0);
  assert_status(pier_udp_connect(pair.ends[1], &pair.addresses[0]), PIER_OK);
  for (unsigned i = 0; i < 2; i++) {
    support_outcome *received = datagrams__receive(pair.ends[0], buffer, sizeof buffer);
    assert_status(pier_try_send(pair.ends[1], each[i], 1, &sent), PIER_OK);
    assert_int_equal(sent, 1);
    await_status(pair.loop, received, PIER_OK);
    assert_int_equal(received->got.bytes, 3);
    assert_memory_equal(buffer, each[i]->base, 3);
  }
  datagrams__close(&pair);
}

/* The first that cannot be sent says why, and those before it have gone. */
static void one_that_is_too_large_stops_the_rest(void **state) {
  (void)state;
  datagrams pair = datagrams__open(DATAGRAMS_OWN);
  char buffer[8];
  char *large = support__alloc(70000);
  support_outcome *received = datagrams__receive(pair.ends[0], buffer, sizeof buffer);
  pier_datagram three[3] = {{"a", 1, &pair.addresses[0]}, {large, 70000, &pair.addresses[0]}, {"c", 1, &pair.addresses[0]}};
  size_t sent = 99;
  assert_status(pier_try_send(pair.ends[1], three, 3, &sent), PIER_OK);
  assert_int_equal(sent, 1);
  assert_status(pier_try_send(pair.ends[1], three + 1, 2, &sent), PIER_EMSGSIZE);
  assert_int_equal(sent, 0);
  await_status(pair.loop, received, PIER_OK);
  assert_memory_equal(buffer, "a", 1);
  datagrams__close(&pair);
}

static void bad_input_has_a_status(void **state) {
  (void)state;
  datagrams pair = datagrams__open(DATAGRAMS_OWN);
  pier_address nowhere = pair.addresses[0], six, strange = pair.addresses[0];
  pier_handle ends[2];
  size_t sent = 99;
  nowhere.port = 0;
  strange.family = 99;
  assert_status(pier_address_parse("::1", 9, &six), PIER_OK);
  pier_datagram good = {"a", 1, &pair.addresses[0]}, no_bytes = {NULL, 1, &pair.addresses[0]}, no_port = {"a", 1, &nowhere};
  pier_datagram other_family = {"a", 1, &six}, no_family = {"a", 1, &strange};
  assert_status(pier_try_send(pair.ends[1], &good, 1, NULL), PIER_EINVAL);
  assert_status(pier_try_send(pair.ends[1], NULL, 1, &sent), PIER_EINVAL);
  assert_status(pier_try_send(pair.ends[1], &good, 0, &sent), PIER_EINVAL);
  assert_status(pier_try_send(pair.ends[1], &good, PIER_PARTS_MAX + 1, &sent), PIER_EINVAL);
  assert_status(pier_try_send(pair.ends[1], &no_bytes, 1, &sent), PIER_EINVAL);
  assert_status(pier_try_send(pair.ends[1], &no_port, 1, &sent), PIER_EINVAL);
  assert_status(pier_try_send(pair.ends[1], &no_family, 1, &sent), PIER_EINVAL);
  assert_status(pier_try_send(pair.ends[1], &other_family, 1, &sent), PIER_EAFNOSUPPORT);
  assert_int_equal(sent, 0);
  streams__pair(pair.loop, STREAMS_TCP, ends);
  assert_status(pier_try_send(ends[0], &good, 1, &sent), PIER_EBADF);
  assert_status(pier_try_send(0, &good, 1, &sent), PIER_EBADF);
  streams__close_pair(pair.loop, ends);
  pier_handle closed = pair.ends[1];
  datagrams__close(&pair);
  assert_true(pier_try_send(closed, &good, 1, &sent) != PIER_OK);
  assert_int_equal(sent, 0);
}

#define TRY_TEST(function) SUPPORT_TEST(function), SUPPORT_TEST_POOL(function)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      TRY_TEST(many_arrive_in_their_order),
      TRY_TEST(the_peer_needs_no_address),
      TRY_TEST(one_goes_alone),
      TRY_TEST(one_that_is_too_large_stops_the_rest),
      TRY_TEST(bad_input_has_a_status),
  };
  return support__main(argc, argv, "try_send", tests, sizeof tests / sizeof tests[0]);
}
