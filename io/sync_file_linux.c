#include "sync_linux.h"

#include <unistd.h>

/* The usual read of a file: one call, and nothing to be found out before it. False if there is more to it. (A write that was short could
   not be begun again: it may have gone to the end.) */
static bool sync__read_whole(pier_native native, enum sync_way way, void *buffer, size_t length, int64_t offset, pier_sync_result *result) {
  if (way != SYNC_READ || offset < 0 || !length || length > SYNC_CALL_BYTES_MAX || native > INT32_MAX)
    return false;
  ssize_t moved = pread((int)native, buffer, length, offset);
  if (moved < 0 || (size_t)moved != length)
    return false; /* read again from the beginning, which at a position is the same */
  sync__result(result, PIER_OK, 0, length, false);
  return true;
}

static int sync__single(pier_native native, enum sync_way way, void *buffer, size_t length, int64_t offset, uint64_t timeout_ns,
                        pier_sync_result *result) {
  struct sync_call call;
  struct iovec part = {buffer, length};
  pier_sync_result done;
  if ((!buffer && length) || offset < -1)
    return sync__result(result, PIER_EINVAL, 0, 0, false);
  if (sync__read_whole(native, way, buffer, length, offset, result))
    return PIER_OK;
  int status = sync__begin(native, timeout_ns, &call);
  if (status == PIER_OK && offset >= 0 && call.kind != SYNC_FILE)
    status = PIER_ESPIPE;
  if (status != PIER_OK)
    return sync__result(result, status, 0, 0, false);
  sync__move(&call, way, &part, 1, offset, &done);
  return sync__result(result, done.status, done.system_code, done.bytes, done.end);
}

int pier_sync_read(pier_native native, void *buffer, size_t length, uint64_t timeout_ns, pier_sync_result *result) {
  return sync__single(native, SYNC_READ, buffer, length, -1, timeout_ns, result);
}

int pier_sync_write(pier_native native, const void *buffer, size_t length, uint64_t timeout_ns, pier_sync_result *result) {
  return sync__single(native, SYNC_WRITE, (void *)(uintptr_t)buffer, length, -1, timeout_ns, result);
}

/* A negative offset of the caller's must not pass for the descriptor's own position. */
int pier_sync_read_at(pier_native native, void *buffer, size_t length, int64_t offset, uint64_t timeout_ns, pier_sync_result *result) {
  return sync__single(native, SYNC_READ, buffer, length, offset < 0 ? -2 : offset, timeout_ns, result);
}

int pier_sync_write_at(pier_native native, const void *buffer, size_t length, int64_t offset, uint64_t timeout_ns, pier_sync_result *result) {
  return sync__single(native, SYNC_WRITE, (void *)(uintptr_t)buffer, length, offset < 0 ? -2 : offset, timeout_ns, result);
}
