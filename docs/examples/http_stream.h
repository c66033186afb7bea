/* Sends part of a file to a socket: while one block is being written, the next is being read. */
#ifndef EXAMPLES_HTTP_STREAM_H
#define EXAMPLES_HTTP_STREAM_H

#include "pier.h"

#include <stdatomic.h>

#define HTTP_STREAM_BLOCK_BYTES 65536

/* Called once when all is sent or something failed. No operation of the stream is in flight then. */
typedef void (*http_stream_callback)(void *context, int status);

/* Fill in the first group and call http_stream_start(). */
struct http_stream {
  pier_handle socket;
  pier_handle file; /* closed by the stream when it is done */
  uint64_t offset;  /* where in the file the next block begins */
  uint64_t left;    /* how much of it is still to be read; at least 1 at the start */
  char *head;       /* goes out before the file's bytes */
  size_t head_bytes;
  uint64_t idle_ns; /* how long one read or write may take */
  http_stream_callback done;
  void *context;

  atomic_uint in_flight; /* one count for each operation of this round */
  int write_status;      /* set by the socket's callback ... */
  int read_status;       /* ... and by the file's, which may run on another thread at the same time */
  size_t block_bytes[2];
  unsigned reading; /* the block that is being read; the other one is being written */
  pier_buffer parts[2];
  char blocks[2][HTTP_STREAM_BLOCK_BYTES];
};

/* Starts. The callback may come before this returns, on another thread. */
void http_stream_start(struct http_stream *stream);

#endif
