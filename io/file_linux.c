#include "file.h"
#include "at_once.h"
#include "port.h"
#include "socket.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE (S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH) /* less the process's umask */

static int file__native_flags(unsigned flags) {
  bool writes = flags & (PIER_OPEN_WRITE | PIER_OPEN_APPEND);
  int native = writes ? (flags & PIER_OPEN_READ ? O_RDWR : O_WRONLY) : O_RDONLY;
  if (flags & PIER_OPEN_APPEND)
    native |= O_APPEND;
  if (flags & PIER_OPEN_CREATE)
    native |= O_CREAT;
  if (flags & PIER_OPEN_EXCLUSIVE)
    native |= O_EXCL;
  if (flags & PIER_OPEN_TRUNCATE)
    native |= O_TRUNC;
  if (flags & PIER_OPEN_DIRECT)
    native |= O_DIRECT;
  if (flags & PIER_OPEN_THROUGH)
    native |= O_DSYNC;
  return native | O_CLOEXEC;
}

int file__open(struct poller *poller, const char *path, unsigned flags, pier_handle *opened) {
  struct handle *handle = NULL;
  struct stat about;
  int status = text__check(path, PATH_MAX);
  if (status != PIER_OK)
    return status;
  int descriptor, native = file__native_flags(flags);
  do
    descriptor = open(path, native, FILE_MODE);
  while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0)
    return socket__last();
  /* A directory can be opened for reading here, and is no file for that. */
  if (fstat(descriptor, &about) == 0 && S_ISDIR(about.st_mode)) {
    close(descriptor);
    return PIER_EISDIR;
  }
  status = port__adopt(poller, descriptor, PIER_KIND_FILE, flags & PIER_OPEN_APPEND ? HANDLE_APPENDS : 0u, PIER_FAMILY_NONE, &handle);
  if (status != PIER_OK)
    return status;
  at_once__opened(handle, native);
  *opened = handle__open(handle);
  return PIER_OK;
}

int file__size(const struct handle *handle, uint64_t *size_bytes) {
  struct stat about;
  if (fstat((int)handle->native, &about))
    return socket__last();
  *size_bytes = (uint64_t)about.st_size;
  return PIER_OK;
}

int file__truncate(const struct handle *handle, uint64_t size_bytes) {
  if (size_bytes > INT64_MAX)
    return PIER_EINVAL;
  int result;
  do
    result = ftruncate((int)handle->native, (off_t)size_bytes);
  while (result && errno == EINTR);
  return result ? socket__last() : PIER_OK;
}

int file__flush(const struct handle *handle) { return fsync((int)handle->native) ? socket__last() : PIER_OK; }
