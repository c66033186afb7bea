#include "readers.h"
#include "loop.h"
#include "uring.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

struct reader {
  pier_loop *loop;
  pier_handle file;
  const char *path;
  int descriptor; /* of one that is registered; -1 */
  struct uring_ring *ring;
  atomic_uint started, wanted;
  bool closes;
  atomic_uint done, failed;
  support_outcome *closed;
  struct slot_of_reader {
    reader *self;
    unsigned block;
    unsigned char bytes[READERS_BLOCK];
  } slots[READERS_DEPTH];
};

static struct handle *readers__inside(const reader *self) {
  return handle__find(loop__poller(self->loop), self->file);
}

static reader *readers__new(pier_loop *loop) {
  reader *self = support__alloc(sizeof *self);
  self->loop = loop;
  self->path = support__temp_file((size_t)READERS_BLOCK * READERS_BLOCKS);
  self->descriptor = -1;
  return self;
}

static reader *readers__begin(reader *self) {
  bool rings = pier_loop_backend(self->loop)[0] == 'u';
  self->ring = rings ? uring__home(readers__inside(self)) : NULL;
  assert_int_equal(flock((int)pier_handle_native(self->file), LOCK_EX | LOCK_NB), 0);
  return self;
}

reader *readers__open(pier_loop *loop) {
  reader *self = readers__new(loop);
  assert_status(pier_file_open_sync(loop, self->path, PIER_OPEN_READ, &self->file), PIER_OK);
  return readers__begin(self);
}

reader *readers__register(pier_loop *loop) {
  reader *self = readers__new(loop);
  self->descriptor = open(self->path, O_RDONLY | O_CLOEXEC);
  assert_true(self->descriptor >= 0);
  const pier_register_options options = {.kind = PIER_KIND_FILE, .keep_open = true};
  assert_status(pier_register(loop, (pier_native)self->descriptor, &options, &self->file), PIER_OK);
  return readers__begin(self);
}

pier_handle readers__handle(const reader *self) {
  return self->file;
}

static void readers__took(const pier_result *result);

/* The next one, if there is one left. On a loop with threads callbacks may come while the first ones are still being submitted. */
static void readers__submit(struct slot_of_reader *slot) {
  unsigned number = atomic_fetch_add(&slot->self->started, 1);
  if (number >= atomic_load(&slot->self->wanted))
    return;
  slot->block = number * 7 % READERS_BLOCKS;
  if (!pier_read_at(slot->self->file, slot->bytes, READERS_BLOCK, (int64_t)slot->block * READERS_BLOCK, PIER_NO_DEADLINE, readers__took, slot))
    support__count(&slot->self->failed);
}

/* What a close came before has not been read; nothing else is an excuse. */
static void readers__took(const pier_result *result) {
  struct slot_of_reader *slot = result->context;
  reader *self = slot->self;
  bool right = result->status == PIER_OK ? result->bytes == READERS_BLOCK &&
                                               support__filled(slot->bytes, READERS_BLOCK, (uint64_t)slot->block * READERS_BLOCK)
                                         : self->closes && result->status == PIER_ECLOSED;
  if (!right)
    support__count(&self->failed);
  readers__submit(slot);
  support__count(&self->done);
}

static void readers__start(const pier_result *result) {
  reader *self = result->context;
  for (unsigned i = 0; i < READERS_DEPTH; i++) {
    self->slots[i].self = self;
    readers__submit(&self->slots[i]);
  }
  if (self->closes && pier_close(self->file, support__take, self->closed) != PIER_OK)
    support__count(&self->failed);
}

static void readers__run(reader *self, unsigned blocks) {
  atomic_store(&self->started, 0);
  atomic_store(&self->wanted, blocks);
  atomic_store(&self->done, 0);
  assert_true(pier_post(self->loop, readers__start, self) != 0);
  support__until_count(self->loop, &self->done, blocks, "all blocks to be read");
  assert_int_equal(atomic_load(&self->failed), 0);
}

void readers__read(reader *self, unsigned blocks) {
  readers__run(self, blocks);
  for (int i = 0; i < 100000 && pier_handle_in_flight(self->file); i++)
    support__yield(); /* the last callback may still be on its way back, on another thread */
}

/* Another opening of it can only be locked when the one that was is gone. */
static void readers__expect_closed(reader *self) {
  int other = open(self->path, O_RDONLY | O_CLOEXEC);
  assert_true(other >= 0);
  assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
  close(other);
}

void readers__read_and_close(reader *self) {
  self->closes = true;
  self->closed = support__outcome();
  readers__run(self, READERS_DEPTH);
  await_status(self->loop, self->closed, PIER_OK);
  readers__expect_closed(self);
}

void readers__close(reader *self) {
  support__close_handle(self->loop, self->file);
  if (self->descriptor >= 0)
    close(self->descriptor);
  readers__expect_closed(self);
}

bool readers__has_place(const reader *self) {
  return readers__inside(self)->place != 0;
}

bool readers__can_have_place(const reader *self) {
  return self->ring && self->ring->places;
}

bool readers__is_table_empty(const reader *self) {
  return !self->ring || self->ring->places == UINT64_MAX;
}
