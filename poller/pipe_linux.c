/* Pipes by name: unix sockets, SOCK_STREAM for bytes and SOCK_SEQPACKET for messages. */
#include "message.h"
#include "pipe_name.h"
#include "port.h"
#include "socket.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A connect is tried this often while the server has no room: there is no way to be told. */
#define PIPE_AWAIT_NS 2000000

/* What a listener and its connections share: how many of them there are. The last of them frees it. */
struct pipe_name {
  _Atomic uint32_t users;
  _Atomic uint32_t instances; /* connections, and accepts that wait for one */
  uint32_t instances_max;     /* 255: no limit */
  uint32_t buffer_bytes;
  bool message;
  dev_t device;
  ino_t node;
  struct sockaddr_un address;
};

static pier_kind pipe__kind(bool message) { return message ? PIER_KIND_MESSAGE_PIPE : PIER_KIND_PIPE; }
static int pipe__type(bool message) { return message ? SOCK_SEQPACKET : SOCK_STREAM; }

static int pipe__socket(const struct poller *poller, bool message) {
  return socket(AF_UNIX, pipe__type(message) | SOCK_CLOEXEC | (poller->backend->non_blocking ? SOCK_NONBLOCK : 0), 0);
}

static int pipe__address(const char *utf8, struct sockaddr_un *address) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  int status = text__check(utf8, sizeof address->sun_path);
  if (status == PIER_OK)
    memcpy(address->sun_path, utf8, strlen(utf8));
  return status;
}

static void pipe__set_buffer(int descriptor, uint32_t bytes) {
  int wanted = (int)bytes;
  setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted); /* a preference */
}

static int pipe__adopt(struct poller *poller, int descriptor, bool message, struct handle **handle) {
  if (message)
    message__prepare(descriptor);
  return port__adopt(poller, descriptor, pipe__kind(message), HANDLE_SOCKET, PIER_FAMILY_NONE, handle);
}

/* ---- Listening ---- */

static void pipe_name__leave(struct pipe_name *name) {
  if (atomic_fetch_sub(&name->users, 1) == 1)
    free(name);
}

/* A path that nobody listens on any more is taken over. Asked by a socket of another type, a listener says that it is there without
   noticing anything; a path without one refuses. */
static bool pipe_name__is_taken(const struct sockaddr_un *address) {
  int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (probe < 0)
    return true;
  bool refused = connect(probe, (const struct sockaddr *)(const void *)address, sizeof *address) && errno == ECONNREFUSED;
  close(probe);
  return !refused;
}

static int pipe_name__bind(int listener, struct pipe_name *name) {
  const struct sockaddr *address = (const struct sockaddr *)(const void *)&name->address;
  struct stat about;
  if (bind(listener, address, sizeof name->address)) {
    if (errno != EADDRINUSE)
      return socket__last();
    if (stat(name->address.sun_path, &about) || !S_ISSOCK(about.st_mode) || pipe_name__is_taken(&name->address))
      return PIER_EADDRINUSE;
    unlink(name->address.sun_path);
    if (bind(listener, address, sizeof name->address))
      return socket__last();
  }
  /* One connection waits for an accept, further clients in their connects: as with the instances of a named pipe. */
  if (stat(name->address.sun_path, &about) || listen(listener, 0)) {
    int status = socket__last();
    unlink(name->address.sun_path);
    return status;
  }
  name->device = about.st_dev;
  name->node = about.st_ino;
  return PIER_OK;
}

static void pipe_name__unlink(const struct pipe_name *name) {
  struct stat about;
  /* Somebody may have put something of his in its place. */
  if (stat(name->address.sun_path, &about) == 0 && about.st_dev == name->device && about.st_ino == name->node)
    unlink(name->address.sun_path);
}

int port__listen_pipe(struct poller *poller, const char *utf8, const struct pipe_name_options *options, pier_handle *listener) {
  struct pipe_name *name = calloc(1, sizeof *name);
  struct handle *handle = NULL;
  if (!name)
    return PIER_ENOMEM;
  atomic_init(&name->users, 1);
  name->instances_max = options->instances_max;
  name->buffer_bytes = options->buffer_bytes;
  name->message = options->message;
  int status = pipe__address(utf8, &name->address);
  int descriptor = status == PIER_OK ? pipe__socket(poller, options->message) : -1;
  if (status == PIER_OK && descriptor < 0)
    status = socket__last();
  if (status == PIER_OK) {
    status = pipe_name__bind(descriptor, name);
    if (status != PIER_OK)
      close(descriptor);
  }
  if (status == PIER_OK) {
    status = port__adopt(poller, descriptor, PIER_KIND_PIPE_LISTENER, HANDLE_SOCKET, PIER_FAMILY_NONE, &handle);
    if (status != PIER_OK)
      pipe_name__unlink(name);
  }
  if (status != PIER_OK) {
    free(name);
    return status;
  }
  handle->detail = name;
  *listener = handle__open(handle);
  return PIER_OK;
}

void port__unlisten_pipe(struct handle *listener) { pipe_name__unlink(listener->detail); }

void pipe__shut(struct handle *handle) {
  struct pipe_name *name = handle->detail;
  if (!name)
    return;
  if (handle->slot.kind == PIER_KIND_PIPE_LISTENER)
    port__unlisten_pipe(handle);
  else
    atomic_fetch_sub(&name->instances, 1);
  handle->detail = NULL; /* shared: not the handle's to free */
  pipe_name__leave(name);
}

/* ---- Accepting ---- */

int pipe__begin_accept(struct op *op) {
  struct pipe_name *name = op->handle->detail;
  if (atomic_fetch_add(&name->instances, 1) < name->instances_max || name->instances_max == 255) {
    op->as.pipe_accept.instance = op->handle; /* says that it is counted */
    return 0;
  }
  atomic_fetch_sub(&name->instances, 1);
  return EMFILE;
}

int pipe__opened(struct op *op, pier_handle *opened) {
  struct handle *listener = op->handle, *handle = NULL;
  struct pipe_name *name = listener->detail;
  int descriptor = (int)op->as.pipe_accept.socket;
  pipe__set_buffer(descriptor, name->buffer_bytes);
  int status = pipe__adopt(listener->poller, descriptor, name->message, &handle);
  if (status != PIER_OK) {
    atomic_fetch_sub(&name->instances, 1);
    return status;
  }
  atomic_fetch_add(&name->users, 1);
  handle->detail = name;
  *opened = handle__open(handle);
  return PIER_OK;
}

void pipe__abandon(struct op *op) {
  struct pipe_name *name = op->handle->detail;
  if (!op->as.pipe_accept.instance)
    return;
  if (op->as.pipe_accept.socket != PIER_NATIVE_NONE)
    close((int)op->as.pipe_accept.socket);
  atomic_fetch_sub(&name->instances, 1);
}

/* ---- Connecting ---- */

int port__connect_pipe(struct poller *poller, const char *utf8, bool message, pier_handle *opened) {
  struct sockaddr_un address;
  struct handle *handle = NULL;
  int status = pipe__address(utf8, &address);
  if (status != PIER_OK)
    return status;
  int descriptor = socket(AF_UNIX, pipe__type(message) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0)
    return socket__last();
  if (connect(descriptor, (const struct sockaddr *)(const void *)&address, sizeof address)) {
    int code = errno;
    close(descriptor);
    if (code == EAGAIN)
      return PIER_EBUSY;
    /* A path that was left behind is nobody's. */
    return code == ECONNREFUSED ? PIER_ENOENT : pier_error_from_system((uint32_t)code);
  }
  /* It was for the connect only, where a backend has no use for it. */
  if (!poller->backend->non_blocking)
    fcntl(descriptor, F_SETFL, O_RDWR);
  pipe__set_buffer(descriptor, 65536);
  status = pipe__adopt(poller, descriptor, message, &handle);
  if (status == PIER_OK)
    *opened = handle__open(handle);
  return status;
}

int port__await_pipe(const char *utf8, uint64_t timeout_ns) {
  (void)utf8;
  struct timespec pause = {.tv_nsec = (long)(timeout_ns < PIPE_AWAIT_NS ? timeout_ns : PIPE_AWAIT_NS)};
  nanosleep(&pause, NULL);
  return PIER_OK;
}

int port__pair_pipe(struct poller *poller, const struct pipe_name_options *options, pier_handle ends[2]) {
  int descriptors[2];
  struct handle *handles[2];
  int flags = SOCK_CLOEXEC | (poller->backend->non_blocking ? SOCK_NONBLOCK : 0);
  if (socketpair(AF_UNIX, pipe__type(options->message) | flags, 0, descriptors))
    return socket__last();
  for (int i = 0; i < 2; i++)
    pipe__set_buffer(descriptors[i], options->buffer_bytes);
  int status = pipe__adopt(poller, descriptors[0], options->message, &handles[0]);
  if (status != PIER_OK) {
    close(descriptors[1]);
    return status;
  }
  status = pipe__adopt(poller, descriptors[1], options->message, &handles[1]);
  if (status != PIER_OK) {
    handle__discard(handles[0]);
    return status;
  }
  ends[0] = handle__open(handles[0]);
  ends[1] = handle__open(handles[1]);
  return PIER_OK;
}
