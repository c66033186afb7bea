#include "udp_native.h"
#include "io_request.h"
#include "visit.h"

static const pier_udp_options usual = {0};

int pier_udp_open(pier_loop *loop, const pier_address *address, const pier_udp_options *options, pier_handle *handle) {
  if (!options)
    options = &usual;
  pier_address any = {.family = options->family ? (uint8_t)options->family : PIER_IPV4};
  if (!address)
    address = &any;
  if (handle)
    *handle = 0;
  if (!loop || !handle || (address->family != PIER_IPV4 && address->family != PIER_IPV6))
    return PIER_EINVAL;
  return udp__open(loop__poller(loop), address, options, handle);
}

/* ---- Datagrams ---- */

pier_operation pier_receive_from(pier_handle handle, void *buffer, size_t length, uint64_t deadline_ns, pier_callback callback, void *context) {
  struct io_request request = {.code = OP_READ, .addressed = true, .count = 1, .one = {buffer, length}, .deadline_ns = deadline_ns};
  return io__submit(handle, &request, callback, context);
}

pier_operation pier_send_to(pier_handle handle, const void *buffer, size_t length, const pier_address *to, uint64_t deadline_ns,
                            pier_callback callback, void *context) {
  struct io_request request = {
      .code = OP_WRITE, .addressed = true, .count = 1, .one = {(void *)buffer, length}, .to = to, .deadline_ns = deadline_ns};
  return io__submit(handle, &request, callback, context);
}

pier_operation pier_receivev_from(pier_handle handle, const pier_buffer *parts, size_t count, uint64_t deadline_ns, pier_callback callback,
                                  void *context) {
  struct io_request request = {
      .code = OP_READ, .addressed = true, .vectored = true, .parts = parts, .count = count, .deadline_ns = deadline_ns};
  return io__submit(handle, &request, callback, context);
}

pier_operation pier_sendv_to(pier_handle handle, const pier_buffer *parts, size_t count, const pier_address *to, uint64_t deadline_ns,
                             pier_callback callback, void *context) {
  struct io_request request = {
      .code = OP_WRITE, .addressed = true, .vectored = true, .parts = parts, .count = count, .to = to, .deadline_ns = deadline_ns};
  return io__submit(handle, &request, callback, context);
}

/* ---- Calls on an open handle. It is held while they run. ---- */

static int udp__know(struct handle *handle) {
  port__know(handle);
  return handle->slot.kind == PIER_KIND_UDP && (handle->slot.flags & HANDLE_SOCKET) ? PIER_OK : PIER_EBADF;
}

static int udp__enter(pier_handle id, struct handle **handle) {
  struct poller *poller = poller__of(id, ID_HANDLE);
  int status = poller ? handle__enter(poller, id, handle) : PIER_EBADF;
  if (status != PIER_OK)
    return status;
  status = udp__know(*handle);
  if (status != PIER_OK)
    handle__leave(*handle);
  return status;
}

/* Of the handle's family, and one that something can be sent to or come from. */
static int udp__check(const struct handle *handle, const pier_address *address) {
  if (address->family != PIER_IPV4 && address->family != PIER_IPV6)
    return PIER_EINVAL;
  return address->family == handle->slot.detail ? PIER_OK : PIER_EAFNOSUPPORT;
}

int pier_udp_connect(pier_handle id, const pier_address *peer) {
  struct handle *handle;
  int status = udp__enter(id, &handle);
  if (status != PIER_OK)
    return status;
  if (peer)
    status = peer->port ? udp__check(handle, peer) : PIER_EINVAL;
  if (status == PIER_OK)
    status = udp__connect(handle, peer);
  handle__leave(handle);
  return status;
}

static int udp__check_membership(const struct handle *handle, const struct udp_membership *membership) {
  const pier_address *group = membership->group;
  int status = udp__check(handle, group);
  if (status == PIER_OK && membership->source)
    status = udp__check(handle, membership->source);
  if (status != PIER_OK)
    return status;
  bool is_group = group->family == PIER_IPV4 ? group->bytes[0] >> 4 == 14 : group->bytes[0] == 0xff;
  return is_group ? PIER_OK : PIER_EINVAL;
}

static int udp__change_membership(pier_handle id, const struct udp_membership *membership,
                                  int (*change)(const struct handle *handle, const struct udp_membership *membership)) {
  struct handle *handle;
  int status = membership->group ? udp__enter(id, &handle) : PIER_EINVAL;
  if (status != PIER_OK)
    return status;
  status = udp__check_membership(handle, membership);
  if (status == PIER_OK)
    status = change(handle, membership);
  handle__leave(handle);
  return status;
}

int pier_udp_join(pier_handle handle, const pier_address *group, const pier_address *source, uint32_t interface_index) {
  struct udp_membership membership = {group, source, interface_index};
  return udp__change_membership(handle, &membership, udp__join);
}

int pier_udp_leave(pier_handle handle, const pier_address *group, const pier_address *source, uint32_t interface_index) {
  struct udp_membership membership = {group, source, interface_index};
  return udp__change_membership(handle, &membership, udp__leave);
}

static bool udp__fits(pier_udp_option option, int value) {
  switch (option) {
  case PIER_UDP_BROADCAST:
  case PIER_UDP_GROUP_LOOP:
    return value == 0 || value == 1;
  case PIER_UDP_HOPS:
    return value >= 1 && value <= 255;
  case PIER_UDP_GROUP_HOPS:
    return value >= 0 && value <= 255;
  case PIER_UDP_GROUP_INTERFACE:
  case PIER_UDP_SEND_BUFFER_BYTES:
  case PIER_UDP_RECEIVE_BUFFER_BYTES:
    return value >= 0;
  }
  return false;
}

int pier_udp_set(pier_handle id, pier_udp_option option, int value) {
  struct handle *handle;
  int status = udp__enter(id, &handle);
  if (status != PIER_OK)
    return status;
  status = udp__fits(option, value) ? udp__set(handle, option, value) : PIER_EINVAL;
  handle__leave(handle);
  return status;
}

int pier_udp_get(pier_handle id, pier_udp_option option, int *value) {
  struct handle *handle;
  if (!value)
    return PIER_EINVAL;
  int status = udp__enter(id, &handle);
  if (status != PIER_OK)
    return status;
  status = udp__get(handle, option, value);
  handle__leave(handle);
  return status;
}

static int udp__ask_address(pier_handle id, bool peer, pier_address *address) {
  struct handle *handle;
  if (!address)
    return PIER_EINVAL;
  int status = udp__enter(id, &handle);
  if (status != PIER_OK)
    return status;
  status = udp__address(handle, peer, address);
  handle__leave(handle);
  return status;
}

int pier_udp_local_address(pier_handle handle, pier_address *address) { return udp__ask_address(handle, false, address); }
int pier_udp_peer_address(pier_handle handle, pier_address *address) { return udp__ask_address(handle, true, address); }

/* ---- Here and now ---- */

static int udp__check_all(const struct handle *handle, const pier_datagram *datagrams, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const pier_address *to = datagrams[i].to;
    if ((!datagrams[i].base && datagrams[i].length) || (to && to->port == 0))
      return PIER_EINVAL;
    if (to && to->family != handle->slot.detail)
      return to->family == PIER_IPV4 || to->family == PIER_IPV6 ? PIER_EAFNOSUPPORT : PIER_EINVAL;
    if (datagrams[i].length > OP_PIECE_BYTES_MAX)
      return PIER_EMSGSIZE;
  }
  return PIER_OK;
}

int pier_try_send(pier_handle id, const pier_datagram *datagrams, size_t count, size_t *sent) {
  struct visit visit;
  if (!sent || !datagrams || count == 0 || count > PIER_PARTS_MAX)
    return PIER_EINVAL;
  *sent = 0;
  int status = visit__begin(&visit, id);
  if (status != PIER_OK)
    return status;
  status = udp__know(visit.handle);
  if (status == PIER_OK)
    status = udp__check_all(visit.handle, datagrams, count);
  if (status == PIER_OK)
    status = port__try_send(visit.handle, datagrams, count, sent);
  visit__end(&visit);
  return status;
}
