/* What a handle that the user opened is, and how it stands. */
#include "iocp_gate.h"

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

static int register__family(SOCKET socket) {
  WSAPROTOCOL_INFOW protocol;
  int length = sizeof protocol;
  if (getsockopt(socket, SOL_SOCKET, SO_PROTOCOL_INFOW, (char *)&protocol, &length))
    return PIER_FAMILY_NONE;
  return protocol.iAddressFamily == AF_INET6 ? PIER_IPV6 : PIER_IPV4;
}

static pier_kind register__pipe_kind(HANDLE native) {
  DWORD mode = 0;
  /* Asked for the read mode, not the type: a message pipe may be read as a stream. Anonymous pipes answer too. */
  if (GetNamedPipeHandleStateW(native, &mode, NULL, NULL, NULL, NULL, 0) && (mode & PIPE_READMODE_MESSAGE))
    return PIER_KIND_MESSAGE_PIPE;
  return PIER_KIND_PIPE;
}

/* Sockets are of the type "pipe" too. */
static void register__ask_pipe(HANDLE native, struct register_answer *answer) {
  int type = 0;
  answer->is_socket = register__is_socket(native, &type);
  if (answer->is_socket) {
    answer->kind = register__socket_kind((SOCKET)native, type);
    answer->family = register__family((SOCKET)native);
  } else {
    answer->kind = register__pipe_kind(native);
  }
}

/* Sockets are always opened for overlapped I/O unless somebody took pains not to; of the rest the system tells. A failed query means
   blocking: a worker thread can serve any handle, the port only some. */
static bool register__blocks(HANDLE native, const struct register_answer *answer) {
  uint32_t mode = 0;
  DWORD console_mode = 0;
  if (answer->kind == PIER_KIND_CONSOLE && GetConsoleMode(native, &console_mode))
    return true; /* whatever it says: nobody can read a console through a port */
  if (nt__file_mode(native, &mode) != PIER_OK)
    return !answer->is_socket;
  return mode & (NT_FILE_SYNCHRONOUS_IO_ALERT | NT_FILE_SYNCHRONOUS_IO_NONALERT);
}

void register__ask(HANDLE native, struct register_answer *answer) {
  *answer = (struct register_answer){.kind = PIER_KIND_UNKNOWN};
  switch (GetFileType(native)) {
  case FILE_TYPE_DISK:
    answer->kind = PIER_KIND_FILE;
    break;
  case FILE_TYPE_CHAR:
    answer->kind = PIER_KIND_CONSOLE;
    break;
  case FILE_TYPE_PIPE:
    register__ask_pipe(native, answer);
    break;
  default:
    return;
  }
  answer->blocks = register__blocks(native, answer);
  answer->modes_known = !answer->blocks && nt__completion_modes(native, &answer->modes) == PIER_OK;
}

static bool register__is_ordered(pier_kind kind) {
  return kind == PIER_KIND_TCP || kind == PIER_KIND_PIPE || kind == PIER_KIND_MESSAGE_PIPE || kind == PIER_KIND_UDP;
}

static void register__note_modes(struct handle *handle, bool known, uint32_t modes) {
  unsigned flags = handle->slot.flags & ~(unsigned)(HANDLE_MODES_UNKNOWN | HANDLE_SKIPS);
  if (!known)
    flags |= HANDLE_MODES_UNKNOWN; /* nobody can say whether its successes queue packets: a tagged event does not depend on it */
  else if (modes & FILE_SKIP_COMPLETION_PORT_ON_SUCCESS)
    flags |= HANDLE_SKIPS;
  handle->slot.flags = (uint8_t)flags;
}

void register__apply(struct handle *handle, const struct register_answer *answer) {
  if (handle->slot.kind == PIER_KIND_UNKNOWN)
    handle->slot.kind = (uint8_t)answer->kind;
  if (answer->is_socket) {
    handle->slot.flags |= HANDLE_SOCKET;
    handle->slot.detail = (uint16_t)answer->family;
  }
  if (register__is_ordered((pier_kind)handle->slot.kind))
    handle->slot.flags |= HANDLE_ORDERED;
  if (answer->blocks) {
    atomic_store_explicit(&handle->state, PIER_STATE_BLOCKING | (atomic_load(&handle->state) & HANDLE_GATE), memory_order_release);
    return;
  }
  register__note_modes(handle, answer->modes_known, answer->modes);
}

int port__reassociate(struct handle *handle) {
  uint32_t modes = 0;
  int status = port__associate(handle);
  /* Of a handle that is his its owner may have set the modes since they were asked for. */
  if (status == PIER_OK && !(handle->slot.flags & HANDLE_OURS)) {
    bool known = nt__completion_modes(iocp__native(handle), &modes) == PIER_OK;
    register__note_modes(handle, known, modes);
  }
  return status;
}

static bool register__is_socket_kind(pier_kind kind) {
  return kind == PIER_KIND_TCP || kind == PIER_KIND_TCP_LISTENER || kind == PIER_KIND_UDP;
}

/* Nothing waits on a handle that is not used by blocking calls; and only such a one can be put on a port. */
static bool register__may_ask(const pier_register_options *options) {
  return options->mode == PIER_MODE_OVERLAPPED || options->association == PIER_ASSOCIATE_NOW;
}

int port__examine(struct handle *handle, const pier_register_options *options, handle_admit admit) {
  DWORD handle_flags = 0;
  struct register_answer answer = {.kind = options->kind, .blocks = true};
  if (!GetHandleInformation(iocp__native(handle), &handle_flags)) /* of the handle, not of what it leads to: that never waits */
    return PIER_EINVAL;
  if (register__is_socket_kind(options->kind))
    handle->slot.flags |= HANDLE_SOCKET;
  atomic_store(&handle->state, options->association == PIER_ASSOCIATE_NEVER ? PIER_STATE_KEPT : PIER_STATE_FRESH);
  bool all_told = options->mode == PIER_MODE_BLOCKING && options->kind != PIER_KIND_UNKNOWN;
  if (!all_told && !register__may_ask(options))
    return gate__create(handle, admit);
  if (!all_told)
    register__ask(iocp__native(handle), &answer);
  if (answer.kind == PIER_KIND_UNKNOWN)
    return PIER_EINVAL;
  register__apply(handle, &answer);
  return PIER_OK;
}
