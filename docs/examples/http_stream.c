#include "http_stream.h"

static void stream__round(struct http_stream *stream);

static void stream__done(struct http_stream *stream, int status) {
  pier_close(stream->file, NULL, NULL); /* idle, and nothing of ours hangs on the close: nobody waits for it */
  stream->done(stream->context, status);
}

/* The two operations of a round end in either order, perhaps at the same time on two threads: whoever is last goes
 * on. The count is also what makes the status that the other one has left visible here. */
static void stream__ended(struct http_stream *stream) {
  if (atomic_fetch_sub(&stream->in_flight, 1) > 1) {
    return;
  }
  if (stream->write_status != PIER_OK || stream->read_status != PIER_OK) {
    stream__done(stream, stream->write_status != PIER_OK ? stream->write_status : stream->read_status);
    return;
  }
  stream->reading = 1 - stream->reading;
  if (stream->block_bytes[1 - stream->reading] == 0) {
    stream__done(stream, PIER_OK); /* nothing was read, because nothing was left */
    return;
  }
  stream__round(stream);
}

static void stream__on_read(const pier_result *result) {
  struct http_stream *stream = result->context;

  stream->read_status = result->status;
  if (result->status == PIER_OK && result->bytes == 0) {
    stream->read_status = PIER_EIO; /* the file has become shorter than the length that was promised */
  }
  stream->block_bytes[stream->reading] = result->bytes;
  stream->offset += result->bytes;
  stream->left -= result->bytes;
  stream__ended(stream);
}

static void stream__on_written(const pier_result *result) {
  struct http_stream *stream = result->context;

  stream->write_status = result->status;
  stream->head_bytes = 0;
  stream__ended(stream);
}

static void stream__read(struct http_stream *stream) {
  size_t length = stream->left < HTTP_STREAM_BLOCK_BYTES ? (size_t)stream->left : HTTP_STREAM_BLOCK_BYTES;
  char *block = stream->blocks[stream->reading];

  stream->block_bytes[stream->reading] = 0;
  if (pier_read_at(stream->file, block, length, (int64_t)stream->offset, pier_deadline_in(stream->idle_ns),
                   stream__on_read, stream) == 0) {
    stream->read_status = PIER_ENOMEM;
    stream__ended(stream);
  }
}

static void stream__write(struct http_stream *stream) {
  unsigned writing = 1 - stream->reading;
  size_t skip = stream->head_bytes > 0 ? 0 : 1;

  stream->parts[0] = (pier_buffer){.base = stream->head, .length = stream->head_bytes};
  stream->parts[1] = (pier_buffer){.base = stream->blocks[writing], .length = stream->block_bytes[writing]};
  if (pier_writev(stream->socket, stream->parts + skip, 2 - skip, pier_deadline_in(stream->idle_ns), stream__on_written,
                  stream) == 0) {
    stream->write_status = PIER_ENOMEM;
    stream__ended(stream);
  }
}

/* The count is set for both before either is started. As long as the second has not been started its count cannot
 * be taken, so the stream stays as it is until then; after that it may be gone. */
static void stream__round(struct http_stream *stream) {
  bool more = stream->left > 0;

  if (!more) {
    stream->block_bytes[stream->reading] = 0;
  }
  atomic_store(&stream->in_flight, more ? 2 : 1);
  stream__write(stream);
  if (more) {
    stream__read(stream);
  }
}

/* The first round has a read only. */
void http_stream_start(struct http_stream *stream) {
  stream->write_status = PIER_OK;
  stream->read_status = PIER_OK;
  stream->reading = 0;
  atomic_store(&stream->in_flight, 1);
  stream__read(stream);
}
