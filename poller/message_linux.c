#include "message.h"

#include <errno.h>
#include <sys/socket.h>

void message__prepare(int descriptor) {
  int cursor = -1, none = 0, on = 1;
  socklen_t length = sizeof cursor;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &cursor, &length) == 0 && cursor >= 0)
    return;
  setsockopt(descriptor, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  setsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &none, sizeof none);
}

/* A message that has been seen to its end goes, and the cursor back to the beginning of the next. */
static void message__drop(int descriptor) {
  char none;
  while (recv(descriptor, &none, 0, MSG_DONTWAIT | MSG_TRUNC) < 0 && errno == EINTR) {
  }
}

struct message message__receive(int descriptor, struct iovec *parts, unsigned count) {
  union {
    char bytes[CMSG_SPACE(sizeof(struct ucred))];
    struct cmsghdr aligned;
  } control;
  struct msghdr header = {.msg_iov = parts, .msg_iovlen = count, .msg_control = &control, .msg_controllen = sizeof control};
  struct message message = {0, 0, false};
  ssize_t received;
  do {
    header.msg_controllen = sizeof control;
    received = recvmsg(descriptor, &header, MSG_DONTWAIT | MSG_PEEK);
    /* "Reset" says once that the other end was closed before it had read everything; what it sent is still there. */
  } while (received < 0 && (errno == EINTR || errno == ECONNRESET));
  if (received < 0) {
    message.code = (uint32_t)errno;
    return message;
  }
  message.bytes = (uint32_t)received;
  if (header.msg_flags & MSG_TRUNC)
    message.code = EMSGSIZE;
  else if (received == 0 && header.msg_controllen == 0 && !(header.msg_flags & MSG_CTRUNC))
    message.end = true;
  else
    message__drop(descriptor);
  return message;
}

/* As much as a message needs with the system's own share; more than the administrator's limit only for the privileged. */
static bool message__make_room(int descriptor, size_t bytes) {
  int room = 0;
  socklen_t length = sizeof room;
  int wanted = (int)(bytes + bytes / 8 + 4096);
  if (bytes > INT32_MAX / 4 || getsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &room, &length) || room / 2 >= wanted)
    return false;
  if (setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof wanted))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
  int before = room;
  return getsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &room, &length) == 0 && room > before;
}

struct message message__send(int descriptor, struct iovec *parts, unsigned count) {
  struct msghdr header = {.msg_iov = parts, .msg_iovlen = count};
  struct message message = {0, 0, false};
  size_t bytes = 0;
  for (unsigned i = 0; i < count; i++)
    bytes += parts[i].iov_len;
  for (;;) {
    ssize_t sent = sendmsg(descriptor, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      message.bytes = (uint32_t)sent;
      return message;
    }
    if (errno == EINTR || (errno == EMSGSIZE && message__make_room(descriptor, bytes)))
      continue;
    message.code = (uint32_t)errno;
    return message;
  }
}
