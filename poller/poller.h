/* The poller: one completion port, the handles on it and the operations in flight; and the seam to the system.

   Nothing here runs a callback. What is due is delivered: to the turn that the thread is in, or to the inbox. */
#ifndef PIER_POLLER_H
#define PIER_POLLER_H

#include "doze.h"
#include "handle.h"
#include "inbox.h"
#include "local.h"
#include "posts.h"
#include "turn.h"

#define POLLER_ORDER_LOCKS 16u

struct waitlist;

struct poller {
  pier_loop *loop; /* for results; nothing here looks into it */
  uint32_t index;  /* in the table that ids lead through */
  struct slab operations;
  struct slab handles;
  struct inbox inbox;
  struct doze doze;
  uint64_t looked_ns;  /* when the port was looked at last; the thread's that drives or leads */
  struct posts posts;
  struct mutex associating;
  _Atomic uint32_t wake_posted;   /* at most one wake packet is on the port */
  _Atomic uint32_t answering;      /* threads of the system's that bring news of a registered handle */
  pier_packet_callback on_packet;
  void *packet_context;
  bool pooled; /* several threads: one in a turn is not the one that waits on the port */
  uint32_t seats;           /* as many of them wait, each on a port of its own; 0: there is one port (runtime/seats.h) */
  uint32_t homes;           /* the first so many of these have handles */
  _Atomic uint32_t keeper;  /* with seats: whose thread looks after the inbox and the timers, and is woken for them */
  /* What the room above lends: */
  int (*cancel_work)(struct poller *poller, struct op *op);
  void (*offload)(struct poller *poller, struct op *op); /* has a worker run a blocking operation */
  uintptr_t port;
  bool port_borrowed;
  struct mutex order_locks[POLLER_ORDER_LOCKS]; /* event path */
  struct waitlist *waitlist; /* Windows: events that the driving thread waits for itself (iocp_waitlist.c) */
  void *events; /* the event path's, one per operation slot, when there is need of it */
  _Atomic uint32_t events_made;
  const struct port_backend *backend; /* where a system has several */
  void *system;                       /* the backend's own */
  _Atomic uint64_t batch_max; /* packets that one wait has brought, at most */
  struct local *locals;       /* one for each thread that runs the loop */
  uint32_t locals_count;
  struct local shared;        /* of everybody else, by exchanges; it keeps no slots */
};

static inline pier_handle handle__id(const struct handle *handle) {
  uint64_t word = atomic_load_explicit(&((struct handle *)handle)->slot.word, memory_order_relaxed);
  return id__make(ID_HANDLE, handle->poller->index, slab__index(&handle->slot), slot__generation(word));
}

/* Work, and a file that is loaded, have no handle that leads there. */
static inline struct poller *op__poller(const struct op *op) { return op->handle ? op->handle->poller : op->as.work.poller; }

static inline pier_operation op__id(const struct poller *poller, const struct op *op) {
  uint64_t word = atomic_load_explicit(&((struct op *)op)->slot.word, memory_order_relaxed);
  return id__make(ID_OPERATION, poller->index, slab__index(&op->slot), slot__generation(word));
}

/* A result that says nothing yet. Field by field: compilers clear one that is set as a whole by a string instruction, which costs more than
   all the rest. */
static inline void poller__begin_result(const struct poller *poller, pier_result *result, void *context) {
  result->loop = poller->loop;
  result->context = context;
  result->operation = 0;
  result->handle = 0;
  result->opened = 0;
  result->status = PIER_OK;
  result->system_code = 0;
  result->data = NULL;
  result->more = false;
  result->bytes = 0;
  result->end = false;
  result->from = (pier_address){0};
}

/* The operation of an id that the kernel still has; null if there is none such. */
static inline struct op *op__in_kernel(struct poller *poller, pier_operation id) {
  bool ours = id__kind(id) == ID_OPERATION && id__loop(id) == poller->index;
  struct slot *slot = ours ? slab__at(&poller->operations, id__slot(id)) : NULL;
  if (!slot)
    return NULL;
  uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);
  return slot__generation(word) == id__generation(id) && (word & OP_KERNEL) ? op__of_slot(slot) : NULL;
}

struct poller_limits {
  uint32_t operations_max;
  uint32_t handles_max;
  uint32_t threads;
  bool use_port;
  pier_native port;
};

int poller__open(struct poller *poller, pier_loop *loop, const struct poller_limits *limits);
/* Before anything is closed, when nothing is alive: waits for those who have just been at it. */
void poller__settle(struct poller *poller);
/* Only when nothing is alive. */
void poller__close(struct poller *poller);

/* The poller that an id leads to, if the id is of that kind and the loop is open; else null. */
struct poller *poller__of(uint64_t id, unsigned kind);

/* Has something run: on the handle's strand, if it has one. */
void poller__deliver(struct poller *poller, struct handle *handle, struct ready *ready);
/* The same without a strand, or when the strand is the caller's already. */
void poller__enqueue(struct poller *poller, struct ready *ready);
/* Makes the loop look at its timers. */
void poller__tell(struct poller *poller);
/* Puts a wake packet on the port, unless one is there. */
COLD void poller__wake(struct poller *poller);

/* Has a turn of this poller's count and take slots for itself, if there is a local that nobody has; until poller__leave_local(). */
void poller__take_local(struct poller *poller, struct turn *turn);
void poller__leave_local(struct turn *turn);

/* The calling thread's, or null: then it is one of those who share. */
static inline struct local *poller__local(const struct poller *poller) {
  struct turn *turn = turn__here();
  return turn && turn->poller == poller ? turn->local : NULL;
}

/* By the thread whose that is; null: by one of those who share. */
static inline void poller__count_in(struct poller *poller, struct local *local, enum counter counter, uint64_t n) {
  if (local)
    local__count(local, counter, n);
  else
    atomic_fetch_add_explicit(&poller->shared.counts[counter], n, memory_order_release);
}

static inline void poller__count(struct poller *poller, enum counter counter, uint64_t n) {
  poller__count_in(poller, poller__local(poller), counter, n);
}

/* The sum over all. */
uint64_t poller__sum(const struct poller *poller, enum counter counter);
/* How many operations are alive; at least as many as there were all through the call. */
uint64_t poller__operations(const struct poller *poller);
/* How many closing handles there are whose end has not run; likewise. */
uint64_t poller__closing(const struct poller *poller);
/* Of the operations, those that are not work: what the port may still say something of. A hint. */
uint64_t poller__expected(const struct poller *poller);

/* Counts what one wait has brought. */
void poller__count_batch(struct poller *poller, size_t packets);
/* Waits on the port and delivers what the packets stand for. */
void poller__wait(struct poller *poller, uint64_t timeout_ns);
/* One packet from wherever it was dequeued. False: it is not Pier's and goes back to the host. */
bool poller__packet(struct poller *poller, const pier_packet *packet);

/* ---- The seam: the functions that have a body per system ---- */

#define PORT_BATCH 128

/* The kernel has it; it is over; or it waits for the one before it, and is to be queued (port__queue) when the submitter has settled. */
enum port_start {
  PORT_PENDING,
  PORT_DONE,
  PORT_WAITS,
  PORT_DUE /* one that keeps reading, and can at once: it is to be run (multishot.h) when the submitter has settled */
};

/* What the kernel said of one call or packet. */
struct piece {
  uint32_t code;  /* the system's code, 0 for success */
  uint32_t bytes;
};

/* What an operation that keeps reading has received. */
struct chunk {
  void *buffer; /* room for it */
  size_t room_bytes;
  const void *data; /* and where it lies: there, or in the operation's own buffer */
  size_t bytes;
  void **batch;     /* where the thread keeps what several datagrams are received into, made when it is needed; null: one at a time */
  unsigned left;    /* so many more have been received */
  bool more;        /* it has filled the buffer: there is likely more, and that can be received at once */
};
enum receive { RECEIVE_CHUNK, RECEIVE_NOTHING, RECEIVE_OVER /* it has ended: its last callback comes, and it is not ours any more */ };

int port__open(struct poller *poller, const struct poller_limits *limits);
void port__close(struct poller *poller);
/* PIER_OK; PIER_EBUSY if the handle is on another port; or another failure. */
int port__associate(struct handle *handle);
/* The same for one with a past: what its owner may have changed meanwhile is asked for. */
int port__reassociate(struct handle *handle);
int port__disassociate(struct handle *handle);
/* Whether it has operations that have no handle. By the thread that drives the loop, which is the one that begins them. */
bool port__has_handleless(struct poller *poller);
/* Marks the kernel's structure as pending. */
void port__prepare(struct op *op);
/* Makes the system call, and counts it. PORT_DONE: it ended there, `piece` says how (unless OP_SETTLED says that it is taken in
   already), and no packet will come. */
enum port_start port__submit(struct op *op, struct piece *piece);
/* The same, and the handle is put on the port if it has to, where nothing comes of the operation before this thread has left it alone: it is given
   away (op__give_away()), and the port sees to whatever comes of it. False: it is to be submitted in the usual way. */
bool port__submit_away(struct op *op);
/* Writes to a stream or sends a datagram here and now, behind all that was submitted: PIER_OK and how much went; PIER_EAGAIN if that cannot
   be had without waiting, or never with this handle; or what the system says. The caller has entered the handle. */
int port__try_write(struct handle *handle, const void *bytes, size_t length_bytes, size_t *written_bytes);
/* The same for datagrams, whose addresses have been looked at; *sent_count of them went. */
int port__try_send(struct handle *handle, const pier_datagram *datagrams, size_t count, size_t *sent_count);
/* Of a file, before anybody else knows of the operation: makes the calls if they are certain not to wait, and takes in what they say. False:
   somebody who can wait has to, with what is left. */
bool port__at_once(struct op *op);
/* For a handle that blocks: the same on a worker thread, to its end. */
void port__block(struct op *op, struct piece *piece);
/* Has that thread's blocking call return, where that can be done. */
void port__interrupt(struct op *op, struct thread *thread);
/* The backend's own part of a slot that becomes a handle. */
void port__init_handle(struct handle *handle);
void port__queue(struct op *op);
/* One that keeps reading is run: what there is for it; and when its callback has returned, it goes on. */
enum receive port__receive(struct op *op, struct chunk *chunk);
/* The next of those that are left. */
void port__receive_next(struct op *op, struct chunk *chunk);
/* It goes back to wait. The chunk is the last one that it had, if it had any. */
void port__resume(struct op *op, const struct chunk *chunk);
/* The callback of a counted operation is due: what waited for that may start. */
void port__called_back(struct op *op);
/* Asks the kernel for the end of one operation that is pending. */
void port__cancel(struct op *op);
/* Asks for the end of all operations of a handle that is Pier's alone; false: they have to be asked one by one. */
bool port__cancel_all(struct handle *handle);
/* How long callbacks may go on before the port is looked at again; 0: it is looked at in every turn. */
uint64_t port__look_interval_ns(const struct poller *poller);
/* Dequeues up to `max` packets, in the layout of pier_packet. */
size_t port__wait(struct poller *poller, pier_packet *packets, size_t max, uint64_t timeout_ns);
/* Queues a wake packet, or one that an operation is settled by. False: the system has no memory for it. */
bool port__post_wake(struct poller *poller);
bool port__post_settled(struct op *op);
/* A port may be a host's, whose keys are its own affair: a wake is known by an address of ours, given twice. */
bool port__is_wake(const struct poller *poller, const pier_packet *packet);
/* Takes a packet that the backend has queued for its own ends. False: it is none of those. */
bool port__take(struct poller *poller, const pier_packet *packet);
/* Whether the kernel has said its last word on an operation, so that a packet for it can be believed; and that word. */
bool port__is_final(struct op *op);
void port__read_final(struct op *op, struct piece *piece);
/* Whether this code, on this operation, is an end of file; whether it is only a message's cut; whether it was a cancel. */
bool port__is_end(uint32_t code);
bool port__is_cut(uint32_t code);
bool port__is_cancelled(uint32_t code);
/* The system's codes for a cancelled operation, for want of memory, and for a write that nothing takes. */
uint32_t port__cancelled(void);
uint32_t port__no_memory(void);
uint32_t port__write_fault(void);
/* "iocp", "uring" ... */
const char *port__name(const struct poller *poller);
/* Has the system take what was submitted, where submitting only puts it in line. */
void port__flush(struct poller *poller);
/* For a host that waits on the port: takes what has completed, unless it is the host who dequeues it. */
void port__collect(struct poller *poller);
/* The port, for somebody who may wait there himself. */
uintptr_t port__native(struct poller *poller);
/* What follows only where a poller may have seats (runtime/seats.h). Another's callback takes long: what it submits goes to the system
   at once from now on, until its thread looks at its port again. */
void port__hurry(struct poller *poller, uint32_t seat);
/* Wakes the thread of a seat. False: it was awake, and looks whether there is something to do before it sleeps. */
bool port__nudge(struct poller *poller, uint32_t seat);
/* For who stands in at another seat (turn->seat is that one's), when he has looked at its port: has his own port wake him when there is
   more. False: there is already, and he is to look again. */
bool port__watch(struct poller *poller, uint32_t own_seat);
/* The calling thread's port is looked after at another seat from now on: when there is something, who looks there finds it in turn->shown. False:
   there is something already, or that cannot be had. And the end of that. By who tends the port. */
bool port__lend(struct poller *poller, uint32_t to_seat);
void port__take_back(struct poller *poller, uint32_t from_seat);
/* For who has looked at such a port (turn->seat is that one's). False: there is more, and he is to look again. */
bool port__settle(struct poller *poller);
/* Whether an accept that failed with this code goes on with the next connection. */
bool port__peer_went_away(uint32_t code);
/* What an accept or connect has opened, ready for use; the status if it cannot be had. */
int port__opened(struct op *op, pier_handle *opened);
/* What a failed accept or connect leaves behind. */
void port__abandon(struct op *op);
/* Where a datagram goes; null: what comes is to say where it came from. And where it came from; no family if there was none. */
void port__set_address(struct op *op, const pier_address *to);
void port__sender(const struct op *op, pier_address *from);
/* Closes the system's handle. */
void port__shut(struct handle *handle);
/* What is left to decide about an operation when it is known what its handle is: PIER_OK, or what it is refused with. */
typedef int (*handle_admit)(struct op *op);
/* Finds out what a registered handle is, and how it stands; or sees to it that the first operation does (HANDLE_GATE). */
int port__examine(struct handle *handle, const pier_register_options *options, handle_admit admit);
/* An operation on a handle of which nobody knows yet what it is (OP_GATED): it waits for that, and is then admitted and started, or
   refused. */
void port__hold_back(struct op *op);
/* Finds out what a handle is here and now, for a call that asks the system here and now too. The caller has entered it. False: it is nothing
   that can be served. */
bool port__know(struct handle *handle);

#endif
