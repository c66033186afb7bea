#include "http_connection.h"

#include "http_path.h"

#include <stdlib.h>
#include <string.h>

#define DRAIN_NS (2 * PIER_SECOND) /* how long a client may take to notice the end */

static void connection__serve(struct http_connection *connection);

static void connection__on_closed(const pier_result *result) {
  struct http_connection *connection = result->context;

  connection->ended(connection);
}

/* Where a server that ends has closed the socket first, this close fails, and the owner knows of the connection
 * anyway.
 */
static void connection__end(struct http_connection *connection) {
  pier_close(connection->socket, connection__on_closed, connection);
}

static void connection__on_drained(const pier_result *result);

static void connection__drain(struct http_connection *connection) {
  if (pier_read(connection->socket, connection->input, sizeof connection->input, connection->deadline_ns,
                connection__on_drained, connection) == 0) {
    connection__end(connection);
  }
}

static void connection__on_drained(const pier_result *result) {
  struct http_connection *connection = result->context;

  if (result->status != PIER_OK || result->end) {
    connection__end(connection);
    return;
  }
  connection__drain(connection);
}

static void connection__on_shut_down(const pier_result *result) {
  struct http_connection *connection = result->context;

  if (result->status != PIER_OK) {
    connection__end(connection);
    return;
  }
  connection__drain(connection);
}

/* Closing a socket with unread data resets the connection, and the client may then lose an answer that it has not
 * read yet. So the sending direction is ended first and the rest of what comes is thrown away, for a moment. */
static void connection__finish(struct http_connection *connection) {
  connection->deadline_ns = pier_deadline_in(DRAIN_NS);
  if (pier_tcp_shutdown(connection->socket, connection->deadline_ns, connection__on_shut_down, connection) == 0) {
    connection__end(connection);
  }
}

static void connection__on_received(const pier_result *result) {
  struct http_connection *connection = result->context;

  if (result->status != PIER_OK || result->end) {
    connection__end(connection);
    return;
  }
  connection->input_end += result->bytes;
  connection__serve(connection);
}

/* The deadline is for a whole request, however many reads it comes in: a byte now and then does not keep a connection.
 */
static void connection__receive(struct http_connection *connection) {
  size_t kept_bytes = connection->input_end - connection->input_begin;

  memmove(connection->input, connection->input + connection->input_begin, kept_bytes);
  connection->input_begin = 0;
  connection->input_end = kept_bytes;
  if (connection->deadline_ns == 0) {
    connection->deadline_ns = pier_deadline_in(connection->settings->idle_ns);
  }
  if (pier_read(connection->socket, connection->input + kept_bytes, sizeof connection->input - kept_bytes,
                connection->deadline_ns, connection__on_received, connection) == 0) {
    connection__end(connection);
  }
}

static void connection__on_written(const pier_result *result) {
  struct http_connection *connection = result->context;

  if (result->status != PIER_OK) {
    connection__end(connection);
    return;
  }
  connection->output.length = 0;
  connection__serve(connection);
}

static void connection__write(struct http_connection *connection) {
  if (pier_write(connection->socket, connection->output.bytes, connection->output.length,
                 pier_deadline_in(connection->settings->idle_ns), connection__on_written, connection) == 0) {
    connection__end(connection);
  }
}

static void connection__on_streamed(void *context, int status) {
  struct http_connection *connection = context;

  if (status != PIER_OK) {
    connection__end(connection); /* part of the answer is out: all that can be said now is that it is broken */
    return;
  }
  connection->output.length = 0;
  connection__serve(connection);
}

static void connection__fail(struct http_connection *connection, int status) {
  http_response_status(&connection->output, connection->reply, status, http_path_of(connection->request.target));
}

static int connection__http_status(int status) {
  switch (status) {
  case PIER_ENOENT:
  case PIER_ENOTDIR:
  case PIER_ENAMETOOLONG:
    return 404;
  case PIER_EISDIR:
    return 301;
  case PIER_EACCES:
  case PIER_EPERM:
  case PIER_EBUSY:
  case PIER_ELOCKED:
    return 403;
  case PIER_EILSEQ:
  case PIER_EINVAL:
    return 400;
  case PIER_EMFILE:
  case PIER_ENOMEM:
  case PIER_ETIMEDOUT:
    return 503;
  default:
    return 500;
  }
}

/* Adds the head of a file's answer. True if bytes of the file are to follow. */
static bool connection__file_head(struct http_connection *connection, pier_handle file, struct http_range *range) {
  uint64_t size_bytes = 0;

  if (pier_handle_kind(file) != PIER_KIND_FILE) {
    connection__fail(connection, 403); /* a pipe or a device has got below root */
    return false;
  }
  int status = pier_file_size(file, &size_bytes);
  if (status != PIER_OK) {
    connection__fail(connection, connection__http_status(status));
    return false;
  }
  status = http_range_of(connection->request.range, size_bytes, range);
  if (status == 416) {
    http_response_no_range(&connection->output, connection->reply, size_bytes);
    return false;
  }
  if (connection->stream == NULL) {
    connection->stream = malloc(sizeof *connection->stream);
  }
  if (connection->stream == NULL) {
    connection__fail(connection, 503);
    return false;
  }
  http_response_file(&connection->output, connection->reply, status, connection->path, size_bytes, *range);
  return range->length > 0 && !connection->reply.head_only;
}

static void connection__on_opened(const pier_result *result) {
  struct http_connection *connection = result->context;
  struct http_range range;

  if (result->status != PIER_OK) {
    connection__fail(connection, connection__http_status(result->status));
    connection__serve(connection);
    return;
  }
  if (!connection__file_head(connection, result->opened, &range)) {
    pier_close(result->opened, NULL, NULL);
    connection__serve(connection);
    return;
  }
  struct http_stream *stream = connection->stream;
  stream->socket = connection->socket;
  stream->file = result->opened;
  stream->offset = range.offset;
  stream->left = range.length;
  stream->head = connection->output.bytes; /* with whatever answers to earlier requests stand before it */
  stream->head_bytes = connection->output.length;
  stream->idle_ns = connection->settings->idle_ns;
  stream->done = connection__on_streamed;
  stream->context = connection;
  http_stream_start(stream);
}

/* True if an operation was started and will go on with the connection; false if the answer has been added to the
 * output. */
static bool connection__answer(struct http_connection *connection) {
  const struct http_settings *settings = connection->settings;
  const struct http_request *request = &connection->request;
  struct http_slice path = http_path_of(request->target);

  if (request->method == HTTP_METHOD_OTHER) {
    connection__fail(connection, 405);
    return false;
  }
  if (request->has_body) {
    connection__fail(connection, 413);
    return false;
  }
  if (http_slice_is(path, "/plaintext")) {
    http_response_hello(&connection->output, connection->reply);
    return false;
  }
  int status = http_path_resolve(settings->root, path, connection->path, sizeof connection->path);
  if (status != 200) {
    connection__fail(connection, status);
    return false;
  }
  /* Opening blocks as long as the disk likes, so it is done on a worker. */
  if (pier_file_open(settings->loop, connection->path, PIER_OPEN_READ, pier_deadline_in(settings->idle_ns),
                     connection__on_opened, connection) == 0) {
    connection__fail(connection, 503);
    return false;
  }
  return true;
}

/* Answers what has come, until it is used up, or must be written first, or a file is to be opened. Answers to
 * pipelined requests collect in the output and go out with one write. */
static void connection__serve(struct http_connection *connection) {
  while (!connection->last && sizeof connection->output.bytes - connection->output.length >= HTTP_RESPONSE_BYTES_MAX) {
    size_t consumed_bytes = 0;
    int status =
        http_request_parse(connection->input + connection->input_begin, connection->input_end - connection->input_begin,
                           &connection->request, &consumed_bytes);
    if (status == 0) {
      break;
    }
    connection->input_begin += consumed_bytes;
    connection->deadline_ns = 0;
    /* A body is not read, so where it ends and the next request begins is not known. */
    connection->last = status != 200 || connection->request.has_body || !connection->request.keep_alive;
    connection->reply = (struct http_reply){.head_only = connection->request.method == HTTP_METHOD_HEAD,
                                            .version_1_0 = connection->request.version_1_0,
                                            .keep_alive = !connection->last};
    if (status != 200) {
      connection__fail(connection, status);
    } else if (connection__answer(connection)) {
      return;
    }
  }
  if (connection->output.length > 0) {
    connection__write(connection);
  } else if (connection->last) {
    connection__finish(connection);
  } else {
    connection__receive(connection);
  }
}

void http_connection_start(struct http_connection *connection) {
  connection->deadline_ns = 0;
  connection->last = false;
  connection->input_begin = 0;
  connection->input_end = 0;
  connection->output.length = 0;
  connection__receive(connection);
}
