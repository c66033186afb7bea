#include "socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

int socket__last(void) { return pier_error_from_system((uint32_t)errno); }

socklen_t socket__sockaddr(const pier_address *address, struct sockaddr_storage *storage) {
  if (address->family == PIER_IPV4) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(address->port)};
    memcpy(&in.sin_addr, address->bytes, 4);
    memcpy(storage, &in, sizeof in);
    return sizeof in;
  }
  if (address->family == PIER_IPV6) {
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(address->port), .sin6_scope_id = address->scope};
    memcpy(&in6.sin6_addr, address->bytes, 16);
    memcpy(storage, &in6, sizeof in6);
    return sizeof in6;
  }
  return 0;
}

int socket__address(const void *from, socklen_t length_bytes, pier_address *address) {
  sa_family_t family = AF_UNSPEC;
  if (length_bytes >= sizeof family)
    memcpy(&family, from, sizeof family);
  *address = (pier_address){0};
  if (family == AF_INET && length_bytes >= sizeof(struct sockaddr_in)) {
    struct sockaddr_in in;
    memcpy(&in, from, sizeof in);
    address->family = PIER_IPV4;
    address->port = ntohs(in.sin_port);
    memcpy(address->bytes, &in.sin_addr, 4);
    return PIER_OK;
  }
  if (family == AF_INET6 && length_bytes >= sizeof(struct sockaddr_in6)) {
    struct sockaddr_in6 in6;
    memcpy(&in6, from, sizeof in6);
    address->family = PIER_IPV6;
    address->port = ntohs(in6.sin6_port);
    address->scope = in6.sin6_scope_id;
    memcpy(address->bytes, &in6.sin6_addr, 16);
    return PIER_OK;
  }
  return PIER_EAFNOSUPPORT;
}

int socket__family(uint8_t family) { return family == PIER_IPV6 ? AF_INET6 : family == PIER_IPV4 ? AF_INET : AF_UNSPEC; }

uint8_t socket__family_of(int descriptor) {
  int domain = 0;
  socklen_t length = sizeof domain;
  if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length))
    return PIER_FAMILY_NONE;
  return domain == AF_INET ? PIER_IPV4 : domain == AF_INET6 ? PIER_IPV6 : PIER_FAMILY_NONE;
}

int socket__type(int descriptor) {
  int type = 0;
  socklen_t length = sizeof type;
  return getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) == 0 ? type : 0;
}

int socket__open(uint8_t family, int type, bool non_blocking, int *opened) {
  *opened = -1;
  if (family != PIER_IPV4 && family != PIER_IPV6)
    return PIER_EAFNOSUPPORT;
  *opened = socket(socket__family(family), type | SOCK_CLOEXEC | (non_blocking ? SOCK_NONBLOCK : 0), 0);
  return *opened < 0 ? socket__last() : PIER_OK;
}

int socket__name(int descriptor, bool peer, pier_address *address) {
  struct sockaddr_storage storage;
  socklen_t length = sizeof storage;
  struct sockaddr *any = (struct sockaddr *)&storage;
  int failed = peer ? getpeername(descriptor, any, &length) : getsockname(descriptor, any, &length);
  return failed ? socket__last() : socket__address(&storage, length, address);
}

int socket__set(int descriptor, int level, int name, int value) {
  return setsockopt(descriptor, level, name, &value, sizeof value) ? socket__last() : PIER_OK;
}

int socket__get(int descriptor, int level, int name, int *value) {
  socklen_t length = sizeof *value;
  *value = 0;
  return getsockopt(descriptor, level, name, value, &length) ? socket__last() : PIER_OK;
}

int socket__get_buffer(int descriptor, int name, int *value) {
  int status = socket__get(descriptor, SOL_SOCKET, name, value);
  *value /= 2;
  return status;
}
