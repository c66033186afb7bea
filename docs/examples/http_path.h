/* From the target of a request to the name of a file that may be served. */
#ifndef EXAMPLES_HTTP_PATH_H
#define EXAMPLES_HTTP_PATH_H

#include "http_request.h"

/* The path in a target: without "http://host" and without the query. Length 0 if there is none ("*", "host:port"). */
struct http_slice http_path_of(struct http_slice target);

/* Writes root + the decoded path into `name`, with a final zero; "index.html" is added to a path that ends with a
 * slash. Returns 200, or the HTTP status for one that does not name a file below root: 400, 403, 414. */
int http_path_resolve(const char *root, struct http_slice path, char *name, size_t name_bytes);

#endif
