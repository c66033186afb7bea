/* Statuses: their names, sentences and numbers, and every code of the system that becomes one. */
#include "error.h"
#include "error_codes.h"
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

  for (const struct error_codes *row = error_codes; row->status != PIER_OK; row++) {
    for (const uint32_t *code = row->codes; *code != 0; code++) {
      if (pier_error_from_system(*code) != row->status) {
        fail_msg("code %u is %s, not %s", *code, pier_error_name(pier_error_from_system(*code)), pier_error_name(row->status));
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
  const uint32_t none[] = {13 + 1000000, 10000, 20000, UINT32_MAX};

  assert_status(pier_error_from_system(0), PIER_OK);
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
    assert_status(pier_error_from_system(none[i]), PIER_EUNKNOWN);
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(every_status_has_its_number_name_and_sentence),
      SUPPORT_TEST(a_number_that_is_no_status_is_called_unknown),
      SUPPORT_TEST(every_code_of_the_system_has_its_status),
      SUPPORT_TEST(a_code_in_no_table_is_unknown_and_0_is_success),
  };
  return support__main(argc, argv, "error", tests, sizeof tests / sizeof tests[0]);
}
