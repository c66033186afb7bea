#include "sends.h"
#include "port.h"
#include "socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

enum {
  SENDS = 64,         /* so many go in one call; more gain little. Nor does the kernel take more in a run */
  RUN_BYTES = 65000,  /* all of a run is in one datagram for a while, headers and all */
  RUN_NEVER = 1,      /* in handle->run_below: nothing is shorter */
  RUN_ANY = UINT16_MAX
};

union run_mark {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(uint16_t))];
};

/* A header for each run; a datagram by itself is a run of one. */
struct sends {
  struct mmsghdr headers[SENDS];
  struct iovec parts[SENDS];
  struct sockaddr_storage addresses[SENDS];
  union run_mark marks[SENDS];
  unsigned runs;
  size_t run_bytes; /* of the last one */
};

/* ---- Whether the system cuts ---- */

/* Systems before Linux 4.18 do not, and whoever has set a length himself has his datagrams cut in his own way. */
static bool sends__may_run(int descriptor) {
  int length = 0;
  socklen_t length_bytes = sizeof length;
  return getsockopt(descriptor, IPPROTO_UDP, UDP_SEGMENT, &length, &length_bytes) == 0 && length == 0;
}

static void sends__know(struct handle *handle) {
  if (!handle->run_below)
    handle->run_below = sends__may_run((int)handle->native) ? RUN_ANY : RUN_NEVER;
}

/* A run that was refused says nothing of its datagrams: they are sent one by one, as all of their length and longer are from then on. EINVAL and EMSGSIZE:
   they do not fit the way without being taken apart, or the socket makes no checksums; EIO: the device makes none. */
static bool sends__give_up_run(struct handle *handle, const struct sends *sends, int error) {
  const struct msghdr *run = &sends->headers[0].msg_hdr;
  if (run->msg_iovlen < 2 || (error != EINVAL && error != EMSGSIZE && error != EIO))
    return false;
  handle->run_below = error == EIO ? RUN_NEVER : (uint16_t)run->msg_iov[0].iov_len;
  return true;
}

/* ---- Filling ---- */

/* An address is put into the system's form once for all that follow each other to it, and is the same for all that are one run. */
static void sends__address(struct sends *sends, unsigned place, const pier_address *to, struct msghdr *header) {
  struct sockaddr_storage *name = &sends->addresses[place];
  socklen_t bytes = to ? socket__sockaddr(to, name) : 0;
  bool same = to && header->msg_name && header->msg_namelen == bytes && memcmp(header->msg_name, name, bytes) == 0;
  if (!same)
    header->msg_name = to ? name : NULL;
  header->msg_namelen = bytes;
}

/* Whether it goes on with the last run. */
static bool sends__fits_run(const struct handle *handle, const struct sends *sends, const struct msghdr *to, size_t length) {
  const struct msghdr *run = &sends->headers[sends->runs - 1].msg_hdr;
  size_t first = run->msg_iov[0].iov_len, last = run->msg_iov[run->msg_iovlen - 1].iov_len;
  return run->msg_name == to->msg_name && length > 0 && length <= first && last == first && first < handle->run_below &&
         sends->run_bytes + length <= RUN_BYTES;
}

static void sends__grow_run(struct sends *sends) {
  struct msghdr *run = &sends->headers[sends->runs - 1].msg_hdr;
  union run_mark *mark = &sends->marks[sends->runs - 1];
  if (run->msg_iovlen++ > 1)
    return;
  uint16_t length = (uint16_t)run->msg_iov[0].iov_len;
  *mark = (union run_mark){.header = {.cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof length)}};
  memcpy(CMSG_DATA(&mark->header), &length, sizeof length);
  run->msg_control = mark->bytes;
  run->msg_controllen = sizeof mark->bytes;
}

static void sends__fill(struct sends *sends, const struct handle *handle, const pier_datagram *datagrams, size_t count) {
  const pier_address *to = NULL;
  struct msghdr header = {0};
  sends->runs = 0;
  for (unsigned i = 0; i < SENDS && i < count; i++) {
    const pier_datagram *datagram = &datagrams[i];
    if (datagram->to != to) {
      to = datagram->to;
      sends__address(sends, i, to, &header);
    }
    sends->parts[i] = (struct iovec){(void *)(uintptr_t)datagram->base, datagram->length};
    if (i > 0 && sends__fits_run(handle, sends, &header, datagram->length)) {
      sends__grow_run(sends);
      sends->run_bytes += datagram->length;
    } else {
      header.msg_iov = &sends->parts[i];
      header.msg_iovlen = 1;
      sends->headers[sends->runs++].msg_hdr = header;
      sends->run_bytes = datagram->length;
    }
  }
}

/* ---- Sending ---- */

static size_t sends__count(const struct sends *sends, int runs) {
  size_t datagrams = 0;
  for (int i = 0; i < runs; i++)
    datagrams += sends->headers[i].msg_hdr.msg_iovlen;
  return datagrams;
}

int sends__all(struct handle *handle, const pier_datagram *datagrams, size_t count, size_t *sent_count) {
  struct sends sends;
  sends__know(handle);
  while (*sent_count < count) {
    sends__fill(&sends, handle, datagrams + *sent_count, count - *sent_count);
    poller__count(handle->poller, COUNTER_SYSTEM_CALLS, 1);
    int sent = sendmmsg((int)handle->native, sends.headers, sends.runs, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && (errno == EINTR || sends__give_up_run(handle, &sends, errno)))
      continue;
    if (sent < 0 && *sent_count == 0)
      return errno;
    if (sent <= 0)
      break;
    *sent_count += sends__count(&sends, sent);
  }
  return 0;
}
