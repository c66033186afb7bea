/* A ring that has no table of files, or takes no file into it. */
#include "fault.h"
#include "readers.h"

#include "uring.h"

#include <errno.h>

enum { MANY = 4 * FILES_PATIENCE };

static void without_a_table_files_are_read_by_their_descriptors(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  if (pier_loop_backend(loop)[0] != 'u') {
    support__close(loop);
    support__skip("there is no ring");
  }
  support__close(loop);
  fault__fail(FAULT_WATCH, 0, 1, EMFILE);
  loop = support__open();
  fault__clear();
  reader *file = readers__open(loop);
  assert_false(readers__can_have_place(file));
  readers__read(file, MANY);
  assert_false(readers__has_place(file));
  readers__close(file);
  support__close(loop);
}

/* What was refused once is tried again, but not with each read. */
static void a_file_that_is_refused_a_place_is_tried_later(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  reader *file = readers__open(loop);
  if (!readers__can_have_place(file)) {
    readers__close(file);
    support__close(loop);
    support__skip("there is no table");
  }
  fault__clear(); /* the table was one such call */
  fault__fail(FAULT_WATCH, 0, 1, ENOMEM);
  readers__read(file, FILES_PATIENCE + READERS_DEPTH);
  assert_int_equal(fault__struck(), 1);
  assert_int_equal(fault__made(FAULT_WATCH), 1);
  assert_false(readers__has_place(file));
  readers__read(file, MANY);
  assert_true(readers__has_place(file));
  fault__clear();
  readers__close(file);
  assert_true(readers__is_table_empty(file));
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      FAULT_TEST(without_a_table_files_are_read_by_their_descriptors),
      FAULT_TEST(a_file_that_is_refused_a_place_is_tried_later),
  };
  return support__main(argc, argv, "fault_ring_files_linux", tests, sizeof tests / sizeof tests[0]);
}
