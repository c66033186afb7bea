/* The core of the sync path on Linux: the call itself, and poll() around it; private to the library. */
#ifndef PIER_SYNC_LINUX_H
#define PIER_SYNC_LINUX_H

#include "pier_sync.h"
#include <sys/uio.h>

/* The most that one system call moves. */
#define SYNC_CALL_BYTES_MAX ((size_t)1 << 30)

/* What a descriptor is, as far as the calls differ. */
enum sync_kind {
  SYNC_FILE,    /* has positions and is always ready */
  SYNC_STREAM,  /* a stream socket */
  SYNC_LOCAL,   /* the same, of unix: a reset is its end */
  SYNC_MESSAGE, /* a message pipe */
  SYNC_DATAGRAM,
  SYNC_OTHER    /* a fifo, a terminal, a device */
};

struct sync_call {
  int descriptor;
  enum sync_kind kind;
  bool patient;      /* without a timeout: the call may block by itself */
  uint64_t until_ns; /* of clock__now_ns(); UINT64_MAX: without limit */
};

enum sync_way { SYNC_READ, SYNC_WRITE };

/* Finds out what the descriptor is, starts the clock. PIER_OK or PIER_EBADF. */
int sync__begin(pier_native native, uint64_t timeout_ns, struct sync_call *call);

/* Waits until the descriptor is ready for reading or writing: PIER_OK, PIER_ETIMEDOUT, or what poll() says. */
int sync__await(const struct sync_call *call, enum sync_way way);

/* Fills in the user's result, if he wants one, and gives the status. */
int sync__result(pier_sync_result *result, int status, uint32_t system_code, size_t bytes, bool end);

/* Moves the parts, which are changed on the way: `offset` -1 is the descriptor's own position. */
void sync__move(const struct sync_call *call, enum sync_way way, struct iovec *parts, size_t count, int64_t offset, pier_sync_result *done);

#endif
