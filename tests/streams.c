#include "streams.h"

const char *streams__name(streams_sort sort) {
  static const char *const names[STREAMS_SORTS] = {
      [STREAMS_PIPE] = "pipe",         [STREAMS_MESSAGE_PIPE] = "message pipe",
      [STREAMS_TCP] = "TCP",           [STREAMS_KEPT_PIPE] = "kept pipe",
      [STREAMS_KEPT_TCP] = "kept TCP", [STREAMS_BLOCKING_PIPE] = "blocking pipe",
      [STREAMS_UDP] = "UDP",           [STREAMS_KEPT_UDP] = "kept UDP",
  };
  return names[sort];
}

bool streams__has_end(streams_sort sort) {
  return sort != STREAMS_UDP && sort != STREAMS_KEPT_UDP;
}


pier_handle streams__udp_open(pier_loop *loop, pier_address *address) {
  pier_handle handle = 0;
  assert_status(pier_address_parse("127.0.0.1", 0, address), PIER_OK);
  assert_status(pier_udp_open(loop, address, NULL, &handle), PIER_OK);
  assert_status(pier_udp_local_address(handle, address), PIER_OK);
  return handle;
}

static void streams__udp_pair(pier_loop *loop, pier_handle ends[2]) {
  pier_address addresses[2];
  for (int i = 0; i < 2; i++)
    ends[i] = streams__udp_open(loop, &addresses[i]);
  for (int i = 0; i < 2; i++)
    assert_status(pier_udp_connect(ends[i], &addresses[!i]), PIER_OK);
}

pier_handle streams__tcp_listen(pier_loop *loop, pier_address *address) {
  pier_handle listener = 0;
  assert_status(pier_address_parse("127.0.0.1", 0, address), PIER_OK);
  assert_status(pier_tcp_listen(loop, address, NULL, &listener), PIER_OK);
  assert_status(pier_tcp_local_address(listener, address), PIER_OK);
  return listener;
}

void streams__tcp_connect(pier_loop *loop, pier_handle listener, const pier_address *address, pier_handle ends[2]) {
  support_outcome *accepted = support__outcome(), *connected = support__outcome();
  assert_true(pier_tcp_accept(listener, PIER_NO_DEADLINE, support__take, accepted) != 0);
  assert_true(pier_tcp_connect(loop, address, NULL, PIER_NO_DEADLINE, support__take, connected) != 0);
  await_status(loop, connected, PIER_OK);
  await_status(loop, accepted, PIER_OK);
  ends[0] = accepted->got.opened;
  ends[1] = connected->got.opened;
  assert_true(ends[0] != 0 && ends[1] != 0);
}

void streams__pipe_pair(pier_loop *loop, const pier_pipe_options *options, pier_handle ends[2]) {
  support_outcome *accepted = support__outcome(), *connected = support__outcome();
  const char *name = support__pipe_name();
  pier_handle listener = 0;
  assert_status(pier_pipe_listen(loop, name, options, &listener), PIER_OK);
  assert_true(pier_pipe_accept(listener, PIER_NO_DEADLINE, support__take, accepted) != 0);
  assert_true(pier_pipe_connect(loop, name, options, PIER_NO_DEADLINE, support__take, connected) != 0);
  await_status(loop, connected, PIER_OK);
  await_status(loop, accepted, PIER_OK);
  ends[0] = accepted->got.opened;
  ends[1] = connected->got.opened;
  support__close_handle(loop, listener);
}

static void streams__register(pier_loop *loop, const pier_native natives[2], pier_association association,
                              pier_handle ends[2]) {
  /* Kept ones wait at no gate. Blocking ones do: tests/gate_win_test.c is about that. */
  pier_register_options options = {.association = association,
                                   .mode = association == PIER_ASSOCIATE_NEVER ? PIER_MODE_OVERLAPPED : PIER_MODE_UNKNOWN};
  assert_status(pier_register(loop, natives[0], &options, &ends[0]), PIER_OK);
  assert_status(pier_register(loop, natives[1], &options, &ends[1]), PIER_OK);
}

static void streams__tcp_pair(pier_loop *loop, pier_handle ends[2]) {
  pier_address address;
  pier_handle listener = streams__tcp_listen(loop, &address);
  streams__tcp_connect(loop, listener, &address, ends);
  support__close_handle(loop, listener);
}

void streams__pair(pier_loop *loop, streams_sort sort, pier_handle ends[2]) {
  pier_pipe_options options = {.message = sort == STREAMS_MESSAGE_PIPE};
  pier_native natives[2];
  switch (sort) {
  case STREAMS_PIPE:
  case STREAMS_MESSAGE_PIPE:
    assert_status(pier_pipe_pair(loop, &options, ends), PIER_OK);
    break;
  case STREAMS_TCP:
    streams__tcp_pair(loop, ends);
    break;
  case STREAMS_KEPT_PIPE:
  case STREAMS_BLOCKING_PIPE:
    support__native_pipe_pair(false, sort == STREAMS_KEPT_PIPE, true, natives);
    streams__register(loop, natives, sort == STREAMS_KEPT_PIPE ? PIER_ASSOCIATE_NEVER : PIER_ASSOCIATE_LAZY, ends);
    break;
  case STREAMS_KEPT_TCP:
    support__native_tcp_pair(natives);
    streams__register(loop, natives, PIER_ASSOCIATE_NEVER, ends);
    break;
  case STREAMS_UDP:
    streams__udp_pair(loop, ends);
    break;
  case STREAMS_KEPT_UDP:
    support__native_udp_pair(natives);
    streams__register(loop, natives, PIER_ASSOCIATE_NEVER, ends);
    break;
  case STREAMS_SORTS:
    fail_msg("there is no such sort of stream");
  }
}

void streams__close_pair(pier_loop *loop, const pier_handle ends[2]) {
  support__close_handle(loop, ends[0]);
  support__close_handle(loop, ends[1]);
}

void streams__exchange(pier_loop *loop, pier_handle from, pier_handle to, size_t length, uint64_t pattern) {
  unsigned char *sent = support__alloc(length), *received = support__alloc(length);
  support_outcome *written = support__outcome();
  support__fill(sent, length, pattern);
  assert_true(pier_write(from, sent, length, PIER_NO_DEADLINE, support__take, written) != 0);
  for (size_t have = 0; have < length;) {
    support_outcome *read = support__outcome();
    assert_true(pier_read(to, received + have, length - have, PIER_NO_DEADLINE, support__take, read) != 0);
    await_status(loop, read, PIER_OK);
    assert_false(read->got.end);
    have += read->got.bytes;
  }
  await_status(loop, written, PIER_OK);
  assert_int_equal(written->got.bytes, length);
  assert_true(support__filled(received, length, pattern));
}
