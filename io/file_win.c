#include "file.h"
#include "iocp.h"
#include "loop.h"
#include "text.h"

static DWORD file__access(unsigned flags) {
  DWORD access = 0;
  if (flags & PIER_OPEN_READ)
    access |= FILE_GENERIC_READ;
  if (flags & PIER_OPEN_APPEND)
    access |= FILE_GENERIC_WRITE & ~(DWORD)FILE_WRITE_DATA; /* without the right to write elsewhere the system keeps to the end */
  else if (flags & PIER_OPEN_WRITE)
    access |= FILE_GENERIC_WRITE;
  return access;
}

static DWORD file__disposition(unsigned flags) {
  if (flags & PIER_OPEN_EXCLUSIVE)
    return CREATE_NEW;
  if (flags & PIER_OPEN_CREATE)
    return flags & PIER_OPEN_TRUNCATE ? CREATE_ALWAYS : OPEN_ALWAYS;
  return flags & PIER_OPEN_TRUNCATE ? TRUNCATE_EXISTING : OPEN_EXISTING;
}

static DWORD file__attributes(unsigned flags) {
  DWORD attributes = FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OVERLAPPED;
  if (flags & PIER_OPEN_DIRECT)
    attributes |= FILE_FLAG_NO_BUFFERING;
  if (flags & PIER_OPEN_THROUGH)
    attributes |= FILE_FLAG_WRITE_THROUGH;
  return attributes;
}

/* The system says "access denied" of a directory, and of much else. */
static int file__why(const wchar_t *path, DWORD error) {
  if (error == ERROR_ACCESS_DENIED) {
    DWORD attributes = GetFileAttributesW(path);
    if (attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY))
      return PIER_EISDIR;
  }
  return pier_error_from_system(error);
}

int file__open(struct poller *poller, const char *utf8, unsigned flags, pier_handle *opened) {
  wchar_t path[TEXT_PATH_UNITS_MAX];
  struct handle *handle = NULL;
  int status = text__path(utf8, path, TEXT_PATH_UNITS_MAX);
  if (status != PIER_OK)
    return status;
  HANDLE native = CreateFileW(path, file__access(flags), FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, file__disposition(flags),
                              file__attributes(flags), NULL);
  if (native == INVALID_HANDLE_VALUE)
    return file__why(path, GetLastError());
  status = iocp__adopt_file(poller, native, PIER_KIND_FILE, &handle);
  if (status != PIER_OK)
    return status;
  if (flags & PIER_OPEN_APPEND)
    handle->slot.flags |= HANDLE_APPENDS;
  *opened = handle__open(handle);
  return PIER_OK;
}

static int file__open_work(struct op *op) {
  const char *path = (const char *)op->as.work.argument[0];
  return pier_file_open_sync(op->as.work.poller->loop, path, (unsigned)op->as.work.argument[1], &op->as.work.opened);
}

/* The system has no asynchronous form of this. */
pier_operation file__start_open(pier_loop *loop, const char *path, unsigned flags, uint64_t deadline_ns, pier_callback callback, void *context) {
  struct work_plan plan = {.run = file__open_work, .argument = {(uintptr_t)path, flags}};
  return work__start(loop, &plan, deadline_ns, callback, context);
}

/* Until the buffer is full or there is no more. A pipe says that it was broken off for the end. */
static int file__read_all(struct op *op, HANDLE native) {
  char *buffer = (char *)op->as.work.argument[1];
  size_t length_bytes = op->as.work.argument[2];
  while (op->bytes < length_bytes) {
    size_t rest_bytes = length_bytes - op->bytes;
    DWORD got_bytes = 0;
    int status = op__asked_to_end(op);
    if (status != PIER_OK)
      return status;
    bool got = ReadFile(native, buffer + op->bytes, rest_bytes < OP_PIECE_BYTES_MAX ? (DWORD)rest_bytes : OP_PIECE_BYTES_MAX, &got_bytes, NULL);
    DWORD error = got ? ERROR_SUCCESS : GetLastError();
    op->bytes += got_bytes;
    if (error == ERROR_HANDLE_EOF || error == ERROR_BROKEN_PIPE || (got && !got_bytes)) {
      op__mark(op, OP_END);
      return PIER_OK;
    }
    if (error != ERROR_SUCCESS && error != ERROR_MORE_DATA)
      return pier_error_from_system(error);
  }
  return PIER_OK;
}

/* Not for overlapped I/O: the worker has nothing else to do. */
static int file__load_work(struct op *op) {
  wchar_t path[TEXT_PATH_UNITS_MAX];
  if (!file__buffer_fits((const void *)op->as.work.argument[1], op->as.work.argument[2]))
    return PIER_EINVAL;
  int status = text__path((const char *)op->as.work.argument[0], path, TEXT_PATH_UNITS_MAX);
  if (status != PIER_OK)
    return status;
  HANDLE native = CreateFileW(path, FILE_GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_EXISTING,
                              FILE_ATTRIBUTE_NORMAL | FILE_FLAG_SEQUENTIAL_SCAN, NULL);
  if (native == INVALID_HANDLE_VALUE)
    return file__why(path, GetLastError());
  status = file__read_all(op, native);
  CloseHandle(native);
  return status;
}

pier_operation file__start_load(pier_loop *loop, const char *path, const pier_buffer *buffer, uint64_t deadline_ns, pier_callback callback,
                                void *context) {
  struct work_plan plan = {.run = file__load_work, .yields = true, .argument = {(uintptr_t)path, (uintptr_t)buffer->base, buffer->length}};
  return work__start(loop, &plan, deadline_ns, callback, context);
}

int file__size(const struct handle *handle, uint64_t *size_bytes) {
  LARGE_INTEGER size;
  if (!GetFileSizeEx(iocp__native(handle), &size))
    return pier_error_from_system(GetLastError());
  *size_bytes = (uint64_t)size.QuadPart;
  return PIER_OK;
}

int file__truncate(const struct handle *handle, uint64_t size_bytes) {
  FILE_END_OF_FILE_INFO end;
  if (size_bytes > INT64_MAX)
    return PIER_EINVAL;
  end.EndOfFile.QuadPart = (LONGLONG)size_bytes;
  if (!SetFileInformationByHandle(iocp__native(handle), FileEndOfFileInfo, &end, sizeof end))
    return pier_error_from_system(GetLastError());
  return PIER_OK;
}

int file__flush(const struct handle *handle) {
  return FlushFileBuffers(iocp__native(handle)) ? PIER_OK : pier_error_from_system(GetLastError());
}
