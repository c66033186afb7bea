/* Local sockets whose short reads are believed (poller/trust.h), though a peer puts descriptors between the bytes: nothing that lies behind
 * one is forgotten. */
#include "chunks.h"
#include "descriptors.h"

#include "loop.h"
#include "port.h"
#include "trust.h"

#include <sys/socket.h>
#include <unistd.h>

enum { LENGTH = 8, FEW = 3, MANY = 100, CROWD = TRUST_MAX + 44, ROUNDS = 200 };

typedef struct stream {
  pier_handle end;
  pier_native peer;
  chunks *books;
  size_t sent;
} stream;

static atomic_uint notes;
static atomic_bool no_room;

static bool on_note(struct handle *handle) {
  (void)handle;
  atomic_fetch_add(&notes, 1);
  return atomic_load(&no_room);
}

static pier_loop *open_counting(bool room) {
  pier_loop *loop = support__open();
  atomic_store(&notes, 0);
  atomic_store(&no_room, !room);
  pier_hook_noting = on_note;
  return loop;
}

static void close_counting(pier_loop *loop) {
  pier_hook_noting = NULL;
  support__close(loop);
}

static void begin(pier_loop *loop, stream *self) {
  pier_native natives[2];
  support__native_pipe_pair(false, true, true, natives);
  assert_status(pier_register(loop, natives[0], NULL, &self->end), PIER_OK);
  self->peer = natives[1];
  self->books = chunks__new(0);
  self->sent = 0;
  chunks__read(self->books, self->end, PIER_NO_DEADLINE);
}

static void send_with_descriptors(stream *self, unsigned count) {
  for (; count; count--) {
    unsigned char bytes[LENGTH];
    support__fill(bytes, sizeof bytes, self->sent);
    descriptors__send(self->peer, bytes, sizeof bytes);
    self->sent += LENGTH;
  }
}

/* All of it is there before the first is read, where nobody but us drives the loop. */
static void exchange(pier_loop *loop, stream *self, unsigned count) {
  send_with_descriptors(self, count);
  chunks__await_bytes(loop, self->books, self->sent);
}

static void finish(pier_loop *loop, stream *self) {
  support__native_close_pipe(self->peer);
  await_last(loop, self->books, PIER_OK);
  assert_true(self->books->last.end);
  assert_int_equal(atomic_load(&self->books->bytes), self->sent);
  support__close_handle(loop, self->end);
}

static bool nobody_is_noted(void *context) {
  struct trust *trust = &port_common__of(loop__poller(context))->trust;
  mutex__lock(&trust->lock);
  bool nobody = !trust->armed && !trust->count;
  mutex__unlock(&trust->lock);
  return nobody;
}

/* ---- Cases ---- */

static void what_lies_behind_a_descriptor_comes(void **state) {
  (void)state;
  pier_loop *loop = open_counting(true);
  stream self;
  begin(loop, &self);
  exchange(loop, &self, FEW);
  assert_true(atomic_load(&notes) >= 1);
  finish(loop, &self);
  close_counting(loop);
}

/* The first one costs a tick. From then on they are seen. */
static void one_that_was_behind_is_read_warily(void **state) {
  (void)state;
  pier_loop *loop = open_counting(true);
  stream self;
  begin(loop, &self);
  exchange(loop, &self, MANY);
  assert_int_equal(atomic_load(&notes), 1);
  finish(loop, &self);
  close_counting(loop);
}

/* Bytes alone make it believed again. */
static void a_wary_one_is_believed_again(void **state) {
  (void)state;
  pier_loop *loop = open_counting(true);
  stream self;
  begin(loop, &self);
  exchange(loop, &self, FEW);
  for (int i = 0; i < MANY && atomic_load(&notes) < 2; i++) {
    unsigned char bytes[LENGTH];
    support__fill(bytes, sizeof bytes, self.sent);
    assert_int_equal(send((int)self.peer, bytes, sizeof bytes, 0), LENGTH);
    self.sent += LENGTH;
    chunks__await_bytes(loop, self.books, self.sent);
  }
  assert_true(atomic_load(&notes) >= 2);
  finish(loop, &self);
  close_counting(loop);
}

/* Where there is no room for it, or no tick can be had, it is asked at once. */
static void one_that_cannot_be_noted_is_asked(void **state) {
  (void)state;
  pier_loop *loop = open_counting(false);
  stream self;
  begin(loop, &self);
  exchange(loop, &self, MANY);
  assert_true(atomic_load(&notes) >= 1);
  assert_true(nobody_is_noted(loop));
  finish(loop, &self);
  close_counting(loop);
}

/* Some of them are noted, and the rest is asked. */
static void a_crowd_is_behind(void **state) {
  (void)state;
  pier_loop *loop = open_counting(true);
  stream *crowd = support__alloc(CROWD * sizeof *crowd);
  for (int i = 0; i < CROWD; i++)
    begin(loop, &crowd[i]);
  for (int i = 0; i < CROWD; i++)
    send_with_descriptors(&crowd[i], FEW);
  for (int i = 0; i < CROWD; i++)
    chunks__await_bytes(loop, crowd[i].books, crowd[i].sent);
  for (int i = 0; i < CROWD; i++)
    finish(loop, &crowd[i]);
  close_counting(loop);
}

/* What is closed and opened between two ticks: the next in the slot is another one, and is noted for itself. */
static void a_tick_is_for_who_was_noted(void **state) {
  (void)state;
  pier_loop *loop = open_counting(true);
  for (int i = 0; i < ROUNDS; i++) {
    stream self;
    begin(loop, &self);
    send_with_descriptors(&self, 1 + (unsigned)i % FEW);
    if (i % 2)
      chunks__await_bytes(loop, self.books, self.sent);
    finish(loop, &self);
  }
  close_counting(loop);
}

/* A single read finds it as well. */
static void plain_reads_go_on_behind_a_descriptor(void **state) {
  (void)state;
  pier_loop *loop = open_counting(true);
  pier_native natives[2];
  stream self = {0};
  char got[2 * LENGTH];
  support__native_pipe_pair(false, true, true, natives);
  self.peer = natives[1];
  assert_status(pier_register(loop, natives[0], NULL, &self.end), PIER_OK);
  send_with_descriptors(&self, MANY);
  for (int i = 0; i < MANY; i++) {
    support_outcome *read = support__outcome();
    assert_true(pier_read(self.end, got, sizeof got, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, LENGTH);
    assert_true(support__filled(got, LENGTH, (uint64_t)i * LENGTH));
  }
  support__native_close_pipe(self.peer);
  support__close_handle(loop, self.end);
  close_counting(loop);
}

/* A tick is asked for by who was read from, and by nobody else; after it he is noted again. */
static void after_a_tick_nobody_is_noted(void **state) {
  (void)state;
  pier_loop *loop = open_counting(true);
  stream self;
  begin(loop, &self);
  for (unsigned round = 0; round < FEW; round++) {
    unsigned before = atomic_load(&notes);
    for (int i = 0; i < MANY && atomic_load(&notes) == before; i++)
      exchange(loop, &self, 1);
    assert_true(atomic_load(&notes) > before);
    support__until(loop, nobody_is_noted, loop, "the tick");
  }
  finish(loop, &self);
  close_counting(loop);
}

typedef struct witness {
  pier_native peer;
  atomic_uint calls;
  unsigned hint; /* after the tick */
} witness;

static unsigned hint_of(pier_handle end, struct poller *poller) {
  return atomic_load(&handle__find(poller, end)->write_hint);
}

/* In the second callback the stream is noted, for the first read was short; and there is more, which has just come. */
static void tick_inside(const pier_result *result) {
  witness *self = result->context;
  if (!result->more)
    return;
  if (atomic_load(&self->calls) == 1) {
    struct poller *poller = loop__poller(result->loop);
    assert_int_equal(write((int)self->peer, "more", 4), 4);
    trust__tick(poller);
    self->hint = hint_of(result->handle, poller);
  }
  support__count(&self->calls);
}

/* One that is being read when a tick comes is not taken for one that is behind, for what comes meanwhile. */
static void who_is_being_read_is_not_asked(void **state) {
  (void)state;
  pier_loop *loop = open_counting(true);
  witness *self = support__alloc(sizeof *self);
  pier_native natives[2];
  pier_handle end;
  support__native_pipe_pair(false, true, true, natives);
  assert_status(pier_register(loop, natives[0], NULL, &end), PIER_OK);
  self->peer = natives[1];
  assert_true(pier_read_multishot(end, PIER_NO_DEADLINE, tick_inside, self) != 0);
  for (unsigned i = 0; i < 2; i++) {
    assert_int_equal(write((int)self->peer, "some", 4), 4);
    support__until_count(loop, &self->calls, i + 1, "a chunk");
  }
  support__until_count(loop, &self->calls, 3, "what came during a tick");
  assert_int_equal(self->hint, 0); /* neither noted nor wary */
  support__native_close_pipe(self->peer);
  support__close_handle(loop, end);
  close_counting(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(what_lies_behind_a_descriptor_comes),
      SUPPORT_TEST_POOL(what_lies_behind_a_descriptor_comes),
      SUPPORT_TEST(one_that_was_behind_is_read_warily),
      SUPPORT_TEST(a_wary_one_is_believed_again),
      SUPPORT_TEST(one_that_cannot_be_noted_is_asked),
      SUPPORT_TEST_POOL(one_that_cannot_be_noted_is_asked),
      SUPPORT_TEST(a_crowd_is_behind),
      SUPPORT_TEST_POOL(a_crowd_is_behind),
      SUPPORT_TEST(a_tick_is_for_who_was_noted),
      SUPPORT_TEST_POOL(a_tick_is_for_who_was_noted),
      SUPPORT_TEST(plain_reads_go_on_behind_a_descriptor),
      SUPPORT_TEST_POOL(plain_reads_go_on_behind_a_descriptor),
      SUPPORT_TEST(after_a_tick_nobody_is_noted),
      SUPPORT_TEST(who_is_being_read_is_not_asked),
      SUPPORT_TEST_POOL(who_is_being_read_is_not_asked),
      SUPPORT_TEST_POOL(after_a_tick_nobody_is_noted),
  };
  return support__main(argc, argv, "trust_linux", tests, sizeof tests / sizeof tests[0]);
}
