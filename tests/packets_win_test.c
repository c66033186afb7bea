/* Packets at the worst moments and with the worst pointers, seen from inside. */
#include "streams.h"

#include "hook.h"
#include "loop.h"

#include <windows.h>

/* Holds a submit until another thread has seen the operation's packet. */
static struct held {
  pier_handle handle;
  pier_handle other_end;
  atomic_uint held;
  bool seen_early;
} held;

static void hold_until_the_packet_is_seen(struct op *op) {
  if (!op->handle || handle__id(op->handle) != held.handle || atomic_exchange(&held.held, 1))
    return;
  /* Now the read is pending: data for it, and a poller thread dequeues its packet. */
  pier_write(held.other_end, "early", 5, PIER_NO_DEADLINE, NULL, NULL);
  uint64_t end_ns = pier_now_ns() + 5 * PIER_SECOND;
  while (!(atomic_load(&op->slot.word) & OP_EARLY) && pier_now_ns() < end_ns)
    support__yield();
  held.seen_early = atomic_load(&op->slot.word) & OP_EARLY;
}

/* The callback comes once, and after the submit has done with the operation. */
static void b41_a_packet_before_the_submit_returns(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  for (int sort = STREAMS_PIPE; sort < STREAMS_BLOCKING_PIPE; sort++) {
    support_outcome *read = support__outcome();
    char *buffer = support__alloc(16);
    pier_handle ends[2];
    streams__pair(loop, (streams_sort)sort, ends);
    streams__exchange(loop, ends[1], ends[0], 5, 0); /* a registered one is known from its first use on */
    held = (struct held){.handle = ends[0], .other_end = ends[1]};
    pier_hooks = (struct hooks){.started = hold_until_the_packet_is_seen};
    pier_operation id = pier_read(ends[0], buffer, 16, PIER_NO_DEADLINE, support__take, read);
    pier_hooks = (struct hooks){0};
    assert_true(held.seen_early);
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, 5);
    assert_memory_equal(buffer, "early", 5);
    assert_true(read->got.operation == id);
    streams__close_pair(loop, ends);
    assert_int_equal(atomic_load(&read->calls), 1);
  }
  support__close(loop);
}

static void post(pier_loop *loop, uint64_t key, uintptr_t pointer) {
  assert_true(PostQueuedCompletionStatus((HANDLE)pier_loop_native(loop), 3, (ULONG_PTR)key, (OVERLAPPED *)pointer));
}

static bool all_dequeued(void *context) {
  pier_loop *loop = context;
  return support__metrics(loop).packets_foreign >= 8;
}

/* Pointers to and into live and finished operations, with the right key and with others: nothing is taken for a completion. */
static void b13_pointers_into_live_slots_complete_nothing(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle first[2], second[2];
  support_outcome *reads[2] = {support__outcome(), support__outcome()};
  char *buffer = support__alloc(16);
  streams__pair(loop, STREAMS_PIPE, first);
  streams__pair(loop, STREAMS_PIPE, second);
  pier_operation ids[2] = {pier_read(first[0], buffer, 8, PIER_NO_DEADLINE, support__take, reads[0]),
                           pier_read(second[0], buffer + 8, 8, PIER_NO_DEADLINE, support__take, reads[1])};
  struct op *ops[2];
  for (int i = 0; i < 2; i++)
    ops[i] = op__of_slot(slab__at(&loop__poller(loop)->operations, id__slot(ids[i])));
  uintptr_t live = (uintptr_t)ops[0]->system;
  post(loop, first[0], live);                             /* the very operation, which is still pending */
  post(loop, second[0], live);                            /* with the key of another handle */
  post(loop, first[1], live);                             /* with the key of its peer */
  post(loop, first[0], live + 1);                         /* inside it */
  post(loop, first[0], (uintptr_t)ops[0]);                /* the slot's beginning */
  post(loop, first[0], live - sizeof(struct op) * 4096);  /* before the slab, most likely */
  post(loop, first[0], live + sizeof(struct op) * 100000); /* reserved, with no memory behind it */
  post(loop, first[0] ^ ((uint64_t)1 << 40), live);       /* another generation of the handle */
  support__until(loop, all_dequeued, loop, "the posted packets");
  assert_false(support__called(reads[0]));
  assert_false(support__called(reads[1]));
  assert_true(pier_write(first[1], "one", 3, PIER_NO_DEADLINE, NULL, NULL) != 0);
  assert_true(pier_write(second[1], "two", 3, PIER_NO_DEADLINE, NULL, NULL) != 0);
  await_status(loop, reads[0], PIER_OK);
  await_status(loop, reads[1], PIER_OK);
  assert_memory_equal(buffer, "one", 3);
  assert_memory_equal(buffer + 8, "two", 3);
  uint64_t foreign = support__metrics(loop).packets_foreign;
  post(loop, first[0], live); /* finished by now */
  while (support__metrics(loop).packets_foreign == foreign)
    pier_loop_run(loop, support__threads() ? PIER_RUN_DEFAULT : PIER_RUN_NOWAIT, 0);
  assert_int_equal(atomic_load(&reads[0]->calls), 1);
  streams__close_pair(loop, first);
  streams__close_pair(loop, second);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST_POOL(b41_a_packet_before_the_submit_returns),
      SUPPORT_TEST(b13_pointers_into_live_slots_complete_nothing),
      SUPPORT_TEST_POOL(b13_pointers_into_live_slots_complete_nothing),
  };
  return support__main(argc, argv, "packets", tests, sizeof tests / sizeof tests[0]);
}
