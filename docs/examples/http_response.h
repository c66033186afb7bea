/* What a server says: heads and short bodies, put together in memory. */
#ifndef EXAMPLES_HTTP_RESPONSE_H
#define EXAMPLES_HTTP_RESPONSE_H

#include "http_range.h"
#include "http_request.h"

#define HTTP_RESPONSE_BYTES_MAX 4096 /* what any one call below adds at most */

/* Bytes on their way out; several responses may stand behind each other. */
struct http_output {
  size_t length;
  char bytes[4 * HTTP_RESPONSE_BYTES_MAX];
};

/* What all responses to one request have in common. */
struct http_reply {
  bool head_only;   /* the request was HEAD: no body, but the length that it would have */
  bool version_1_0; /* the client has to be told that the connection stays open */
  bool keep_alive;  /* whether it does */
};

/* "Hello, World!", the same as everywhere. */
void http_response_hello(struct http_output *output, struct http_reply reply);

/* A status with its own name as the body. `path` is that of the request; 301 is the same with a slash behind it. */
void http_response_status(struct http_output *output, struct http_reply reply, int status, struct http_slice path);

/* 416: says how long the file is. */
void http_response_no_range(struct http_output *output, struct http_reply reply, uint64_t size_bytes);

/* The head before a file's bytes: 200 for the whole or 206 for a part. Its type follows from its name. */
void http_response_file(struct http_output *output, struct http_reply reply, int status, const char *name,
                        uint64_t size_bytes, struct http_range range);

#endif
