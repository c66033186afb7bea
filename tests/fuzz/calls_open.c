/* Opening, accepting, connecting and registering. */
#include "calls.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

void calls__open_pair(void) {
  unsigned choice = fuzz__byte(&world.input);
  pier_pipe_options options = {.message = choice & 1, .buffer_bytes = choice & 2 ? 4096 : 0};
  pier_handle ends[2] = {0, 0};

  if (pier_pipe_pair(world.loop, choice & 4 ? NULL : &options, ends) == PIER_OK) {
    calls__keep(ends[0]);
    calls__keep(ends[1]);
  }
}

void calls__open_server(void) {
  unsigned choice = fuzz__byte(&world.input);
  pier_tcp_options options = {.backlog = choice & 1, .share_address = choice & 2, .delay = choice & 4, .dual_stack = choice & 8};
  pier_handle listener = 0;
  pier_address address;

  FUZZ_CHECK(pier_address_parse(choice & 8 ? "::1" : "127.0.0.1", choice & 16 ? world.server.port : 0, &address) == PIER_OK);
  if (pier_tcp_listen(world.loop, &address, &options, &listener) == PIER_OK) {
    FUZZ_CHECK(pier_tcp_local_address(listener, &world.server) == PIER_OK);
    calls__keep(listener);
  }
}

void calls__open_client(void) {
  struct submit *submit = calls__submit(0, false);
  uint64_t deadline_ns = calls__deadline();

  if (submit)
    calls__submitted(submit, pier_tcp_connect(world.loop, &world.server, NULL, deadline_ns, calls__on_done, submit));
}

void calls__open_accept(void) {
  pier_handle listener = calls__handle();
  struct submit *submit = calls__submit(0, false);
  uint64_t deadline_ns = calls__deadline();

  if (submit && fuzz__byte(&world.input) % 2)
    calls__submitted(submit, pier_tcp_accept(listener, deadline_ns, calls__on_done, submit));
  else if (submit)
    calls__submitted(submit, pier_pipe_accept(listener, deadline_ns, calls__on_done, submit));
}

void calls__open_pipe_server(void) {
  unsigned choice = fuzz__byte(&world.input);
  pier_pipe_options options = {.message = choice & 1, .instances_max = choice & 2 ? 2 : 0};
  pier_handle listener = 0;

  if (pier_pipe_listen(world.loop, calls__name(), &options, &listener) == PIER_OK)
    calls__keep(listener);
}

void calls__open_pipe_client(void) {
  pier_pipe_options options = {.message = fuzz__byte(&world.input) & 1};
  struct submit *submit = calls__submit(0, false);
  uint64_t deadline_ns = calls__deadline();

  if (submit)
    calls__submitted(submit, pier_pipe_connect(world.loop, calls__name(), &options, deadline_ns, calls__on_done, submit));
}

void calls__open_file(void) {
  const char *name = calls__name();
  unsigned flags = fuzz__byte(&world.input) & ~(unsigned)PIER_OPEN_DIRECT;
  pier_handle handle = 0;

  if (pier_file_open_sync(world.loop, name, flags, &handle) == PIER_OK)
    calls__keep(handle);
}

static void load_file(const char *name) {
  struct submit *submit = calls__submit(calls__length(), true);
  uint64_t deadline_ns = calls__deadline();

  if (submit)
    calls__submitted(submit, pier_file_load(world.loop, name, submit->buffer + GUARD_BYTES, submit->length, deadline_ns, calls__on_done, submit));
}

/* As a handle; or, by the flag that there is no use for here, all at once. */
void calls__open_file_later(void) {
  const char *name = calls__name();
  unsigned flags = fuzz__byte(&world.input);
  if (flags & PIER_OPEN_DIRECT) {
    load_file(name);
    return;
  }
  struct submit *submit = calls__submit(0, false);
  uint64_t deadline_ns = calls__deadline();

  if (submit)
    calls__submitted(submit, pier_file_open(world.loop, name, flags, deadline_ns, calls__on_done, submit));
}

/* Two connected streams of TCP, which leave nothing behind in the system when they are closed. */
static bool native_tcp(int ends[2]) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t length = sizeof address;
  struct linger at_once = {1, 0};
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ends[1] = -1;
  if (bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0 &&
      getsockname(listener, (struct sockaddr *)&address, &length) == 0 && connect(ends[0], (struct sockaddr *)&address, length) == 0)
    ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  close(listener);
  if (ends[1] < 0) {
    close(ends[0]);
    return false;
  }
  setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  return true;
}

/* What a program may have opened itself. The second one is the peer, or none. */
static bool native_open(unsigned kind, int ends[2]) {
  ends[1] = -1;
  switch (kind) {
  case 0:
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0;
  case 1:
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0;
  case 2:
    return pipe2(ends, O_CLOEXEC) == 0;
  case 3:
    return native_tcp(ends);
  case 4:
    ends[0] = open(calls__name(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return ends[0] >= 0;
  case 5:
    ends[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return ends[0] >= 0;
  case 6:
    ends[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
    return ends[0] >= 0;
  default:
    ends[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return ends[0] >= 0;
  }
}

static void register_one(int descriptor, unsigned choice) {
  pier_register_options options = {.association = (pier_association)(choice % 3), .keep_open = choice & 4};
  pier_handle handle = 0;

  int status = pier_register(world.loop, (pier_native)descriptor, &options, &handle);
  if (status == PIER_OK)
    calls__keep(handle);
  if (status != PIER_OK || options.keep_open)
    calls__keep_native(descriptor);
}

void calls__open_registered(void) {
  unsigned kind = fuzz__below(&world.input, 8);
  unsigned choice = fuzz__byte(&world.input);
  int ends[2];

  if (world.natives_used + 2 > NATIVES_MAX || !native_open(kind, ends))
    return;
  if (choice & 8)
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
  register_one(ends[0], choice);
  if (ends[1] >= 0 && choice & 16)
    register_one(ends[1], choice >> 5);
  else if (ends[1] >= 0)
    calls__keep_native(ends[1]);
}
