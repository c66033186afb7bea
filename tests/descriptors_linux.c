#include "descriptors.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void descriptors__send(pier_native to, const void *bytes, size_t length) {
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr aligned;
  } control = {.aligned = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
  struct iovec part = {(void *)(uintptr_t)bytes, length};
  struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  memcpy(CMSG_DATA(&control.aligned), &(int){STDOUT_FILENO}, sizeof(int));
  assert_int_equal(sendmsg((int)to, &header, 0), length);
}
