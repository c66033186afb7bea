/** @file pier_file.h
 *  Files: opened for overlapped I/O, read and written with pier_io.h. */
#ifndef PIER_FILE_H
#define PIER_FILE_H

#include "pier_handle.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How to open a file; combined with `|`. At least one of READ, WRITE and APPEND. */
typedef enum pier_open_flags {
  PIER_OPEN_READ = 1,       /**< for reading */
  PIER_OPEN_WRITE = 2,      /**< for writing */
  PIER_OPEN_APPEND = 4,     /**< for writing at the end only; atomic with respect to other appenders */
  PIER_OPEN_CREATE = 8,     /**< create it if it is not there */
  PIER_OPEN_EXCLUSIVE = 16, /**< with CREATE: fail with #PIER_EEXIST if it is there */
  PIER_OPEN_TRUNCATE = 32,  /**< with WRITE: cut an existing one to length 0 */
  PIER_OPEN_DIRECT = 64,    /**< past the system's cache; buffers, lengths and offsets must be multiples of the sector */
  PIER_OPEN_THROUGH = 128   /**< a write is finished when the device has it */
} pier_open_flags;

/** Opens a file: `opened` of the result is the handle. `path` is UTF-8, is yours and stays valid until the callback. On a
 *  worker thread; on Linux in the ring, or at once where that is certain not to wait.
 *
 *  #PIER_ENOENT, #PIER_EACCES, #PIER_EEXIST, #PIER_EISDIR, #PIER_ENAMETOOLONG, #PIER_EILSEQ (not UTF-8), #PIER_EINVAL (null,
 *  empty, flags). 0 for want of a slot or a null loop. A directory is opened on Linux, for reading, so that pier_file_flush()
 *  puts its entries on the device; to read it is #PIER_EISDIR then, and on Windows to open it. The file may be shared with
 *  others for reading, writing and deleting. Any thread. (CreateFileW with FILE_FLAG_OVERLAPPED; openat.) */
PIER_API pier_operation pier_file_open(pier_loop *loop, const char *path, unsigned flags, uint64_t deadline_ns,
                                       pier_callback callback, void *context);

/** Loads a file: opens it for reading, reads it from its start into `buffer` until that is full or the file has ended, and
 *  closes it. `bytes` of the result says how many came; `end` that they are fewer than `length`, and then they are the whole
 *  file. If the buffer is full there may be more, so give it a byte more than you expect. With a length of 0 the file is
 *  opened and closed. There is no handle at any time, and no order among several. `path` is UTF-8; it and `buffer` are yours
 *  and stay valid until the callback.
 *
 *  On Linux with io_uring, from 6.14 on, in a callback or wherever else a thread tends its loop's ring: one chain of entries
 *  in the ring, which goes to the system together with what else is submitted there. Elsewhere on Linux at once, as far as
 *  that is certain not to wait, and for the rest on a worker thread; on Windows on a worker thread. A worker stops between
 *  two reads if that is asked for.
 *
 *  The status is that of the first step that failed: #PIER_ENOENT, #PIER_EACCES, #PIER_EISDIR, #PIER_ENAMETOOLONG,
 *  #PIER_EILSEQ (not UTF-8), #PIER_EIO, #PIER_EINVAL (path null or empty, buffer null with a length, length beyond
 *  SIZE_MAX / 2), #PIER_ECANCELED, #PIER_ETIMEDOUT; what is in the buffer then is not said. 0 for want of a slot or a null
 *  loop. For regular files: one may be read twice, so what a pipe or a device has brought in bits may be lost; and a worker
 *  that waits for one waits on. Any thread. (openat, read, close as one chain of io_uring; openat2(RESOLVE_CACHED) with
 *  preadv2(RWF_NOWAIT), or open with readv; CreateFileW, ReadFile.) */
PIER_API pier_operation pier_file_load(pier_loop *loop, const char *path, void *buffer, size_t length, uint64_t deadline_ns,
                                       pier_callback callback, void *context);

/** pier_file_open() on the calling thread: gives the handle at once. Blocks as long as the file system does. Any thread. */
PIER_API int pier_file_open_sync(pier_loop *loop, const char *path, unsigned flags, pier_handle *handle);

/** The size of a file in bytes, on the calling thread. #PIER_EBADF if it is no file, #PIER_EISDIR if it is a directory.
 *  Any thread. (GetFileSizeEx; fstat.) */
PIER_API int pier_file_size(pier_handle handle, uint64_t *size_bytes);

/** Sets the length of a file, on a worker thread; what is added reads as zero. #PIER_EBADF if it is no file.
 *  Any thread. (SetFileInformationByHandle(FileEndOfFileInfo).) */
PIER_API pier_operation pier_file_truncate(pier_handle handle, uint64_t size_bytes, uint64_t deadline_ns,
                                           pier_callback callback, void *context);

/** Has everything written so far put on the device, on a worker thread. #PIER_EBADF if it is no file.
 *  Any thread. (FlushFileBuffers.) */
PIER_API pier_operation pier_file_flush(pier_handle handle, uint64_t deadline_ns, pier_callback callback, void *context);

/** Pier's own position of a file, which pier_read() and pier_write() use and move. #PIER_ESPIPE if it has none. Any thread. */
PIER_API int pier_file_position(pier_handle handle, uint64_t *offset_bytes);

/** Sets Pier's own position; may lie behind the end. #PIER_ESPIPE if it has none, #PIER_EINVAL beyond 2^63 - 1. Operations in
 *  flight keep theirs. Any thread. */
PIER_API int pier_file_seek(pier_handle handle, uint64_t offset_bytes);

#ifdef __cplusplus
}
#endif

#endif
