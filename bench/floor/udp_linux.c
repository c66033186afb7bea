#include "floor.h"

#include "../common/datagrams.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* As many datagrams in one call as there are: the leanest that either backend has to offer, for a ring has no call for many. */
#define BATCH_MAX 64

struct pump {
  struct bench_datagrams count;
  int sender;
  int receiver;
  struct sockaddr_in to;
  struct mmsghdr headers[BATCH_MAX];
  struct iovec parts[BATCH_MAX];
  char buffers[BATCH_MAX][BENCH_DATAGRAM_BYTES_MAX];
};

static int pump__open(struct sockaddr_in *bound) {
  socklen_t length = sizeof *bound;
  int made = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  *bound = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  bench_check(bind(made, (const struct sockaddr *)bound, length) == 0, "bind", errno);
  bench_check(getsockname(made, (struct sockaddr *)bound, &length) == 0, "getsockname", errno);
  return made;
}

/* All are of one length and go to one address: the kernel is given them as one, and the length to cut it to. */
static void pump__send(struct pump *pump) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(uint16_t))];
  } mark = {.header = {.cmsg_len = CMSG_LEN(sizeof(uint16_t)), .cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT}};
  uint16_t length = (uint16_t)pump->count.options->block_bytes;
  unsigned count = 0;

  while (count < BATCH_MAX && bench_datagrams_may_send(&pump->count)) {
    pump->parts[count] = (struct iovec){pump->buffers[count], bench_datagrams_next(&pump->count, pump->buffers[count])};
    count++;
  }
  memcpy(CMSG_DATA(&mark.header), &length, sizeof length);
  struct msghdr message = {.msg_name = &pump->to,
                           .msg_namelen = sizeof pump->to,
                           .msg_iov = pump->parts,
                           .msg_iovlen = count,
                           .msg_control = mark.bytes,
                           .msg_controllen = sizeof mark.bytes};
  bench_check(sendmsg(pump->sender, &message, 0) == (ssize_t)count * length, "sendmsg", errno);
}

static void pump__receive(struct pump *pump) {
  struct sockaddr_in from[BATCH_MAX];

  for (unsigned i = 0; i < BATCH_MAX; i++) {
    pump->parts[i] = (struct iovec){pump->buffers[i], sizeof pump->buffers[i]};
    pump->headers[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &pump->parts[i], .msg_iovlen = 1};
  }
  int count = recvmmsg(pump->receiver, pump->headers, BATCH_MAX, MSG_WAITFORONE, NULL);
  bench_check(count > 0 || errno == EINTR, "recvmmsg", errno);
  for (int i = 0; i < count; i++) {
    bench_datagrams_take(&pump->count, pump->buffers[i], pump->headers[i].msg_len);
  }
}

int floor_udp_pump(const struct bench_options *options, struct bench_result *result) {
  struct pump *pump = bench_allocate(1, sizeof *pump);
  struct sockaddr_in ignored;

  pump->count = (struct bench_datagrams){.options = options, .result = result};
  pump->sender = pump__open(&ignored);
  pump->receiver = pump__open(&pump->to);
  bench_begin(result);
  while (!bench_datagrams_all_taken(&pump->count)) {
    if (bench_datagrams_may_send(&pump->count)) {
      pump__send(pump);
    }
    pump__receive(pump);
  }
  bench_end(result);
  close(pump->sender);
  close(pump->receiver);
  bench_release(pump);
  return 0;
}
