/* Class 61, played as far as it can be.
 *
 * Wine leaves a handle on the port. So one that was "taken off" is on the list of those that are off, and nothing may depend on where it
 * really is: Pier's calls on it are tagged then, and bring its port no packet. When it is put back where it was, it only leaves the list, for it
 * is there, under its old key. Another port is refused by the system, as it would refuse any second one: going elsewhere can be played for
 * files only (`moves`), which can be opened once more under the same handle. What the real class does to the file object itself, and so to its
 * duplicates, cannot be played. */
#include "standin_port_win.h"

#include "movable.h"

#include <string.h>

#define CLASS_REPLACE_COMPLETION 61u
#define PLACES_MAX 65536

/* FILE_COMPLETION_INFORMATION */
struct completion {
  HANDLE port;
  ULONG_PTR key;
};

/* Where the system has a handle, and whether it is played as off. Numbers of handles that were closed come again: the system's own word on an
 * association decides. */
struct place {
  HANDLE file, port;
  ULONG_PTR key;
  bool off;
};

struct standin_port standin_port;

static SRWLOCK lock = SRWLOCK_INIT;
static struct place places[PLACES_MAX];
static unsigned places_made;

/* Under the lock. */
static struct place *place__of(HANDLE file) {
  for (unsigned i = 0; i < places_made; i++)
    if (places[i].file == file)
      return &places[i];
  return NULL;
}

/* Another file object of the same file, under the same handle: that one is on no port. */
bool standin_port__take_off(HANDLE file) {
  HANDLE again = ReOpenFile(file, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, FILE_FLAG_OVERLAPPED);
  HANDLE taken[64], twin = NULL;
  unsigned count = 0;
  if (again == INVALID_HANDLE_VALUE)
    return false;
  CloseHandle(file);
  /* The system gives out its numbers as it likes. */
  while (DuplicateHandle(GetCurrentProcess(), again, GetCurrentProcess(), &twin, 0, FALSE, DUPLICATE_SAME_ACCESS) && twin != file && count < 64)
    taken[count++] = twin;
  CloseHandle(again);
  while (count > 0)
    CloseHandle(taken[--count]);
  return twin == file;
}

static bool place__leave(HANDLE file) {
  if (standin_port.moves)
    return standin_port__take_off(file);
  AcquireSRWLockExclusive(&lock);
  struct place *place = place__of(file);
  bool was_on = place && !place->off;
  if (was_on)
    place->off = true;
  ReleaseSRWLockExclusive(&lock);
  return was_on;
}

static NTSTATUS NTAPI set_information(HANDLE file, struct nt_io_status *io, void *information, ULONG length_bytes, ULONG file_class) {
  const struct completion *asked = information;
  if (file_class != CLASS_REPLACE_COMPLETION)
    return nt__system()->set_information_file(file, io, information, length_bytes, file_class);
  atomic_store(&standin_port.file, file);
  atomic_fetch_add(&standin_port.calls, 1);
  if (length_bytes != sizeof *asked || asked->port || asked->key)
    atomic_fetch_add(&standin_port.wrong, 1);
  if (standin_port.entered) {
    support__event_set(standin_port.entered);
    support__event_wait(standin_port.go_on, 10 * PIER_SECOND);
  }
  if (standin_port.refuses)
    return standin_port.refuses;
  if (standin_port.real)
    return nt__system()->set_information_file(file, io, information, length_bytes, file_class);
  if (!place__leave(file))
    return STANDIN_PORT_REFUSED;
  io->status = 0;
  io->information = 0;
  return NT_STATUS_SUCCESS;
}

/* Under the lock: notes where the system has it. */
static bool place__note(HANDLE file, HANDLE port, ULONG_PTR key) {
  struct place *place = place__of(file);
  if (!place && places_made < PLACES_MAX)
    place = &places[places_made++];
  if (place)
    *place = (struct place){file, port, key, false};
  return place != NULL;
}

/* Under the lock: it is played as off, and comes back to where it is. */
static bool place__return(HANDLE file, HANDLE port, ULONG_PTR key) {
  struct place *place = place__of(file);
  bool back = !standin_port.real && place && place->off && place->port == port && place->key == key;
  if (back)
    place->off = false;
  return back;
}

static HANDLE WINAPI associate(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads) {
  if (standin_port.declines) {
    SetLastError(standin_port.declines);
    return NULL;
  }
  AcquireSRWLockExclusive(&lock);
  HANDLE result = nt__system()->create_io_completion_port(file, port, key, threads);
  DWORD error = GetLastError();
  if (result && !place__note(file, port, key))
    atomic_fetch_add(&standin_port.wrong, 1);
  else if (!result && error == ERROR_INVALID_PARAMETER && place__return(file, port, key))
    result = port;
  ReleaseSRWLockExclusive(&lock);
  if (result)
    atomic_fetch_add(&standin_port.associations, 1);
  else
    SetLastError(error);
  return result;
}

/* Whether the system itself can take a handle off its port. */
static bool system_can_detach(void) {
  struct nt_io_status io = {0, 0};
  struct completion none = {NULL, 0};
  pier_native ends[2];
  support__native_pipe_pair(false, true, true, ends);
  HANDLE port = CreateIoCompletionPort((HANDLE)ends[0], NULL, 1, 0);
  assert_non_null(port);
  NTSTATUS status = nt__system()->set_information_file((HANDLE)ends[0], &io, &none, sizeof none, CLASS_REPLACE_COMPLETION);
  support__native_close_pipe(ends[0]);
  support__native_close_pipe(ends[1]);
  CloseHandle(port);
  return status == NT_STATUS_SUCCESS;
}

void movable__begin(void) {
  memset(&standin_port, 0, sizeof standin_port);
  standin_port.real = system_can_detach();
  print_message("class 61: %s\n", standin_port.real ? "real" : "stand-in");
  places_made = 0;
  struct nt_table *table = standin__table();
  table->set_information_file = set_information;
  table->create_io_completion_port = associate;
  nt__replace(table);
}

void movable__end(void) {
  nt__replace(standin__table());
  assert_int_equal(atomic_load(&standin_port.wrong), 0);
}

pier_loop *standin_port__open(void) {
  movable__begin();
  return support__open();
}

void standin_port__close(pier_loop *loop) {
  support__close(loop);
  assert_int_equal(atomic_load(&standin_port.wrong), 0);
}

int standin_port__end(void **state) {
  nt__replace(standin__table());
  return support__end(state);
}
