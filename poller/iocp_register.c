/* What a handle that the user opened is, and how it stands. */
#include "iocp.h"

static bool register__is_socket(HANDLE native, int *type) {
  int length = sizeof *type;
  return getsockopt((SOCKET)native, SOL_SOCKET, SO_TYPE, (char *)type, &length) == 0;
}

static pier_kind register__socket_kind(SOCKET socket, int type) {
  BOOL listens = FALSE;
  int length = sizeof listens;
  if (type == SOCK_DGRAM)
    return PIER_KIND_UDP;
  if (getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, (char *)&listens, &length) == 0 && listens)
    return PIER_KIND_TCP_LISTENER;
  return PIER_KIND_TCP;
}

static pier_kind register__pipe_kind(HANDLE native) {
  DWORD mode = 0;
  /* Asked for the read mode, not the type: a message pipe may be read as a stream. Anonymous pipes answer too. */
  if (GetNamedPipeHandleStateW(native, &mode, NULL, NULL, NULL, NULL, 0) && (mode & PIPE_READMODE_MESSAGE))
    return PIER_KIND_MESSAGE_PIPE;
  return PIER_KIND_PIPE;
}

static pier_kind register__kind(HANDLE native, int *socket_type) {
  *socket_type = 0;
  switch (GetFileType(native)) {
  case FILE_TYPE_DISK:
    return PIER_KIND_FILE;
  case FILE_TYPE_CHAR:
    return PIER_KIND_CONSOLE;
  case FILE_TYPE_PIPE:
    return register__is_socket(native, socket_type) ? register__socket_kind((SOCKET)native, *socket_type) : register__pipe_kind(native);
  default:
    return PIER_KIND_UNKNOWN;
  }
}

static int register__family(SOCKET socket) {
  WSAPROTOCOL_INFOW protocol;
  int length = sizeof protocol;
  if (getsockopt(socket, SOL_SOCKET, SO_PROTOCOL_INFOW, (char *)&protocol, &length))
    return PIER_FAMILY_NONE;
  return protocol.iAddressFamily == AF_INET6 ? PIER_IPV6 : PIER_IPV4;
}

/* Sockets are always opened for overlapped I/O unless somebody took pains not to; of the rest the system tells. A failed query means
   blocking: a worker thread can serve any handle, the port only some. */
static bool register__blocks(HANDLE native, pier_kind kind, bool is_socket) {
  uint32_t mode = 0;
  DWORD console_mode = 0;
  if (kind == PIER_KIND_CONSOLE && GetConsoleMode(native, &console_mode))
    return true; /* whatever it says: nobody can read a console through a port */
  if (nt__file_mode(native, &mode) != PIER_OK)
    return !is_socket;
  return mode & (NT_FILE_SYNCHRONOUS_IO_ALERT | NT_FILE_SYNCHRONOUS_IO_NONALERT);
}

int port__examine(struct handle *handle, const pier_register_options *options) {
  HANDLE native = iocp__native(handle);
  int socket_type = 0;
  pier_kind found = register__kind(native, &socket_type);
  if (found == PIER_KIND_UNKNOWN)
    return PIER_EINVAL;
  handle->slot.kind = (uint8_t)(options->kind == PIER_KIND_UNKNOWN ? found : options->kind);
  if (socket_type) {
    handle->slot.flags |= HANDLE_SOCKET;
    handle->slot.detail = (uint16_t)register__family((SOCKET)native);
  }
  bool ordered = handle->slot.kind == PIER_KIND_TCP || handle->slot.kind == PIER_KIND_PIPE || handle->slot.kind == PIER_KIND_MESSAGE_PIPE ||
                 handle->slot.kind == PIER_KIND_UDP;
  if (ordered)
    handle->slot.flags |= HANDLE_ORDERED;
  if (register__blocks(native, found, socket_type != 0)) {
    atomic_store(&handle->state, PIER_STATE_BLOCKING);
    return PIER_OK;
  }
  uint32_t modes = 0;
  if (nt__completion_modes(native, &modes) == PIER_OK) {
    if (modes & FILE_SKIP_COMPLETION_PORT_ON_SUCCESS)
      handle->slot.flags |= HANDLE_SKIPS;
    atomic_store(&handle->state, options->association == PIER_ASSOCIATE_NEVER ? PIER_STATE_KEPT : PIER_STATE_FRESH);
    return PIER_OK;
  }
  /* Nobody can say whether its successes queue packets. A tagged event does not depend on it. */
  handle->slot.flags |= HANDLE_MODES_UNKNOWN;
  atomic_store(&handle->state, options->association == PIER_ASSOCIATE_NEVER ? PIER_STATE_KEPT : PIER_STATE_FRESH);
  return PIER_OK;
}
