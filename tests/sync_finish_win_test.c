/* The end of a tagged call of the sync path: what is waited for, and what is believed. */
#include "sync.h"

#include "sync_native.h"

/* Wine's CancelIoEx returns after the operation has ended, so a wait that is missing behind it does not show there. These play the kernel. */
typedef struct slow_kernel {
  struct sync_call call;
  OVERLAPPED overlapped;
  unsigned false_signals; /* late signals of an operation before */
  unsigned work_ms;
  uint32_t ntstatus;
  atomic_uint done;
} slow_kernel;

static void end_slowly(void *context) {
  slow_kernel *self = context;

  for (unsigned i = 0; i < self->false_signals; i++) {
    SetEvent(self->call.event);
    sync_native__sleep_ms(5);
  }
  sync_native__sleep_ms(self->work_ms);
  atomic_store(&self->done, 1);
  self->overlapped.InternalHigh = 3;
  /* Only 32 bits are the status: Wine leaves garbage above them. */
  *(volatile ULONG_PTR *)&self->overlapped.Internal = (ULONG_PTR)0x1234567800000000u | self->ntstatus;
  SetEvent(self->call.event);
}

static struct sync_outcome finish_with(slow_kernel *kernel, uint64_t timeout_ns) {
  pier_native ends[2];

  support__native_pipe_pair(false, true, true, ends);
  assert_status(sync__begin(ends[0], timeout_ns, &kernel->call), PIER_OK);
  sync__prepare(&kernel->call, &kernel->overlapped, 0);
  ResetEvent(kernel->call.event);
  support_thread *thread = support__thread_start(end_slowly, kernel);
  struct sync_outcome outcome = sync__finish(&kernel->call, &kernel->overlapped, ERROR_IO_PENDING);
  bool done = atomic_load(&kernel->done) == 1;
  support__thread_join(thread);
  support__native_close_pipe(ends[0]);
  support__native_close_pipe(ends[1]);
  assert_true(done);
  return outcome;
}

static void b21_after_the_cancel_the_end_is_waited_for(void **state) {
  (void)state;
  slow_kernel *kernel = support__alloc(sizeof *kernel);

  *kernel = (slow_kernel){.work_ms = 100, .ntstatus = 0xC0000120};
  struct sync_outcome outcome = finish_with(kernel, 5 * PIER_MILLISECOND);
  assert_status(outcome.status, PIER_ETIMEDOUT);
  assert_int_equal(outcome.system_code, ERROR_OPERATION_ABORTED);
}

static void b21_data_that_wins_against_the_cancel_is_reported(void **state) {
  (void)state;
  slow_kernel *kernel = support__alloc(sizeof *kernel);

  *kernel = (slow_kernel){.work_ms = 50, .ntstatus = 0};
  struct sync_outcome outcome = finish_with(kernel, 5 * PIER_MILLISECOND);
  assert_status(outcome.status, PIER_OK);
  assert_int_equal(outcome.bytes, 3);
}

static void a_cancel_by_somebody_else_is_not_a_timeout(void **state) {
  (void)state;
  slow_kernel *kernel = support__alloc(sizeof *kernel);

  *kernel = (slow_kernel){.work_ms = 20, .ntstatus = 0xC0000120};
  assert_status(finish_with(kernel, PIER_NO_TIMEOUT).status, PIER_ECANCELED);
}

static void a_late_signal_of_the_call_before_ends_no_wait(void **state) {
  (void)state;
  slow_kernel *kernel = support__alloc(sizeof *kernel);

  *kernel = (slow_kernel){.false_signals = 3, .work_ms = 20, .ntstatus = 0};
  struct sync_outcome outcome = finish_with(kernel, PIER_NO_TIMEOUT);
  assert_status(outcome.status, PIER_OK);
  assert_int_equal(outcome.bytes, 3);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b21_after_the_cancel_the_end_is_waited_for),
      SUPPORT_TEST(b21_data_that_wins_against_the_cancel_is_reported),
      SUPPORT_TEST(a_cancel_by_somebody_else_is_not_a_timeout),
      SUPPORT_TEST(a_late_signal_of_the_call_before_ends_no_wait),
  };
  return support__main(argc, argv, "sync_finish_win", tests, sizeof tests / sizeof tests[0]);
}
