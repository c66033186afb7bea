/* The head of an HTTP/1.x request, read out of the bytes that a connection has received. Knows nothing of sockets. */
#ifndef EXAMPLES_HTTP_REQUEST_H
#define EXAMPLES_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEAD_BYTES_MAX 8192   /* request line and header together */
#define HTTP_TARGET_BYTES_MAX 2048 /* what stands between GET and HTTP/1.1 */

/* A piece of somebody else's text. */
struct http_slice {
  const char *at;
  size_t length;
};

enum http_method { HTTP_METHOD_OTHER = 0, HTTP_METHOD_GET, HTTP_METHOD_HEAD };

/* The slices point into the text that was parsed. */
struct http_request {
  enum http_method method;
  struct http_slice target; /* as it came: percent-encoded, with its query */
  struct http_slice range;  /* the value of Range, length 0 if there is none to be obeyed */
  bool version_1_0;
  bool keep_alive; /* the client wants to send more on this connection */
  bool has_body;   /* a body follows the head */
};

/* Reads one head from the beginning of `text`. Returns 0 if it is not all there yet, 200 and how many bytes it
 * took, or the HTTP status that the client deserves: 400, 414, 431, 505. After one of these nothing that follows
 * can be made sense of. */
int http_request_parse(const char *text, size_t length, struct http_request *request, size_t *consumed_bytes);

/* Whether the slice is this text, letters of either case. */
bool http_slice_is(struct http_slice slice, const char *text);

/* Takes what comes before `separator` off the front of a slice, and the separator. Without one it takes everything. */
struct http_slice http_slice_cut(struct http_slice *rest, char separator);

#endif
