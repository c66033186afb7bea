/* Files with many reads in flight stand in their ring's table, and are gone from it when they are closed. */
#include "readers.h"

#include "uring.h"

enum { MANY = 4 * FILES_PATIENCE };

/* Reads until it has a place, if it can have one. Of a loop's own threads another one than the ring's may be at it all the time, whose reads
   do not go there. */
static void read_for_a_place(reader *file, bool can) {
  readers__read(file, MANY);
  if (support__threads())
    assert_true(can || !readers__has_place(file));
  else
    assert_true(readers__has_place(file) == can);
}

static void a_file_that_is_read_much_has_a_place_until_it_is_closed(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int i = 0; i < 3; i++) {
    reader *file = readers__open(loop);
    bool can = readers__can_have_place(file);
    assert_false(readers__has_place(file));
    read_for_a_place(file, can);
    readers__read(file, MANY);
    readers__close(file);
    assert_true(!can || readers__is_table_empty(file));
  }
  support__close(loop);
}

/* Two calls for a table would be more than it spares. */
static void a_file_that_is_read_little_has_none(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  reader *file = readers__open(loop);
  readers__read(file, READERS_DEPTH);
  assert_false(readers__has_place(file));
  readers__close(file);
  support__close(loop);
}

static void those_that_find_no_place_are_read_without(void **state) {
  (void)state;
  enum { FILES = FILES_PLACES + 6 };
  pier_loop *loop = support__open();
  reader *files[FILES];
  bool can = false;
  unsigned placed = 0;
  for (int i = 0; i < FILES; i++) {
    files[i] = readers__open(loop);
    can = can || readers__can_have_place(files[i]);
    readers__read(files[i], MANY);
    placed += readers__has_place(files[i]);
  }
  if (!support__threads())
    assert_int_equal(placed, can ? FILES_PLACES : 0);
  /* What one gives up another takes. */
  readers__close(files[0]);
  read_for_a_place(files[FILES - 1], can);
  for (int i = 1; i < FILES; i++)
    readers__close(files[i]);
  for (int i = 0; i < FILES; i++)
    assert_true(!can || readers__is_table_empty(files[i]));
  support__close(loop);
}

static void one_that_is_detached_gives_its_place_up(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  reader *file = readers__open(loop);
  bool can = readers__can_have_place(file);
  read_for_a_place(file, can);
  if (can) {
    assert_status(pier_handle_detach(readers__handle(file)), PIER_OK);
    assert_false(readers__has_place(file));
    assert_true(readers__is_table_empty(file));
    readers__read(file, MANY);
    assert_false(readers__has_place(file));
    assert_status(pier_handle_associate(readers__handle(file)), PIER_OK);
    read_for_a_place(file, can);
  }
  readers__close(file);
  support__close(loop);
}

/* Its owner may close it, and is not to find it open all the same. */
static void one_that_is_registered_has_none(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  reader *file = readers__register(loop);
  readers__read(file, MANY);
  assert_false(readers__has_place(file));
  readers__close(file);
  support__close(loop);
}

static void one_is_closed_with_reads_in_flight(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int i = 0; i < 20; i++) {
    reader *file = readers__open(loop);
    bool can = readers__can_have_place(file);
    read_for_a_place(file, can);
    readers__read_and_close(file);
    assert_true(!can || readers__is_table_empty(file));
  }
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(a_file_that_is_read_much_has_a_place_until_it_is_closed),
      SUPPORT_TEST_POOL(a_file_that_is_read_much_has_a_place_until_it_is_closed),
      SUPPORT_TEST(a_file_that_is_read_little_has_none),
      SUPPORT_TEST_POOL(a_file_that_is_read_little_has_none),
      SUPPORT_TEST(those_that_find_no_place_are_read_without),
      SUPPORT_TEST_POOL(those_that_find_no_place_are_read_without),
      SUPPORT_TEST(one_that_is_detached_gives_its_place_up),
      SUPPORT_TEST_POOL(one_that_is_detached_gives_its_place_up),
      SUPPORT_TEST(one_that_is_registered_has_none),
      SUPPORT_TEST(one_is_closed_with_reads_in_flight),
      SUPPORT_TEST_POOL(one_is_closed_with_reads_in_flight),
  };
  return support__main(argc, argv, "uring_files_linux", tests, sizeof tests / sizeof tests[0]);
}
