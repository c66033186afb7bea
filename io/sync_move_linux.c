/* The sync path's transfers: one call, and where it would have to wait and may not, poll() first. */
#include "descriptor.h"
#include "message.h"
#include "socket.h"
#include "sync_linux.h"

#include <errno.h>

/* What one call did: `code` is an errno, or 0. */
struct sync_outcome {
  uint32_t code;
  size_t bytes;
  bool end;
};

static struct sync_outcome sync__of(ssize_t moved) {
  return moved < 0 ? (struct sync_outcome){(uint32_t)errno, 0, false} : (struct sync_outcome){0, (size_t)moved, false};
}

static struct sync_outcome sync__message(const struct sync_call *call, enum sync_way way, struct iovec *parts, unsigned count) {
  if (way == SYNC_READ)
    message__prepare(call->descriptor);
  struct message message = way == SYNC_READ ? message__receive(call->descriptor, parts, count) : message__send(call->descriptor, parts, count);
  return (struct sync_outcome){message.code, message.bytes, message.end};
}

static struct sync_outcome sync__socket(const struct sync_call *call, enum sync_way way, struct iovec *parts, unsigned count) {
  struct msghdr header = {.msg_iov = parts, .msg_iovlen = count};
  int flags = call->patient ? 0 : MSG_DONTWAIT;
  if (way == SYNC_WRITE)
    return sync__of(sendmsg(call->descriptor, &header, flags | MSG_NOSIGNAL));
  struct sync_outcome outcome = sync__of(recvmsg(call->descriptor, &header, flags));
  if (call->kind == SYNC_DATAGRAM && !outcome.code && (header.msg_flags & MSG_TRUNC))
    outcome.code = EMSGSIZE;
  return outcome;
}

static struct sync_outcome sync__once(const struct sync_call *call, enum sync_way way, struct iovec *parts, unsigned count, int64_t offset) {
  switch (call->kind) {
  case SYNC_FILE:
    if (offset >= 0)
      return sync__of(way == SYNC_READ ? preadv(call->descriptor, parts, (int)count, offset) : pwritev(call->descriptor, parts, (int)count, offset));
    return sync__of(way == SYNC_READ ? readv(call->descriptor, parts, (int)count) : writev(call->descriptor, parts, (int)count));
  case SYNC_MESSAGE:
    return sync__message(call, way, parts, count);
  case SYNC_STREAM:
  case SYNC_LOCAL:
  case SYNC_DATAGRAM:
    return sync__socket(call, way, parts, count);
  case SYNC_OTHER:
    break;
  }
  if (call->patient)
    return sync__of(way == SYNC_READ ? readv(call->descriptor, parts, (int)count) : descriptor__write_quietly(call->descriptor, parts, (int)count, -1));
  return sync__of(way == SYNC_READ ? descriptor__read(call->descriptor, parts, (int)count) : descriptor__write(call->descriptor, parts, (int)count));
}

/* Drops what was moved from the front of the parts. */
static size_t sync__advance(struct iovec **parts, size_t count, size_t bytes) {
  while (count && bytes >= (*parts)->iov_len) {
    bytes -= (*parts)->iov_len;
    ++*parts;
    count--;
  }
  if (count) {
    (*parts)->iov_base = (char *)(*parts)->iov_base + bytes;
    (*parts)->iov_len -= bytes;
  }
  return count;
}

/* As many of the parts as one call may move; the last one of them may have to be shortened: *cut is what it loses. */
static unsigned sync__fitting(struct iovec *parts, size_t count, size_t *bytes, size_t *cut) {
  unsigned fitting = 0;
  *bytes = *cut = 0;
  while (fitting < count && *bytes < SYNC_CALL_BYTES_MAX) {
    size_t room = SYNC_CALL_BYTES_MAX - *bytes;
    struct iovec *part = &parts[fitting++];
    if (part->iov_len > room) {
      *cut = part->iov_len - room;
      part->iov_len = room;
    }
    *bytes += part->iov_len;
  }
  return fitting;
}

/* A read of nothing on a stream waits for something, and takes nothing. */
static bool sync__asks_only(const struct sync_call *call, enum sync_way way, size_t total) {
  return way == SYNC_READ && total == 0 && call->kind != SYNC_FILE;
}

static void sync__take(const struct sync_call *call, enum sync_way way, const struct sync_outcome *outcome, size_t asked, pier_sync_result *done) {
  bool empty = way == SYNC_READ && asked > 0 && outcome->bytes == 0;
  bool reset = call->kind == SYNC_LOCAL && outcome->code == ECONNRESET;
  bool packets = call->kind == SYNC_MESSAGE || call->kind == SYNC_DATAGRAM;
  done->bytes += outcome->bytes;
  if (outcome->code && !(empty && reset)) {
    done->system_code = outcome->code;
    done->status = pier_error_from_system(outcome->code);
    return;
  }
  done->end = done->bytes == 0 && empty && (packets ? outcome->end : true);
}

void sync__move(const struct sync_call *call, enum sync_way way, struct iovec *parts, size_t count, int64_t offset, pier_sync_result *done) {
  size_t total = 0;
  *done = (pier_sync_result){PIER_OK, 0, 0, false};
  for (size_t i = 0; i < count; i++)
    total += parts[i].iov_len;
  if (sync__asks_only(call, way, total)) {
    done->status = sync__await(call, SYNC_READ);
    return;
  }
  for (;;) {
    size_t asked, cut;
    unsigned fitting = sync__fitting(parts, count, &asked, &cut);
    struct sync_outcome outcome = sync__once(call, way, parts, fitting, offset < 0 ? offset : offset + (int64_t)done->bytes);
    if (cut)
      parts[fitting - 1].iov_len += cut;
    if (outcome.code == EINTR)
      continue;
    if (outcome.code == EAGAIN && call->kind != SYNC_FILE) {
      done->status = sync__await(call, way);
      if (done->status != PIER_OK)
        return;
      continue;
    }
    sync__take(call, way, &outcome, asked, done);
    count = sync__advance(&parts, count, outcome.bytes);
    /* All is written; of a read only a file's goes on, because on a stream another call might have to wait. */
    bool whole = outcome.bytes == asked;
    bool more = way == SYNC_WRITE ? outcome.bytes > 0 : call->kind == SYNC_FILE && whole;
    if (done->status != PIER_OK || done->end || done->bytes >= total || !more)
      return;
  }
}
