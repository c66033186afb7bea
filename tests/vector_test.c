/* The vectored forms, and buffers beyond what one system call takes. */
#include "streams.h"

#include <stdlib.h>
#include <string.h>

/* Cuts `length` bytes into `count` parts of chance lengths, some of them empty. */
static pier_buffer *cut(unsigned char *bytes, size_t length, size_t count, uint64_t *seed) {
  pier_buffer *parts = support__alloc(count * sizeof *parts);
  for (size_t i = 0; i < count; i++) {
    size_t share = length / (count - i);
    size_t part = i + 1 == count ? length : (size_t)support__random_below(seed, 2 * share + 1);
    part = part > length ? length : part;
    parts[i] = (pier_buffer){part ? bytes : NULL, part};
    bytes += part;
    length -= part;
  }
  return parts;
}

static pier_handle open_new_file(pier_loop *loop) {
  pier_handle file = 0;
  unsigned flags = PIER_OPEN_READ | PIER_OPEN_WRITE | PIER_OPEN_CREATE;
  assert_status(pier_file_open_sync(loop, support__temp_path(), flags, &file), PIER_OK);
  return file;
}

/* Vectors of 0, 1, 2, 64 and 1,024 parts are written to a file and read from it, at a position and at Pier's own. */
static void b30_vectors_on_a_file(void **state) {
  (void)state;
  enum { LENGTH = 50000, AT = 3000 };
  const size_t counts[] = {1, 2, 64, PIER_PARTS_MAX};
  uint64_t seed = support__seed();
  pier_loop *loop = support__open();
  for (unsigned i = 0; i < 4; i++) {
    pier_handle file = open_new_file(loop);
    unsigned char *sent = support__alloc(LENGTH), *received = support__alloc(LENGTH);
    support_outcome *outcomes[4];
    for (unsigned o = 0; o < 4; o++)
      outcomes[o] = support__outcome();
    support__fill(sent, LENGTH, counts[i]);
    assert_true(pier_writev_at(file, cut(sent, LENGTH, counts[i], &seed), counts[i], AT, PIER_NO_DEADLINE,
                               support__take, outcomes[0]) != 0);
    await_status(loop, outcomes[0], PIER_OK);
    assert_int_equal(outcomes[0]->got.bytes, LENGTH);
    assert_true(pier_readv_at(file, cut(received, LENGTH, counts[i], &seed), counts[i], AT, PIER_NO_DEADLINE,
                              support__take, outcomes[1]) != 0);
    await_status(loop, outcomes[1], PIER_OK);
    assert_int_equal(outcomes[1]->got.bytes, LENGTH);
    assert_memory_equal(received, sent, LENGTH);
    assert_true(pier_writev(file, cut(sent, LENGTH, counts[i], &seed), counts[i], PIER_NO_DEADLINE, support__take,
                            outcomes[2]) != 0);
    await_status(loop, outcomes[2], PIER_OK);
    assert_status(pier_file_seek(file, 0), PIER_OK);
    memset(received, 0, LENGTH);
    assert_true(pier_readv(file, cut(received, LENGTH, counts[i], &seed), counts[i], PIER_NO_DEADLINE, support__take,
                           outcomes[3]) != 0);
    await_status(loop, outcomes[3], PIER_OK);
    assert_int_equal(outcomes[3]->got.bytes, LENGTH);
    assert_memory_equal(received, sent, LENGTH);
    support_outcome *nothing[2] = {support__outcome(), support__outcome()};
    assert_true(pier_writev_at(file, NULL, 0, AT, PIER_NO_DEADLINE, support__take, nothing[0]) != 0);
    assert_true(pier_readv_at(file, NULL, 0, AT, PIER_NO_DEADLINE, support__take, nothing[1]) != 0);
    for (int o = 0; o < 2; o++) {
      await_status(loop, nothing[o], PIER_OK);
      assert_true(nothing[o]->got.bytes == 0 && !nothing[o]->got.end);
    }
    support__close_handle(loop, file);
  }
  support__close(loop);
}

/* A vector that reaches over the end of a file gets what is there; at the end it is the end. */
static void b30_a_vector_over_the_end_of_a_file(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle file = 0;
  assert_status(pier_file_open_sync(loop, support__temp_file(1000), PIER_OPEN_READ, &file), PIER_OK);
  unsigned char *bytes = support__alloc(1200);
  const pier_buffer parts[] = {{bytes, 400}, {bytes + 400, 400}, {bytes + 800, 400}};
  support_outcome *read = support__outcome(), *end = support__outcome();
  assert_true(pier_readv_at(file, parts, 3, 100, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, 900);
  assert_true(support__filled(bytes, 900, 100));
  assert_true(pier_readv_at(file, parts, 3, 1000, PIER_NO_DEADLINE, support__take, end) != 0);
  await_status(loop, end, PIER_OK);
  assert_int_equal(end->got.bytes, 0);
  assert_true(end->got.end);
  support__close_handle(loop, file);
  support__close(loop);
}

/* Reads parts until all bytes are there; a stream may give fewer at a time. */
static void read_all_parts(pier_loop *loop, pier_handle from, unsigned char *bytes, size_t length, size_t count,
                           uint64_t *seed) {
  for (size_t have = 0; have < length;) {
    support_outcome *read = support__outcome();
    pier_buffer *parts = cut(bytes + have, length - have, count, seed);
    assert_true(pier_readv(from, parts, count, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_false(read->got.end);
    assert_true(read->got.bytes > 0);
    have += read->got.bytes;
  }
}

/* On every sort of stream a vector of 1, 2, 64 and 1,024 parts arrives in its order with nothing between. */
static void b30_vectors_on_streams(void **state) {
  (void)state;
  enum { LENGTH = 20000 };
  const size_t counts[] = {1, 2, 64, PIER_PARTS_MAX};
  uint64_t seed = support__seed();
  pier_loop *loop = support__open();
  for (int sort = 0; sort < STREAMS_SORTS; sort++) {
    pier_handle ends[2];
    streams__pair(loop, (streams_sort)sort, ends);
    for (unsigned i = 0; i < 4; i++) {
      unsigned char *sent = support__alloc(LENGTH), *received = support__alloc(LENGTH);
      support_outcome *written = support__outcome();
      support__fill(sent, LENGTH, counts[i]);
      pier_buffer *parts = cut(sent, LENGTH, counts[i], &seed);
      assert_true(pier_writev(ends[1], parts, counts[i], PIER_NO_DEADLINE, support__take, written) != 0);
      if (sort == STREAMS_MESSAGE_PIPE)
        /* How a vector is cut into messages is the next case's matter. */
        read_all_parts(loop, ends[0], received, LENGTH, 1, &seed);
      else
        read_all_parts(loop, ends[0], received, LENGTH, counts[i], &seed);
      await_status(loop, written, PIER_OK);
      assert_int_equal(written->got.bytes, LENGTH);
      if (memcmp(received, sent, LENGTH) != 0)
        fail_msg("%s: %u parts arrived changed", streams__name((streams_sort)sort), (unsigned)counts[i]);
    }
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

/* Two vectored writes in flight on one stream do not mix. */
static void b30_vectors_in_flight_do_not_mix(void **state) {
  (void)state;
  enum { WRITES = 8, LENGTH = 30000, PARTS = 100 };
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_TCP};
  uint64_t seed = support__seed();
  pier_loop *loop = support__open();
  for (unsigned s = 0; s < 2; s++) {
    pier_handle ends[2];
    unsigned char *sent = support__alloc(WRITES * LENGTH), *received = support__alloc(WRITES * LENGTH);
    support_outcome *written[WRITES];
    streams__pair(loop, sorts[s], ends);
    support__fill(sent, WRITES * LENGTH, 9);
    for (unsigned i = 0; i < WRITES; i++) {
      written[i] = support__outcome();
      pier_buffer *parts = cut(sent + i * LENGTH, LENGTH, PARTS, &seed);
      assert_true(pier_writev(ends[0], parts, PARTS, PIER_NO_DEADLINE, support__take, written[i]) != 0);
    }
    read_all_parts(loop, ends[1], received, WRITES * LENGTH, 3, &seed);
    for (unsigned i = 0; i < WRITES; i++)
      await_status(loop, written[i], PIER_OK);
    assert_memory_equal(received, sent, WRITES * LENGTH);
    streams__close_pair(loop, ends);
  }
  support__close(loop);
}

static int vector_status(pier_loop *loop, pier_handle handle, const pier_buffer *parts, size_t count, bool write) {
  support_outcome *done = support__outcome();
  pier_operation id = write ? pier_writev(handle, parts, count, PIER_NO_DEADLINE, support__take, done)
                            : pier_readv(handle, parts, count, PIER_NO_DEADLINE, support__take, done);
  assert_true(id != 0);
  support__await(loop, done);
  assert_int_equal(done->got.bytes, 0);
  return done->got.status;
}

/* Nothing at all is a vector too, which is read when there is something and leaves it there; more than 1,024 parts, a
 * null array or a null part with a length are none. */
static void b30_what_is_no_vector_is_refused(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[4] = {0};
  pier_buffer *parts = support__alloc((PIER_PARTS_MAX + 1) * sizeof *parts);
  const pier_buffer null_part[] = {{parts, 1}, {NULL, 1}};
  streams__pair(loop, STREAMS_PIPE, ends);
  streams__pair(loop, STREAMS_TCP, ends + 2);
  for (int i = 0; i < 4; i += 2) {
    assert_true(pier_write(ends[i + 1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    for (int write = 0; write < 2; write++) {
      assert_status(vector_status(loop, ends[i], NULL, 0, write), PIER_OK);
      assert_status(vector_status(loop, ends[i], parts, 0, write), PIER_OK);
      assert_status(vector_status(loop, ends[i], parts, 3, write), PIER_OK);
      assert_status(vector_status(loop, ends[i], NULL, 1, write), PIER_EINVAL);
      assert_status(vector_status(loop, ends[i], null_part, 2, write), PIER_EINVAL);
      assert_status(vector_status(loop, ends[i], parts, PIER_PARTS_MAX + 1, write), PIER_EINVAL);
      assert_status(vector_status(loop, ends[i], parts, SIZE_MAX, write), PIER_EINVAL);
    }
    support_outcome *read = support__outcome();
    assert_true(pier_read(ends[i], parts, 10, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, 1);
    streams__exchange(loop, ends[i], ends[i + 1], 1000, 3);
  }
  streams__close_pair(loop, ends);
  streams__close_pair(loop, ends + 2);
  support__close(loop);
}

/* A write and a read of more than 1 GiB, which no single system call takes, have every byte where it belongs: marks are at both ends, and around the
 * seam. */
static void b30_more_than_1_gib_each_way(void **state) {
  (void)state;
  const size_t gib = (size_t)1 << 30, tail = 70000;
  pier_loop *loop = support__open();
  pier_handle file = open_new_file(loop);
  unsigned char *buffer = calloc(1, gib + tail);
  if (!buffer) {
    support__close_handle(loop, file);
    support__close(loop);
    support__skip("not enough memory for a buffer of 1 GiB");
  }
  support_outcome *written = support__outcome(), *read = support__outcome();
  support__fill(buffer, tail, 7);
  support__fill(buffer + gib - tail, 2 * tail, 0);
  assert_true(pier_write_at(file, buffer, gib + tail, 0, PIER_NO_DEADLINE, support__take, written) != 0);
  support__await(loop, written);
  if (written->got.status == PIER_ENOSPC) {
    free(buffer);
    support__close_handle(loop, file);
    support__close(loop);
    support__skip("not enough room for a file of 1 GiB in the temporary folder");
  }
  await_status(loop, written, PIER_OK);
  assert_int_equal(written->got.bytes, gib + tail);
  memset(buffer, 0, tail);
  memset(buffer + gib - tail, 0, 2 * tail);
  assert_true(pier_read_at(file, buffer, gib + tail, 0, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, gib + tail);
  assert_true(support__filled(buffer, tail, 7));
  assert_true(support__filled(buffer + gib - tail, 2 * tail, 0));
  assert_int_equal(buffer[tail] | buffer[gib - tail - 1], 0);
  free(buffer);
  support__close_handle(loop, file);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b30_vectors_on_a_file),
      SUPPORT_TEST_POOL(b30_vectors_on_a_file),
      SUPPORT_TEST(b30_a_vector_over_the_end_of_a_file),
      SUPPORT_TEST(b30_vectors_on_streams),
      SUPPORT_TEST_POOL(b30_vectors_on_streams),
      SUPPORT_TEST(b30_vectors_in_flight_do_not_mix),
      SUPPORT_TEST_POOL(b30_vectors_in_flight_do_not_mix),
      SUPPORT_TEST(b30_what_is_no_vector_is_refused),
      SUPPORT_TEST(b30_more_than_1_gib_each_way),
  };
  return support__main(argc, argv, "vector", tests, sizeof tests / sizeof tests[0]);
}
