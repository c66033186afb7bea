/* The world that the calls target plays in: one loop, handles of every kind, what was submitted, and the commands that bytes stand for. */
#ifndef PIER_TESTS_FUZZ_CALLS_H
#define PIER_TESTS_FUZZ_CALLS_H

#include "fuzz.h"
#include "pier.h"

#include <stdatomic.h>

enum { SUBMITS_MAX = 256, HANDLES_MAX = 32, NATIVES_MAX = 32, TIMERS_MAX = 8, NAMES = 3, LENGTH_MAX = 3000, PARTS_MAX = 3, GUARD_BYTES = 16 };

/* One submit, and what came of it. */
struct submit {
  _Atomic pier_operation id;
  atomic_uint calls;
  bool posted;           /* it was given an id, so a callback has to come */
  bool acts;             /* its callback goes on with the input */
  bool reads;
  size_t length;
  unsigned char *buffer; /* with guards before and behind; for a path its text */
  pier_buffer parts[PARTS_MAX];
};

struct world {
  struct fuzz_input input;
  pier_loop *loop;
  bool pooled; /* callbacks come on the loop's own threads, and do not touch the input */
  atomic_bool ending;
  _Atomic pier_handle handles[HANDLES_MAX];
  atomic_uint handle_next;
  _Atomic pier_handle closed; /* the last one whose close was asked for */
  atomic_uint closes;         /* asked for */
  atomic_uint closes_done;
  int natives[NATIVES_MAX]; /* descriptors that are no handle's, or stay open behind one */
  unsigned natives_used;
  struct submit submits[SUBMITS_MAX];
  unsigned submits_used;
  pier_timer timers[TIMERS_MAX];
  unsigned holds;
  pier_address server;
  pier_address datagrams; /* where those are sent to */
  char names[NAMES][128]; /* of files and pipes, in a folder of the program's own */
};

extern struct world world;

/* Nonzero while this thread is inside a call that submits: no callback may come on it. */
extern _Thread_local unsigned calls__submitting;
/* And while it is inside a callback. */
extern _Thread_local unsigned calls__inside;

/* A place for a submit with a buffer of `length` bytes; null when the input has had its share. */
struct submit *calls__submit(size_t length, bool reads);
void calls__submitted(struct submit *submit, pier_operation id);
void calls__on_done(const pier_result *result);

/* Keeps a handle for later commands; closes it when there is no room, or when all is ending. */
void calls__keep(pier_handle handle);
/* One of those kept, or one that is none. */
pier_handle calls__handle(void);
void calls__close(pier_handle handle);
void calls__keep_native(int descriptor);
uint64_t calls__deadline(void);
const char *calls__name(void);
size_t calls__length(void);

/* calls_open.c: what makes handles. */
void calls__open_pair(void);
void calls__open_server(void);
void calls__open_client(void);
void calls__open_accept(void);
void calls__open_pipe_server(void);
void calls__open_pipe_client(void);
void calls__open_file(void);
void calls__open_file_later(void);
void calls__open_registered(void);

/* calls_datagram.c */
void calls__open_datagrams(void);
void calls__receive(void);
void calls__send(void);
void calls__set_datagrams(void);

/* calls_multishot.c */
void calls__keep_reading(void);
void calls__try(void);

/* calls_fuzz.c: one command. */
void calls__step(void);

#endif
