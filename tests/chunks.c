#include "chunks.h"

chunks *chunks__new(uint64_t pattern) {
  chunks *self = support__alloc(sizeof *self);
  self->pattern = pattern;
  return self;
}

static bool chunks__is_sound(chunks *self, const pier_result *result) {
  uint64_t none = 0;
  bool same = atomic_compare_exchange_strong(&self->operation, &none, result->operation) || none == result->operation;
  if (!same || atomic_load(&self->last_calls))
    return false;
  if (!result->more)
    return !result->data && !result->bytes && !result->from.family && (result->status == PIER_OK) == result->end;
  if (result->status != PIER_OK || result->system_code || result->end || !result->data)
    return false;
  return self->datagrams || support__filled(result->data, result->bytes, self->pattern + atomic_load(&self->bytes));
}

void chunks__take(const pier_result *result) {
  chunks *self = result->context;
  bool alone = !atomic_exchange(&self->inside, true);
  if (!alone || !chunks__is_sound(self, result))
    atomic_fetch_add(&self->wrong, 1);
  if (result->more) {
    atomic_fetch_add(&self->bytes, result->bytes);
    support__count(&self->calls);
    if (self->then)
      self->then(self, result);
    atomic_store(&self->inside, false);
    return;
  }
  self->last = *result;
  self->last_at_ns = pier_now_ns();
  atomic_store(&self->inside, false);
  support__count(&self->last_calls);
}

pier_operation chunks__read(chunks *self, pier_handle handle, uint64_t deadline_ns) {
  pier_operation operation = pier_read_multishot(handle, deadline_ns, chunks__take, self);
  assert_true(operation != 0);
  return operation;
}

typedef struct chunks_target {
  chunks *self;
  size_t bytes;
} chunks_target;

static bool chunks__have(void *context) {
  const chunks_target *target = context;
  return atomic_load(&target->self->bytes) >= target->bytes || atomic_load(&target->self->last_calls);
}

void chunks__await_bytes(pier_loop *loop, chunks *self, size_t bytes) {
  chunks_target target = {self, bytes};
  support__until(loop, chunks__have, &target, "bytes");
  assert_int_equal(atomic_load(&self->bytes), bytes);
  assert_int_equal(atomic_load(&self->wrong), 0);
}

void chunks__await_last(pier_loop *loop, chunks *self, int expected, const char *what, const char *file, int line) {
  support__until_count(loop, &self->last_calls, 1, what);
  support__assert_status(self->last.status, expected, what, file, line);
  assert_int_equal(atomic_load(&self->last_calls), 1);
  assert_int_equal(atomic_load(&self->wrong), 0);
}

support_outcome *chunks__begin_write(pier_handle to, size_t length, uint64_t pattern) {
  unsigned char *bytes = support__alloc(length);
  support_outcome *written = support__outcome();
  support__fill(bytes, length, pattern);
  assert_true(pier_write(to, bytes, length, PIER_NO_DEADLINE, support__take, written) != 0);
  return written;
}

void chunks__write(pier_loop *loop, pier_handle to, size_t length, uint64_t pattern) {
  support_outcome *written = chunks__begin_write(to, length, pattern);
  await_status(loop, written, PIER_OK);
}

bool chunks__fit(streams_sort sort) { return sort != STREAMS_MESSAGE_PIPE; }

bool chunks__come_first(streams_sort sort) {
  return !support__windows || sort == STREAMS_KEPT_PIPE || sort == STREAMS_KEPT_TCP || sort == STREAMS_KEPT_UDP;
}
