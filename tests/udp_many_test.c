/* Many datagrams for many receives: whatever the system can bring with one call, each receive gets the one that is its turn. */
#include "datagrams.h"

#include <stdio.h>
#include <string.h>

enum { AT_ONCE = 40, BUFFER_BYTES = 8 };

/* By the sync path, so that the loop does not turn meanwhile and all of them are there at once. */
static void send_now(const datagrams *pair, const char *text) {
  assert_status(pier_sync_send_to(pier_handle_native(pair->ends[1]), text, strlen(text), &pair->addresses[0], PIER_SECOND, NULL), PIER_OK);
}

static void number(unsigned i, char text[16]) {
  /* Every seventh has no byte, every fifth is too long. */
  snprintf(text, 16, i % 7 == 3 ? "" : i % 5 == 2 ? "%u too long" : "%u", i);
}

static void check_number(const datagrams *pair, support_outcome *received, const char *bytes, unsigned i) {
  char text[16];
  number(i, text);
  size_t length = strlen(text);
  await_status(pair->loop, received, length > BUFFER_BYTES ? PIER_EMSGSIZE : PIER_OK);
  assert_int_equal(received->got.bytes, length > BUFFER_BYTES ? BUFFER_BYTES : length);
  assert_memory_equal(bytes, text, received->got.bytes);
  datagrams__assert_from(received, &pair->addresses[1]);
}

static void receive_all(const datagrams *pair, bool vectored) {
  char *bytes = support__alloc(AT_ONCE * BUFFER_BYTES), text[16];
  pier_buffer *parts = support__alloc(AT_ONCE * 2 * sizeof *parts);
  support_outcome *received[AT_ONCE];
  for (unsigned i = 0; i < AT_ONCE; i++) {
    char *buffer = bytes + i * BUFFER_BYTES;
    parts[2 * i] = (pier_buffer){buffer, 3};
    parts[2 * i + 1] = (pier_buffer){buffer + 3, BUFFER_BYTES - 3};
    received[i] = vectored && i % 4 == 1 ? datagrams__receivev(pair->ends[0], &parts[2 * i], 2)
                                         : datagrams__receive(pair->ends[0], buffer, BUFFER_BYTES);
  }
  for (unsigned i = 0; i < AT_ONCE; i++) {
    number(i, text);
    send_now(pair, text);
  }
  for (unsigned i = 0; i < AT_ONCE; i++)
    check_number(pair, received[i], bytes + i * BUFFER_BYTES, i);
}

/* Long ones, empty ones and ordinary ones come to the receives in the order of their submits, with their senders. */
static void each_receive_gets_the_one_that_is_its_turn(void **state) {
  (void)state;
  for (int sort = 0; sort < DATAGRAMS_SORTS; sort++) {
    datagrams pair = datagrams__open((datagrams_sort)sort);
    for (int round = 0; round < 6; round++)
      receive_all(&pair, round % 2);
    datagrams__close(&pair);
  }
}

/* More receives than datagrams, and then the other way round: nothing is lost and nothing waits for what is there. */
static void fewer_and_more_than_there_are_receives(void **state) {
  (void)state;
  for (int sort = 0; sort < DATAGRAMS_SORTS; sort++) {
    datagrams pair = datagrams__open((datagrams_sort)sort);
    char *bytes = support__alloc(AT_ONCE * BUFFER_BYTES), text[16];
    support_outcome *received[AT_ONCE];
    for (unsigned step = 1; step <= 9; step += 2) {
      unsigned sent = 0, taken = 0;
      for (unsigned i = 0; i < AT_ONCE; i++)
        received[i] = NULL;
      while (taken < AT_ONCE) {
        for (unsigned i = taken; i < AT_ONCE && i < taken + 4; i++)
          if (!received[i])
            received[i] = datagrams__receive(pair.ends[0], bytes + i * BUFFER_BYTES, BUFFER_BYTES);
        for (unsigned i = 0; i < step && sent < AT_ONCE; i++) {
          number(sent++, text);
          send_now(&pair, text);
        }
        for (; taken < sent && received[taken]; taken++)
          check_number(&pair, received[taken], bytes + taken * BUFFER_BYTES, taken);
      }
    }
    datagrams__close(&pair);
  }
}

/* Of many that wait some are cancelled while datagrams come: each ends once, as cancelled or with the next datagram in line. */
static void cancelled_ones_are_passed_over(void **state) {
  (void)state;
  uint64_t seed = support__seed();
  for (int sort = 0; sort < DATAGRAMS_SORTS; sort++) {
    datagrams pair = datagrams__open((datagrams_sort)sort);
    for (int round = 0; round < 20; round++) {
      char *bytes = support__alloc(AT_ONCE * BUFFER_BYTES), text[16];
      support_outcome *received[AT_ONCE];
      pier_operation ids[AT_ONCE];
      for (unsigned i = 0; i < AT_ONCE; i++) {
        received[i] = support__outcome();
        ids[i] = pier_receive_from(pair.ends[0], bytes + i * BUFFER_BYTES, BUFFER_BYTES, PIER_NO_DEADLINE, support__take, received[i]);
        assert_true(ids[i] != 0);
      }
      for (unsigned i = 0; i < AT_ONCE; i++) {
        number(i, text);
        if (support__random_below(&seed, 2))
          pier_cancel(ids[support__random_below(&seed, AT_ONCE)]);
        send_now(&pair, text);
      }
      for (unsigned i = 0; i < AT_ONCE; i++)
        pier_cancel(ids[i]);
      unsigned next = 0;
      for (unsigned i = 0; i < AT_ONCE; i++) {
        support__await(pair.loop, received[i]);
        assert_int_equal(atomic_load(&received[i]->calls), 1);
        if (received[i]->got.status != PIER_ECANCELED)
          check_number(&pair, received[i], bytes + i * BUFFER_BYTES, next++);
      }
      /* What nobody was left for is still there. */
      for (; next < AT_ONCE; next++) {
        support_outcome *rest = datagrams__receive(pair.ends[0], bytes, BUFFER_BYTES);
        check_number(&pair, rest, bytes, next);
      }
    }
    datagrams__close(&pair);
  }
}

/* Where the system has a call for several, it is used: far fewer calls than datagrams. */
static void several_are_one_call(void **state) {
  (void)state;
  if (support__windows)
    support__skip("the kernel has all receives there, each of them a call");
  datagrams pair = datagrams__open(DATAGRAMS_OWN);
  receive_all(&pair, false);
  uint64_t before = support__metrics(pair.loop).system_calls;
  receive_all(&pair, false);
  uint64_t calls = support__metrics(pair.loop).system_calls - before;
  print_message("%u calls for %d datagrams\n", (unsigned)calls, AT_ONCE);
  assert_true(calls < AT_ONCE / 2);
  datagrams__close(&pair);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(each_receive_gets_the_one_that_is_its_turn),
      SUPPORT_TEST_POOL(each_receive_gets_the_one_that_is_its_turn),
      SUPPORT_TEST(fewer_and_more_than_there_are_receives),
      SUPPORT_TEST_POOL(fewer_and_more_than_there_are_receives),
      SUPPORT_TEST(cancelled_ones_are_passed_over),
      SUPPORT_TEST_POOL(cancelled_ones_are_passed_over),
      SUPPORT_TEST(several_are_one_call),
  };
  return support__main(argc, argv, "udp_many", tests, sizeof tests / sizeof tests[0]);
}
