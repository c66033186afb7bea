/** @file pier_handle.h
 *  Handles: what Pier knows about one open file, pipe or socket, where it stands with the completion port, and its end.
 *
 *  A handle comes from one of the opening calls in io/, or from pier_register() for one that you opened yourself. */
#ifndef PIER_HANDLE_H
#define PIER_HANDLE_H

#include "pier_operation.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a handle is. */
typedef enum pier_kind {
  PIER_KIND_UNKNOWN = 0,   /**< to be found out (pier_register), or neither of the others */
  PIER_KIND_FILE,          /**< a regular file or a disk device: has positions */
  PIER_KIND_PIPE,          /**< a named or anonymous pipe, byte type */
  PIER_KIND_MESSAGE_PIPE,  /**< a pipe that is read message by message */
  PIER_KIND_PIPE_LISTENER, /**< the server side of a pipe's name */
  PIER_KIND_TCP,           /**< a connected stream socket */
  PIER_KIND_TCP_LISTENER,  /**< a listening stream socket */
  PIER_KIND_UDP,           /**< a datagram socket */
  PIER_KIND_CONSOLE        /**< a console or another character device */
} pier_kind;

/** Where a handle stands with respect to the completion port. docs/handles.md has the whole table. */
typedef enum pier_state {
  PIER_STATE_NONE = 0,   /**< there is no such handle, or it is closed */
  PIER_STATE_FRESH,      /**< registered, no I/O yet: you may still put it on a port of your own */
  PIER_STATE_ASSOCIATED, /**< on Pier's port */
  PIER_STATE_FOREIGN,    /**< on somebody else's port: operations use tagged events, that port sees nothing */
  PIER_STATE_DETACHED,   /**< taken off Pier's port: as foreign */
  PIER_STATE_KEPT,       /**< not to be put on Pier's port but by pier_handle_associate(): as foreign */
  PIER_STATE_BLOCKING,   /**< not opened for overlapped I/O: operations run on worker threads */
  PIER_STATE_CLOSING     /**< pier_close() was called, its callback has not run yet */
} pier_state;

/** When pier_register() puts a handle on Pier's port. */
typedef enum pier_association {
  PIER_ASSOCIATE_LAZY = 0, /**< with the first asynchronous operation */
  PIER_ASSOCIATE_NOW,      /**< before pier_register() returns; for handles that are opened for overlapped I/O */
  PIER_ASSOCIATE_NEVER     /**< not at all, unless by pier_handle_associate(); operations use tagged events */
} pier_association;

/** A packet from the port that none of Pier's operations stands behind. */
typedef struct pier_packet {
  uintptr_t key;          /**< the completion key */
  void *overlapped;       /**< the OVERLAPPED pointer, just as it was dequeued; Pier has not looked behind it */
  uintptr_t status;       /**< the NTSTATUS in its lower 32 bits */
  uint32_t bytes;         /**< the number of bytes transferred */
} pier_packet;

/** Called for a foreign packet: on a registered handle (`on_foreign`) with its id, or with an unknown key (`on_packet`)
 *  with handle 0. Runs like any callback of that handle or loop. */
typedef void (*pier_packet_callback)(pier_loop *loop, pier_handle handle, const pier_packet *packet, void *context);

/** How a handle was opened. The system tells it too, but on Windows it does not while somebody is inside a blocking call on
 *  the handle. */
typedef enum pier_mode {
  PIER_MODE_UNKNOWN = 0, /**< to be found out */
  PIER_MODE_OVERLAPPED,  /**< for overlapped I/O */
  PIER_MODE_BLOCKING     /**< not so: its calls block */
} pier_mode;

/** How to register a handle. All zero is a good choice. */
typedef struct pier_register_options {
  pier_association association;    /**< when to put it on the port */
  pier_kind kind;                  /**< what it is, if you know; #PIER_KIND_UNKNOWN has it found out */
  pier_mode mode;                  /**< how it was opened, if you know; no matter on Linux */
  bool keep_open;                  /**< pier_close() leaves the system's handle open: it stays yours */
  pier_packet_callback on_foreign; /**< gets packets of your own overlapped calls on this handle; null: counted, dropped */
  void *foreign_context;           /**< given to on_foreign */
} pier_register_options;

/** Makes a handle that you opened known to a loop, and gives its id.
 *
 *  The handle becomes Pier's to close unless `keep_open`; on failure it stays yours. Its notification modes are never
 *  changed. `options` may be null. Any thread. A handle that is on another port already is no error: see
 *  #PIER_STATE_FOREIGN.
 *
 *  On Windows what the handle is, unless you tell both `kind` and `mode`, is found out by a thread of the system's pool when the first operation
 *  is submitted; that operation and later ones wait for the answer, and can be cancelled, time out and be closed meanwhile.
 *  What Pier is to close without having known what it is may be closed a moment after the callback of pier_close(). With #PIER_MODE_OVERLAPPED or #PIER_ASSOCIATE_NOW it is found out at once, which
 *  waits for nobody if the handle is indeed opened for overlapped I/O. On Linux it always is.
 *
 *  #PIER_EINVAL for a null pointer, an option that is none, or a handle that is none, or cannot be served; where it is found
 *  out later that it cannot be served, operations on it end with #PIER_EBADF. #PIER_ENOMEM for want of memory or a slot.
 *  (GetHandleInformation; then GetFileType, NtQueryInformationFile(FileModeInformation), CreateIoCompletionPort.) */
PIER_API int pier_register(pier_loop *loop, pier_native native, const pier_register_options *options,
                           pier_handle *handle);

/** Closes a handle. Any thread, also from callbacks.
 *
 *  No new operation starts on it (#PIER_ECLOSED), those in flight are cancelled and their callbacks come first; `callback`
 *  (or none) comes last, with the handle's own id, and then the id is void. #PIER_ECLOSED if it is closing already,
 *  #PIER_EBADF if it is no handle. Cannot fail for want of a slot. (CancelIoEx, CloseHandle, closesocket.) */
PIER_API int pier_close(pier_handle handle, pier_callback callback, void *context);

/** Takes an idle handle off Pier's port, so that you can put it on one of your own; Pier's operations on it go on to work,
 *  through tagged events. #PIER_EBUSY while an operation is in flight, or a call of your own: nothing has changed then. #PIER_OK, and nothing done,
 *  if it is not on Pier's port. #PIER_ENOTSUP where the system cannot do it (before Windows 8.1; Wine). #PIER_ECLOSED if it is
 *  closing, #PIER_EBADF if it is no handle (any more). Any thread.
 *  (NtSetInformationFile(FileReplaceCompletionInformation).) */
PIER_API int pier_handle_detach(pier_handle handle);

/** Puts a handle on Pier's port, wherever it was: fresh, kept, or detached before. Its operations complete through the port from then on.
 *
 *  #PIER_OK if it is there now, or was already. #PIER_EBUSY while an operation is in flight or another thread moves the handle, and then
 *  nothing has changed; or because it is on somebody else's port, and then its state is #PIER_STATE_FOREIGN. Called again when its owner has
 *  taken it off that port, it succeeds. #PIER_ENOTSUP if it was not opened for overlapped I/O, or, with epoll, is a file: no port takes it. #PIER_ECLOSED
 *  if it is closing, #PIER_EBADF if it is no handle (any more) or nothing that can be served. What else the system says changes
 *  nothing. Of a registered handle that was not used yet it asks the system what it is, which may have the caller wait: see
 *  pier_register(). Any thread. (CreateIoCompletionPort; epoll_ctl.) */
PIER_API int pier_handle_associate(pier_handle handle);

/** Where a handle stands. #PIER_STATE_NONE for an id that is none (any more). Any thread. */
PIER_API pier_state pier_handle_state(pier_handle handle);

/** What a handle is. #PIER_KIND_UNKNOWN for an id that is none. Of a registered handle that was not used yet the system may have
 *  to be asked, and may have the caller wait: see pier_register(). Any thread. */
PIER_API pier_kind pier_handle_kind(pier_handle handle);

/** The system's handle behind it, still owned as before; #PIER_NATIVE_NONE for an id that is none. Any thread. */
PIER_API pier_native pier_handle_native(pier_handle handle);

/** The loop that a handle belongs to, null for an id that is none. Any thread. */
PIER_API pier_loop *pier_handle_loop(pier_handle handle);

/** How many operations are in flight on a handle; 0 for an id that is none. Any thread; a moment's view. */
PIER_API unsigned pier_handle_in_flight(pier_handle handle);

/** The field's word for a state, such as "associated". A constant string. Any thread. */
PIER_API const char *pier_state_name(pier_state state);

#ifdef __cplusplus
}
#endif

#endif
