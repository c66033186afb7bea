/* The io_uring backend's own: who drives the ring, and what its queues hold. */
#include "streams.h"

typedef struct driver {
  pier_loop *loop;
  pier_handle handle;
  support_outcome *read;
  char *byte;
} driver;

/* One turn, so that the kernel has the read; then the thread ends, and with it what it has in the kernel. */
static void submit_and_end(void *context) {
  driver *self = context;
  if (!pier_read(self->handle, self->byte, 1, PIER_NO_DEADLINE, support__take, self->read))
    return;
  for (int i = 0; i < 3; i++)
    pier_loop_run(self->loop, PIER_RUN_NOWAIT, 0);
}

/* B36: an operation outlives the thread that drove the loop when it was submitted. */
static void b36_the_driver_ends_and_its_operations_go_on(void **state) {
  (void)state;
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_loop *loop = support__open();
    pier_handle ends[2];
    streams__pair(loop, (streams_sort)sort, ends);
    driver *self = support__alloc(sizeof *self);
    *self = (driver){.loop = loop, .handle = ends[0], .read = support__outcome(), .byte = support__alloc(1)};
    support__thread_join(support__thread_start(submit_and_end, self));
    for (int i = 0; i < 3; i++)
      pier_loop_run(loop, PIER_RUN_NOWAIT, 0);
    assert_false(support__called(self->read));
    assert_true(pier_write(ends[1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    await_status(loop, self->read, PIER_OK);
    assert_int_equal(*self->byte, 'x');
    streams__close_pair(loop, ends);
    support__close(loop);
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b36_the_driver_ends_and_its_operations_go_on),
  };
  return support__main(argc, argv, "uring_linux", tests, sizeof tests / sizeof tests[0]);
}
