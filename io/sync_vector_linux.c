#include "sync_linux.h"

enum { SYNC_PARTS_MAX = 1024 };

/* PIER_EINVAL for what no call could make sense of. */
static int sync__copy_parts(const pier_buffer *parts, size_t count, struct iovec *copy) {
  size_t total = 0;
  if (count > SYNC_PARTS_MAX || (!parts && count))
    return PIER_EINVAL;
  for (size_t i = 0; i < count; i++) {
    if ((!parts[i].base && parts[i].length) || parts[i].length > SIZE_MAX - total)
      return PIER_EINVAL;
    total += parts[i].length;
    copy[i] = (struct iovec){parts[i].base, parts[i].length};
  }
  return PIER_OK;
}

static int sync__parts(pier_native native, enum sync_way way, const pier_buffer *parts, size_t count, int64_t offset, uint64_t timeout_ns,
                       pier_sync_result *result) {
  struct iovec copy[SYNC_PARTS_MAX];
  struct sync_call call;
  pier_sync_result done;
  int status = offset < -1 ? PIER_EINVAL : sync__copy_parts(parts, count, copy);
  if (status == PIER_OK)
    status = sync__begin(native, timeout_ns, &call);
  if (status == PIER_OK && offset >= 0 && call.kind != SYNC_FILE)
    status = PIER_ESPIPE;
  if (status != PIER_OK || count == 0)
    return sync__result(result, status, 0, 0, false);
  sync__move(&call, way, copy, count, offset, &done);
  return sync__result(result, done.status, done.system_code, done.bytes, done.end);
}

int pier_sync_readv(pier_native native, const pier_buffer *parts, size_t count, int64_t offset, uint64_t timeout_ns, pier_sync_result *result) {
  return sync__parts(native, SYNC_READ, parts, count, offset, timeout_ns, result);
}

int pier_sync_writev(pier_native native, const pier_buffer *parts, size_t count, int64_t offset, uint64_t timeout_ns, pier_sync_result *result) {
  return sync__parts(native, SYNC_WRITE, parts, count, offset, timeout_ns, result);
}
