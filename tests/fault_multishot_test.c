/* An operation that keeps reading, when there is no memory, and when the system fails under it. */
#include "chunks.h"
#include "fault.h"

enum { BIG = 60000, PLACES = 64 };

/* Where the system wants a buffer beforehand it cannot begin without one; elsewhere a stream that waits has none. */
static void no_memory_for_its_buffer(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    chunks *reader = chunks__new(0);
    if (!chunks__fit((streams_sort)sort))
      continue;
    streams__pair(loop, (streams_sort)sort, ends);
    streams__exchange(loop, ends[1], ends[0], 10, 0); /* whatever is made once has been made */
    fault__clear();
    fault__fail(FAULT_MEMORY, 0, 1, 0);
    pier_operation operation = chunks__read(reader, ends[0], PIER_NO_DEADLINE);
    if (support__windows) {
      await_last(loop, reader, PIER_ENOMEM);
      assert_int_equal(fault__struck(), 1);
      fault__clear();
      reader = chunks__new(0);
      operation = chunks__read(reader, ends[0], PIER_NO_DEADLINE);
    }
    if (!support__windows && streams__has_end((streams_sort)sort)) /* datagrams are received several at a time, if there is memory for that */
      assert_int_equal(fault__made(FAULT_MEMORY), 0);
    fault__clear();
    chunks__write(loop, ends[1], 100, 0);
    chunks__await_bytes(loop, reader, 100);
    assert_status(pier_cancel(operation), PIER_OK);
    await_last(loop, reader, PIER_ECANCELED);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* The buffer that a thread of the loop has for what comes is a help and no condition: without it a datagram is whole all the same. */
static void without_a_buffer_of_its_thread_a_datagram_is_whole(void **state) {
  (void)state;
  unsigned opened = 0;
  for (unsigned place = 0; place < PLACES; place++) {
    const pier_loop_options options = {.threads = support__threads()};
    pier_loop *loop = NULL;
    fault__clear();
    fault__fail(FAULT_MAP, place, 1, 0);
    int status = pier_loop_open(&options, &loop);
    bool struck = fault__struck();
    fault__clear();
    if (status != PIER_OK)
      continue;
    pier_handle ends[2];
    chunks *reader = chunks__new(0);
    streams__pair(loop, STREAMS_UDP, ends);
    pier_operation operation = chunks__read(reader, ends[0], PIER_NO_DEADLINE);
    chunks__write(loop, ends[1], BIG, 0);
    chunks__await_bytes(loop, reader, BIG);
    assert_int_equal(atomic_load(&reader->calls), 1);
    assert_status(pier_cancel(operation), PIER_OK);
    await_last(loop, reader, PIER_ECANCELED);
    streams__close_pair(loop, ends);
    assert_status(pier_loop_close(loop), PIER_OK);
    opened += struck;
    if (!struck)
      break;
  }
  assert_true(opened > 0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      FAULT_TEST(no_memory_for_its_buffer),
      FAULT_TEST_POOL(no_memory_for_its_buffer),
      FAULT_TEST(without_a_buffer_of_its_thread_a_datagram_is_whole),
  };
  return support__main(argc, argv, "fault_multishot", tests, sizeof tests / sizeof tests[0]);
}
