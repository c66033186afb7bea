/* Names: UTF-8 in every call that takes one. */
#include "support.h"

#include <string.h>

static const char *const wrong[] = {
    "\x80",                /* a continuation alone */
    "a\xC3",               /* cut short by the end */
    "\xC3z",               /* and by another character */
    "\xE2\x82",
    "\xF0\x9F\x98",
    "\xE2\x28\xA1",
    "\xC0\xAF",            /* overlong forms */
    "\xC1\xBF",
    "\xE0\x80\xAF",
    "\xE0\x9F\xBF",
    "\xF0\x80\x80\xAF",
    "\xF0\x8F\xBF\xBF",
    "\xED\xA0\x80",        /* surrogates */
    "\xED\xBF\xBF",
    "\xED\xA0\xBD\xED\xB8\x80",
    "\xF4\x90\x80\x80",    /* above U+10FFFF */
    "\xF5\x80\x80\x80",
    "\xFE",
    "\xFF",
    "abcdefgh\xFF",
};

static const char *const right[] = {
    "a", "gr\xC3\xBC\xC3\x9F", "\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80", "\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBD", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBD",
};

/* What opening a file that is not there says of its name: at once, and as an operation. */
static void file_is(pier_loop *loop, const char *path, int expected) {
  support_outcome *opened = support__outcome();
  pier_handle handle;

  assert_status(pier_file_open_sync(loop, path, PIER_OPEN_READ, &handle), expected);
  assert_true(pier_file_open(loop, path, PIER_OPEN_READ, PIER_NO_DEADLINE, support__take, opened) != 0);
  await_status(loop, opened, expected);
}

static void pipe_is(pier_loop *loop, const char *name, int expected) {
  support_outcome *connected = support__outcome();

  assert_true(pier_pipe_connect(loop, name, NULL, PIER_NO_DEADLINE, support__take, connected) != 0);
  await_status(loop, connected, expected);
}

static void what_is_not_utf8_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle handle;

  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    file_is(loop, wrong[i], PIER_EILSEQ);
    pipe_is(loop, wrong[i], PIER_EILSEQ);
    assert_status(pier_pipe_listen(loop, wrong[i], NULL, &handle), PIER_EILSEQ);
  }
  support__close(loop);
}

static void what_is_utf8_is_looked_for(void **state) {
  (void)state;
  char path[512];
  pier_loop *loop = support__open();

  for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
    strcpy(path, support__temp_path());
    strcat(path, right[i]);
    file_is(loop, path, PIER_ENOENT);
    pipe_is(loop, strcat(strcpy(path, support__pipe_name()), right[i]), PIER_ENOENT);
  }
  support__close(loop);
}

static void null_and_empty_are_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle handle;

  file_is(loop, NULL, PIER_EINVAL);
  file_is(loop, "", PIER_EINVAL);
  pipe_is(loop, NULL, PIER_EINVAL);
  pipe_is(loop, "", PIER_EINVAL);
  assert_status(pier_pipe_listen(loop, "", NULL, &handle), PIER_EINVAL);
  support__close(loop);
}

static void a_name_can_be_too_long(void **state) {
  (void)state;
  const size_t length = 40000;
  char *name = support__alloc(length + 1);
  pier_loop *loop = support__open();
  pier_handle handle;

  memset(name, 'n', length);
  file_is(loop, name, PIER_ENAMETOOLONG);
  pipe_is(loop, name, PIER_ENAMETOOLONG);
  assert_status(pier_pipe_listen(loop, name, NULL, &handle), PIER_ENAMETOOLONG);
  /* A wrong text is wrong however long it is. */
  name[length - 1] = '\xFF';
  file_is(loop, name, PIER_EILSEQ);
  pipe_is(loop, name, PIER_EILSEQ);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(what_is_not_utf8_is_refused),
      SUPPORT_TEST(what_is_utf8_is_looked_for),
      SUPPORT_TEST(null_and_empty_are_refused),
      SUPPORT_TEST(a_name_can_be_too_long),
  };
  return support__main(argc, argv, "text", tests, sizeof tests / sizeof tests[0]);
}
