#include "sync.h"

#include "error.h"
#include "nt.h"
#include "winsock.h"

static DWORD sync__start_transfer(const struct sync_call *call, enum sync_way way, void *buffer, DWORD length, OVERLAPPED *overlapped) {
  BOOL done = way == SYNC_READ ? ReadFile(call->file, buffer, length, NULL, overlapped) : WriteFile(call->file, buffer, length, NULL, overlapped);

  return done ? ERROR_SUCCESS : GetLastError();
}

/* Without an OVERLAPPED; only for a handle that is known to be blocking. */
static struct sync_outcome sync__plain_transfer(const struct sync_call *call, enum sync_way way, void *buffer, DWORD length) {
  struct sync_outcome outcome = {PIER_OK, ERROR_SUCCESS, 0};
  BOOL done = way == SYNC_READ ? ReadFile(call->file, buffer, length, &outcome.bytes, NULL) : WriteFile(call->file, buffer, length, &outcome.bytes, NULL);

  if (!done) {
    outcome.system_code = GetLastError();
    outcome.status = pier_error_from_system(outcome.system_code);
  }
  return outcome;
}

/* Something at the system's position went wrong, and nothing was moved: finds out whether the position was the reason. File systems
 * refuse it in different ways on an overlapped handle (bad parameter, end of file, disk full), which is the caller's mistake. A
 * blocking handle past the system's cache has no use for it either, and is served without an OVERLAPPED. */
static struct sync_outcome sync__position_refused(const struct sync_call *call, enum sync_way way, void *buffer, DWORD length,
                                                  struct sync_outcome refusal) {
  uint32_t mode = 0;

  if (GetFileType(call->file) != FILE_TYPE_DISK) {
    if (refusal.system_code == ERROR_INVALID_PARAMETER) {
      OVERLAPPED overlapped;
      sync__prepare(call, &overlapped, 0);
      return sync__finish(call, &overlapped, sync__start_transfer(call, way, buffer, length, &overlapped));
    }
    return refusal;
  }
  if (nt__file_mode(call->file, &mode) != PIER_OK) {
    return refusal;
  }
  if ((mode & (NT_FILE_SYNCHRONOUS_IO_ALERT | NT_FILE_SYNCHRONOUS_IO_NONALERT)) == 0) {
    refusal.status = PIER_EINVAL;
    refusal.system_code = ERROR_INVALID_PARAMETER;
    return refusal;
  }
  return refusal.system_code == ERROR_INVALID_PARAMETER ? sync__plain_transfer(call, way, buffer, length) : refusal;
}

/* One system call, and the wait for it only if it is pending. */
static struct sync_outcome sync__transfer(const struct sync_call *call, enum sync_way way, void *buffer, DWORD length, int64_t offset) {
  OVERLAPPED overlapped;

  if (offset >= 0 && sync_inside__is_trusted()) {
    return sync_inside__transfer(call, way, buffer, length, offset);
  }
  sync__prepare(call, &overlapped, offset);
  DWORD error = sync__start_transfer(call, way, buffer, length, &overlapped);
  if (offset >= 0 && error == ERROR_IO_PENDING) {
    sync_inside__note(!sync__is_pending(&overlapped));
  }
  struct sync_outcome outcome = sync__finish(call, &overlapped, error);
  if (offset == SYNC_AT_POSITION && outcome.status != PIER_OK) {
    switch (outcome.status) {
    case PIER_ETIMEDOUT:
    case PIER_ECANCELED:
    case PIER_EMSGSIZE:
      break; /* it was begun, so the position was not the reason */
    default:
      return sync__position_refused(call, way, buffer, length, outcome);
    }
  }
  return outcome;
}

/* A read of more than nothing that brought nothing, without an error: the end of a stream or of a console's input, but on a pipe or
 * a datagram socket an empty message. */
static bool sync__empty_is_end(HANDLE file) {
  int type = 0;
  int type_bytes = sizeof type;

  if (GetFileType(file) != FILE_TYPE_PIPE) {
    return true;
  }
  return winsock__start() == PIER_OK && getsockopt((SOCKET)file, SOL_SOCKET, SO_TYPE, (char *)&type, &type_bytes) == 0 && type == SOCK_STREAM;
}

int sync__read(const struct sync_call *call, void *buffer, size_t length, int64_t offset, pier_sync_result *done) {
  char none;
  char *to = length > 0 ? buffer : &none;
  bool more;

  *done = (pier_sync_result){PIER_OK, 0, 0, false};
  do {
    size_t left = length - done->bytes;
    DWORD asked = left < SYNC_CALL_BYTES_MAX ? (DWORD)left : SYNC_CALL_BYTES_MAX;
    int64_t at = offset < 0 ? offset : (int64_t)((uint64_t)offset + done->bytes);
    struct sync_outcome outcome = sync__transfer(call, SYNC_READ, to + done->bytes, asked, at);
    bool nothing_yet = done->bytes == 0 && outcome.bytes == 0 && length > 0;

    done->bytes += outcome.bytes;
    if (outcome.status == PIER_OK) {
      done->end = nothing_yet && sync__empty_is_end(call->file);
    } else if (error__is_end(outcome.system_code)) {
      done->end = nothing_yet;
    } else if (outcome.status == PIER_EMSGSIZE && length == 0) {
      /* Asked for nothing and got it; the message is still there. */
    } else {
      done->status = outcome.status;
      done->system_code = outcome.system_code;
    }
    /* Only a file is read on: on a stream another call might have to wait although there is something to report. */
    more = outcome.status == PIER_OK && outcome.bytes == asked && done->bytes < length && (offset >= 0 || GetFileType(call->file) == FILE_TYPE_DISK);
  } while (more);
  return done->status;
}

/* One message is one system call, so one that needs two cannot be sent. */
static bool sync__message_too_large(HANDLE file, size_t length) {
  DWORD flags = 0;

  return length > SYNC_CALL_BYTES_MAX && GetNamedPipeInfo(file, &flags, NULL, NULL, NULL) && (flags & PIPE_TYPE_MESSAGE) != 0;
}

int sync__write(const struct sync_call *call, const void *buffer, size_t length, int64_t offset, pier_sync_result *done) {
  char none = 0;
  /* WriteFile only reads it; the cast spares a second transfer function. */
  char *from = length > 0 ? (char *)(uintptr_t)buffer : &none;

  *done = (pier_sync_result){PIER_OK, 0, 0, false};
  if (sync__message_too_large(call->file, length)) {
    done->status = PIER_EMSGSIZE;
    return done->status;
  }
  do {
    size_t left = length - done->bytes;
    DWORD asked = left < SYNC_CALL_BYTES_MAX ? (DWORD)left : SYNC_CALL_BYTES_MAX;
    int64_t at = offset < 0 ? offset : (int64_t)((uint64_t)offset + done->bytes);
    struct sync_outcome outcome = sync__transfer(call, SYNC_WRITE, from + done->bytes, asked, at);

    done->bytes += outcome.bytes;
    done->status = outcome.status;
    done->system_code = outcome.system_code;
    if (outcome.status == PIER_OK && outcome.bytes == 0 && asked > 0) {
      /* A full pipe with PIPE_NOWAIT takes nothing and calls it a success: going on would spin. */
      done->status = PIER_EAGAIN;
    }
  } while (done->status == PIER_OK && done->bytes < length);
  return done->status;
}

int sync__has_positions(HANDLE file) {
  SetLastError(ERROR_SUCCESS);
  switch (GetFileType(file)) {
  case FILE_TYPE_DISK:
    return PIER_OK;
  case FILE_TYPE_UNKNOWN:
    return GetLastError() == ERROR_INVALID_HANDLE ? PIER_EBADF : PIER_ESPIPE;
  default:
    return PIER_ESPIPE;
  }
}

static int sync__move(pier_native native, enum sync_way way, void *buffer, size_t length, int64_t offset, uint64_t timeout_ns,
                      pier_sync_result *result) {
  struct sync_call call;
  pier_sync_result done;

  if ((buffer == NULL && length > 0) || (offset < 0 && offset != SYNC_AT_POSITION)) {
    return sync__result(result, PIER_EINVAL, 0, 0, false);
  }
  int status = sync__begin(native, timeout_ns, &call);
  if (status == PIER_OK && offset >= 0) {
    status = sync__has_positions(call.file);
  }
  if (status != PIER_OK) {
    return sync__result(result, status, 0, 0, false);
  }
  (void)(way == SYNC_READ ? sync__read(&call, buffer, length, offset, &done) : sync__write(&call, buffer, length, offset, &done));
  return sync__result(result, done.status, done.system_code, done.bytes, done.end);
}

int pier_sync_read(pier_native native, void *buffer, size_t length, uint64_t timeout_ns, pier_sync_result *result) {
  return sync__move(native, SYNC_READ, buffer, length, SYNC_AT_POSITION, timeout_ns, result);
}

int pier_sync_write(pier_native native, const void *buffer, size_t length, uint64_t timeout_ns, pier_sync_result *result) {
  return sync__move(native, SYNC_WRITE, (void *)(uintptr_t)buffer, length, SYNC_AT_POSITION, timeout_ns, result);
}

/* A negative offset of the caller's must not pass for SYNC_AT_POSITION. */
int pier_sync_read_at(pier_native native, void *buffer, size_t length, int64_t offset, uint64_t timeout_ns, pier_sync_result *result) {
  return sync__move(native, SYNC_READ, buffer, length, offset < 0 ? -1 : offset, timeout_ns, result);
}

int pier_sync_write_at(pier_native native, const void *buffer, size_t length, int64_t offset, uint64_t timeout_ns, pier_sync_result *result) {
  return sync__move(native, SYNC_WRITE, (void *)(uintptr_t)buffer, length, offset < 0 ? -1 : offset, timeout_ns, result);
}
