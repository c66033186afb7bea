/* Files on a system that ends their I/O inside the call and yet says "pending", and what happens when it does not after all:
 * NtReadFile is stood in for by one that counts, and whose reads the test can leave pending, finish or refuse. */
#include <winsock2.h>

#include <windows.h>

#include "streams.h"

#include "iocp.h"
#include "loop.h"
#include "nt.h"

#include <string.h>

#define STATUS_LEFT_PENDING ((NTSTATUS)0x103)
#define STATUS_WAS_CANCELLED ((NTSTATUS)0xC0000120)
#define STATUS_DENIED ((NTSTATUS)0xC0000022)

enum { LENGTH = 65536, READ_BYTES = 512, TRUSTED_AFTER = 16, SYNC_TRUSTED_AFTER = 64, PLAYED_MAX = 2 };

/* A read that the stand-in has and has not finished. */
struct played {
  struct nt_io_status *io;
  void *buffer;
  ULONG length;
  uint64_t offset;
};

static struct stand_in {
  atomic_uint calls;
  atomic_uint bare;    /* those without event and without completion context */
  atomic_uint pending; /* so many calls more are left pending */
  atomic_uint played;
  atomic_uint together; /* so many of them return together */
  atomic_int refusal;   /* not 0: refused with that, nothing written */
  struct played reads[PLAYED_MAX];
} stand_in;

static struct nt_table table;

static bool takes_one(atomic_uint *left) {
  unsigned count = atomic_load(left);
  while (count && !atomic_compare_exchange_weak(left, &count, count - 1)) {
  }
  return count > 0;
}

static NTSTATUS NTAPI read_file(HANDLE file, HANDLE event, void *apc, void *apc_context, struct nt_io_status *io, void *buffer,
                                ULONG length_bytes, LARGE_INTEGER *offset, ULONG *key) {
  atomic_fetch_add(&stand_in.calls, 1);
  if (!event && !apc_context)
    atomic_fetch_add(&stand_in.bare, 1);
  if (atomic_load(&stand_in.refusal))
    return (NTSTATUS)atomic_load(&stand_in.refusal);
  if (!takes_one(&stand_in.pending))
    return nt__system()->read_file(file, event, apc, apc_context, io, buffer, length_bytes, offset, key);
  /* The index is the caller's own: it is given by the length. */
  unsigned index = length_bytes == READ_BYTES ? 0 : 1;
  stand_in.reads[index] = (struct played){io, buffer, length_bytes, (uint64_t)offset->QuadPart};
  atomic_fetch_add(&stand_in.played, 1);
  while (atomic_load(&stand_in.played) < atomic_load(&stand_in.together))
    support__yield();
  support__signal();
  return STATUS_LEFT_PENDING;
}

static void stand_in_for_reads(void) {
  memset(&stand_in, 0, sizeof stand_in);
  table = *nt__system();
  table.read_file = read_file;
  nt__replace(&table);
}

/* The system's table comes back also after a failed case. */
static int end(void **state) {
  nt__replace(NULL);
  return support__end(state);
}

/* As the kernel does it: the bytes, their number, and only then the status. */
static void finish(const struct played *read, NTSTATUS status) {
  if (status == NT_STATUS_SUCCESS)
    support__fill(read->buffer, read->length, read->offset);
  *(volatile uintptr_t *)&read->io->information = status == NT_STATUS_SUCCESS ? read->length : 0;
  atomic_thread_fence(memory_order_seq_cst);
  *(volatile uintptr_t *)&read->io->status = (uint32_t)status;
}

static void finish_soon(void *context) {
  (void)context;
  Sleep(10);
  finish(&stand_in.reads[0], NT_STATUS_SUCCESS);
}

static bool all_played(void *context) {
  return atomic_load(&stand_in.played) >= *(unsigned *)context;
}

static void read_right(pier_loop *loop, pier_handle file, int64_t offset) {
  char *buffer = support__alloc(READ_BYTES);
  support_outcome *read = support__outcome();
  assert_true(pier_read_at(file, buffer, READ_BYTES, offset, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, READ_BYTES);
  assert_true(support__filled(buffer, READ_BYTES, (uint64_t)offset));
}

/* A file whose calls are trusted from now on, on a loop of its own. */
static pier_handle open_trusted(pier_loop **loop) {
  pier_handle file = 0;
  stand_in_for_reads();
  *loop = support__open();
  assert_status(pier_file_open_sync(*loop, support__temp_file(LENGTH), PIER_OPEN_READ, &file), PIER_OK);
  for (unsigned i = 0; i < TRUSTED_AFTER; i++)
    read_right(*loop, file, (int64_t)i * 1021);
  assert_int_equal(atomic_load(&stand_in.calls), 0);
  read_right(*loop, file, 0);
  if (!atomic_load(&stand_in.calls)) {
    support__close_handle(*loop, file);
    support__close(*loop);
    support__skip("this system says so when a file's I/O ended inside the call");
  }
  return file;
}

/* A read of a trusted file that is pending after all. */
static pier_operation mispredict(pier_loop *loop, pier_handle file, void *buffer, uint64_t deadline_ns, support_outcome *read) {
  unsigned one = 1;
  atomic_store(&stand_in.pending, 1);
  pier_operation id = pier_read_at(file, buffer, READ_BYTES, 300, deadline_ns, support__take, read);
  assert_true(id != 0);
  support__until(loop, all_played, &one, "the played read");
  return id;
}

static void assert_no_longer_trusted(pier_loop *loop, pier_handle file) {
  unsigned calls = atomic_load(&stand_in.calls);
  for (unsigned i = 0; i < 2 * TRUSTED_AFTER; i++)
    read_right(loop, file, (int64_t)i * 1021);
  assert_int_equal(atomic_load(&stand_in.calls), calls);
}

/* Trusted, a file is read with neither event nor packet. */
static void a_file_is_trusted_after_16_reads(void **state) {
  (void)state;
  pier_loop *loop;
  pier_handle file = open_trusted(&loop);
  uint64_t packets = support__metrics(loop).packets;
  for (unsigned i = 0; i < 100; i++)
    read_right(loop, file, (int64_t)i * 601);
  assert_int_equal(atomic_load(&stand_in.calls), 101);
  assert_int_equal(atomic_load(&stand_in.bare), 101);
  assert_int_equal(support__metrics(loop).packets, packets);
  assert_int_equal(support__metrics(loop).events_created, 0);
  support__close_handle(loop, file);
  support__close(loop);
}

/* One that is pending after all is awaited by a worker; meanwhile its slot is nobody else's. */
static void a_misprediction_is_awaited(void **state) {
  (void)state;
  pier_loop *loop;
  pier_handle file = open_trusted(&loop);
  char *buffer = support__alloc(READ_BYTES);
  support_outcome *read = support__outcome();
  pier_operation id = mispredict(loop, file, buffer, PIER_NO_DEADLINE, read);
  assert_no_longer_trusted(loop, file);
  assert_false(support__called(read));
  assert_int_equal((uint32_t)stand_in.reads[0].io->status, STATUS_LEFT_PENDING);
  assert_true(support__metrics(loop).workers > 0);
  support_thread *finisher = support__thread_start(finish_soon, NULL);
  await_status(loop, read, PIER_OK);
  support__thread_join(finisher);
  assert_true(read->got.operation == id);
  assert_int_equal(read->got.bytes, READ_BYTES);
  assert_true(support__filled(buffer, READ_BYTES, 300));
  assert_no_longer_trusted(loop, file);
  support__close_handle(loop, file);
  support__close(loop);
  assert_int_equal(atomic_load(&read->calls), 1);
}

/* Cancelled or out of time while it is awaited, it ends when the system says so, and as the system says. */
static void an_awaited_read_is_cancelled(void **state) {
  (void)state;
  for (int way = 0; way < 4; way++) {
    pier_loop *loop;
    pier_handle file = open_trusted(&loop);
    char *buffer = support__alloc(READ_BYTES);
    support_outcome *read = support__outcome();
    bool by_deadline = way & 1, data_wins = way & 2;
    uint64_t deadline_ns = by_deadline ? pier_deadline_in(5 * PIER_MILLISECOND) : PIER_NO_DEADLINE;
    pier_operation id = mispredict(loop, file, buffer, deadline_ns, read);
    if (!by_deadline)
      assert_status(pier_cancel(id), PIER_OK);
    while (by_deadline && support__metrics(loop).cancels == 0)
      pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_MILLISECOND);
    pier_loop_run(loop, PIER_RUN_DEFAULT, 10 * PIER_MILLISECOND);
    assert_false(support__called(read));
    finish(&stand_in.reads[0], data_wins ? NT_STATUS_SUCCESS : STATUS_WAS_CANCELLED);
    await_status(loop, read, data_wins ? PIER_OK : by_deadline ? PIER_ETIMEDOUT : PIER_ECANCELED);
    assert_int_equal(read->got.bytes, data_wins ? READ_BYTES : 0);
    assert_status(pier_cancel(id), PIER_ENOENT);
    read_right(loop, file, 0);
    support__close_handle(loop, file);
    support__close(loop);
    assert_int_equal(atomic_load(&read->calls), 1);
  }
}

/* Closed while it is awaited: the file stays open until the system has let go of the read, whose callback comes first. */
static void a_file_is_closed_under_an_awaited_read(void **state) {
  (void)state;
  pier_loop *loop;
  pier_handle file = open_trusted(&loop);
  char *buffer = support__alloc(READ_BYTES);
  support_outcome *read = support__outcome(), *closed = support__outcome();
  DWORD flags = 0;
  mispredict(loop, file, buffer, PIER_NO_DEADLINE, read);
  HANDLE native = (HANDLE)pier_handle_native(file);
  assert_status(pier_close(file, support__take, closed), PIER_OK);
  pier_loop_run(loop, PIER_RUN_DEFAULT, 10 * PIER_MILLISECOND);
  assert_false(support__called(read));
  assert_false(support__called(closed));
  assert_true(GetHandleInformation(native, &flags));
  finish(&stand_in.reads[0], STATUS_WAS_CANCELLED);
  await_status(loop, read, PIER_ECLOSED);
  await_status(loop, closed, PIER_OK);
  assert_true(read->at_ns <= closed->at_ns);
  assert_false(GetHandleInformation(native, &flags));
  support__close(loop);
  assert_int_equal(atomic_load(&read->calls), 1);
}

/* Refused with nothing written is a failure like any other, and no reason not to trust the file. */
static void a_refusal_is_reported(void **state) {
  (void)state;
  pier_loop *loop;
  pier_handle file = open_trusted(&loop);
  char *buffer = support__alloc(READ_BYTES);
  support_outcome *read = support__outcome();
  atomic_store(&stand_in.refusal, (int)STATUS_DENIED);
  assert_true(pier_read_at(file, buffer, READ_BYTES, 0, PIER_NO_DEADLINE, support__take, read) != 0);
  await_status(loop, read, PIER_EACCES);
  assert_int_equal(read->got.system_code, ERROR_ACCESS_DENIED);
  assert_int_equal(read->got.bytes, 0);
  atomic_store(&stand_in.refusal, 0);
  unsigned calls = atomic_load(&stand_in.calls);
  read_right(loop, file, 77);
  assert_int_equal(atomic_load(&stand_in.calls), calls + 1);
  support__close_handle(loop, file);
  support__close(loop);
}

/* A read in several parts goes on from the awaited one as from any other. */
static void an_awaited_read_goes_on_with_its_next_part(void **state) {
  (void)state;
  pier_loop *loop;
  unsigned one = 1;
  pier_handle file = open_trusted(&loop);
  char *buffer = support__alloc(3 * READ_BYTES);
  support_outcome *read = support__outcome();
  const pier_buffer parts[] = {
      {buffer, READ_BYTES}, {buffer + READ_BYTES, READ_BYTES}, {buffer + 2 * READ_BYTES, READ_BYTES}};
  atomic_store(&stand_in.pending, 1);
  assert_true(pier_readv_at(file, parts, 3, 100, PIER_NO_DEADLINE, support__take, read) != 0);
  support__until(loop, all_played, &one, "the played read");
  finish(&stand_in.reads[0], NT_STATUS_SUCCESS);
  await_status(loop, read, PIER_OK);
  assert_int_equal(read->got.bytes, 3 * READ_BYTES);
  assert_true(support__filled(buffer, 3 * READ_BYTES, 100));
  support__close_handle(loop, file);
  support__close(loop);
  assert_int_equal(atomic_load(&read->calls), 1);
}

static support_event *worker_may_go;

static int hold_worker(void *context) {
  (void)context;
  support__event_wait(worker_may_go, 10 * PIER_SECOND);
  return PIER_OK;
}

/* A stray signal of the slot's event, left behind by an operation before it, does not end what a worker is to await. */
static void a_stray_event_does_not_end_an_awaited_read(void **state) {
  (void)state;
  pier_loop *loop;
  pier_handle file = open_trusted(&loop);
  support__close_handle(loop, file);
  support__close(loop);
  const pier_loop_options options = {.threads = support__threads(), .workers_max = 1};
  loop = support__open_with(&options);
  assert_status(pier_file_open_sync(loop, support__temp_file(LENGTH), PIER_OPEN_READ, &file), PIER_OK);
  for (unsigned i = 0; i < TRUSTED_AFTER; i++)
    read_right(loop, file, (int64_t)i * 1021);
  support_outcome *held = support__outcome(), *read = support__outcome();
  char *buffer = support__alloc(READ_BYTES);
  worker_may_go = support__event_open();
  assert_true(pier_work(loop, hold_worker, PIER_NO_DEADLINE, support__take, held) != 0);
  pier_operation id = mispredict(loop, file, buffer, PIER_NO_DEADLINE, read);
  struct op *op = op__of_slot(slab__at(&loop__poller(loop)->operations, id__slot(id)));
  HANDLE event = iocp__event(op);
  assert_non_null(event);
  finish(&stand_in.reads[0], NT_STATUS_SUCCESS);
  SetEvent(event);
  pier_loop_run(loop, PIER_RUN_DEFAULT, 30 * PIER_MILLISECOND);
  bool stolen = support__called(read);
  support__event_set(worker_may_go);
  await_status(loop, held, PIER_OK);
  await_status(loop, read, PIER_OK);
  assert_false(stolen);
  assert_true(support__filled(buffer, READ_BYTES, 300));
  support__close_handle(loop, file);
  support__close(loop);
  support__event_close(worker_may_go);
  assert_int_equal(atomic_load(&read->calls), 1);
}

/* ---- The sync path: what it has learnt holds for the process, so the order of these cases matters ---- */

static HANDLE open_native(void) {
  HANDLE file = CreateFileA(support__temp_file(LENGTH), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL,
                            OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
  assert_true(file != INVALID_HANDLE_VALUE);
  return file;
}

static void sync_read_right(HANDLE file, int64_t offset) {
  char buffer[READ_BYTES] = {0};
  pier_sync_result result;
  assert_status(pier_sync_read_at((pier_native)file, buffer, sizeof buffer, offset, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, READ_BYTES);
  assert_true(support__filled(buffer, sizeof buffer, (uint64_t)offset));
}

static HANDLE open_sync_trusted(void) {
  stand_in_for_reads();
  HANDLE file = open_native();
  for (unsigned i = 0; i <= SYNC_TRUSTED_AFTER; i++)
    sync_read_right(file, (int64_t)i * 512);
  if (!atomic_load(&stand_in.calls)) {
    CloseHandle(file);
    support__skip("this system says so when a file's I/O ended inside the call");
  }
  return file;
}

/* Trusted after 64 reads, any file is read without an event; a refusal is reported as it is. */
static void sync_files_are_trusted_after_64_reads(void **state) {
  (void)state;
  char buffer[READ_BYTES];
  pier_sync_result result;
  HANDLE file = open_sync_trusted();
  assert_int_equal(atomic_load(&stand_in.calls), 1);
  for (unsigned i = 0; i < 100; i++)
    sync_read_right(file, (int64_t)i * 601);
  assert_int_equal(atomic_load(&stand_in.calls), 101);
  assert_int_equal(atomic_load(&stand_in.bare), 101);
  atomic_store(&stand_in.refusal, (int)STATUS_DENIED);
  int status = pier_sync_read_at((pier_native)file, buffer, sizeof buffer, 0, PIER_NO_TIMEOUT, &result);
  assert_status(status, PIER_EACCES);
  assert_int_equal(result.system_code, ERROR_ACCESS_DENIED);
  assert_int_equal(result.bytes, 0);
  atomic_store(&stand_in.refusal, 0);
  sync_read_right(file, 5);
  assert_int_equal(atomic_load(&stand_in.calls), 103);
  CloseHandle(file);
}

struct sync_reader {
  HANDLE file;
  char *buffer;
  size_t length;
  uint64_t timeout_ns;
  pier_sync_result result;
  atomic_uint done;
};

static void read_in_thread(void *context) {
  struct sync_reader *reader = context;
  pier_sync_read_at((pier_native)reader->file, reader->buffer, reader->length, 300, reader->timeout_ns, &reader->result);
  atomic_store(&reader->done, 1);
}

/* Pending after all, a call waits for its end, with and without a time limit; afterwards no file is trusted any more. */
static void sync_mispredictions_are_awaited(void **state) {
  (void)state;
  HANDLE file = open_sync_trusted();
  struct sync_reader *readers = support__alloc(2 * sizeof *readers);
  support_thread *threads[2];
  atomic_store(&stand_in.together, 2);
  atomic_store(&stand_in.pending, 2);
  for (unsigned i = 0; i < 2; i++) {
    readers[i].file = file;
    readers[i].length = READ_BYTES + i;
    readers[i].buffer = support__alloc(READ_BYTES + i);
    readers[i].timeout_ns = i ? 20 * PIER_MILLISECOND : PIER_NO_TIMEOUT;
    threads[i] = support__thread_start(read_in_thread, &readers[i]);
  }
  while (atomic_load(&stand_in.played) < 2)
    support__yield();
  Sleep(40); /* the time of the second is up, and the system has not let go of it yet */
  assert_int_equal(atomic_load(&readers[0].done), 0);
  assert_int_equal(atomic_load(&readers[1].done), 0);
  finish(&stand_in.reads[1], STATUS_WAS_CANCELLED);
  support__thread_join(threads[1]);
  assert_status(readers[1].result.status, PIER_ETIMEDOUT);
  assert_int_equal(readers[1].result.bytes, 0);
  finish(&stand_in.reads[0], NT_STATUS_SUCCESS);
  support__thread_join(threads[0]);
  assert_status(readers[0].result.status, PIER_OK);
  assert_int_equal(readers[0].result.bytes, READ_BYTES);
  assert_true(support__filled(readers[0].buffer, READ_BYTES, 300));
  unsigned calls = atomic_load(&stand_in.calls);
  for (unsigned i = 0; i < 2 * SYNC_TRUSTED_AFTER; i++)
    sync_read_right(file, (int64_t)i * 256);
  assert_int_equal(atomic_load(&stand_in.calls), calls);
  CloseHandle(file);
}

#define CASE(function, suffix, threads_of_case)                                                                        \
  { #function suffix, function, support__begin, end, &(support_case){#function suffix, threads_of_case} }
#define BOTH(function) CASE(function, "", 0), CASE(function, "_in_pool_mode", SUPPORT_THREADS)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      BOTH(a_file_is_trusted_after_16_reads),
      BOTH(a_misprediction_is_awaited),
      BOTH(an_awaited_read_is_cancelled),
      BOTH(a_file_is_closed_under_an_awaited_read),
      BOTH(a_refusal_is_reported),
      BOTH(an_awaited_read_goes_on_with_its_next_part),
      BOTH(a_stray_event_does_not_end_an_awaited_read),
      CASE(sync_files_are_trusted_after_64_reads, "", 0),
      CASE(sync_mispredictions_are_awaited, "", 0),
  };
  return support__main(argc, argv, "inside", tests, sizeof tests / sizeof tests[0]);
}
