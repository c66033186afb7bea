/* Datagrams that the system refuses to receive, or to send. */
#include "chunks.h"
#include "datagrams.h"
#include "fault.h"

#include <errno.h>

/* The call that serves several receives fails before it has anything: the next in line is told, or the call is made again, and the others
 * get what is theirs. */
static void a_call_for_several_datagrams_fails(void **state) {
  (void)state;
  enum { RECEIVES = 4 };
  pier_loop *loop = support__open();
  const int codes[] = {ECONNREFUSED, EINTR};
  for (unsigned c = 0; c < sizeof codes / sizeof codes[0]; c++) {
    pier_handle ends[2];
    char got[RECEIVES], byte;
    support_outcome *received[RECEIVES];
    unsigned refused = codes[c] == ECONNREFUSED ? 1 : RECEIVES;
    streams__pair(loop, STREAMS_UDP, ends);
    for (int i = 0; i < RECEIVES; i++) {
      received[i] = support__outcome();
      assert_true(pier_receive_from(ends[0], &got[i], 1, PIER_NO_DEADLINE, support__take, received[i]) != 0);
    }
    fault__clear();
    fault__fail(FAULT_RECEIVE, 1, 1, codes[c]);
    for (byte = 0; byte < RECEIVES; byte++)
      assert_status(pier_sync_write(pier_handle_native(ends[1]), &byte, 1, PIER_SECOND, NULL), PIER_OK);
    byte = 0;
    for (unsigned i = 0; i < RECEIVES; i++) {
      await_status(loop, received[i], i == refused ? PIER_ECONNREFUSED : PIER_OK);
      if (i != refused)
        assert_int_equal(got[i], byte++);
    }
    assert_int_equal(fault__struck(), 1);
    fault__clear();
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* What a router said of a datagram that was too long for it is told to who reads. It is no message that was cut. */
static void a_routers_answer_is_an_error(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  for (unsigned count = 0; count < 3; count++) { /* one that keeps reading, one read, and several that are served with one call */
    support_outcome *received[2];
    chunks *reader = chunks__new(0);
    unsigned char got[2];
    streams__pair(loop, STREAMS_UDP, ends);
    if (count == 0)
      chunks__read(reader, ends[0], PIER_NO_DEADLINE);
    for (unsigned i = 0; i < count; i++) {
      received[i] = support__outcome();
      assert_true(pier_read(ends[0], &got[i], 1, PIER_NO_DEADLINE, support__take, received[i]) != 0);
    }
    fault__clear();
    fault__fail(FAULT_RECEIVE, 0, 1, EMSGSIZE);
    for (unsigned i = 0; i < 2; i++)
      assert_status(pier_sync_write(pier_handle_native(ends[1]), "x", 1, PIER_SECOND, NULL), PIER_OK);
    if (count == 0)
      await_last(loop, reader, PIER_EMSGSIZE);
    for (unsigned i = 0; i < count; i++) {
      await_status(loop, received[i], i == 0 ? PIER_EMSGSIZE : PIER_OK);
      assert_int_equal(received[i]->got.bytes, i);
    }
    assert_int_equal(fault__struck(), 1);
    fault__clear();
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* A run that the system does not take says nothing of its datagrams: they go, and as many calls show that they went one by one or again as a run. */
static void a_refused_run_is_sent_all_the_same(void **state) {
  static const struct {
    int code;
    int status;
    size_t sent;
  } cases[] = {
      {EIO, PIER_OK, 5}, {EINVAL, PIER_OK, 5}, {EMSGSIZE, PIER_OK, 5}, {EINTR, PIER_OK, 5}, {EAGAIN, PIER_EAGAIN, 0}, {ENOBUFS, PIER_ENOMEM, 0}, {ECONNREFUSED, PIER_ECONNREFUSED, 0},
  };
  (void)state;
  for (unsigned c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    datagrams pair = datagrams__open(DATAGRAMS_OWN);
    pier_datagram many[5];
    support_outcome *received[5];
    char got[5][8];
    size_t sent = 99;
    for (unsigned i = 0; i < 5; i++) {
      many[i] = (pier_datagram){&"abcde"[i], 1, &pair.addresses[0]};
      received[i] = datagrams__receive(pair.ends[0], got[i], sizeof got[i]);
    }
    fault__clear();
    fault__fail(FAULT_SEND, 0, 1, cases[c].code);
    assert_status(pier_try_send(pair.ends[1], many, 5, &sent), cases[c].status);
    assert_int_equal(sent, cases[c].sent);
    assert_int_equal(fault__struck(), 1);
    if (!sent)
      assert_status(pier_try_send(pair.ends[1], many, 5, &sent), PIER_OK);
    assert_int_equal(sent, 5);
    for (unsigned i = 0; i < 5; i++) {
      await_status(pair.loop, received[i], PIER_OK);
      assert_int_equal(received[i]->got.bytes, 1);
      assert_int_equal(got[i][0], "abcde"[i]);
    }
    fault__clear();
    datagrams__close(&pair);
  }
}

/* Nor is it asked for again where no device would cut it, and a system that does not know it is not asked at all: a failure for each would be
   one call more for each. */
static void what_cannot_be_cut_is_not_tried_again(void **state) {
  static const fault_call calls[] = {FAULT_SEND, FAULT_OPTION};
  (void)state;
  for (unsigned c = 0; c < 2; c++) {
    datagrams pair = datagrams__open(DATAGRAMS_OWN);
    pier_datagram two[2] = {{"a", 1, &pair.addresses[0]}, {"b", 1, &pair.addresses[0]}};
    size_t sent = 99;
    fault__clear();
    fault__fail(calls[c], 0, 1, calls[c] == FAULT_SEND ? EIO : ENOPROTOOPT);
    assert_status(pier_try_send(pair.ends[1], two, 2, &sent), PIER_OK);
    assert_int_equal(fault__struck(), 1);
    fault__fail(FAULT_SEND, 0, 1, EINVAL); /* which is said of runs; of what is none it is told */
    assert_status(pier_try_send(pair.ends[1], two, 2, &sent), PIER_EINVAL);
    assert_int_equal(sent, 0);
    assert_int_equal(fault__made(FAULT_OPTION), 1);
    fault__clear();
    datagrams__close(&pair);
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      FAULT_TEST(a_call_for_several_datagrams_fails),
      FAULT_TEST(a_routers_answer_is_an_error),
      FAULT_TEST(a_refused_run_is_sent_all_the_same),
      FAULT_TEST(what_cannot_be_cut_is_not_tried_again),
  };
  return support__main(argc, argv, "fault_datagram", tests, sizeof tests / sizeof tests[0]);
}
