/* Names as Linux takes them: bytes that are checked and left as they are. */
#include "text.h"

#include "support.h"

#include <string.h>

static void a_name_fits_with_its_final_zero(void **state) {
  (void)state;
  assert_status(text__check("ab", 3), PIER_OK);
  assert_status(text__check("abc", 3), PIER_ENAMETOOLONG);
  assert_status(text__check("\xF0\x90\x80\x80", 5), PIER_OK);
  assert_status(text__check("\xF0\x90\x80\x80", 4), PIER_ENAMETOOLONG);
  assert_status(text__check("a", 0), PIER_ENAMETOOLONG);
}

static void a_wrong_name_is_wrong_however_long_it_is(void **state) {
  (void)state;
  assert_status(text__check("abcdefgh\xFF", 3), PIER_EILSEQ);
  assert_status(text__check(NULL, 3), PIER_EINVAL);
  assert_status(text__check("", 3), PIER_EINVAL);
}

/* The first and the last character of each length, and of the gap that surrogates leave. */
static void the_borders_of_utf8_are_taken(void **state) {
  (void)state;
  assert_status(text__check("\x01\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", 64), PIER_OK);
}

/* Plain letters are looked at several at a time: what is none is found at every place all the same. */
static void what_is_no_plain_letter_is_found_wherever_it_is(void **state) {
  (void)state;
  enum { LONGEST = 40 };
  for (size_t length = 2; length <= LONGEST; length++)
    for (size_t at = 0; at + 2 <= length; at++) {
      char *name = support__alloc(length + 1);
      memset(name, 'a', length);
      memcpy(name + at, "\xC3\xBC", 2);
      assert_status(text__check(name, length + 1), PIER_OK);
      assert_status(text__check(name, length), PIER_ENAMETOOLONG);
      name[at + 1] = 'a';
      assert_status(text__check(name, length + 1), PIER_EILSEQ);
      name[at] = 'a';
      name[length - 1] = '\xC3'; /* the final zero is no half of a letter */
      assert_status(text__check(name, length + 1), PIER_EILSEQ);
    }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(a_name_fits_with_its_final_zero),
      SUPPORT_TEST(a_wrong_name_is_wrong_however_long_it_is),
      SUPPORT_TEST(the_borders_of_utf8_are_taken),
      SUPPORT_TEST(what_is_no_plain_letter_is_found_wherever_it_is),
  };
  return support__main(argc, argv, "text_linux", tests, sizeof tests / sizeof tests[0]);
}
