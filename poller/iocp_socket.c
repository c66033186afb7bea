/* Sockets: receiving, sending, accepting, connecting. */
#include "iocp.h"

_Static_assert(sizeof(((struct op_accept *)0)->addresses) >= 2 * (sizeof(struct sockaddr_in6) + 16), "AcceptEx has room for both addresses");

/* The parts that are left, as Winsock wants them. It copies the array before it returns, so the stack will do. */
DWORD iocp__wsabufs(const struct op *op, WSABUF *buffers) {
  const struct op_data *data = &op->as.data;
  DWORD count = 0;
  size_t done = data->part_done;
  uint32_t room_bytes = OP_PIECE_BYTES_MAX;
  for (uint32_t part = data->part; part < data->count && room_bytes; part++, done = 0) {
    size_t left = data->parts[part].length - done;
    uint32_t bytes = left < room_bytes ? (uint32_t)left : room_bytes;
    buffers[count++] = (WSABUF){.len = bytes, .buf = (char *)data->parts[part].base + done};
    room_bytes -= bytes;
  }
  if (!count)
    buffers[count++] = (WSABUF){0, NULL};
  return count;
}

/* Most operations have one part: the long array is kept off their stack frame. */
static int iocp__call_socket(struct op *op, WSABUF *buffers, DWORD count) {
  SOCKET socket = (SOCKET)op->handle->native;
  DWORD flags = 0;
  if (op->handle->slot.kind == PIER_KIND_UDP)
    return iocp__call_datagram(op, buffers, count);
  if (op->slot.kind == OP_READ)
    return WSARecv(socket, buffers, count, NULL, &flags, iocp__overlapped(op), NULL);
  return WSASend(socket, buffers, count, NULL, 0, iocp__overlapped(op), NULL);
}

static int iocp__call_socket_vectored(struct op *op) {
  WSABUF buffers[1024];
  return iocp__call_socket(op, buffers, iocp__wsabufs(op, buffers));
}

enum port_start iocp__transfer_socket(struct op *op, struct piece *piece) {
  DWORD error = 0;
  if (!iocp__begin(op, 0, &error)) {
    piece->code = error;
    return PORT_DONE;
  }
  int result;
  if (op->as.data.count <= 1) {
    struct op_piece asked = op__piece(op);
    WSABUF buffer = {.len = asked.bytes, .buf = asked.base};
    result = iocp__call_socket(op, &buffer, 1);
  } else {
    result = iocp__call_socket_vectored(op);
  }
  if (result)
    error = (DWORD)WSAGetLastError();
  return iocp__outcome(op, !result, error, piece);
}

/* ---- Accepting ---- */

enum port_start iocp__accept(struct op *op, struct piece *piece) {
  struct op_accept *accept = &op->as.accept;
  struct handle *listener = op->handle;
  const struct winsock_provider *provider = NULL;
  SOCKET socket = (SOCKET)accept->socket;
  DWORD error = 0;
  /* One that a peer went away from is not used again: Wine would not let it be. */
  if (socket != INVALID_SOCKET)
    closesocket(socket);
  accept->socket = INVALID_SOCKET;
  int status = winsock__open((uint8_t)listener->slot.detail, SOCK_STREAM, &socket);
  if (status == PIER_OK)
    status = winsock__provider_of(winsock__family((uint8_t)listener->slot.detail), SOCK_STREAM, &provider);
  if (status != PIER_OK) {
    piece->code = status == PIER_EMFILE ? WSAEMFILE : WSAENOBUFS;
    return PORT_DONE;
  }
  accept->socket = socket;
  if (!iocp__begin(op, 0, &error)) {
    piece->code = error;
    return PORT_DONE;
  }
  DWORD received = 0;
  DWORD address_bytes = (DWORD)sizeof accept->addresses / 2;
  BOOL succeeded = provider->accept_ex((SOCKET)listener->native, socket, accept->addresses, 0, address_bytes, address_bytes, &received,
                                       iocp__overlapped(op));
  if (!succeeded)
    error = (DWORD)WSAGetLastError();
  return iocp__outcome(op, succeeded, error, piece);
}

int iocp__adopt_socket(struct poller *poller, SOCKET socket, pier_kind kind, int family, struct handle **adopted) {
  struct handle *handle = handle__acquire(poller, kind, (uintptr_t)socket);
  if (!handle) {
    closesocket(socket);
    return PIER_ENOMEM;
  }
  handle->slot.flags = HANDLE_OURS | HANDLE_SOCKET;
  handle->slot.detail = (uint16_t)family;
  if (kind == PIER_KIND_TCP || kind == PIER_KIND_UDP)
    handle->slot.flags |= HANDLE_ORDERED;
  int status = port__associate(handle);
  if (status != PIER_OK) {
    handle__discard(handle);
    return status;
  }
  atomic_store_explicit(&handle->state, PIER_STATE_ASSOCIATED, memory_order_release);
  const struct winsock_provider *provider = NULL;
  int type = kind == PIER_KIND_UDP ? SOCK_DGRAM : SOCK_STREAM;
  bool may_skip = winsock__provider_of(winsock__family((uint8_t)family), type, &provider) == PIER_OK && provider->ifs_handles;
  if (may_skip && nt()->set_file_completion_notification_modes((HANDLE)socket, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE))
    handle->slot.flags |= HANDLE_SKIPS;
  *adopted = handle;
  return PIER_OK;
}

/* What the listener's owner chose for its connections is in the listener's marks. */
static void iocp__no_delay(SOCKET socket) {
  BOOL on = TRUE;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, (const char *)&on, sizeof on); /* a preference; a failure harms nothing */
}

static int iocp__opened_by_accept(struct op *op, pier_handle *opened) {
  SOCKET socket = (SOCKET)op->as.accept.socket;
  SOCKET listener = (SOCKET)op->handle->native;
  struct handle *handle = NULL;
  op->as.accept.socket = INVALID_SOCKET;
  /* Without this the new socket knows neither its peer nor shutdown. */
  setsockopt(socket, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (const char *)&listener, sizeof listener);
  int status = iocp__adopt_socket(op->handle->poller, socket, PIER_KIND_TCP, op->handle->slot.detail, &handle);
  if (status != PIER_OK)
    return status;
  if (!(op->handle->slot.flags & HANDLE_DELAYS))
    iocp__no_delay(socket);
  *opened = handle__open(handle);
  return PIER_OK;
}

/* ---- Connecting ---- */

enum port_start iocp__connect(struct op *op, struct piece *piece) {
  struct sockaddr_storage address;
  const struct winsock_provider *provider = NULL;
  SOCKET socket = (SOCKET)op->handle->native;
  DWORD error = 0;
  int address_bytes = winsock__sockaddr(&op->as.connect.address, &address);
  if (winsock__provider(socket, &provider) != PIER_OK || !provider->connect_ex) {
    piece->code = WSAEOPNOTSUPP;
    return PORT_DONE;
  }
  if (!iocp__begin(op, 0, &error)) {
    piece->code = error;
    return PORT_DONE;
  }
  BOOL succeeded = provider->connect_ex(socket, (const struct sockaddr *)&address, address_bytes, NULL, 0, NULL, iocp__overlapped(op));
  if (!succeeded)
    error = (DWORD)WSAGetLastError();
  return iocp__outcome(op, succeeded, error, piece);
}

static int iocp__opened_by_connect(struct op *op, pier_handle *opened) {
  SOCKET socket = (SOCKET)op->handle->native;
  setsockopt(socket, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0); /* for shutdown and the addresses */
  if (!(op->handle->slot.flags & HANDLE_DELAYS))
    iocp__no_delay(socket);
  *opened = handle__id(op->handle);
  return PIER_OK;
}

int iocp__opened_socket(struct op *op, pier_handle *opened) {
  return op->slot.kind == OP_ACCEPT ? iocp__opened_by_accept(op, opened) : iocp__opened_by_connect(op, opened);
}

enum port_start iocp__shutdown(struct op *op, struct piece *piece) {
  if (shutdown((SOCKET)op->handle->native, SD_SEND))
    piece->code = (uint32_t)WSAGetLastError();
  return PORT_DONE;
}

void port__abandon(struct op *op) {
  switch ((enum op_code)op->slot.kind) {
  case OP_ACCEPT:
    if (op->as.accept.socket != INVALID_SOCKET)
      closesocket((SOCKET)op->as.accept.socket);
    break;
  case OP_CONNECT:
    handle__discard(op->handle);
    break;
  case OP_PIPE_ACCEPT:
    iocp__abandon_pipe(op);
    break;
  default:
    break; /* opens nothing */
  }
}
