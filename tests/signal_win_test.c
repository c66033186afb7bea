/* Wait-completion packets, real or stood in for: their contract, the event path that rests on them, and the timer that ends the
 * loop's wait. */
#include "standin_win.h"

#include "local.h"
#include "streams.h"

#include <string.h>

#define CANCELLED ((NTSTATUS)0xC0000120)
#define REFUSED ((NTSTATUS)0xC00000EF) /* what a packet in use is refused with */

/* What comes between the loop and the functions that it uses. */
static struct between {
  struct nt_table below; /* the functions themselves */
  atomic_uint associated, operations; /* all of them, and those for operations */
  atomic_uint early;  /* so many of the next associations bring their packet before anything is signalled */
  atomic_uint refuse; /* so many of the next are refused */
} between;

static bool take_one(atomic_uint *left) {
  unsigned have = atomic_load(left);
  while (have && !atomic_compare_exchange_weak(left, &have, have - 1)) {
  }
  return have > 0;
}

static NTSTATUS NTAPI associate(HANDLE packet, HANDLE port, HANDLE target, void *key, void *overlapped, NTSTATUS status,
                                ULONG_PTR information, BOOLEAN *already) {
  if (take_one(&between.refuse))
    return REFUSED;
  atomic_fetch_add(&between.associated, 1);
  atomic_fetch_add(&between.operations, key != overlapped); /* the timer's packet has one address for both */
  if (!take_one(&between.early))
    return between.below.associate_wait_completion_packet(packet, port, target, key, overlapped, status, information, already);
  PostQueuedCompletionStatus(port, 0, (ULONG_PTR)key, overlapped);
  return NT_STATUS_SUCCESS;
}

static pier_loop *open_between(const pier_loop_options *options) {
  memset(&between, 0, sizeof between);
  struct nt_table *table = standin__table_with_packets();
  between.below = *table;
  table->associate_wait_completion_packet = associate;
  nt__replace(table);
  print_message("wait-completion packets: %s\n", standin__has_packets() ? "real" : "stand-in");
  return support__open_with(options);
}

static pier_loop *open_usual(void) {
  const pier_loop_options options = {.threads = support__threads()};
  return open_between(&options);
}

static int end(void **state) {
  nt__replace(standin__table());
  return support__end(state);
}

/* ---- The contract ---- */

typedef struct contract {
  HANDLE port, packet, event;
} contract;

static contract open_contract(void) {
  contract all = {0};
  nt__replace(standin__table_with_packets());
  print_message("wait-completion packets: %s\n", standin__has_packets() ? "real" : "stand-in");
  all.port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
  all.event = CreateEventW(NULL, FALSE, FALSE, NULL);
  assert_int_equal(nt()->create_wait_completion_packet(&all.packet, GENERIC_ALL, NULL), 0);
  return all;
}

static void close_contract(const contract *all) {
  CloseHandle(all->packet);
  CloseHandle(all->event);
  CloseHandle(all->port);
}

static NTSTATUS associate_with(const contract *all, uintptr_t number, BOOLEAN *already) {
  return nt()->associate_wait_completion_packet(all->packet, all->port, all->event, (void *)number, (void *)(number + 1), 0, number + 2,
                                                already);
}

/* The packet of that number, and no other. */
static bool comes(const contract *all, uintptr_t number, DWORD timeout_ms) {
  OVERLAPPED_ENTRY entry;
  ULONG count = 0;
  if (!GetQueuedCompletionStatusEx(all->port, &entry, 1, &count, timeout_ms, FALSE))
    return false;
  assert_int_equal(entry.lpCompletionKey, number);
  assert_int_equal((uintptr_t)entry.lpOverlapped, number + 1);
  assert_int_equal(entry.dwNumberOfBytesTransferred, number + 2);
  return true;
}

/* One signal, one packet; and the signal is taken. */
static void a_signal_is_one_packet(void **state) {
  (void)state;
  contract all = open_contract();
  for (uintptr_t number = 1; number < 6; number++) {
    BOOLEAN already = TRUE;
    assert_int_equal(associate_with(&all, number, &already), 0);
    assert_false(already);
    assert_false(comes(&all, number, 0));
    SetEvent(all.event);
    assert_true(comes(&all, number, 5000));
    assert_false(comes(&all, number, 0));
    assert_int_equal(WaitForSingleObject(all.event, 0), WAIT_TIMEOUT);
  }
  close_contract(&all);
}

/* What is signalled already brings its packet at once. */
static void a_signal_of_before_counts(void **state) {
  (void)state;
  contract all = open_contract();
  BOOLEAN already = FALSE;
  SetEvent(all.event);
  assert_int_equal(associate_with(&all, 7, &already), 0);
  assert_true(already);
  assert_true(comes(&all, 7, 5000));
  close_contract(&all);
}

/* Associated, it is refused to others, and stays what it was. */
static void in_use_it_is_refused(void **state) {
  (void)state;
  contract all = open_contract();
  assert_int_equal(associate_with(&all, 7, NULL), 0);
  assert_true(associate_with(&all, 9, NULL) < 0);
  SetEvent(all.event);
  assert_true(comes(&all, 7, 5000));
  assert_false(comes(&all, 9, 0));
  close_contract(&all);
}

/* A cancel takes an association back, and a queued packet; there is nothing to cancel before and after. */
static void a_cancel_takes_it_back(void **state) {
  (void)state;
  contract all = open_contract();
  assert_int_equal(nt()->cancel_wait_completion_packet(all.packet, TRUE), CANCELLED);
  assert_int_equal(associate_with(&all, 7, NULL), 0);
  assert_int_equal(nt()->cancel_wait_completion_packet(all.packet, FALSE), 0);
  SetEvent(all.event);
  assert_false(comes(&all, 7, 20));
  assert_int_equal(WaitForSingleObject(all.event, 0), WAIT_OBJECT_0);
  SetEvent(all.event);
  assert_int_equal(associate_with(&all, 8, NULL), 0);
  assert_int_equal(nt()->cancel_wait_completion_packet(all.packet, TRUE), 0);
  assert_false(comes(&all, 8, 20));
  assert_int_equal(associate_with(&all, 9, NULL), 0);
  SetEvent(all.event);
  assert_true(comes(&all, 9, 5000));
  assert_int_equal(nt()->cancel_wait_completion_packet(all.packet, TRUE), CANCELLED);
  close_contract(&all);
}

/* ---- The event path ---- */

static support_outcome *read_one(pier_handle from, char *buffer, uint64_t deadline_ns, pier_operation *id) {
  support_outcome *read = support__outcome();
  *id = pier_read(from, buffer, 1, deadline_ns, support__take, read);
  assert_true(*id != 0);
  return read;
}

static void ends_with_data(pier_loop *loop, const pier_handle ends[2], char *buffer) {
  pier_operation id;
  support_outcome *read = read_one(ends[0], buffer, PIER_NO_DEADLINE, &id), *posted = support__outcome();
  assert_true(pier_post(loop, support__take, posted) != 0);
  await_status(loop, posted, PIER_OK);
  assert_false(support__called(read));
  assert_true(pier_write(ends[1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
  await_status(loop, read, PIER_OK);
  assert_int_equal(buffer[0], 'x');
  assert_int_equal(atomic_load(&read->calls), 1);
}

static void ends_without(pier_loop *loop, const pier_handle ends[2], char *buffer) {
  pier_operation id;
  support_outcome *read = read_one(ends[0], buffer, PIER_NO_DEADLINE, &id);
  assert_status(pier_cancel(id), PIER_OK);
  await_status(loop, read, PIER_ECANCELED);
  read = read_one(ends[0], buffer, pier_deadline_in(2 * PIER_MILLISECOND), &id);
  await_status(loop, read, PIER_ETIMEDOUT);
}

/* A slot keeps its event, so there are no more of them than slots that go round: what the threads of the loop have in stock, all of them full in
   the worst case, and those in use, of which a thread that is none of them takes a new one then. */
#define EVENTS_MAX (SUPPORT_THREADS * LOCAL_SLOTS + 16)

/* One association for each operation that goes pending, and no kernel object for any of them after the first ones. */
static void an_operation_is_one_association(void **state) {
  (void)state;
  const streams_sort sorts[] = {STREAMS_KEPT_PIPE, STREAMS_KEPT_TCP};
  char *buffer = support__alloc(16);
  for (int i = 0; i < 2; i++) {
    pier_loop *loop = open_usual();
    pier_handle ends[2];
    streams__pair(loop, sorts[i], ends);
    for (int round = 0; round < 150; round++)
      ends_with_data(loop, ends, buffer);
    unsigned associated = atomic_load(&between.operations);
    for (int round = 0; round < 50; round++)
      ends_with_data(loop, ends, buffer);
    assert_true(support__metrics(loop).events_created <= EVENTS_MAX);
    /* Of the writes some go pending too. */
    associated = atomic_load(&between.operations) - associated;
    assert_true(associated >= 50 && associated <= 100);
    assert_int_equal(support__metrics(loop).packets_foreign, 0);
    streams__close_pair(loop, ends);
    support__close(loop);
  }
}

/* A signal that was another's has used the packet up: it is associated once more, and the operation ends as it should. */
static void an_early_signal_is_survived(void **state) {
  (void)state;
  pier_loop *loop = open_usual();
  pier_handle ends[2];
  char *buffer = support__alloc(16);
  streams__pair(loop, STREAMS_KEPT_PIPE, ends);
  streams__exchange(loop, ends[1], ends[0], 5, 0); /* it is known from its first use on */
  for (unsigned early = 1; early < 4; early++) {
    atomic_store(&between.early, early);
    ends_with_data(loop, ends, buffer);
    atomic_store(&between.early, early);
    ends_without(loop, ends, buffer);
  }
  assert_int_equal(atomic_load(&between.early), 0);
  assert_int_equal(support__metrics(loop).packets_foreign, 0);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* Refused once it is tried again; refused twice a worker waits instead. Nothing is lost either way. */
static void a_refusal_is_survived(void **state) {
  (void)state;
  pier_loop *loop = open_usual();
  pier_handle ends[2];
  char *buffer = support__alloc(16);
  streams__pair(loop, STREAMS_KEPT_PIPE, ends);
  streams__exchange(loop, ends[1], ends[0], 5, 0); /* it is known from its first use on */
  for (unsigned refusals = 1; refusals < 3; refusals++) {
    atomic_store(&between.refuse, refusals);
    ends_with_data(loop, ends, buffer);
    assert_int_equal(atomic_load(&between.refuse), 0);
    atomic_store(&between.refuse, refusals);
    ends_without(loop, ends, buffer);
    ends_with_data(loop, ends, buffer);
  }
  pier_operation id;
  atomic_store(&between.refuse, 2);
  support_outcome *read = read_one(ends[0], buffer, PIER_NO_DEADLINE, &id);
  support__close_handle(loop, ends[0]);
  assert_true(support__called(read));
  assert_status(read->got.status, PIER_ECLOSED);
  support__close_handle(loop, ends[1]);
  support__close(loop);
}

/* A packet that somebody else has posted with a pending operation's words ends nothing. */
static void a_forged_signal_ends_nothing(void **state) {
  (void)state;
  pier_loop *loop = open_usual();
  pier_handle ends[2];
  char *buffer = support__alloc(16);
  pier_operation id;
  streams__pair(loop, STREAMS_KEPT_PIPE, ends);
  streams__exchange(loop, ends[1], ends[0], 5, 0); /* it is known from its first use on */
  for (int round = 0; round < 20; round++) {
    support_outcome *read = read_one(ends[0], buffer, PIER_NO_DEADLINE, &id), *posted = support__outcome();
    for (int copies = 0; copies < 3; copies++)
      PostQueuedCompletionStatus((HANDLE)pier_loop_native(loop), 0, id, (OVERLAPPED *)(void *)buffer);
    assert_true(pier_post(loop, support__take, posted) != 0);
    await_status(loop, posted, PIER_OK);
    assert_false(support__called(read));
    assert_true(pier_write(ends[1], "x", 1, PIER_NO_DEADLINE, NULL, NULL) != 0);
    await_status(loop, read, PIER_OK);
  }
  assert_int_equal(support__metrics(loop).packets_dropped, support__metrics(loop).packets_foreign);
  streams__close_pair(loop, ends);
  support__close(loop);
}

/* ---- The timer ---- */

static void take_timer(pier_loop *loop, pier_timer timer, void *context) {
  support_outcome *outcome = context;
  (void)loop;
  (void)timer;
  outcome->at_ns = pier_now_ns();
  support__count(&outcome->calls);
}

/* Timers end the wait through the timer's packet, never early, earlier ones than the armed one too. */
static void a_timer_ends_the_wait(void **state) {
  (void)state;
  const uint64_t after_ns[] = {20 * PIER_MILLISECOND, 3 * PIER_MILLISECOND, 300000, 9 * PIER_MILLISECOND};
  pier_loop *loop = open_usual();
  for (int round = 0; round < 5; round++) {
    support_outcome *outcomes[4];
    uint64_t due_ns[4];
    for (int i = 0; i < 4; i++) {
      outcomes[i] = support__outcome();
      due_ns[i] = pier_now_ns() + after_ns[i];
      assert_true(pier_timer_start(loop, after_ns[i], 0, take_timer, outcomes[i]) != 0);
    }
    for (int i = 0; i < 4; i++) {
      support__until_count(loop, &outcomes[i]->calls, 1, "the timer");
      assert_true(outcomes[i]->at_ns >= due_ns[i]);
    }
  }
  assert_true(atomic_load(&between.associated) >= 5);
  assert_int_equal(support__metrics(loop).packets_foreign, 0);
  support__close(loop);
}

static bool is_armed(void *context) {
  (void)context;
  return atomic_load(&between.associated) > 0;
}

/* Armed for a later one, it is set anew for one that comes in between. */
static void an_earlier_timer_is_not_kept_waiting(void **state) {
  (void)state;
  pier_loop *loop = open_usual();
  support_outcome *later = support__outcome(), *earlier = support__outcome();
  pier_timer timer = pier_timer_start(loop, 30 * PIER_SECOND, 0, take_timer, later);
  assert_true(timer != 0);
  support__until(loop, is_armed, NULL, "the wait for the later one");
  assert_true(pier_timer_start(loop, 3 * PIER_MILLISECOND, 0, take_timer, earlier) != 0);
  support__until_count(loop, &earlier->calls, 1, "the earlier one");
  assert_false(support__called(later));
  assert_status(pier_timer_stop(timer), PIER_OK);
  support__close(loop);
}

/* A host that has a port of its own finds nothing of the timer's on it when the loop is gone. */
static void no_tick_is_left_on_a_hosts_port(void **state) {
  (void)state;
  HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
  for (int round = 0; round < 20; round++) {
    const pier_loop_options options = {.use_port = true, .port = (pier_native)port};
    pier_loop *loop = open_between(&options);
    OVERLAPPED_ENTRY entry;
    ULONG count = 0;
    support_outcome *fired = support__outcome();
    pier_timer timer = pier_timer_start(loop, (uint64_t)(round + 1) * 300000, 0, take_timer, fired);
    assert_true(timer != 0);
    /* Waits, and is through before the timer is, more or less. */
    pier_loop_run(loop, PIER_RUN_DEFAULT, (uint64_t)(round + 1) * 250000);
    pier_timer_stop(timer);
    if (round % 2)
      Sleep(10);
    support__close(loop);
    assert_false(GetQueuedCompletionStatusEx(port, &entry, 1, &count, round % 2 ? 0 : 10, FALSE));
  }
  CloseHandle(port);
}

#define CASE(function, suffix, threads_of_case)                                                                        \
  { #function suffix, function, support__begin, end, &(support_case){#function suffix, threads_of_case} }
#define BOTH(function) CASE(function, "", 0), CASE(function, "_in_pool_mode", SUPPORT_THREADS)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      CASE(a_signal_is_one_packet, "", 0),
      CASE(a_signal_of_before_counts, "", 0),
      CASE(in_use_it_is_refused, "", 0),
      CASE(a_cancel_takes_it_back, "", 0),
      BOTH(an_operation_is_one_association),
      BOTH(an_early_signal_is_survived),
      BOTH(a_refusal_is_survived),
      BOTH(a_forged_signal_ends_nothing),
      BOTH(a_timer_ends_the_wait),
      CASE(an_earlier_timer_is_not_kept_waiting, "_in_pool_mode", SUPPORT_THREADS),
      CASE(no_tick_is_left_on_a_hosts_port, "", 0),
  };
  return support__main(argc, argv, "signal", tests, sizeof tests / sizeof tests[0]);
}
