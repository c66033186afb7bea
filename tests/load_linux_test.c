/* What loading a file is on Linux: how many calls it takes, that the ring's places come back, and what is no plain file. */
#include "closed.h"

#include "loop.h"
#include "uring.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TOGETHER = 4, LENGTH = 4096, MAPPINGS = 400, BIG = 1 << 20 };

static bool is_uring(pier_loop *loop) { return pier_loop_backend(loop)[0] == 'u'; }

/* Whether its rings have places for files that are loaded, and all are free. */
static bool has_places(pier_loop *loop) { return is_uring(loop) && uring__of(loop__poller(loop))->rings[0].ring.features & 1u << 16; }

static void expect_all_places(pier_loop *loop) {
  for (uint32_t i = 0; has_places(loop) && i < uring__of(loop__poller(loop))->count; i++)
    assert_true(atomic_load(&uring__of(loop__poller(loop))->rings[i].load_places) == UINT64_MAX);
}

typedef struct batch {
  pier_loop *loop;
  const char *path;
  size_t room;
  unsigned char blocks[TOGETHER][2 * LENGTH];
  uint64_t before, calls;
  atomic_uint right, wrong;
} batch;

static void take_one(const pier_result *result) {
  batch *self = result->context;
  self->calls = support__metrics(self->loop).system_calls - self->before;
  support__count(result->status == PIER_OK && result->bytes == LENGTH ? &self->right : &self->wrong);
}

static void load_together(const pier_result *result) {
  batch *self = result->context;
  self->before = support__metrics(self->loop).system_calls;
  for (int i = 0; i < TOGETHER; i++)
    if (!pier_file_load(self->loop, self->path, self->blocks[i], self->room, PIER_NO_DEADLINE, take_one, self))
      support__count(&self->wrong);
}

static uint64_t calls_of(batch *self, size_t room) {
  self->room = room;
  atomic_store(&self->right, 0);
  assert_true(pier_post(self->loop, load_together, self) != 0);
  support__until_count(self->loop, &self->right, TOGETHER, "all to be loaded");
  assert_int_equal(atomic_load(&self->wrong), 0);
  for (int i = 0; i < TOGETHER; i++)
    assert_true(support__filled(self->blocks[i], LENGTH, 0));
  return self->calls;
}

/* Of several that a callback submits all steps are one call together. To know that a short one was the end takes a second. */
static void one_call_loads_several(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  batch *self = support__alloc(sizeof *self);
  self->loop = loop;
  self->path = support__temp_file(LENGTH);
  calls_of(self, LENGTH);
  uint64_t full = calls_of(self, LENGTH), shorter = calls_of(self, LENGTH + 1);
  assert_int_equal(full, has_places(loop) ? 1 : 3 * TOGETHER);
  assert_int_equal(shorter, has_places(loop) ? 2 : 4 * TOGETHER);
  expect_all_places(loop);
  support__close(loop);
}

/* ---- What is no plain file ---- */

typedef struct load {
  support_outcome outcome; /* first */
  pier_loop *loop;
  const char *path;
  char *buffer;
  size_t length;
  uint64_t deadline_ns;
  bool cancels; /* in the same breath */
  _Atomic pier_operation id;
} load;

static void load_now(const pier_result *result) {
  load *self = result->context;
  pier_operation id = pier_file_load(self->loop, self->path, self->buffer, self->length, self->deadline_ns, support__take, self);
  atomic_store(&self->id, id);
  if (self->cancels)
    pier_cancel(id);
}

static load *start_load(pier_loop *loop, const char *path, char *buffer, size_t length, uint64_t deadline_ns) {
  load *self = support__alloc(sizeof *self);
  *self = (load){.loop = loop, .path = path, .buffer = buffer, .length = length, .deadline_ns = deadline_ns};
  assert_true(pier_post(loop, load_now, self) != 0);
  return self;
}

/* Asked for together with the load itself, when the kernel is at no step yet that waits. */
static void a_cancel_that_comes_between_two_steps_is_not_lost(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  if (!has_places(loop)) {
    support__close(loop);
    support__skip("there is no ring with places");
  }
  const char *path = support__temp_path();
  char buffer[100];
  assert_int_equal(mkfifo(path, 0600), 0);
  int other = open(path, O_RDWR | O_CLOEXEC);
  for (int round = 0; round < 50; round++) {
    load *self = support__alloc(sizeof *self);
    *self = (load){.loop = loop, .path = path, .buffer = buffer, .length = sizeof buffer, .deadline_ns = PIER_NO_DEADLINE, .cancels = true};
    assert_true(pier_post(loop, load_now, self) != 0);
    await_status(loop, &self->outcome, PIER_ECANCELED);
  }
  expect_all_places(loop);
  close(other);
  support__close(loop);
}

/* As long as the buffer, shorter, longer, and empty. */
static void a_file_that_was_loaded_is_closed(void **state) {
  (void)state;
  const size_t sizes[] = {LENGTH, LENGTH - 1, LENGTH + 1, 0};
  pier_loop *loop = support__open();
  char *buffer = support__alloc(LENGTH);
  for (int i = 0; i < 4; i++) {
    const char *path = support__temp_file(sizes[i]);
    load *self = start_load(loop, path, buffer, LENGTH, PIER_NO_DEADLINE);
    await_status(loop, &self->outcome, PIER_OK);
    closed__expect(path);
  }
  expect_all_places(loop);
  support__close(loop);
}

/* A file that gives a page at a time is loaded to its end all the same. */
static void a_file_that_comes_in_bits_is_loaded_whole(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  char *buffer = support__alloc(BIG);
  long page = sysconf(_SC_PAGESIZE);
  char *pages = mmap(NULL, (size_t)page * MAPPINGS, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(pages != MAP_FAILED);
  for (int i = 0; i < MAPPINGS; i += 2)
    assert_int_equal(mprotect(pages + i * page, (size_t)page, PROT_NONE), 0);
  for (int round = 0; round < 5; round++) {
    load *self = start_load(loop, "/proc/self/maps", buffer, BIG, PIER_NO_DEADLINE);
    await_status(loop, &self->outcome, PIER_OK);
    size_t bytes = self->outcome.got.bytes, lines = 0;
    assert_true(bytes > 2 * (size_t)page && self->outcome.got.end);
    for (size_t i = 0; i < bytes; i++)
      lines += buffer[i] == '\n';
    assert_true(lines > MAPPINGS && buffer[bytes - 1] == '\n');
  }
  expect_all_places(loop);
  munmap(pages, (size_t)page * MAPPINGS);
  support__close(loop);
}

static void a_device_fills_the_buffer(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  char *buffer = support__alloc(LENGTH);
  memset(buffer, 1, LENGTH);
  load *zeros = start_load(loop, "/dev/zero", buffer, LENGTH, PIER_NO_DEADLINE);
  await_status(loop, &zeros->outcome, PIER_OK);
  assert_true(zeros->outcome.got.bytes == LENGTH && !zeros->outcome.got.end && !buffer[0] && !buffer[LENGTH - 1]);
  load *nothing = start_load(loop, "/dev/null", buffer, LENGTH, PIER_NO_DEADLINE);
  await_status(loop, &nothing->outcome, PIER_OK);
  assert_true(nothing->outcome.got.bytes == 0 && nothing->outcome.got.end);
  support__close(loop);
}

static int write_when_asked(int writer, const char *text) { return write(writer, text, strlen(text)) == (ssize_t)strlen(text); }

/* In the ring a fifo that brings nothing is waited for by nobody, and can be given up at any step: before the first byte, and after it. */
static void a_wait_in_the_ring_can_be_given_up(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  if (!has_places(loop)) {
    support__close(loop);
    support__skip("there is no ring with places");
  }
  const char *path = support__temp_path();
  char buffer[100];
  assert_int_equal(mkfifo(path, 0600), 0);
  int other = open(path, O_RDWR | O_CLOEXEC);
  size_t before = support__handle_count();
  for (int round = 0; round < 100; round++) {
    bool late = round % 2, begun = round / 2 % 2;
    load *self = start_load(loop, path, buffer, sizeof buffer, late ? pier_deadline_in(PIER_MILLISECOND) : PIER_NO_DEADLINE);
    if (begun)
      assert_true(write_when_asked(other, "abc"));
    for (int i = 0; i < 1000 && !atomic_load(&self->id); i++)
      pier_loop_run(loop, PIER_RUN_NOWAIT, 0);
    for (int i = 0; i < round % 5 && !support__threads(); i++)
      pier_loop_run(loop, PIER_RUN_ONCE, 100 * PIER_MICROSECOND);
    while (!atomic_load(&self->id))
      support__yield();
    if (!late)
      assert_status(pier_cancel(atomic_load(&self->id)), PIER_OK);
    await_status(loop, &self->outcome, late ? PIER_ETIMEDOUT : PIER_ECANCELED);
    int flags = fcntl(other, F_GETFL);
    fcntl(other, F_SETFL, flags | O_NONBLOCK);
    while (read(other, buffer, sizeof buffer) > 0)
      continue;
    fcntl(other, F_SETFL, flags);
  }
  assert_int_equal(support__handle_count(), before);
  expect_all_places(loop);
  close(other);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(one_call_loads_several),
      SUPPORT_TEST(a_cancel_that_comes_between_two_steps_is_not_lost),
      SUPPORT_TEST_POOL(a_cancel_that_comes_between_two_steps_is_not_lost),
      SUPPORT_TEST(a_file_that_was_loaded_is_closed),
      SUPPORT_TEST_POOL(a_file_that_was_loaded_is_closed),
      SUPPORT_TEST(a_file_that_comes_in_bits_is_loaded_whole),
      SUPPORT_TEST_POOL(a_file_that_comes_in_bits_is_loaded_whole),
      SUPPORT_TEST(a_device_fills_the_buffer),
      SUPPORT_TEST_POOL(a_device_fills_the_buffer),
      SUPPORT_TEST(a_wait_in_the_ring_can_be_given_up),
      SUPPORT_TEST_POOL(a_wait_in_the_ring_can_be_given_up),
  };
  return support__main(argc, argv, "load_linux", tests, sizeof tests / sizeof tests[0]);
}
