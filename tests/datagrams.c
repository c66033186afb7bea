#include "datagrams.h"

#include <string.h>

datagrams datagrams__open(datagrams_sort sort) {
  datagrams pair = {.loop = support__open()};
  for (int i = 0; i < 2; i++) {
    pier_register_options options = {.association = sort == DATAGRAMS_KEPT ? PIER_ASSOCIATE_NEVER : PIER_ASSOCIATE_NOW};
    if (sort == DATAGRAMS_OWN) {
      pair.ends[i] = streams__udp_open(pair.loop, &pair.addresses[i]);
      continue;
    }
    assert_status(pier_register(pair.loop, support__native_udp(), &options, &pair.ends[i]), PIER_OK);
    assert_int_equal(pier_handle_kind(pair.ends[i]), PIER_KIND_UDP);
    assert_status(pier_udp_local_address(pair.ends[i], &pair.addresses[i]), PIER_OK);
  }
  return pair;
}

void datagrams__close(datagrams *pair) {
  streams__close_pair(pair->loop, pair->ends);
  support__close(pair->loop);
}

pier_address datagrams__closed_port(pier_loop *loop) {
  pier_address address;
  support__close_handle(loop, streams__udp_open(loop, &address));
  return address;
}

support_outcome *datagrams__receive(pier_handle handle, void *buffer, size_t length) {
  support_outcome *received = support__outcome();
  assert_true(pier_receive_from(handle, buffer, length, PIER_NO_DEADLINE, support__take, received) != 0);
  return received;
}

support_outcome *datagrams__receivev(pier_handle handle, const pier_buffer *parts, size_t count) {
  support_outcome *received = support__outcome();
  assert_true(pier_receivev_from(handle, parts, count, PIER_NO_DEADLINE, support__take, received) != 0);
  return received;
}

support_outcome *datagrams__send(pier_loop *loop, pier_handle handle, const void *bytes, size_t length, const pier_address *to) {
  support_outcome *sent = support__outcome();
  assert_true(pier_send_to(handle, bytes, length, to, PIER_NO_DEADLINE, support__take, sent) != 0);
  await_status(loop, sent, PIER_OK);
  assert_int_equal(sent->got.bytes, length);
  return sent;
}

bool datagrams__same(const pier_address *a, const pier_address *b) {
  return a->family == b->family && a->port == b->port && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

void datagrams__assert_from(const support_outcome *received, const pier_address *sender) {
  if (!datagrams__same(&received->got.from, sender))
    fail_msg("it came from family %d, port %d", received->got.from.family, received->got.from.port);
}
