/* One client: reads its requests, answers them in their order, and ends. */
#ifndef EXAMPLES_HTTP_CONNECTION_H
#define EXAMPLES_HTTP_CONNECTION_H

#include "http_response.h"
#include "http_stream.h"

#define HTTP_PATH_BYTES_MAX 4096

/* What all connections of a server share; does not change while it runs. */
struct http_settings {
  pier_loop *loop;
  const char *root;
  uint64_t idle_ns; /* how long a client may take for a request, and for taking a block of its answer */
};

/* A connection has one thing going on at a time: a read, a write, the opening of a file, or a stream. So it needs
 * no lock, although the callbacks of its socket and of its file may run on different threads: what starts comes
 * after what ended. */
struct http_connection {
  const struct http_settings *settings;
  pier_handle socket;
  void (*ended)(struct http_connection *connection); /* called once, with nothing in flight and the socket closed */
  void *owner;                                       /* these two are the owner's */
  struct http_connection *next;
  struct http_connection *older;

  uint64_t deadline_ns; /* for the request that is being received; 0: none is */
  bool last;            /* no further request is taken */
  struct http_request request;
  struct http_reply reply;
  size_t input_begin;
  size_t input_end;
  struct http_stream *stream; /* made for the first file and kept */
  struct http_output output;
  char path[HTTP_PATH_BYTES_MAX];
  char input[2 * HTTP_HEAD_BYTES_MAX]; /* so a whole head always fits behind what is left of another */
};

/* Takes over a connected socket. Settings, socket, ended and the owner's fields are set; stream is null, or an
 * older one. */
void http_connection_start(struct http_connection *connection);

#endif
