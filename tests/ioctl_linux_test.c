/* Control codes on Linux: ioctl(), by a worker, with one argument for both ways. */
#include "streams.h"

#include <errno.h>
#include <sys/ioctl.h>

static support_outcome *start(pier_handle handle, unsigned long code, const void *input, size_t input_bytes, void *output, size_t output_bytes,
                              uint64_t deadline_ns, pier_operation *id) {
  support_outcome *done = support__outcome();
  *id = pier_ioctl(handle, (uint32_t)code, input, input_bytes, output, output_bytes, deadline_ns, support__take, done);
  assert_true(*id != 0);
  return done;
}

/* How many bytes wait is told, on every sort and wherever the handle is; and a read that waits meanwhile is not disturbed. */
static void b14_the_waiting_bytes_are_told(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    pier_operation id;
    int *waiting = support__alloc(sizeof *waiting);
    char *buffer = support__alloc(16);
    support_outcome *written = support__outcome(), *read = support__outcome();
    streams__pair(loop, (streams_sort)sort, ends);
    for (int i = 0; i < 3; i++) {
      await_status(loop, start(ends[0], FIONREAD, NULL, 0, waiting, sizeof *waiting, PIER_NO_DEADLINE, &id), PIER_OK);
      assert_int_equal(*waiting, 0);
    }
    assert_true(pier_write(ends[1], "inside", 6, PIER_NO_DEADLINE, support__take, written) != 0);
    await_status(loop, written, PIER_OK);
    for (int i = 0; i < 3; i++) {
      await_status(loop, start(ends[0], FIONREAD, NULL, 0, waiting, sizeof *waiting, PIER_NO_DEADLINE, &id), PIER_OK);
      assert_int_equal(*waiting, 6);
    }
    assert_true(pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, 6);
    read = support__outcome();
    assert_true(pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, start(ends[0], FIONREAD, NULL, 0, waiting, sizeof *waiting, PIER_NO_DEADLINE, &id), PIER_OK);
    assert_false(support__called(read));
    support__close_handle(loop, ends[0]);
    assert_status(read->got.status, PIER_ECLOSED);
    await_status(loop, start(ends[0], FIONREAD, NULL, 0, waiting, sizeof *waiting, PIER_NO_DEADLINE, &id), PIER_ECLOSED);
    support__close_handle(loop, ends[1]);
  }
  support__close(loop);
}

/* Input is taken: a descriptor is made non-blocking and its calls still wait. What nobody knows is refused with the system's word. */
static void b14_input_is_taken_and_the_unknown_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_TCP, STREAMS_KEPT_TCP};
  for (int s = 0; s < 3; s++) {
    pier_handle ends[2];
    pier_operation id;
    int *on = support__alloc(sizeof *on);
    *on = 1;
    streams__pair(loop, sorts[s], ends);
    await_status(loop, start(ends[0], FIONBIO, on, sizeof *on, NULL, 0, PIER_NO_DEADLINE, &id), PIER_OK);
    support_outcome *unknown = start(ends[0], 0x12345678u, NULL, 0, on, sizeof *on, PIER_NO_DEADLINE, &id);
    support__await(loop, unknown);
    assert_true(unknown->got.status < 0);
    assert_true(unknown->got.system_code == ENOTTY || unknown->got.system_code == EOPNOTSUPP || unknown->got.system_code == EINVAL);
    await_status(loop, start(ends[0], FIONREAD, NULL, 4, on, sizeof *on, PIER_NO_DEADLINE, &id), PIER_EINVAL);
    streams__exchange(loop, ends[0], ends[1], 100, 1);
    streams__exchange(loop, ends[1], ends[0], 100, 2);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* Those that wait for a worker can be cancelled and have deadlines; each is called back once, whoever was quicker. */
static void b14_they_end_once_when_they_are_asked_to(void **state) {
  (void)state;
  enum { CODES = 40 };
  const pier_loop_options options = {.threads = support__threads(), .workers_max = 1};
  pier_loop *loop = support__open_with(&options);
  pier_handle ends[2];
  pier_operation ids[CODES];
  support_outcome *done[CODES];
  int *waiting = support__alloc(CODES * sizeof *waiting);
  unsigned served = 0;
  streams__pair(loop, STREAMS_TCP, ends);
  for (int i = 0; i < CODES; i++)
    done[i] = start(ends[0], FIONREAD, NULL, 0, &waiting[i], sizeof *waiting, i % 3 ? PIER_NO_DEADLINE : pier_now_ns(), &ids[i]);
  for (int i = 1; i < CODES; i += 3) {
    int status = pier_cancel(ids[i]);
    assert_true(status == PIER_OK || status == PIER_ENOENT || status == PIER_EBUSY);
  }
  for (int i = 0; i < CODES; i++) {
    support__await(loop, done[i]);
    int status = done[i]->got.status;
    assert_true(status == PIER_OK || (i % 3 == 0 && status == PIER_ETIMEDOUT) || (i % 3 == 1 && status == PIER_ECANCELED));
    served += status == PIER_OK;
    assert_int_equal(atomic_load(&done[i]->calls), 1);
  }
  print_message("%u of %u were served\n", served, CODES);
  assert_true(served >= CODES / 3);
  streams__close_pair(loop, ends);
  support__close(loop);
}

#define BOTH(function) SUPPORT_TEST(function), SUPPORT_TEST_POOL(function)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      BOTH(b14_the_waiting_bytes_are_told),
      BOTH(b14_input_is_taken_and_the_unknown_refused),
      BOTH(b14_they_end_once_when_they_are_asked_to),
  };
  return support__main(argc, argv, "ioctl_linux", tests, sizeof tests / sizeof tests[0]);
}
