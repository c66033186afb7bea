/* Statuses: their names, sentences and numbers, and every code of the system that becomes one. */
#include "error.h"
#include "nt.h"
#include "support.h"

#include <string.h>

/* All of it is written down here once more, as plain numbers: a number that is changed by mistake breaks every program that has
 * stored one, and a mapping that is changed breaks those that tell one failure from another. */
static const struct {
  int status;
  const char *name;
  const char *sentence;
} statuses[] = {
    {0, "PIER_OK", "success"},
    {-1, "PIER_EINVAL", "an argument is not valid"},
    {-2, "PIER_EBADF", "no such handle, or a handle of the wrong kind"},
    {-3, "PIER_ECLOSED", "the handle is closed or closing"},
    {-4, "PIER_ENOENT", "nothing of that name or id exists"},
    {-5, "PIER_EEXIST", "something of that name exists already"},
    {-6, "PIER_EACCES", "access is denied"},
    {-7, "PIER_EBUSY", "it is in use"},
    {-8, "PIER_ENOMEM", "there is not enough memory, or no free slot"},
    {-9, "PIER_ENOSPC", "the disk is full"},
    {-10, "PIER_EMFILE", "too many handles are open"},
    {-11, "PIER_ECANCELED", "the operation was cancelled"},
    {-12, "PIER_ETIMEDOUT", "the time was up first"},
    {-13, "PIER_EMSGSIZE", "the message is larger than the buffer, or than allowed"},
    {-14, "PIER_ESPIPE", "the handle has no positions"},
    {-15, "PIER_ENOTSUP", "this system or this handle does not support it"},
    {-16, "PIER_EPIPE", "the reading end is closed"},
    {-17, "PIER_ECONNREFUSED", "nobody listens there"},
    {-18, "PIER_ECONNRESET", "the peer reset the connection"},
    {-19, "PIER_ECONNABORTED", "the connection was given up"},
    {-20, "PIER_EADDRINUSE", "the address is in use"},
    {-21, "PIER_EADDRNOTAVAIL", "the address is not one of this machine's"},
    {-22, "PIER_ENETUNREACH", "the network cannot be reached"},
    {-23, "PIER_EHOSTUNREACH", "the host cannot be reached"},
    {-24, "PIER_EISCONN", "it is connected already"},
    {-25, "PIER_ENOTCONN", "it is not connected"},
    {-26, "PIER_EAFNOSUPPORT", "the address family is not supported"},
    {-27, "PIER_EISDIR", "it is a directory"},
    {-28, "PIER_ENOTDIR", "it is not a directory"},
    {-29, "PIER_ENAMETOOLONG", "the name is too long"},
    {-30, "PIER_EILSEQ", "the name is not UTF-8"},
    {-31, "PIER_EFBIG", "the file or offset is too large"},
    {-32, "PIER_EROFS", "the medium cannot be written"},
    {-33, "PIER_EIO", "the device reports a failure"},
    {-34, "PIER_EAGAIN", "it would have to wait"},
    {-35, "PIER_EXDEV", "it is on another device"},
    {-36, "PIER_ENOTEMPTY", "the directory is not empty"},
    {-37, "PIER_EDEADLK", "the call would wait for itself"},
    {-38, "PIER_EFAULT", "a pointer is not valid"},
    {-39, "PIER_ELOCKED", "part of the file is locked"},
    {-40, "PIER_EPERM", "it is not allowed"},
    {-99, "PIER_EUNKNOWN", "the system reported a code that Pier has no name for"},
};

/* For each status the Win32 and Winsock codes that it stands for; 0 ends a list. */
static const struct {
  int status;
  uint32_t codes[40];
} mappings[] = {
    {PIER_EINVAL, {13, 24, 38, 87, 122, 131, 158, 193, 1004, 10022, 10039, 10041, 10093}},
    {PIER_EBADF, {6, 114, 130, 10009, 10038}},
    {PIER_ECLOSED, {735}},
    {PIER_ENOENT, {2, 3, 15, 18, 20, 53, 55, 67, 123, 126, 161, 203, 259, 1168, 1921, 4392, 11001, 11004}},
    {PIER_EEXIST, {80, 183}},
    {PIER_EACCES, {5, 12, 65, 740, 1920, 10013}},
    {PIER_EBUSY, {16, 32, 54, 170, 231, 303, 1224, 10036, 10037}},
    {PIER_ENOMEM, {8, 14, 298, 1450, 1451, 1452, 1453, 1454, 1455, 1784, 1816, 10055, 10059}},
    {PIER_ENOSPC, {39, 82, 112, 277, 1100, 1142, 1295}},
    {PIER_EMFILE, {4, 10024, 10067}},
    {PIER_ECANCELED, {995, 1223, 10004, 10103, 10111}},
    {PIER_ETIMEDOUT, {121, 258, 1460, 10060}},
    {PIER_EMSGSIZE, {234, 10040}},
    {PIER_ESPIPE, {132}},
    {PIER_ENOTSUP, {1, 22, 50, 120, 127, 10042, 10043, 10044, 10045, 10092}},
    {PIER_EPIPE, {109, 230, 232, 233, 1226, 10058, 10101}},
    {PIER_ECONNREFUSED, {1225, 1234, 10061}},
    {PIER_ECONNRESET, {64, 240, 10052, 10054}},
    {PIER_ECONNABORTED, {1235, 1236, 10053}},
    {PIER_EADDRINUSE, {1227, 10048}},
    {PIER_EADDRNOTAVAIL, {1228, 10049}},
    {PIER_ENETUNREACH, {1231, 10050, 10051, 10091}},
    {PIER_EHOSTUNREACH, {1232, 1233, 10064, 10065}},
    {PIER_EISCONN, {535, 1230, 10056}},
    {PIER_ENOTCONN, {536, 1229, 2250, 10057}},
    {PIER_EAFNOSUPPORT, {10046, 10047}},
    {PIER_EISDIR, {336}},
    {PIER_ENOTDIR, {267}},
    {PIER_ENAMETOOLONG, {111, 206, 208, 10063}},
    {PIER_EILSEQ, {1113}},
    {PIER_EFBIG, {223, 534, 665}},
    {PIER_EROFS, {19}},
    {PIER_EIO,
     {21, 23, 25, 27, 29, 30, 31, 58, 59, 110, 156, 205, 1005, 1006, 1101, 1102, 1103, 1104, 1106, 1111, 1117, 1129, 1165, 1166,
      1167, 1393}},
    {PIER_EAGAIN, {996, 997, 1237, 10035, 11002}},
    {PIER_EXDEV, {17}},
    {PIER_ENOTEMPTY, {145, 10066}},
    {PIER_EDEADLK, {1131}},
    {PIER_EFAULT, {487, 998, 10014}},
    {PIER_ELOCKED, {33, 167}},
    {PIER_EPERM, {288, 1314}},
};

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

static void every_status_has_its_number_name_and_sentence(void **state) {
  (void)state;
  const size_t count = sizeof statuses / sizeof statuses[0];
  size_t listed = 1;

  for (size_t i = 0; i < count; i++) {
    assert_string_equal(pier_error_name(statuses[i].status), statuses[i].name);
    assert_string_equal(pier_error_text(statuses[i].status), statuses[i].sentence);
  }
#define COUNT_ONE(name, number, sentence) listed++;
  PIER_ERRORS(COUNT_ONE)
#undef COUNT_ONE
  assert_int_equal(listed, count);
}

static void a_number_that_is_no_status_is_called_unknown(void **state) {
  (void)state;
  const int none[] = {1, -41, -98, -100, INT32_MIN, INT32_MAX};

  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
    assert_string_equal(pier_error_name(none[i]), "PIER_EUNKNOWN");
    assert_string_equal(pier_error_text(none[i]), pier_error_text(PIER_EUNKNOWN));
  }
}

static void every_code_of_the_system_has_its_status(void **state) {
  (void)state;
  size_t pinned = 0;
  size_t count;
  const struct error_mapping *table = error__mappings(&count);

  for (size_t i = 0; i < sizeof mappings / sizeof mappings[0]; i++) {
    for (size_t j = 0; mappings[i].codes[j] != 0; j++) {
      if (pier_error_from_system(mappings[i].codes[j]) != mappings[i].status) {
        fail_msg("code %u is %s, not %s", mappings[i].codes[j], pier_error_name(pier_error_from_system(mappings[i].codes[j])),
                 pier_error_name(mappings[i].status));
      }
      pinned++;
    }
  }
  assert_int_equal(pinned, count);
  for (size_t i = 1; i < count; i++) {
    assert_true(table[i - 1].system_code < table[i].system_code);
  }
}

static void a_code_in_no_table_is_unknown_and_0_is_success(void **state) {
  (void)state;
  const uint32_t none[] = {13 + 1000000, 34, 10000, 20000, UINT32_MAX};

  assert_status(pier_error_from_system(0), PIER_OK);
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
    assert_status(pier_error_from_system(none[i]), PIER_EUNKNOWN);
  }
}

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
      SUPPORT_TEST(every_status_has_its_number_name_and_sentence),
      SUPPORT_TEST(a_number_that_is_no_status_is_called_unknown),
      SUPPORT_TEST(every_code_of_the_system_has_its_status),
      SUPPORT_TEST(a_code_in_no_table_is_unknown_and_0_is_success),
      SUPPORT_TEST(every_ntstatus_has_its_code_and_status),
      SUPPORT_TEST(b24_which_codes_are_the_end_for_a_read),
      SUPPORT_TEST(the_nt_table_can_be_stood_in_for),
      SUPPORT_TEST(what_the_system_lacks_says_so),
      SUPPORT_TEST(the_mode_of_a_handle_tells_overlapped_from_blocking),
  };
  return support__main(argc, argv, "error", tests, sizeof tests / sizeof tests[0]);
}
