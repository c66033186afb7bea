/* Datagrams: all of them stay on this machine. */
#include "calls.h"

void calls__open_datagrams(void) {
  unsigned choice = fuzz__byte(&world.input);
  pier_udp_options options = {.share_address = choice & 1, .dual_stack = choice & 2, .broadcast = choice & 4};
  pier_address address;
  pier_handle handle = 0;

  FUZZ_CHECK(pier_address_parse(choice & 8 ? "::1" : "127.0.0.1", choice & 16 ? world.datagrams.port : 0, &address) == PIER_OK);
  if (pier_udp_open(world.loop, choice & 32 ? NULL : &address, &options, &handle) == PIER_OK) {
    pier_address own;
    FUZZ_CHECK(pier_udp_local_address(handle, &own) == PIER_OK);
    if (!(choice & 32))
      world.datagrams = own;
    calls__keep(handle);
  }
}

void calls__receive(void) {
  pier_handle handle = calls__handle();
  struct submit *submit = calls__submit(calls__length(), true);
  uint64_t deadline_ns = calls__deadline();

  if (submit)
    calls__submitted(submit, pier_receive_from(handle, submit->buffer + GUARD_BYTES, submit->length, deadline_ns, calls__on_done, submit));
}

void calls__send(void) {
  pier_handle handle = calls__handle();
  struct submit *submit = calls__submit(calls__length(), false);
  uint64_t deadline_ns = calls__deadline();

  if (submit)
    calls__submitted(submit, pier_send_to(handle, submit->buffer + GUARD_BYTES, submit->length, &world.datagrams, deadline_ns, calls__on_done, submit));
}

void calls__set_datagrams(void) {
  pier_handle handle = calls__handle();
  unsigned choice = fuzz__byte(&world.input);
  int value = 0;

  switch (choice % 4) {
  case 0:
    (void)pier_udp_connect(handle, &world.datagrams);
    break;
  case 1:
    (void)pier_udp_connect(handle, NULL);
    break;
  case 2:
    (void)pier_udp_set(handle, (pier_udp_option)(choice >> 5), fuzz__byte(&world.input));
    break;
  default:
    (void)pier_udp_get(handle, (pier_udp_option)(choice >> 5), &value);
  }
}
