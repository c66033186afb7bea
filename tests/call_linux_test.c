/* The calls that are made most are no places where a thread may be ended: it would take Pier's locks along. */
#include "streams.h"

#include <pthread.h>

typedef struct condemned {
  pier_handle end;
  int status;
  size_t written;
  bool survived;
} condemned;

/* Its end is asked for already, and comes with the first call that allows for it. */
static void *write_before_the_end(void *context) {
  condemned *self = context;
  pthread_cancel(pthread_self());
  self->status = pier_try_write(self->end, "pier", 4, &self->written);
  self->survived = true;
  pthread_testcancel();
  return NULL;
}

/* Pier's own locks are free afterwards: the next one writes. */
static void a_thread_is_not_ended_while_it_writes(void **state) {
  static const streams_sort sorts[] = {STREAMS_TCP, STREAMS_PIPE};
  (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  support__skip("with sanitizers these are the C library's calls");
#endif
  for (int i = 0; i < 2; i++) {
    pier_loop *loop = support__open();
    pier_handle ends[2];
    size_t written = 0;
    pthread_t thread;
    void *left = NULL;
    streams__pair(loop, sorts[i], ends);
    condemned self = {.end = ends[1], .status = PIER_EIO};
    assert_int_equal(pthread_create(&thread, NULL, write_before_the_end, &self), 0);
    assert_int_equal(pthread_join(thread, &left), 0);
    assert_ptr_equal(left, PTHREAD_CANCELED);
    assert_true(self.survived);
    assert_status(self.status, PIER_OK);
    assert_int_equal(self.written, 4);
    assert_status(pier_try_write(ends[1], "pier", 4, &written), PIER_OK);
    streams__close_pair(loop, ends);
    support__close(loop);
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(a_thread_is_not_ended_while_it_writes),
      SUPPORT_TEST_POOL(a_thread_is_not_ended_while_it_writes),
  };
  return support__main(argc, argv, "call_linux", tests, sizeof tests / sizeof tests[0]);
}
