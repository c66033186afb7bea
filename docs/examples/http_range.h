/* Which part of a file a request is for. */
#ifndef EXAMPLES_HTTP_RANGE_H
#define EXAMPLES_HTTP_RANGE_H

#include "http_request.h"

#include <stdint.h>

struct http_range {
  uint64_t offset;
  uint64_t length;
};

/* 200: the whole; 206: the one part that was asked for; 416: there is no such part. */
int http_range_of(struct http_slice value, uint64_t size_bytes, struct http_range *range);

#endif
