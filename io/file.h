/* What a file needs of the system besides reading and writing: one body per system. */
#ifndef PIER_FILE_INTERNAL_H
#define PIER_FILE_INTERNAL_H

#include "pier_file.h"

struct handle;
struct poller;

int file__open(struct poller *poller, const char *path, unsigned flags, pier_handle *opened);
int file__size(const struct handle *handle, uint64_t *size_bytes);
int file__truncate(const struct handle *handle, uint64_t size_bytes);
int file__flush(const struct handle *handle);

#endif
