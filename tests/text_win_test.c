/* Names: from UTF-8 to UTF-16, and into the forms that Windows wants of long paths and of pipes. */
#include "text.h"

#include "support.h"

#include <string.h>
#include <windows.h>

static void utf16_is(const char *utf8, const wchar_t *expected) {
  wchar_t buffer[64];
  size_t units = 999;

  assert_status(text__utf16(utf8, buffer, 64, &units), PIER_OK);
  assert_int_equal(units, wcslen(expected));
  assert_true(wcscmp(buffer, expected) == 0);
}

static void utf8_becomes_utf16(void **state) {
  (void)state;
  utf16_is("a", L"a");
  utf16_is("gr\xC3\xBC\xC3\x9F", L"gr\x00FC\x00DF");
  utf16_is("\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80", L"\x007F\x0080\x07FF\x0800");
  utf16_is("\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF", L"\xD7FF\xE000\xFFFF");
  utf16_is("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", L"\xD800\xDC00\xDBFF\xDFFF");
}

static void what_is_not_utf8_is_refused(void **state) {
  (void)state;
  const char *const wrong[] = {
      "\x80",                 /* a continuation alone */
      "a\xC3",                /* cut short by the end */
      "\xC3z",                /* and by another character */
      "\xE2\x82",             "\xF0\x9F\x98", "\xE2\x28\xA1",
      "\xC0\xAF",             /* overlong forms */
      "\xC1\xBF",             "\xE0\x80\xAF", "\xE0\x9F\xBF", "\xF0\x80\x80\xAF", "\xF0\x8F\xBF\xBF",
      "\xED\xA0\x80",         /* surrogates */
      "\xED\xBF\xBF",         "\xED\xA0\xBD\xED\xB8\x80",
      "\xF4\x90\x80\x80",     /* above U+10FFFF */
      "\xF5\x80\x80\x80",     "\xFE", "\xFF",
  };
  wchar_t buffer[64];

  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    if (text__utf16(wrong[i], buffer, 64, NULL) != PIER_EILSEQ) {
      fail_msg("number %u was taken", (unsigned)i);
    }
  }
}

static void null_and_empty_are_refused(void **state) {
  (void)state;
  wchar_t buffer[64];

  assert_status(text__utf16(NULL, buffer, 64, NULL), PIER_EINVAL);
  assert_status(text__utf16("", buffer, 64, NULL), PIER_EINVAL);
  assert_status(text__utf16("a", NULL, 64, NULL), PIER_EINVAL);
  assert_status(text__path("", buffer, 64), PIER_EINVAL);
  assert_status(text__pipe_name(NULL, buffer, 64), PIER_EINVAL);
}

static void what_does_not_fit_is_too_long(void **state) {
  (void)state;
  wchar_t buffer[8];

  buffer[3] = L'!';
  assert_status(text__utf16("ab", buffer, 3, NULL), PIER_OK);
  assert_status(text__utf16("abc", buffer, 3, NULL), PIER_ENAMETOOLONG);
  assert_status(text__utf16("a\xF0\x90\x80\x80", buffer, 3, NULL), PIER_ENAMETOOLONG);
  assert_status(text__utf16("a", buffer, 0, NULL), PIER_ENAMETOOLONG);
  /* A wrong text is wrong however long it is. */
  assert_status(text__utf16("abcdefgh\xFF", buffer, 3, NULL), PIER_EILSEQ);
  assert_true(buffer[3] == L'!');
}

/* `before`, then `parts` times "/0123456789", then `after`. */
static const char *long_path(const char *before, unsigned parts, const char *after) {
  char *path = support__alloc(strlen(before) + parts * 11 + strlen(after) + 1);

  strcpy(path, before);
  for (unsigned i = 0; i < parts; i++) {
    strcat(path, "/0123456789");
  }
  return strcat(path, after);
}

static void path_is(const char *path, const char *expected) {
  wchar_t *buffer = support__alloc(TEXT_PATH_UNITS_MAX * sizeof *buffer);
  wchar_t *wide = support__alloc(TEXT_PATH_UNITS_MAX * sizeof *wide);

  assert_status(text__path(path, buffer, TEXT_PATH_UNITS_MAX), PIER_OK);
  assert_status(text__utf16(expected, wide, TEXT_PATH_UNITS_MAX, NULL), PIER_OK);
  assert_int_equal(wcslen(buffer), wcslen(wide));
  assert_true(wcscmp(buffer, wide) == 0);
}

static const char *backslashed(const char *path) {
  char *copy = support__alloc(strlen(path) + 1);

  strcpy(copy, path);
  for (char *at = copy; *at != '\0'; at++) {
    *at = *at == '/' ? '\\' : *at;
  }
  return copy;
}

static void a_short_path_stays_as_it_is(void **state) {
  (void)state;
  path_is("C:/a/../b", "C:/a/../b");
  path_is("relative\\file", "relative\\file");
  path_is("\\\\.\\pipe\\name", "\\\\.\\pipe\\name");
  path_is("\\\\?\\C:\\a", "\\\\?\\C:\\a");
  path_is("CON", "CON");
}

static void a_long_absolute_path_gets_its_prefix(void **state) {
  (void)state;
  path_is(long_path("C:", 40, ""), backslashed(long_path("\\\\?\\C:", 40, "")));
  path_is(long_path("c:", 3000 - 30, ""), backslashed(long_path("\\\\?\\c:", 3000 - 30, "")));
  path_is(long_path("//server/share", 40, ""), backslashed(long_path("\\\\?\\UNC\\server\\share", 40, "")));
  path_is(long_path("\\\\server\\share", 40, "/"), backslashed(long_path("\\\\?\\UNC\\server\\share", 40, "")));
}

static void dots_and_doubled_slashes_go_from_a_long_path(void **state) {
  (void)state;
  const char *whole = backslashed(long_path("\\\\?\\C:", 40, "\\end"));

  path_is(long_path("C:/.", 40, "/./end"), whole);
  path_is(long_path("C:/..", 40, "//end"), whole);
  path_is(long_path("C:/x/..", 40, "/y/../z/./../end"), whole);
  path_is(long_path("C:/", 40, "/end/"), whole);
  path_is(long_path("C:", 40, "/..end"), backslashed(long_path("\\\\?\\C:", 40, "\\..end")));
  path_is(long_path("//server/share/../..", 40, "/end"), backslashed(long_path("\\\\?\\UNC\\server\\share", 40, "\\end")));
}

static void a_long_path_of_another_kind_stays_as_it_is(void **state) {
  (void)state;
  path_is(long_path("x", 40, ""), long_path("x", 40, ""));
  path_is(long_path("C:x", 40, ""), long_path("C:x", 40, ""));
  path_is(long_path("", 40, ""), long_path("", 40, ""));
  path_is(long_path("\\\\?\\C:", 40, "/.."), long_path("\\\\?\\C:", 40, "/.."));
  path_is(long_path("\\\\.\\C:", 40, ""), long_path("\\\\.\\C:", 40, ""));
}

static void a_path_whose_prefix_does_not_fit_is_too_long(void **state) {
  (void)state;
  const char *path = long_path("C:", 40, "");
  wchar_t buffer[512];

  assert_int_equal(strlen(path), 442);
  assert_status(text__path(path, buffer, 447), PIER_OK);
  assert_status(text__path(path, buffer, 446), PIER_ENAMETOOLONG);
  assert_status(text__path(path, buffer, 442), PIER_ENAMETOOLONG);
}

static void a_long_path_opens_a_file(void **state) {
  (void)state;
  wchar_t wide[2048];
  char path[1024];
  DWORD length = GetTempPathA(512, path);

  assert_true(length > 0 && length < 512);
  for (char *at = path; *at != '\0'; at++) {
    *at = *at == '\\' ? '/' : *at;
  }
  /* ".." over and over: as it stands it is far too long for CreateFileW, and what it names is there. */
  strcat(path, "no-such-folder");
  for (unsigned i = 0; i < 30; i++) {
    strcat(path, "/../no-such-folder");
  }
  strcat(path, "/../");
  strcat(path, support__pipe_name());
  assert_true(strlen(path) > MAX_PATH);
  assert_status(text__path(path, wide, 2048), PIER_OK);
  HANDLE file = CreateFileW(wide, GENERIC_WRITE, 0, NULL, CREATE_NEW, FILE_FLAG_DELETE_ON_CLOSE, NULL);
  assert_true(file != INVALID_HANDLE_VALUE);
  CloseHandle(file);
}

static void a_pipe_name_gets_its_prefix(void **state) {
  (void)state;
  wchar_t buffer[TEXT_PIPE_UNITS_MAX];
  char name[300];

  assert_status(text__pipe_name("name", buffer, TEXT_PIPE_UNITS_MAX), PIER_OK);
  assert_true(wcscmp(buffer, L"\\\\.\\pipe\\name") == 0);
  assert_status(text__pipe_name("\\\\.\\pipe\\name", buffer, TEXT_PIPE_UNITS_MAX), PIER_OK);
  assert_true(wcscmp(buffer, L"\\\\.\\pipe\\name") == 0);
  assert_status(text__pipe_name("\\\\host\\pipe\\name", buffer, TEXT_PIPE_UNITS_MAX), PIER_OK);
  assert_true(wcscmp(buffer, L"\\\\host\\pipe\\name") == 0);
  memset(name, 'n', sizeof name);
  name[256] = '\0';
  assert_status(text__pipe_name(name, buffer, TEXT_PIPE_UNITS_MAX), PIER_OK);
  assert_int_equal(wcslen(buffer), 265);
  assert_status(text__pipe_name(name, buffer, TEXT_PIPE_UNITS_MAX - 1), PIER_ENAMETOOLONG);
  name[256] = 'n';
  name[257] = '\0';
  assert_status(text__pipe_name(name, buffer, TEXT_PIPE_UNITS_MAX), PIER_ENAMETOOLONG);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(utf8_becomes_utf16),
      SUPPORT_TEST(what_is_not_utf8_is_refused),
      SUPPORT_TEST(null_and_empty_are_refused),
      SUPPORT_TEST(what_does_not_fit_is_too_long),
      SUPPORT_TEST(a_short_path_stays_as_it_is),
      SUPPORT_TEST(a_long_absolute_path_gets_its_prefix),
      SUPPORT_TEST(dots_and_doubled_slashes_go_from_a_long_path),
      SUPPORT_TEST(a_long_path_of_another_kind_stays_as_it_is),
      SUPPORT_TEST(a_path_whose_prefix_does_not_fit_is_too_long),
      SUPPORT_TEST(a_long_path_opens_a_file),
      SUPPORT_TEST(a_pipe_name_gets_its_prefix),
  };
  return support__main(argc, argv, "text_win", tests, sizeof tests / sizeof tests[0]);
}
