/* What a file is opened as on Linux, whichever way it goes: tried at once, by the ring, by a worker, by the sync call. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An opening that a callback submits. */
typedef struct opening {
  support_outcome outcome; /* first */
  pier_loop *loop;
  const char *path;
  unsigned flags;
} opening;

static void open_in_callback(const pier_result *result) {
  opening *self = result->context;
  assert_true(pier_file_open(self->loop, self->path, self->flags, PIER_NO_DEADLINE, support__take, self) != 0);
}

/* The ways: by a thread outside, by a callback, by the sync call. */
enum { WAYS = 3 };

static int open_by(pier_loop *loop, int way, const char *path, unsigned flags, pier_handle *file) {
  opening *self = support__alloc(sizeof *self);
  *self = (opening){.loop = loop, .path = path, .flags = flags};
  *file = 0;
  if (way == 2)
    return pier_file_open_sync(loop, path, flags, file);
  if (way == 1)
    assert_true(pier_post(loop, open_in_callback, self) != 0);
  else
    assert_true(pier_file_open(loop, path, flags, PIER_NO_DEADLINE, support__take, self) != 0);
  support__await(loop, &self->outcome);
  *file = self->outcome.got.opened;
  return self->outcome.got.status;
}

/* All flags reach the system, and nothing else does. */
static void the_descriptor_has_the_flags_that_were_asked_for(void **state) {
  (void)state;
  const struct {
    unsigned asked;
    int expected;
  } cases[] = {
      {PIER_OPEN_READ, O_RDONLY},
      {PIER_OPEN_WRITE, O_WRONLY},
      {PIER_OPEN_READ | PIER_OPEN_WRITE, O_RDWR},
      {PIER_OPEN_APPEND, O_WRONLY | O_APPEND},
      {PIER_OPEN_READ | PIER_OPEN_APPEND, O_RDWR | O_APPEND},
      {PIER_OPEN_WRITE | PIER_OPEN_THROUGH, O_WRONLY | O_DSYNC},
      {PIER_OPEN_WRITE | PIER_OPEN_CREATE, O_WRONLY},
      {PIER_OPEN_WRITE | PIER_OPEN_TRUNCATE, O_WRONLY},
      {PIER_OPEN_READ | PIER_OPEN_DIRECT, O_RDONLY | O_DIRECT},
  };
  pier_loop *loop = support__open();
  const char *path = support__temp_file(100);
  const int looked_at = O_ACCMODE | O_APPEND | O_DSYNC | O_DIRECT | O_NONBLOCK;
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int way = 0; way < WAYS; way++) {
      pier_handle file;
      int status = open_by(loop, way, path, cases[i].asked, &file);
      if (status == PIER_EINVAL && (cases[i].asked & PIER_OPEN_DIRECT))
        continue; /* not every file system has it */
      assert_status(status, PIER_OK);
      int descriptor = (int)pier_handle_native(file);
      assert_int_equal(fcntl(descriptor, F_GETFL) & looked_at, cases[i].expected);
      assert_int_equal(fcntl(descriptor, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
      support__close_handle(loop, file);
    }
  support__close(loop);
}

/* What is created is anybody's to read and write, less the umask. */
static void what_is_created_has_the_usual_mode(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const mode_t masks[] = {0022, 0077, 0};
  mode_t before = umask(0);
  for (unsigned i = 0; i < 3; i++)
    for (int way = 0; way < WAYS; way++) {
      struct stat about;
      pier_handle file;
      const char *path = support__temp_path();
      umask(masks[i]);
      assert_status(open_by(loop, way, path, PIER_OPEN_WRITE | PIER_OPEN_CREATE | PIER_OPEN_EXCLUSIVE, &file), PIER_OK);
      assert_int_equal(stat(path, &about), 0);
      assert_int_equal(about.st_mode & 0777, 0666 & ~masks[i]);
      support__close_handle(loop, file);
    }
  umask(before);
  support__close(loop);
}

/* ---- What is no file ---- */

static const char *make_fifo(void) {
  const char *path = support__temp_path();
  assert_int_equal(mkfifo(path, 0600), 0);
  return path;
}

/* A fifo whose other end nobody has: the thread that submits does not wait for it. */
static void a_fifo_holds_up_nobody(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *path = make_fifo();
  for (int way = 0; way < WAYS - 1; way++) {
    pier_handle file;
    assert_status(open_by(loop, way, path, PIER_OPEN_READ, &file), PIER_OK);
    assert_int_equal(fcntl((int)pier_handle_native(file), F_GETFL) & O_NONBLOCK, 0);
    support__close_handle(loop, file);
    assert_status(open_by(loop, way, path, PIER_OPEN_WRITE, &file), PIER_ENOENT);
    assert_int_equal(file, 0);
  }
  support__close(loop);
}

/* One that might have to be created goes to who may wait, and he does. The kernel's thread can be called back from there; a worker
   cannot, and is let go by the other end. */
static void an_opening_that_waits_can_be_cancelled(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  const char *path = make_fifo();
  for (int by_deadline = 0; by_deadline < 2; by_deadline++) {
    support_outcome *opened = support__outcome(), *posted = support__outcome();
    uint64_t deadline_ns = by_deadline ? pier_deadline_in(20 * PIER_MILLISECOND) : PIER_NO_DEADLINE;
    pier_operation id = pier_file_open(loop, path, PIER_OPEN_READ | PIER_OPEN_CREATE, deadline_ns, support__take, opened);
    assert_true(id != 0);
    assert_true(pier_post(loop, support__take, posted) != 0);
    await_status(loop, posted, PIER_OK);
    for (int turn = 0; turn < 5 && !support__threads(); turn++)
      pier_loop_run(loop, PIER_RUN_ONCE, PIER_MILLISECOND);
    if (!by_deadline)
      assert_status(pier_cancel(id), PIER_OK);
    if (strcmp(pier_loop_backend(loop), "epoll") == 0) {
      int other = -1;
      for (int i = 0; i < 10000 && other < 0; i++) { /* or it was cancelled before a worker had it */
        other = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (other < 0 && !support__threads())
          pier_loop_run(loop, PIER_RUN_ONCE, PIER_MILLISECOND);
        if (support__called(opened))
          break;
        support__yield();
      }
      support__await(loop, opened);
      if (other >= 0)
        close(other);
    }
    support__await(loop, opened);
    int ended = by_deadline ? PIER_ETIMEDOUT : PIER_ECANCELED;
    assert_true(opened->got.status == ended || (opened->got.status == PIER_OK && strcmp(pier_loop_backend(loop), "epoll") == 0));
    if (opened->got.opened)
      support__close_handle(loop, opened->got.opened);
  }
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(the_descriptor_has_the_flags_that_were_asked_for),
      SUPPORT_TEST_POOL(the_descriptor_has_the_flags_that_were_asked_for),
      SUPPORT_TEST(what_is_created_has_the_usual_mode),
      SUPPORT_TEST_POOL(what_is_created_has_the_usual_mode),
      SUPPORT_TEST(a_fifo_holds_up_nobody),
      SUPPORT_TEST_POOL(a_fifo_holds_up_nobody),
      SUPPORT_TEST(an_opening_that_waits_can_be_cancelled),
      SUPPORT_TEST_POOL(an_opening_that_waits_can_be_cancelled),
  };
  return support__main(argc, argv, "opening_linux", tests, sizeof tests / sizeof tests[0]);
}
