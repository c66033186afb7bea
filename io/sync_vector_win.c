#include "sync.h"

#include "error.h"
#include "winsock.h"

#include <string.h>

enum {
  SYNC_PARTS_MAX = 1024,
  /* Parts of a pipe's write up to this are copied together on the stack: one system call, and one message. */
  SYNC_GATHER_BYTES = 16384
};

/* PIER_EINVAL for what no call could make sense of; `total` gets the sum of all lengths. */
static int sync__check_parts(const pier_buffer *parts, size_t count, size_t *total) {
  *total = 0;
  if (count > SYNC_PARTS_MAX || (parts == NULL && count > 0)) {
    return PIER_EINVAL;
  }
  for (size_t i = 0; i < count; i++) {
    if ((parts[i].base == NULL && parts[i].length > 0) || parts[i].length > SIZE_MAX - *total) {
      return PIER_EINVAL;
    }
    *total += parts[i].length;
  }
  return PIER_OK;
}

/* Adds what one part did to what all did, and says whether all of the part was moved. */
static bool sync__add(pier_sync_result *all, const pier_sync_result *one, size_t length) {
  all->end = one->end && all->bytes == 0;
  all->bytes += one->bytes;
  all->status = one->status;
  all->system_code = one->system_code;
  return one->status == PIER_OK && one->bytes == length;
}

/* Part by part; ends with the first one that is not moved whole. An offset below 0 stays what it is. */
static void sync__each_part(const struct sync_call *call, enum sync_way way, const pier_buffer *parts, size_t count, int64_t offset,
                            pier_sync_result *all) {
  for (size_t i = 0; i < count; i++) {
    pier_sync_result one;
    int64_t at = offset < 0 ? offset : (int64_t)((uint64_t)offset + all->bytes);
    if (parts[i].length == 0) {
      continue;
    }
    (void)(way == SYNC_READ ? sync__read(call, parts[i].base, parts[i].length, at, &one) : sync__write(call, parts[i].base, parts[i].length, at, &one));
    if (!sync__add(all, &one, parts[i].length)) {
      return;
    }
  }
}

/* The next WSABUFs, from `done` bytes into the parts on: as many as one system call may move. */
static DWORD sync__fill(WSABUF *buffers, const pier_buffer *parts, size_t count, size_t done) {
  DWORD filled = 0;
  size_t left = SYNC_CALL_BYTES_MAX;

  for (size_t i = 0; i < count && left > 0; i++) {
    if (done >= parts[i].length) {
      done -= parts[i].length;
      continue;
    }
    size_t length = parts[i].length - done < left ? parts[i].length - done : left;
    buffers[filled].buf = (char *)parts[i].base + done;
    buffers[filled].len = (ULONG)length;
    filled++;
    left -= length;
    done = 0;
  }
  return filled;
}

/* The type of a socket, 0 if it is none. */
static int sync__socket_type(HANDLE file) {
  int type = 0;
  int type_bytes = sizeof type;

  return getsockopt((SOCKET)file, SOL_SOCKET, SO_TYPE, (char *)&type, &type_bytes) == 0 ? type : 0;
}

/* A socket takes all parts in one call. False if the handle is no socket; nothing was done then. It is asked what it is only after
 * a refusal, so that a socket costs nothing more: for what is no socket, Windows and Wine refuse with different codes. A function of its own, because of
 * the 16 KiB of stack that its array takes. */
static bool sync__socket_parts(const struct sync_call *call, enum sync_way way, const pier_buffer *parts, size_t count, size_t total,
                               pier_sync_result *all) {
  WSABUF buffers[SYNC_PARTS_MAX];

  if (winsock__start() != PIER_OK) {
    return false;
  }
  do {
    OVERLAPPED overlapped;
    DWORD flags = 0;
    DWORD filled = sync__fill(buffers, parts, count, all->bytes);
    sync__prepare(call, &overlapped, 0);
    int failed = way == SYNC_READ ? WSARecv((SOCKET)call->file, buffers, filled, NULL, &flags, &overlapped, NULL)
                                  : WSASend((SOCKET)call->file, buffers, filled, NULL, 0, &overlapped, NULL);
    DWORD error = failed != 0 ? (DWORD)WSAGetLastError() : ERROR_SUCCESS;
    if (error != ERROR_SUCCESS && error != WSA_IO_PENDING && sync__socket_type(call->file) == 0) {
      return false;
    }
    struct sync_outcome outcome = sync__finish(call, &overlapped, error);
    all->bytes += outcome.bytes;
    all->status = outcome.status;
    all->system_code = outcome.system_code;
    if (way == SYNC_READ) {
      bool empty = outcome.status == PIER_OK && outcome.bytes == 0;
      all->end = error__is_end(outcome.system_code) || (empty && sync__socket_type(call->file) == SOCK_STREAM);
      all->status = all->end ? PIER_OK : outcome.status;
      return true;
    }
    if (outcome.status == PIER_OK && outcome.bytes == 0) {
      all->status = PIER_EAGAIN;
    }
  } while (all->status == PIER_OK && all->bytes < total);
  return true;
}

/* Copies the parts together into `room` and writes them with one call. */
static void sync__write_gathered(const struct sync_call *call, const pier_buffer *parts, size_t count, char *room, pier_sync_result *all) {
  size_t used = 0;

  for (size_t i = 0; i < count; i++) {
    if (parts[i].length > 0) {
      memcpy(room + used, parts[i].base, parts[i].length);
      used += parts[i].length;
    }
  }
  (void)sync__write(call, room, used, SYNC_AT_POSITION, all);
}

static void sync__write_small(const struct sync_call *call, const pier_buffer *parts, size_t count, pier_sync_result *all) {
  char room[SYNC_GATHER_BYTES];

  sync__write_gathered(call, parts, count, room, all);
}

/* Parts that are to be one message, too many bytes for the stack: the one place where the sync path allocates. */
static void sync__write_message(const struct sync_call *call, const pier_buffer *parts, size_t count, size_t total, pier_sync_result *all) {
  char *room = total <= SYNC_CALL_BYTES_MAX ? HeapAlloc(GetProcessHeap(), 0, total) : NULL;

  if (room == NULL) {
    all->status = total <= SYNC_CALL_BYTES_MAX ? PIER_ENOMEM : PIER_EMSGSIZE;
    return;
  }
  sync__write_gathered(call, parts, count, room, all);
  (void)HeapFree(GetProcessHeap(), 0, room);
}

static void sync__write_stream(const struct sync_call *call, const pier_buffer *parts, size_t count, size_t total, pier_sync_result *all) {
  DWORD flags = 0;

  if (total <= SYNC_GATHER_BYTES) {
    sync__write_small(call, parts, count, all);
  } else if (GetNamedPipeInfo(call->file, &flags, NULL, NULL, NULL) && (flags & PIPE_TYPE_MESSAGE) != 0) {
    sync__write_message(call, parts, count, total, all);
  } else {
    sync__each_part(call, SYNC_WRITE, parts, count, SYNC_AT_POSITION, all);
  }
}

/* Whether reading on into the next part brings more of the same without a wait. */
static bool sync__more_at_once(HANDLE file) {
  DWORD mode = 0;
  DWORD available = 0;

  switch (GetFileType(file)) {
  case FILE_TYPE_DISK:
    return true;
  case FILE_TYPE_PIPE:
    /* In message mode a whole message has been read, and the next one is another read's. */
    return GetNamedPipeHandleStateW(file, &mode, NULL, NULL, NULL, NULL, 0) && (mode & PIPE_READMODE_MESSAGE) == 0 &&
           PeekNamedPipe(file, NULL, 0, NULL, &available, NULL) && available > 0;
  default:
    return false;
  }
}

/* The first part waits; the others take what is there already, or the rest of the message that did not fit. */
static void sync__read_stream(const struct sync_call *call, const pier_buffer *parts, size_t count, pier_sync_result *all) {
  struct sync_call go_on = *call;

  for (size_t i = 0; i < count; i++) {
    pier_sync_result one;
    if (parts[i].length == 0) {
      continue;
    }
    if (all->bytes > 0 && all->status == PIER_OK && !sync__more_at_once(call->file)) {
      return;
    }
    (void)sync__read(&go_on, parts[i].base, parts[i].length, SYNC_AT_POSITION, &one);
    if (all->bytes > 0 && one.bytes == 0 && one.status == PIER_ETIMEDOUT) {
      /* Another reader was quicker: what was had is a success. */
      all->status = PIER_OK;
      return;
    }
    bool whole = sync__add(all, &one, parts[i].length);
    if (!whole && one.status != PIER_EMSGSIZE) {
      return;
    }
    go_on.until_ns = 0;
  }
}

static int sync__parts(pier_native native, enum sync_way way, const pier_buffer *parts, size_t count, int64_t offset, uint64_t timeout_ns,
                       pier_sync_result *result) {
  struct sync_call call;
  pier_sync_result all = {PIER_OK, 0, 0, false};
  size_t total = 0;
  int status = offset < -1 ? PIER_EINVAL : sync__check_parts(parts, count, &total);

  if (status == PIER_OK) {
    status = sync__begin(native, timeout_ns, &call);
  }
  if (status == PIER_OK && offset >= 0) {
    status = sync__has_positions(call.file);
  }
  if (status != PIER_OK || count == 0) {
    return sync__result(result, status, 0, 0, false);
  }
  if (offset >= 0) {
    sync__each_part(&call, way, parts, count, offset, &all);
  } else if (total == 0) {
    /* Parts without a byte: the same as one of length 0, which a pipe may take for an empty message. */
    (void)(way == SYNC_READ ? sync__read(&call, NULL, 0, SYNC_AT_POSITION, &all) : sync__write(&call, NULL, 0, SYNC_AT_POSITION, &all));
  } else if (!sync__socket_parts(&call, way, parts, count, total, &all)) {
    if (way == SYNC_READ) {
      sync__read_stream(&call, parts, count, &all);
    } else {
      sync__write_stream(&call, parts, count, total, &all);
    }
  }
  return sync__result(result, all.status, all.system_code, all.bytes, all.end);
}

int pier_sync_readv(pier_native native, const pier_buffer *parts, size_t count, int64_t offset, uint64_t timeout_ns, pier_sync_result *result) {
  return sync__parts(native, SYNC_READ, parts, count, offset, timeout_ns, result);
}

int pier_sync_writev(pier_native native, const pier_buffer *parts, size_t count, int64_t offset, uint64_t timeout_ns, pier_sync_result *result) {
  return sync__parts(native, SYNC_WRITE, parts, count, offset, timeout_ns, result);
}
