/* Notification modes: those that an owner has set stay, and every completion is seen once whatever they are. */
#include <winsock2.h>

#include <windows.h>

#include "streams.h"

#include "standin_win.h"

enum { MODES = 4 };

static const UCHAR modes[MODES] = {0, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS, FILE_SKIP_SET_EVENT_ON_HANDLE,
                                   FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE};

typedef LONG(WINAPI *query_file)(HANDLE file, void *status, void *information, ULONG length, int code);

/* The modes of a handle by FileIoCompletionNotificationInformation (41); -1 where the system does not tell. */
static int modes_of(pier_native native) {
  struct {
    void *status;
    ULONG_PTR information;
  } io = {0};
  ULONG flags = 0;
  FARPROC found = GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "NtQueryInformationFile");
  query_file query = (query_file)(void (*)(void))found;
  return query && query((HANDLE)native, &io, &flags, sizeof flags, 41) == 0 ? (int)(flags & 3) : -1;
}

typedef void (*make_pair)(pier_native natives[2]);

static void make_pipe(pier_native natives[2]) {
  support__native_pipe_pair(false, true, true, natives);
}

static void make_message_pipe(pier_native natives[2]) {
  support__native_pipe_pair(true, true, true, natives);
}

/* Data first, then the read; the read first, then data; the end; a cancel: each once. */
static void use_all_ways(pier_loop *loop, pier_handle ends[2]) {
  char *buffer = support__alloc(64);
  for (int i = 0; i < 10; i++) {
    support_outcome *written = support__outcome(), *read = support__outcome(), *cancelled = support__outcome();
    bool data_first = i % 2;
    if (data_first) {
      assert_true(pier_write(ends[1], "data", 4, PIER_NO_DEADLINE, support__take, written) != 0);
      await_status(loop, written, PIER_OK);
    }
    assert_true(pier_read(ends[0], buffer, 64, PIER_NO_DEADLINE, support__take, read) != 0);
    if (!data_first)
      assert_true(pier_write(ends[1], "data", 4, PIER_NO_DEADLINE, support__take, written) != 0);
    await_status(loop, read, PIER_OK);
    await_status(loop, written, PIER_OK);
    assert_int_equal(read->got.bytes, 4);
    pier_operation id = pier_read(ends[0], buffer, 64, PIER_NO_DEADLINE, support__take, cancelled);
    assert_status(pier_cancel(id), PIER_OK);
    await_status(loop, cancelled, PIER_ECANCELED);
    assert_int_equal(atomic_load(&read->calls), 1);
    assert_int_equal(atomic_load(&written->calls), 1);
  }
}

static void use_with_modes(make_pair make, bool has_end, bool *told) {
  const pier_association associations[] = {PIER_ASSOCIATE_NOW, PIER_ASSOCIATE_LAZY, PIER_ASSOCIATE_NEVER};
  for (int m = 0; m < MODES; m++) {
    for (int a = 0; a < 3; a++) {
      pier_loop *loop = support__open();
      pier_native natives[2];
      pier_handle ends[2];
      pier_register_options options = {.association = associations[a]};
      make(natives);
      for (int i = 0; i < 2; i++) {
        if (modes[m])
          assert_true(SetFileCompletionNotificationModes((HANDLE)natives[i], modes[m]));
        assert_status(pier_register(loop, natives[i], &options, &ends[i]), PIER_OK);
      }
      use_all_ways(loop, ends);
      for (int i = 0; i < 2; i++) {
        int now = modes_of(natives[i]);
        assert_true(now == -1 || now == modes[m]);
        *told = now != -1;
      }
      /* A packet that came although the operation was over would have nobody behind it. */
      assert_int_equal(support__metrics(loop).packets_foreign, 0);
      support__close_handle(loop, ends[1]);
      if (has_end) {
        support_outcome *end = support__outcome();
        assert_true(pier_read(ends[0], natives, 1, PIER_NO_DEADLINE, support__take, end) != 0);
        await_status(loop, end, PIER_OK);
        assert_true(end->got.end);
      }
      support__close_handle(loop, ends[0]);
      support__close(loop);
    }
  }
}

/* Pipes, byte by byte and message by message, with each of the four combinations and each way of registering. */
static void b9_pipes_with_their_owners_modes(void **state) {
  (void)state;
  bool told = false;
  use_with_modes(make_pipe, true, &told);
  use_with_modes(make_message_pipe, true, &told);
  print_message(told ? "the modes were asked for and are unchanged\n"
                     : "this system does not tell the modes of a handle\n");
}

/* Sockets too. */
static void b9_sockets_with_their_owners_modes(void **state) {
  (void)state;
  bool told = false;
  use_with_modes(support__native_tcp_pair, true, &told);
  use_with_modes(support__native_udp_pair, false, &told);
  print_message(told ? "the modes were asked for and are unchanged\n"
                     : "this system does not tell the modes of a handle\n");
}

/* Files: many reads and writes in flight, each called back once, and at the end the end. */
static void b9_files_with_their_owners_modes(void **state) {
  (void)state;
  enum { CALLS = 24, LENGTH = 60000 };
  const pier_association associations[] = {PIER_ASSOCIATE_NOW, PIER_ASSOCIATE_LAZY, PIER_ASSOCIATE_NEVER};
  for (int m = 0; m < MODES; m++) {
    for (int a = 0; a < 3; a++) {
      pier_loop *loop = support__open();
      pier_handle file = 0;
      pier_register_options options = {.association = associations[a]};
      char *buffer = support__alloc(CALLS * 1000);
      support_outcome *reads[CALLS], *written = support__outcome(), *end = support__outcome();
      HANDLE native = CreateFileA(support__temp_file(LENGTH), GENERIC_READ | GENERIC_WRITE, FILE_SHARE_DELETE, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
      assert_true(native != INVALID_HANDLE_VALUE);
      if (modes[m])
        assert_true(SetFileCompletionNotificationModes(native, modes[m]));
      assert_status(pier_register(loop, (pier_native)native, &options, &file), PIER_OK);
      for (int i = 0; i < CALLS; i++) {
        reads[i] = support__outcome();
        assert_true(pier_read_at(file, buffer + i * 1000, 1000, i * 2000, PIER_NO_DEADLINE, support__take, reads[i]) != 0);
      }
      assert_true(pier_write_at(file, "at the end", 10, LENGTH, PIER_NO_DEADLINE, support__take, written) != 0);
      await_status(loop, written, PIER_OK);
      assert_true(pier_read_at(file, buffer, 10, LENGTH + 10, PIER_NO_DEADLINE, support__take, end) != 0);
      await_status(loop, end, PIER_OK);
      assert_true(end->got.end);
      for (int i = 0; i < CALLS; i++) {
        await_status(loop, reads[i], PIER_OK);
        assert_int_equal(atomic_load(&reads[i]->calls), 1);
        assert_true(i == 0 || support__filled(buffer + i * 1000, 1000, (uint64_t)i * 2000));
      }
      int now = modes_of((pier_native)native);
      assert_true(now == -1 || now == modes[m]);
      assert_int_equal(support__metrics(loop).packets_foreign, 0);
      support__close_handle(loop, file);
      support__close(loop);
    }
  }
}

/* A message longer than the buffer, there already or still to come, in each combination: its bytes and EMSGSIZE, once, and then its rest. */
static void b25_a_cut_message_in_every_mode(void **state) {
  (void)state;
  const pier_association associations[] = {PIER_ASSOCIATE_NOW, PIER_ASSOCIATE_LAZY, PIER_ASSOCIATE_NEVER};
  for (int m = 0; m < MODES; m++) {
    for (int a = 0; a < 3; a++) {
      pier_loop *loop = support__open();
      pier_native natives[2];
      pier_handle ends[2];
      char *buffer = support__alloc(16);
      pier_register_options options = {.association = associations[a]};
      make_message_pipe(natives);
      for (int i = 0; i < 2; i++) {
        if (modes[m])
          assert_true(SetFileCompletionNotificationModes((HANDLE)natives[i], modes[m]));
        assert_status(pier_register(loop, natives[i], &options, &ends[i]), PIER_OK);
      }
      for (int i = 0; i < 20; i++) {
        support_outcome *written = support__outcome(), *cut = support__outcome(), *rest = support__outcome();
        if (i % 2)
          assert_true(pier_read(ends[0], buffer, 3, PIER_NO_DEADLINE, support__take, cut) != 0);
        assert_true(pier_write(ends[1], "message", 7, PIER_NO_DEADLINE, support__take, written) != 0);
        await_status(loop, written, PIER_OK);
        if (i % 2 == 0)
          assert_true(pier_read(ends[0], buffer, 3, PIER_NO_DEADLINE, support__take, cut) != 0);
        await_status(loop, cut, PIER_EMSGSIZE);
        assert_int_equal(cut->got.bytes, 3);
        assert_true(pier_read(ends[0], buffer + 3, 13, PIER_NO_DEADLINE, support__take, rest) != 0);
        await_status(loop, rest, PIER_OK);
        assert_int_equal(rest->got.bytes, 4);
        assert_memory_equal(buffer, "message", 7);
        assert_int_equal(atomic_load(&cut->calls), 1);
        assert_int_equal(atomic_load(&rest->calls), 1);
      }
      assert_int_equal(support__metrics(loop).packets_foreign, 0);
      streams__close_pair(loop, ends);
      support__close(loop);
    }
  }
}

/* What one kind of completion did to the counts. */
typedef struct tally {
  uint64_t packets, immediate, completed;
} tally;

static tally tally_of(pier_loop *loop) {
  pier_metrics metrics = support__metrics(loop);
  return (tally){metrics.packets, metrics.immediate, metrics.completed};
}

static tally since(pier_loop *loop, tally before) {
  tally now = tally_of(loop);
  return (tally){now.packets - before.packets, now.immediate - before.immediate, now.completed - before.completed};
}

/* Reads what is there already, so that the system finishes each read inside its call. */
static tally read_at_once(pier_loop *loop, pier_handle from, pier_handle to, unsigned count) {
  char *buffer = support__alloc(count);
  for (unsigned i = 0; i < count; i++) {
    support_outcome *written = support__outcome();
    assert_true(pier_write(to, "x", 1, PIER_NO_DEADLINE, support__take, written) != 0);
    await_status(loop, written, PIER_OK);
  }
  tally before = tally_of(loop);
  for (unsigned i = 0; i < count; i++) {
    support_outcome *read = support__outcome();
    assert_true(pier_read(from, &buffer[i], 1, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_int_equal(read->got.bytes, 1);
  }
  /* Any packet that is still to come is taken by now. */
  assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, 0), PIER_OK);
  return since(loop, before);
}

/* On handles that Pier opened, an immediate success is one callback: with the skip mode no packet was queued, without
 * it exactly one was taken. */
static void b10_an_immediate_success_is_one_callback(void **state) {
  (void)state;
  enum { READS = 40 };
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_TCP};
  for (int i = 0; i < 2; i++) {
    pier_loop *loop = support__open();
    pier_handle ends[2];
    streams__pair(loop, sorts[i], ends);
    tally reads = read_at_once(loop, ends[0], ends[1], READS);
    print_message("%s: %u reads, %u at once, %u packets\n", streams__name(sorts[i]), READS, (unsigned)reads.immediate,
                  (unsigned)reads.packets);
    assert_int_equal(reads.completed, READS);
    assert_int_equal(reads.immediate + reads.packets, READS);
    assert_int_equal(support__metrics(loop).packets_foreign, 0);
    /* Wine has the skip mode for pipes and sockets, Windows for more: here it must have shown. */
    assert_int_equal(reads.immediate, READS);
    streams__close_pair(loop, ends);
    support__close(loop);
  }
}

/* On a handle that was handed in the modes are not ours to set: an immediate success queues a packet, and it is taken
 * once. */
static void b10_without_the_skip_mode_one_packet_is_taken(void **state) {
  (void)state;
  enum { READS = 40 };
  const make_pair makers[] = {make_pipe, support__native_tcp_pair};
  for (int i = 0; i < 2; i++) {
    pier_loop *loop = support__open();
    pier_native natives[2];
    pier_handle ends[2];
    const pier_register_options options = {.association = PIER_ASSOCIATE_NOW};
    makers[i](natives);
    for (int end = 0; end < 2; end++)
      assert_status(pier_register(loop, natives[end], &options, &ends[end]), PIER_OK);
    tally reads = read_at_once(loop, ends[0], ends[1], READS);
    assert_int_equal(reads.completed, READS);
    assert_int_equal(reads.packets, READS);
    assert_int_equal(reads.immediate, 0);
    streams__close_pair(loop, ends);
    support__close(loop);
  }
}

static BOOL WINAPI refuse_modes(HANDLE file, UCHAR wanted) {
  (void)file;
  (void)wanted;
  SetLastError(ERROR_NOT_SUPPORTED);
  return FALSE;
}

static int end_refusing(void **state) {
  nt__replace(standin__table());
  return support__end(state);
}

/* The same on handles that Pier opened, where the system has refused the mode, or where Pier has not asked for it: a message pipe's writes. */
static void b10_where_the_mode_is_refused_one_packet_is_taken(void **state) {
  (void)state;
  enum { WRITES = 40 };
  const streams_sort sorts[] = {STREAMS_PIPE, STREAMS_TCP, STREAMS_UDP, STREAMS_MESSAGE_PIPE};
  for (int refused = 0; refused < 2; refused++) {
    struct nt_table *table = standin__table();
    if (refused)
      table->set_file_completion_notification_modes = refuse_modes;
    nt__replace(table);
    for (int i = 0; i < 4; i++) {
      pier_loop *loop = support__open();
      pier_handle ends[2];
      streams__pair(loop, sorts[i], ends);
      tally before = tally_of(loop);
      for (int n = 0; n < WRITES; n++) {
        support_outcome *written = support__outcome();
        assert_true(pier_write(ends[0], "x", 1, PIER_NO_DEADLINE, support__take, written) != 0);
        await_status(loop, written, PIER_OK);
        assert_int_equal(atomic_load(&written->calls), 1);
      }
      assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, 0), PIER_OK);
      tally writes = since(loop, before);
      bool skips = !refused && sorts[i] != STREAMS_MESSAGE_PIPE;
      print_message("%s%s: %u writes, %u at once, %u packets\n", streams__name(sorts[i]), refused ? ", refused" : "", WRITES,
                    (unsigned)writes.immediate, (unsigned)writes.packets);
      assert_int_equal(writes.completed, WRITES);
      assert_int_equal(writes.packets, skips ? 0 : WRITES);
      assert_int_equal(writes.immediate, skips ? WRITES : 0);
      assert_int_equal(support__metrics(loop).packets_foreign, 0);
      streams__close_pair(loop, ends);
      support__close(loop);
    }
  }
}

/* Immediate failures arrive like anything else: one callback, on a later turn, and no packet is left behind. */
static void b10_an_immediate_failure_is_one_callback(void **state) {
  (void)state;
  pier_loop *loop = support__open();
  pier_handle ends[2];
  char *buffer = support__alloc(8);
  streams__pair(loop, STREAMS_PIPE, ends);
  support__close_handle(loop, ends[1]);
  tally before = tally_of(loop);
  for (int i = 0; i < 20; i++) {
    support_outcome *read = support__outcome(), *written = support__outcome();
    assert_true(pier_read(ends[0], buffer, 8, PIER_NO_DEADLINE, support__take, read) != 0);
    assert_true(pier_write(ends[0], buffer, 8, PIER_NO_DEADLINE, support__take, written) != 0);
    assert_false(support__called(read) || support__called(written));
    await_status(loop, read, PIER_OK);
    assert_true(read->got.end);
    await_status(loop, written, PIER_EPIPE);
  }
  assert_status(pier_loop_run(loop, PIER_RUN_NOWAIT, 0), PIER_OK);
  assert_int_equal(since(loop, before).completed, 40);
  assert_int_equal(support__metrics(loop).packets_foreign, 0);
  support__close_handle(loop, ends[0]);
  support__close(loop);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b9_pipes_with_their_owners_modes),
      SUPPORT_TEST_POOL(b9_pipes_with_their_owners_modes),
      SUPPORT_TEST(b9_sockets_with_their_owners_modes),
      SUPPORT_TEST_POOL(b9_sockets_with_their_owners_modes),
      SUPPORT_TEST(b9_files_with_their_owners_modes),
      SUPPORT_TEST_POOL(b9_files_with_their_owners_modes),
      SUPPORT_TEST(b25_a_cut_message_in_every_mode),
      SUPPORT_TEST_POOL(b25_a_cut_message_in_every_mode),
      SUPPORT_TEST(b10_an_immediate_success_is_one_callback),
      {"b10_where_the_mode_is_refused_one_packet_is_taken", b10_where_the_mode_is_refused_one_packet_is_taken, support__begin, end_refusing,
       &(support_case){"b10_where_the_mode_is_refused_one_packet_is_taken", 0}},
      SUPPORT_TEST(b10_without_the_skip_mode_one_packet_is_taken),
      SUPPORT_TEST(b10_an_immediate_failure_is_one_callback),
  };
  return support__main(argc, argv, "modes", tests, sizeof tests / sizeof tests[0]);
}
