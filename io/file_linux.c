#include "file.h"
#include "at_once.h"
#include "loop.h"
#include "opening.h"
#include "port.h"
#include "socket.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

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

static unsigned file__marks(unsigned flags) { return flags & PIER_OPEN_APPEND ? HANDLE_APPENDS : 0u; }

int file__open(struct poller *poller, const char *path, unsigned flags, pier_handle *opened) {
  struct handle *handle = NULL;
  int status = text__check(path, PATH_MAX);
  if (status != PIER_OK)
    return status;
  int descriptor, native = file__native_flags(flags);
  do
    descriptor = open(path, native, OPENING_MODE);
  while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0)
    return socket__last();
  status = port__adopt(poller, descriptor, PIER_KIND_FILE, file__marks(flags), PIER_FAMILY_NONE, &handle);
  if (status != PIER_OK)
    return status;
  at_once__opened(handle, native);
  *opened = handle__open(handle);
  return PIER_OK;
}

/* What is to be opened, if that can be begun: null, and the status. */
static struct handle *file__reserve(struct poller *poller, const char *path, unsigned flags, int *status) {
  *status = file__flags_fit(flags) ? text__check(path, PATH_MAX) : PIER_EINVAL;
  if (*status != PIER_OK)
    return NULL;
  struct handle *handle = port__reserve(poller, PIER_KIND_FILE, file__marks(flags), PIER_FAMILY_NONE);
  if (!handle)
    *status = PIER_ENOMEM;
  return handle;
}

/* The operation is one of the handle that is to be: as with a connection, nobody knows that before it is open. */
pier_operation file__start_open(pier_loop *loop, const char *path, unsigned flags, uint64_t deadline_ns, pier_callback callback, void *context) {
  struct poller *poller = loop__poller(loop);
  int status;
  struct op *op = op__acquire(poller, OP_OPEN, callback, context);
  if (!op)
    return 0;
  struct handle *handle = file__reserve(poller, path, flags, &status);
  if (!handle) {
    pier_operation id = op__id(poller, op);
    op__refuse(poller, op, 0, status);
    return id;
  }
  handle__open_with(handle);
  op__bind(op, handle);
  op->as.open = (struct op_open){.path = path, .flags = file__native_flags(flags)};
  return loop__launch(loop, op, deadline_ns);
}

pier_operation file__start_load(pier_loop *loop, const char *path, const pier_buffer *buffer, uint64_t deadline_ns, pier_callback callback,
                                void *context) {
  struct poller *poller = loop__poller(loop);
  struct op *op = op__acquire(poller, OP_LOAD, callback, context);
  if (!op)
    return 0;
  op->as.load = (struct op_load){.poller = poller, .path = path, .buffer = buffer->base, .length_bytes = buffer->length, .descriptor = -1};
  op__bind(op, NULL);
  int status = file__buffer_fits(buffer->base, buffer->length) ? text__check(path, PATH_MAX) : PIER_EINVAL;
  if (status == PIER_OK)
    return loop__launch(loop, op, deadline_ns);
  pier_operation id = op__id(poller, op);
  op__refuse_bound(op, status);
  return id;
}

int file__size(const struct handle *handle, uint64_t *size_bytes) {
  struct stat about;
  if (fstat((int)handle->native, &about))
    return socket__last();
  if (S_ISDIR(about.st_mode))
    return PIER_EISDIR;
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
