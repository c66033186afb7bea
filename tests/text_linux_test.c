/* Names as Linux takes them: bytes that are checked and left as they are. */
#include "text.h"

#include "support.h"

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

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(a_name_fits_with_its_final_zero),
      SUPPORT_TEST(a_wrong_name_is_wrong_however_long_it_is),
      SUPPORT_TEST(the_borders_of_utf8_are_taken),
  };
  return support__main(argc, argv, "text_linux", tests, sizeof tests / sizeof tests[0]);
}
