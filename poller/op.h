/* An operation in its slot: everything that the kernel may write to, and who still has a hand in it.

   The lower half of the slot's word counts the *parties* that may still touch the operation: the submitting thread until
   its system call is settled, the kernel (or a worker) until its packet is dequeued, any canceller while it calls. Whoever
   leaves last delivers the operation. So it does not matter which of submit, completion, cancel, deadline and close comes
   first: there is one count and one last party, and the callback cannot come twice, or never, or too early. */
#ifndef PIER_OP_H
#define PIER_OP_H

#include "id.h"
#include "pier_address.h"
#include "pier_handle.h"
#include "ready.h"
#include "slab.h"

struct handle;
struct op;
struct piece;
struct poller;

enum op_code {
  OP_READ = 1,
  OP_WRITE,
  OP_ACCEPT,
  OP_CONNECT,
  OP_PIPE_ACCEPT,
  OP_OPEN,
  OP_LOAD,
  OP_SHUTDOWN,
  OP_IOCTL,
  OP_WORK,
  OP_FOREIGN
};

/* The word's lower half. */
#define OP_PARTY ((uint64_t)1)
#define OP_PARTIES ((uint64_t)0xffff)
#define OP_KERNEL ((uint64_t)1 << 16)    /* one of the parties is the kernel: a packet is to come, and is believed once */
#define OP_STARTED ((uint64_t)1 << 17)   /* the system call is settled: a canceller may ask the kernel itself */
#define OP_CANCEL ((uint64_t)1 << 18)    /* somebody asked for the end */
#define OP_TIMED_OUT ((uint64_t)1 << 19) /* and it was the deadline */
#define OP_EARLY ((uint64_t)1 << 20)     /* its packet was seen before OP_STARTED: the submitter goes on with it */
#define OP_MULTISHOT ((uint64_t)1 << 23) /* it keeps reading (multishot.h) */
#define OP_DUE_EARLY ((uint64_t)1 << 22) /* a chunk of it was due before OP_STARTED: the submitter has it run */
#define OP_GATED ((uint64_t)1 << 21)     /* nobody knew what its handle is: it waits at the handle's gate, and is admitted there */

/* The slot's detail: written before the launch or by the party that completes. */
enum op_flags {
  OP_HAS_DEADLINE = 1,
  OP_POSITIONED = 2, /* the offset is the caller's */
  OP_GATHERED = 4,   /* the data is a copy of several parts, to be freed */
  OP_REFUSED = 8,    /* never launched: ready.code is the negated status */
  OP_END = 16,       /* the file or stream has ended */
  OP_SETTLED = 32,   /* its bytes are counted: the packet only keeps its place in the order */
  OP_SEQUENTIAL = 64, /* a file's own position was taken and moved by the whole length */
  OP_EVENT = 128,     /* completes through a tagged event, not through the port's association */
  OP_COUNTED = 256,   /* among the handle's pending ones */
  OP_YIELDS = 512,    /* work that looks now and then whether it is asked to end */
  OP_AWAITED = 1024,  /* the kernel has it and will queue nothing: a worker waits for its end */
  OP_ADMITTED = 2048, /* event path: the one of its direction that is served now */
  OP_ADDRESSED = 4096, /* a datagram with an address of its own: as.datagram has it */
  OP_DUE = 8192,       /* multishot: it is on its way to a callback that is not its last */
};

/* What is to be moved, and how far it is. */
struct op_data {
  const pier_buffer *parts;
  pier_buffer one; /* where the single-buffer forms keep their part */
  uint64_t offset;
  size_t part_done; /* bytes of the current part that are through */
  uint32_t count;
  uint32_t part;
};

/* A datagram. What the kernel may write to beside the data lies here, for it may do so long after the call has returned. */
struct op_datagram {
  struct op_data data;    /* first: it is moved as any other data */
  uint32_t address[7];    /* where it goes or came from, as the system has it: at most a sockaddr_in6 */
  int32_t address_bytes;
  uint32_t flags;         /* of a call that receives, where they are written too */
};

struct op_accept {
  uintptr_t socket;      /* the connection; AcceptEx wants it beforehand */
  uint8_t addresses[88]; /* AcceptEx writes both here: 2 * (28 + 16) bytes for IPv6 */
};

struct op_pipe_accept {
  struct handle *instance; /* the pipe instance that waits for a client */
  uintptr_t socket;        /* where pipes are sockets: the connection */
};

struct op_connect {
  pier_address address;
  uint8_t system_address[32]; /* the same as the system wants it, where it is read after the call */
};

/* A file, where the system opens it by itself, or a worker does for it. */
struct op_open {
  const char *path;
  int32_t flags; /* the system's */
  int32_t descriptor;
};

struct op_ioctl {
  const void *input;
  void *output;
  size_t input_bytes;
  size_t output_bytes;
  uint32_t code;
  uint32_t returned; /* for calls that want a place for a count */
};

struct op_work {
  struct poller *poller; /* work has no handle that leads there */
  int (*run)(struct op *op);
  int status;
  pier_handle opened;
  uintptr_t argument[4];
};

/* A file that is loaded as a whole, where that is not plain work. No handle is ever made for it. */
struct op_load {
  struct poller *poller; /* first, where a piece of work has it too */
  const char *path;
  char *buffer;
  size_t length_bytes;
  int32_t descriptor;   /* -1: it is not open, or stands in a ring's table */
  int32_t last;         /* what the ring's last read of it brought */
  uint32_t seat;        /* whose ring has it, or had */
  uint8_t place;        /* and where in the table, + 1; 0: no ring has ever had it */
  uint8_t step;         /* enum load_step, under the ring's lock */
  _Atomic uint8_t left; /* so many completions are to come before its end */
};

struct op_foreign {
  pier_packet packet;
};

struct op {
  struct slot slot;     /* kind: enum op_code; flags: a worker's (work.h); detail: enum op_flags */
  struct ready ready;   /* code: the system's code */
  uintptr_t system[4];  /* the kernel's own structure: OVERLAPPED on Windows */
  struct handle *handle;
  pier_callback callback;
  void *context;
  size_t bytes;
  union {
    struct op_data data;
    struct op_datagram datagram;
    struct op_accept accept;
    struct op_pipe_accept pipe_accept;
    struct op_connect connect;
    struct op_open open;
    struct op_ioctl ioctl;
    struct op_work work;
    struct op_load load;
    struct op_foreign foreign;
    pier_handle refused; /* the id that the refused operation named */
  } as;
};

_Static_assert(sizeof(struct op) <= 192, "an operation's slot is at most 192 bytes");
_Static_assert(offsetof(struct op_work, poller) == offsetof(struct op_load, poller), "what has no handle leads to its poller in one way");

static inline bool op__is(const struct op *op, unsigned flags) { return (op->slot.detail & flags) != 0; }
static inline void op__mark(struct op *op, unsigned flags) { op->slot.detail = (uint16_t)(op->slot.detail | flags); }

/* In the word, for a canceller looks at it while the operation is others'. */
static inline bool op__is_gated(const struct op *op) {
  return (atomic_load_explicit(&((struct op *)op)->slot.word, memory_order_acquire) & OP_GATED) != 0;
}

/* Likewise. */
static inline bool op__is_multishot(const struct op *op) {
  return (atomic_load_explicit(&((struct op *)op)->slot.word, memory_order_relaxed) & OP_MULTISHOT) != 0;
}

static inline struct op *op__of_ready(struct ready *ready) { return (struct op *)(void *)((char *)ready - offsetof(struct op, ready)); }

/* A single call moves at most this much: the system's lengths are 32 bits. */
#define OP_PIECE_BYTES_MAX ((uint32_t)1 << 30)

/* What the next call of a read or write is about. */
struct op_piece {
  char *base;
  uint32_t bytes;
  uint64_t offset;
};
COLD struct op_piece op__piece_of_parts(const struct op *op);

static inline struct op_piece op__piece(const struct op *op) {
  const struct op_data *data = &op->as.data;
  if (data->count != 1 || data->part)
    return op__piece_of_parts(op);
  size_t left = data->parts->length - data->part_done;
  char *base = data->parts->base; /* null of one that keeps reading, and has no buffer */
  return (struct op_piece){data->part_done ? base + data->part_done : base, left < OP_PIECE_BYTES_MAX ? (uint32_t)left : OP_PIECE_BYTES_MAX,
                           data->offset + op->bytes};
}

/* A slot for an operation, with the submitting party in it; null for want of one. */
struct op *op__acquire(struct poller *poller, enum op_code code, pier_callback callback, void *context);
/* Void from here on. */
void op__release(struct poller *poller, struct op *op);

/* Takes the operation on `handle`, which has been entered (or on none: work, whose arguments are set). It is the caller's alone until
   op__publish(), op__launch_away(), op__end_at_once() or op__refuse_bound(). */
void op__bind(struct op *op, struct handle *handle);

/* From here on its parties are two, the caller and the kernel, and it can be found: it may have a deadline, and somebody may ask for its end. */
void op__publish(struct op *op);
/* Instead, by a port that has it from here on and sees to its end (port__submit_away()): the kernel is its one party. */
void op__give_away(struct op *op);

/* Instead, and of the launch too: a file's calls that are certain not to wait are made here and now. True: that was its end, and at no time could
   anybody have known of it. False: some of it may be done, and it goes on as any other. */
bool op__end_at_once(struct op *op);

/* Instead of op__publish() and the launch, where the submitter need not see to anything behind its call. False: nothing was done. */
bool op__launch_away(struct op *op);

/* A stream's operation is going to wait: it counts among the handle's pending ones, which the others may not overtake, until its callback
   is due. By the port, before anybody else can end it; one that ends inside its call need not be counted. */
void op__count(struct op *op);
/* Its callback is due: the others may pass, and a shutdown that waited for them may begin. */
void op__uncount(struct op *op);

/* Starts it and settles the submitting party; the operation is the others' when this returns. */
void op__launch(struct op *op);

/* Instead of a launch: the callback comes with `status`. */
void op__refuse(struct poller *poller, struct op *op, pier_handle named, int status);

/* The same for one that is bound; for one that is published; and for one that waits, and has been launched in vain. */
void op__refuse_bound(struct op *op, int status);
void op__refuse_published(struct op *op, int status);
void op__refuse_waiting(struct op *op, int status);

/* What a packet or an event is worth to an operation. */
enum op_claim {
  OP_CLAIM_NONE,  /* nothing: it is not this one's */
  OP_CLAIM_EARLY, /* it is, and its submitter will see to it */
  OP_CLAIMED      /* it is, and the caller settles it */
};

/* Whether a packet with this handle's key is this operation's: it is in flight there, and over. Believed once. */
enum op_claim op__claim(struct op *op, const struct handle *handle);
/* The same for an event instead of a packet; only one that waits for its event, and has ended, can be claimed. */
enum op_claim op__claim_event(struct op *op);
/* The kernel's party, claimed, has said how it ended: goes on with the next piece, or leaves. */
void op__settle(struct op *op, uint32_t code, uint32_t bytes);
/* Both, for whoever stands in for the kernel: a worker, a wait for an event, the end of a parked shutdown. */
void op__complete(struct op *op, uint32_t code, uint32_t bytes);
/* As op__in_kernel() (poller.h), with one party more, so that it can be looked at in peace; op__let_go() ends that. */
struct op *op__hold_in_kernel(struct poller *poller, pier_operation id);
/* One party more, by somebody who knows that there is one already; and one less. */
void op__hold_more(struct op *op);
void op__let_go(struct op *op);

/* The kernel is to have it again; the caller has the kernel's party, claimed. */
void op__launch_again(struct op *op);

/* Starts one that was left waiting, or ends it if that was asked for meanwhile. */
void op__relaunch(struct op *op);

/* Asks whoever has the operation for its end. The caller is a party of it. */
COLD void op__ask_system(struct op *op);

/* Asks for the end of the operation `id` of this poller; `why` is 0 or OP_TIMED_OUT. Statuses as pier_cancel(). */
int op__cancel(struct poller *poller, pier_operation id, uint64_t why);

/* All others in flight of the same kind on the same handle whose end nobody wants; each is held while it is looked at. */
COLD void op__each_alike(struct poller *poller, const struct op *op, void (*visit)(struct op *other));

/* Asks for the end of every operation of a handle, one by one. */
void op__cancel_each(struct poller *poller, const struct handle *handle);

/* Whether somebody asked for the end of an operation in flight: PIER_OK, or the status that says so. */
static inline int op__asked_to_end(const struct op *op) {
  uint64_t word = atomic_load_explicit(&((struct op *)op)->slot.word, memory_order_acquire);
  if (!(word & OP_CANCEL))
    return PIER_OK;
  return word & OP_TIMED_OUT ? PIER_ETIMEDOUT : PIER_ECANCELED;
}

/* What the callback is told. The operation is through: a short read gives its part of the position back, copies are freed,
   what it opened is made ready or abandoned. */
void op__result(struct poller *poller, struct op *op, pier_result *result);

static inline struct op *op__of_slot(struct slot *slot) { return (struct op *)(void *)slot; }

#endif
