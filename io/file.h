/* What a file needs of the system besides reading and writing: one body per system. */
#ifndef PIER_FILE_INTERNAL_H
#define PIER_FILE_INTERNAL_H

#include "pier_file.h"

#include <stdbool.h>

struct handle;
struct poller;

/* Whether the flags go together. */
bool file__flags_fit(unsigned flags);

/* The operation; whatever is wrong with its arguments comes with the callback. */
pier_operation file__start_open(pier_loop *loop, const char *path, unsigned flags, uint64_t deadline_ns, pier_callback callback, void *context);

/* Whether there can be such a buffer. */
bool file__buffer_fits(const void *buffer, size_t length_bytes);
/* As file__start_open(). */
pier_operation file__start_load(pier_loop *loop, const char *path, const pier_buffer *buffer, uint64_t deadline_ns, pier_callback callback, void *context);

int file__open(struct poller *poller, const char *path, unsigned flags, pier_handle *opened);
int file__size(const struct handle *handle, uint64_t *size_bytes);
int file__truncate(const struct handle *handle, uint64_t size_bytes);
int file__flush(const struct handle *handle);

#endif
