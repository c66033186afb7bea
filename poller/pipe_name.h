/* The seam for the server side of a pipe's name. */
#ifndef PIER_PIPE_NAME_H
#define PIER_PIPE_NAME_H

#include "poller.h"

struct pipe_name_options {
  bool message;
  unsigned instances_max; /* as the system wants it: 255 is no limit */
  uint32_t buffer_bytes;
};

int port__listen_pipe(struct poller *poller, const char *utf8, const struct pipe_name_options *options, pier_handle *listener);
/* Before the listener's slot is given back. */
void port__unlisten_pipe(struct handle *listener);
/* A client's end, on the calling thread; PIER_EBUSY while all instances are taken. */
int port__connect_pipe(struct poller *poller, const char *utf8, bool message, pier_handle *opened);
/* Waits until an instance is free, at most so long: PIER_OK, PIER_ETIMEDOUT, PIER_ENOENT. */
int port__await_pipe(const char *utf8, uint64_t timeout_ns);
/* Both ends of a pipe without a name. */
int port__pair_pipe(struct poller *poller, const struct pipe_name_options *options, pier_handle ends[2]);

#endif
