/* What the files of the IOCP backend share. */
#ifndef PIER_IOCP_H
#define PIER_IOCP_H

#include "error.h"
#include "nt.h"
#include "poller.h"
#include "winsock.h"

#define IOCP_STATUS_PENDING 0x103u

/* In handle->learned of a socket: its calls without an OVERLAPPED do not wait (iocp_try.c). */
#define IOCP_NON_BLOCKING 1u

static inline OVERLAPPED *iocp__overlapped(struct op *op) { return (OVERLAPPED *)(void *)op->system; }
static inline HANDLE iocp__native(const struct handle *handle) { return (HANDLE)handle->native; }

/* Clears the OVERLAPPED, marks it pending and, where the handle is not on our port, has a tagged event in it. False if there is
   no event to be had: *code says why. */
bool iocp__begin(struct op *op, uint64_t offset, DWORD *code);

/* What a call's return means. `error` is the last error where it returned false. */
enum port_start iocp__outcome(struct op *op, bool succeeded, DWORD error, struct piece *piece);

/* The kernel's word on an operation that it is through with. */
void iocp__look(struct op *op, struct piece *piece);
/* Whether the kernel has not written its word yet. Wine leaves garbage in the upper half. */
static inline bool iocp__still_pending(struct op *op) {
  return (uint32_t)*(volatile ULONG_PTR *)&iocp__overlapped(op)->Internal == IOCP_STATUS_PENDING;
}

/* Whether its calls without an OVERLAPPED do not wait, or can be made not to. */
bool iocp__never_waits(struct handle *handle);

/* The calls, one file per kind of handle. */
enum port_start iocp__transfer_file(struct op *op, struct piece *piece);
enum port_start iocp__transfer_socket(struct op *op, struct piece *piece);
/* The parts that are left, as Winsock wants them: at least one, at most as many as the operation has. */
DWORD iocp__wsabufs(const struct op *op, WSABUF *buffers);
/* One datagram, as WSASend() and WSARecv(); iocp_datagram.c. And the whole call of a socket that blocks. */
int iocp__call_datagram(struct op *op, WSABUF *buffers, DWORD count);
void iocp__block_datagram(struct op *op, struct piece *piece);
enum port_start iocp__accept(struct op *op, struct piece *piece);
enum port_start iocp__connect(struct op *op, struct piece *piece);
enum port_start iocp__shutdown(struct op *op, struct piece *piece);
enum port_start iocp__pipe_accept(struct op *op, struct piece *piece);
enum port_start iocp__ioctl(struct op *op, struct piece *piece);

int iocp__opened_socket(struct op *op, pier_handle *opened);
int iocp__opened_pipe(struct op *op, pier_handle *opened);
void iocp__abandon_pipe(struct op *op);

/* A handle for a socket that Pier opened, on the port and in the skip mode; takes the socket, also when it fails. */
int iocp__adopt_socket(struct poller *poller, SOCKET socket, pier_kind kind, int family, struct handle **handle);
/* The same for a file or pipe. */
int iocp__adopt_file(struct poller *poller, HANDLE native, pier_kind kind, struct handle **handle);

/* iocp_inside.c: files whose I/O ends inside the call that says "pending". */
bool inside__is_trusted(const struct handle *handle);
void inside__note(struct op *op);
enum port_start inside__transfer(struct op *op, const struct op_piece *asked, uint64_t offset, struct piece *piece);
void inside__await(struct op *op, struct piece *piece);

/* iocp_order.c: on the event path one operation at a time in each direction of a stream. Whether this one may go; and takes one out of
   those that wait, if it is there. */
bool order__enter(struct op *op);
bool order__give_up(struct op *op);

/* iocp_event.c: tagged events, kept with the operations' slots. */
HANDLE iocp__event(struct op *op);
/* Sees to it that the port is told of the end of an operation that has gone pending. */
void iocp__watch(struct op *op);
/* A packet that stands for an operation's event: true if it was one. */
bool iocp__take_signal(struct poller *poller, const pier_packet *packet);
void iocp__close_events(struct poller *poller);

/* iocp_waitlist.c: events that the thread which drives the loop waits for itself. */
void waitlist__open(struct poller *poller);
void waitlist__close(struct poller *poller);
/* Waits for them and for the port, if there are any. True: the port is to be asked, and waited for at most so long. */
bool waitlist__wait(struct poller *poller, DWORD *timeout_ms);
/* Somebody knows the port now, and may wait there himself. Whoever comes to the loop sees to it that this is enough. */
void waitlist__host(struct poller *poller);
void waitlist__visit(struct poller *poller);

/* iocp_tick.c: a timer for the end of a wait on the port. Whether it is armed, so that the wait needs no timeout of its own; and whether a
   packet is the timer's. */
void tick__open(struct poller *poller);
void tick__close(struct poller *poller);
bool tick__arm(struct poller *poller, uint64_t timeout_ns);
bool tick__take(struct poller *poller, const pier_packet *packet);

#endif
