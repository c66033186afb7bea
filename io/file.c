#include "file.h"
#include "loop.h"

#define FILE_FLAGS_ALL                                                                                                                  \
  (PIER_OPEN_READ | PIER_OPEN_WRITE | PIER_OPEN_APPEND | PIER_OPEN_CREATE | PIER_OPEN_EXCLUSIVE | PIER_OPEN_TRUNCATE | PIER_OPEN_DIRECT | \
   PIER_OPEN_THROUGH)

bool file__flags_fit(unsigned flags) {
  bool writes = flags & (PIER_OPEN_WRITE | PIER_OPEN_APPEND);
  if (flags & ~(unsigned)FILE_FLAGS_ALL || !(writes || (flags & PIER_OPEN_READ)))
    return false;
  if ((flags & PIER_OPEN_EXCLUSIVE) && !(flags & PIER_OPEN_CREATE))
    return false;
  return !(flags & PIER_OPEN_TRUNCATE) || (flags & PIER_OPEN_WRITE);
}

int pier_file_open_sync(pier_loop *loop, const char *path, unsigned flags, pier_handle *handle) {
  if (handle)
    *handle = 0;
  if (!loop || !path || !handle || !file__flags_fit(flags))
    return PIER_EINVAL;
  return file__open(loop__poller(loop), path, flags, handle);
}

pier_operation pier_file_open(pier_loop *loop, const char *path, unsigned flags, uint64_t deadline_ns, pier_callback callback, void *context) {
  if (!loop)
    return 0;
  return file__start_open(loop, path, flags, deadline_ns, callback, context);
}

bool file__buffer_fits(const void *buffer, size_t length_bytes) { return length_bytes <= SIZE_MAX / 2 && (buffer || !length_bytes); }

pier_operation pier_file_load(pier_loop *loop, const char *path, void *buffer, size_t length, uint64_t deadline_ns, pier_callback callback,
                              void *context) {
  const pier_buffer whole = {buffer, length};
  if (!loop)
    return 0;
  return file__start_load(loop, path, &whole, deadline_ns, callback, context);
}

/* ---- Calls on an open file. It is held while they run: pier_close() waits for them. ---- */

static int file__enter(pier_handle id, struct handle **handle) {
  struct poller *poller = poller__of(id, ID_HANDLE);
  int status = poller ? handle__enter(poller, id, handle) : PIER_EBADF;
  if (status == PIER_OK)
    port__know(*handle);
  if (status == PIER_OK && (*handle)->slot.kind != PIER_KIND_FILE) {
    handle__leave(*handle);
    status = PIER_EBADF;
  }
  return status;
}

int pier_file_size(pier_handle id, uint64_t *size_bytes) {
  struct handle *handle;
  if (!size_bytes)
    return PIER_EINVAL;
  int status = file__enter(id, &handle);
  if (status != PIER_OK)
    return status;
  status = file__size(handle, size_bytes);
  handle__leave(handle);
  return status;
}

static int file__truncate_work(struct op *op) { return file__truncate(op->handle, (uint64_t)op->as.work.argument[0]); }

pier_operation pier_file_truncate(pier_handle handle, uint64_t size_bytes, uint64_t deadline_ns, pier_callback callback, void *context) {
  struct work_plan plan = {.run = file__truncate_work, .argument = {(uintptr_t)size_bytes}};
  return work__start_on(handle, PIER_KIND_FILE, &plan, deadline_ns, callback, context);
}

static int file__flush_work(struct op *op) { return file__flush(op->handle); }

pier_operation pier_file_flush(pier_handle handle, uint64_t deadline_ns, pier_callback callback, void *context) {
  struct work_plan plan = {.run = file__flush_work};
  return work__start_on(handle, PIER_KIND_FILE, &plan, deadline_ns, callback, context);
}

static int file__enter_positioned(pier_handle id, struct handle **handle) {
  int status = file__enter(id, handle);
  return status == PIER_EBADF && pier_handle_state(id) != PIER_STATE_NONE ? PIER_ESPIPE : status;
}

int pier_file_position(pier_handle id, uint64_t *offset_bytes) {
  struct handle *handle;
  if (!offset_bytes)
    return PIER_EINVAL;
  int status = file__enter_positioned(id, &handle);
  if (status != PIER_OK)
    return status;
  *offset_bytes = atomic_load(&handle->position);
  handle__leave(handle);
  return PIER_OK;
}

int pier_file_seek(pier_handle id, uint64_t offset_bytes) {
  struct handle *handle;
  if (offset_bytes > INT64_MAX)
    return PIER_EINVAL;
  int status = file__enter_positioned(id, &handle);
  if (status != PIER_OK)
    return status;
  atomic_store(&handle->position, offset_bytes);
  handle__leave(handle);
  return PIER_OK;
}
