/* The server side of a pipe's name: instances that wait for clients. */
#include "iocp.h"
#include "pipe_name.h"
#include "text.h"
#include <stdlib.h>

/* What a pipe listener knows besides its handle. There is always an instance nobody is connected to, as long as the limit on
   instances allows it: otherwise the name would be gone between two accepts. */
struct pipe_name {
  struct mutex lock;
  struct handle *spare; /* an instance that no accept has taken */
  struct pipe_name_options options;
  wchar_t text[TEXT_PIPE_UNITS_MAX];
};

static HANDLE pipe_name__create(struct pipe_name *name, bool first) {
  DWORD open = PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | (first ? FILE_FLAG_FIRST_PIPE_INSTANCE : 0);
  DWORD mode = PIPE_REJECT_REMOTE_CLIENTS | (name->options.message ? PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE : PIPE_TYPE_BYTE);
  return CreateNamedPipeW(name->text, open, mode, name->options.instances_max, name->options.buffer_bytes, name->options.buffer_bytes, 0, NULL);
}

static int pipe_name__instance(struct poller *poller, struct pipe_name *name, bool first, struct handle **instance) {
  HANDLE native = pipe_name__create(name, first);
  if (native == INVALID_HANDLE_VALUE) {
    DWORD error = GetLastError();
    /* Somebody else's name answers a first instance with "access denied"; a name with all its instances, with "busy". */
    if (first && (error == ERROR_ACCESS_DENIED || error == ERROR_PIPE_BUSY))
      return PIER_EADDRINUSE;
    return error == ERROR_PIPE_BUSY ? PIER_EMFILE : pier_error_from_system(error);
  }
  return iocp__adopt_file(poller, native, name->options.message ? PIER_KIND_MESSAGE_PIPE : PIER_KIND_PIPE, instance);
}

/* Wine lets anybody have a second "first instance": a name that has instances already is asked for as well. */
static bool pipe_name__is_taken(const wchar_t *text) { return WaitNamedPipeW(text, 1) || GetLastError() == ERROR_SEM_TIMEOUT; }

int port__listen_pipe(struct poller *poller, const char *utf8, const struct pipe_name_options *options, pier_handle *listener) {
  struct pipe_name *name = calloc(1, sizeof *name);
  if (!name)
    return PIER_ENOMEM;
  name->options = *options;
  mutex__init(&name->lock);
  int status = text__pipe_name(utf8, name->text, TEXT_PIPE_UNITS_MAX);
  if (status == PIER_OK && pipe_name__is_taken(name->text))
    status = PIER_EADDRINUSE;
  if (status == PIER_OK)
    status = pipe_name__instance(poller, name, true, &name->spare);
  struct handle *handle = status == PIER_OK ? handle__acquire(poller, PIER_KIND_PIPE_LISTENER, PIER_NATIVE_NONE) : NULL;
  if (handle) {
    handle->slot.flags = HANDLE_OURS;
    handle->detail = name;
    atomic_store(&handle->state, PIER_STATE_ASSOCIATED);
    *listener = handle__open(handle);
    return PIER_OK;
  }
  if (status == PIER_OK) {
    handle__discard(name->spare);
    status = PIER_ENOMEM;
  }
  free(name);
  return status;
}

static struct pipe_name *pipe_name__of(const struct handle *listener) { return listener->detail; }

/* Takes the waiting instance, or makes one. */
static int pipe_name__take(struct handle *listener, struct handle **instance) {
  struct pipe_name *name = pipe_name__of(listener);
  mutex__lock(&name->lock);
  *instance = name->spare;
  name->spare = NULL;
  int status = *instance ? PIER_OK : pipe_name__instance(listener->poller, name, false, instance);
  mutex__unlock(&name->lock);
  return status;
}

/* Gives an instance back that nobody has connected to; with none, sees to it that there is one. */
static void pipe_name__refill(struct handle *listener, struct handle *instance) {
  struct pipe_name *name = pipe_name__of(listener);
  mutex__lock(&name->lock);
  if (!name->spare && !instance && !handle__is_closing(listener))
    pipe_name__instance(listener->poller, name, false, &instance); /* at the limit there is none: the next accept says so */
  if (!name->spare && !handle__is_closing(listener)) {
    name->spare = instance;
    instance = NULL;
  }
  mutex__unlock(&name->lock);
  if (instance)
    handle__discard(instance);
}

void port__unlisten_pipe(struct handle *listener) {
  struct pipe_name *name = pipe_name__of(listener);
  if (name->spare)
    handle__discard(name->spare);
  name->spare = NULL;
  mutex__destroy(&name->lock);
}

enum port_start iocp__pipe_accept(struct op *op, struct piece *piece) {
  DWORD error = 0;
  /* One that was launched again keeps its instance. */
  int status = op->as.pipe_accept.instance ? PIER_OK : pipe_name__take(op->handle, &op->as.pipe_accept.instance);
  if (status != PIER_OK) {
    op->as.pipe_accept.instance = NULL;
    piece->code = status == PIER_EMFILE ? ERROR_TOO_MANY_OPEN_FILES : ERROR_NOT_ENOUGH_MEMORY;
    return PORT_DONE;
  }
  if (!iocp__begin(op, 0, &error)) {
    piece->code = error;
    return PORT_DONE;
  }
  BOOL succeeded = ConnectNamedPipe(iocp__native(op->as.pipe_accept.instance), iocp__overlapped(op));
  if (!succeeded)
    error = GetLastError();
  if (error == ERROR_PIPE_CONNECTED) /* the client was quicker, and no packet comes */
    return PORT_DONE;
  return iocp__outcome(op, succeeded, error, piece);
}

int iocp__opened_pipe(struct op *op, pier_handle *opened) {
  *opened = handle__open(op->as.pipe_accept.instance);
  pipe_name__refill(op->handle, NULL);
  return PIER_OK;
}

void iocp__abandon_pipe(struct op *op) {
  if (!op->as.pipe_accept.instance)
    return;
  /* A client may have connected while the accept was being cancelled: an instance that was once waited on is made anew. */
  handle__discard(op->as.pipe_accept.instance);
  pipe_name__refill(op->handle, NULL);
}
