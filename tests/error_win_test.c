/* The NT statuses behind the codes, and the NT table that they come through. */
#include "error.h"
#include "nt.h"
#include "support.h"

/* NTSTATUS, the code kept beside it, the status. The lower ones are what RtlNtStatusToDosError makes of them. */
static const struct {
  uint32_t ntstatus;
  uint32_t system_code;
  int status;
} nt_mappings[] = {
    {0x00000000, 0, PIER_OK},
    {0x00000102, 0, PIER_OK}, /* STATUS_TIMEOUT, of the severity that is success */
    {0x00000103, 997, PIER_EAGAIN},
    {0x40000000, 0, PIER_OK},
    {0x80000005, 234, PIER_EMSGSIZE},
    {0x8000000A, 995, PIER_ECANCELED},
    {0xC0000002, 120, PIER_ENOTSUP},
    {0xC0000011, 38, PIER_EINVAL},
    {0xC0000120, 995, PIER_ECANCELED},
    {0xC000013B, 10053, PIER_ECONNABORTED},
    {0xC000013C, 10054, PIER_ECONNRESET},
    {0xC0000140, 10057, PIER_ENOTCONN},
    {0xC000014B, 109, PIER_EPIPE},
    {0xC0000184, 22, PIER_ENOTSUP},
    {0xC000020A, 10048, PIER_EADDRINUSE},
    {0xC000020B, 10049, PIER_EADDRNOTAVAIL},
    {0xC000020C, 10054, PIER_ECONNRESET},
    {0xC000020D, 10054, PIER_ECONNRESET},
    {0xC0000236, 10061, PIER_ECONNREFUSED},
    {0xC0000237, 10101, PIER_EPIPE},
    {0xC000023A, 10057, PIER_ENOTCONN},
    {0xC000023C, 10051, PIER_ENETUNREACH},
    {0xC000023D, 10065, PIER_EHOSTUNREACH},
    {0xC0000241, 10053, PIER_ECONNABORTED},
    {0xC0000003, 87, PIER_EINVAL},     /* STATUS_INVALID_INFO_CLASS */
    {0xC0000005, 998, PIER_EFAULT},    /* STATUS_ACCESS_VIOLATION */
    {0xC0000008, 6, PIER_EBADF},       /* STATUS_INVALID_HANDLE */
    {0xC000000D, 87, PIER_EINVAL},     /* STATUS_INVALID_PARAMETER */
    {0xC0000017, 8, PIER_ENOMEM},      /* STATUS_NO_MEMORY */
    {0xC0000022, 5, PIER_EACCES},      /* STATUS_ACCESS_DENIED */
    {0xC0000043, 32, PIER_EBUSY},      /* STATUS_SHARING_VIOLATION */
    {0xC0000054, 33, PIER_ELOCKED},    /* STATUS_FILE_LOCK_CONFLICT */
    {0xC000007F, 112, PIER_ENOSPC},    /* STATUS_DISK_FULL */
    {0xC00000B0, 233, PIER_EPIPE},     /* STATUS_PIPE_DISCONNECTED */
    {0xC00000B1, 232, PIER_EPIPE},     /* STATUS_PIPE_CLOSING */
    {0xC00000B5, 121, PIER_ETIMEDOUT}, /* STATUS_IO_TIMEOUT */
    {0xC00000BB, 50, PIER_ENOTSUP},    /* STATUS_NOT_SUPPORTED */
    {0xC0000225, 1168, PIER_ENOENT},   /* STATUS_NOT_FOUND */
};

static void every_ntstatus_has_its_code_and_status(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof nt_mappings / sizeof nt_mappings[0]; i++) {
    uint32_t code = 99999;
    int status = error__from_ntstatus(nt_mappings[i].ntstatus, &code);
    if (status != nt_mappings[i].status || code != nt_mappings[i].system_code) {
      fail_msg("%08x is %u and %s", nt_mappings[i].ntstatus, code, pier_error_name(status));
    }
    assert_status(error__from_ntstatus(nt_mappings[i].ntstatus, NULL), nt_mappings[i].status);
  }
}

static void b24_which_codes_are_the_end_for_a_read(void **state) {
  (void)state;
  const uint32_t ends[] = {38, 109, 233, 1226, 10101};
  const uint32_t others[] = {0, 6, 64, 87, 232, 234, 995, 10054};

  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    assert_true(error__is_end(ends[i]));
  }
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    assert_false(error__is_end(others[i]));
  }
}

static ULONG NTAPI every_status_is_access_denied(NTSTATUS status) {
  (void)status;
  return 5;
}

static void the_nt_table_can_be_stood_in_for(void **state) {
  (void)state;
  struct nt_table stand_in = *nt__system();

  stand_in.rtl_nt_status_to_dos_error = every_status_is_access_denied;
  nt__replace(&stand_in);
  int status = error__from_ntstatus(0xC0000008, NULL);
  int own = error__from_ntstatus(0xC0000120, NULL);
  nt__replace(NULL);
  assert_status(status, PIER_EACCES);
  assert_status(own, PIER_ECANCELED);
  assert_status(error__from_ntstatus(0xC0000008, NULL), PIER_EBADF);
}

static void what_the_system_lacks_says_so(void **state) {
  (void)state;
  HANDLE packet = NULL;

  NTSTATUS status = nt()->create_wait_completion_packet(&packet, GENERIC_ALL, NULL);
  if (status == NT_STATUS_SUCCESS) {
    CloseHandle(packet);
    support__skip("a system that lacks NtCreateWaitCompletionPacket: this one has it");
  }
  assert_int_equal((uint32_t)status, (uint32_t)NT_STATUS_NOT_IMPLEMENTED);
  assert_null(packet);
  assert_int_equal((uint32_t)nt()->cancel_wait_completion_packet(NULL, TRUE), (uint32_t)NT_STATUS_NOT_IMPLEMENTED);
}

static void the_mode_of_a_handle_tells_overlapped_from_blocking(void **state) {
  (void)state;
  pier_native ends[2];
  uint32_t mode = 0;

  support__native_pipe_pair(false, true, false, ends);
  assert_status(nt__file_mode((HANDLE)ends[0], &mode), PIER_OK);
  assert_int_equal(mode & 0x30, 0);
  assert_status(nt__file_mode((HANDLE)ends[1], &mode), PIER_OK);
  assert_int_not_equal(mode & 0x30, 0);
  support__native_close_pipe(ends[0]);
  support__native_close_pipe(ends[1]);
  assert_status(nt__file_mode((HANDLE)(uintptr_t)0x7770, &mode), PIER_EBADF);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(every_ntstatus_has_its_code_and_status),
      SUPPORT_TEST(b24_which_codes_are_the_end_for_a_read),
      SUPPORT_TEST(the_nt_table_can_be_stood_in_for),
      SUPPORT_TEST(what_the_system_lacks_says_so),
      SUPPORT_TEST(the_mode_of_a_handle_tells_overlapped_from_blocking),
  };
  return support__main(argc, argv, "error_win", tests, sizeof tests / sizeof tests[0]);
}
