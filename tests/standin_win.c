/* Wait-completion packets, played with registered waits and posted packets.

 * The contract: an association takes one shot. When the object is signalled, the signal is taken as by a wait, and a packet with
 * the given words is queued on the port; if it is signalled already, at once, and *already_signalled says so. An association of a
 * packet in use is refused. A cancel takes the association back, or the queued packet if that is asked for; of one that was never
 * associated or has been dequeued it says STATUS_CANCELLED. What cannot be played: that a packet is in use until it is dequeued.
 * Here it is until it is queued. */
#include "standin_win.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>

#define STATUS_INVALID_HANDLE_ ((NTSTATUS)0xC0000008)
#define STATUS_IN_USE ((NTSTATUS)0xC00000EF) /* STATUS_INVALID_PARAMETER_1 */
#define STATUS_CANCELLED_ ((NTSTATUS)0xC0000120)
#define STATUS_NO_MEMORY_ ((NTSTATUS)0xC0000017)
#define PACKETS_MAX 65536

enum packet_state { PACKET_FREE, PACKET_WAITS, PACKET_QUEUED };

struct packet {
  HANDLE handle; /* an event of its own, so that CloseHandle() ends it */
  HANDLE wait, port;
  enum packet_state state;
  ULONG_PTR key;
  void *overlapped;
  ULONG_PTR information;
};

static SRWLOCK lock = SRWLOCK_INIT;
static struct packet packets[PACKETS_MAX];
static unsigned packets_made;

/* Under the lock. A handle that was closed may come again: it is the same packet then. */
static struct packet *packet__of(HANDLE handle) {
  for (unsigned i = 0; i < packets_made; i++)
    if (packets[i].handle == handle)
      return &packets[i];
  return NULL;
}

static NTSTATUS NTAPI packet__create(HANDLE *handle, ACCESS_MASK access, void *attributes) {
  (void)access;
  (void)attributes;
  *handle = CreateEventW(NULL, FALSE, FALSE, NULL);
  AcquireSRWLockExclusive(&lock);
  struct packet *packet = packet__of(*handle);
  if (!packet && packets_made < PACKETS_MAX)
    packet = &packets[packets_made++];
  bool made = *handle && packet;
  if (made) {
    if (packet->wait)
      UnregisterWaitEx(packet->wait, NULL);
    *packet = (struct packet){.handle = *handle};
  }
  ReleaseSRWLockExclusive(&lock);
  return made ? NT_STATUS_SUCCESS : STATUS_NO_MEMORY_;
}

/* Under the lock. */
static void packet__queue(struct packet *packet) {
  packet->state = PACKET_QUEUED;
  PostQueuedCompletionStatus(packet->port, (DWORD)packet->information, packet->key, packet->overlapped);
}

static void CALLBACK packet__signalled(void *context, BOOLEAN timed_out) {
  struct packet *packet = context;
  (void)timed_out;
  AcquireSRWLockExclusive(&lock);
  if (packet->state == PACKET_WAITS)
    packet__queue(packet);
  ReleaseSRWLockExclusive(&lock);
}

/* Under the lock. */
static NTSTATUS packet__wait_for(struct packet *packet, HANDLE target, BOOLEAN *already_signalled) {
  bool signalled = WaitForSingleObject(target, 0) == WAIT_OBJECT_0;
  if (already_signalled)
    *already_signalled = signalled;
  if (packet->wait)
    UnregisterWaitEx(packet->wait, NULL); /* it is over: the callback has run, or is at its end */
  packet->wait = NULL;
  if (signalled) {
    packet__queue(packet);
    return NT_STATUS_SUCCESS;
  }
  packet->state = PACKET_WAITS;
  if (RegisterWaitForSingleObject(&packet->wait, target, packet__signalled, packet, INFINITE, WT_EXECUTEINWAITTHREAD | WT_EXECUTEONLYONCE))
    return NT_STATUS_SUCCESS;
  packet->wait = NULL;
  packet->state = PACKET_FREE;
  return STATUS_NO_MEMORY_;
}

static NTSTATUS NTAPI packet__associate(HANDLE handle, HANDLE port, HANDLE target, void *key, void *overlapped, NTSTATUS status,
                                        ULONG_PTR information, BOOLEAN *already_signalled) {
  NTSTATUS result = STATUS_INVALID_HANDLE_;
  (void)status; /* PostQueuedCompletionStatus() has none to give: 0 */
  AcquireSRWLockExclusive(&lock);
  struct packet *packet = packet__of(handle);
  if (packet && packet->state == PACKET_WAITS) {
    result = STATUS_IN_USE;
  } else if (packet) {
    packet->port = port;
    packet->key = (ULONG_PTR)key;
    packet->overlapped = overlapped;
    packet->information = information;
    result = packet__wait_for(packet, target, already_signalled);
  }
  ReleaseSRWLockExclusive(&lock);
  return result;
}

/* Takes the packet off its port, if it is still there; the others go back in their order. */
static bool packet__remove(const struct packet *packet) {
  OVERLAPPED_ENTRY entries[256];
  ULONG count = 0;
  bool found = false;
  if (!GetQueuedCompletionStatusEx(packet->port, entries, 256, &count, 0, FALSE))
    return false;
  for (ULONG i = 0; i < count; i++) {
    if (!found && entries[i].lpCompletionKey == packet->key && entries[i].lpOverlapped == packet->overlapped)
      found = true;
    else
      PostQueuedCompletionStatus(packet->port, entries[i].dwNumberOfBytesTransferred, entries[i].lpCompletionKey, entries[i].lpOverlapped);
  }
  return found;
}

static NTSTATUS NTAPI packet__cancel(HANDLE handle, BOOLEAN remove_signalled_packet) {
  AcquireSRWLockExclusive(&lock);
  struct packet *packet = packet__of(handle);
  bool cancelled = packet && packet->state == PACKET_WAITS;
  HANDLE wait = cancelled ? packet->wait : NULL;
  if (cancelled)
    packet->wait = NULL;
  else if (packet && packet->state == PACKET_QUEUED && remove_signalled_packet)
    cancelled = packet__remove(packet);
  if (packet)
    packet->state = PACKET_FREE;
  ReleaseSRWLockExclusive(&lock);
  if (wait)
    UnregisterWaitEx(wait, INVALID_HANDLE_VALUE);
  return !packet ? STATUS_INVALID_HANDLE_ : cancelled ? NT_STATUS_SUCCESS : STATUS_CANCELLED_;
}

static NTSTATUS NTAPI none__create(HANDLE *handle, ACCESS_MASK access, void *attributes) {
  (void)access;
  (void)attributes;
  *handle = NULL;
  return NT_STATUS_NOT_IMPLEMENTED;
}

bool standin__has_packets(void) {
  HANDLE packet = NULL;
  bool has = nt__system()->create_wait_completion_packet(&packet, GENERIC_ALL, NULL) == NT_STATUS_SUCCESS;
  if (has)
    CloseHandle(packet);
  return has;
}

static struct nt_table table;

struct nt_table *standin__table_with_packets(void) {
  table = *nt__system();
  if (!standin__has_packets()) {
    table.create_wait_completion_packet = packet__create;
    table.associate_wait_completion_packet = packet__associate;
    table.cancel_wait_completion_packet = packet__cancel;
  }
  return &table;
}

static bool standin__wants_other(void) {
  const char *wanted = getenv("PIER_PACKETS");
  return wanted && strcmp(wanted, "other") == 0;
}

struct nt_table *standin__table(void) {
  table = *nt__system();
  if (standin__wants_other() && standin__has_packets())
    table.create_wait_completion_packet = none__create;
  else if (standin__wants_other())
    standin__table_with_packets();
  return &table;
}

void standin__begin(void) {
  bool has = standin__has_packets(), other = standin__wants_other();
  print_message("wait-completion packets: %s\n", has != other ? (has ? "real" : "stand-in") : "none, registered waits");
  nt__replace(standin__table());
}
