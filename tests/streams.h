/* Pairs of connected handles, one of each sort that reading, cancelling and closing have to work alike on. */
#ifndef PIER_TESTS_STREAMS_H
#define PIER_TESTS_STREAMS_H

#include "support.h"

typedef enum streams_sort {
  STREAMS_PIPE,
  STREAMS_MESSAGE_PIPE,
  STREAMS_TCP,
  STREAMS_KEPT_PIPE, /* registered with PIER_ASSOCIATE_NEVER: the event path */
  STREAMS_KEPT_TCP,
  STREAMS_UDP, /* each end has the other as its peer */
  STREAMS_KEPT_UDP,
  STREAMS_BLOCKING_PIPE, /* the first end is not opened for overlapped I/O, the second is */
  STREAMS_SORTS
} streams_sort;

const char *streams__name(streams_sort sort);

/* Datagrams have no end that a peer's close could bring. */
bool streams__has_end(streams_sort sort);

/* Opens a pair; the case fails when that fails. */
void streams__pair(pier_loop *loop, streams_sort sort, pier_handle ends[2]);

/* Listens on 127.0.0.1 and a port of the system's choice. */
pier_handle streams__tcp_listen(pier_loop *loop, pier_address *address);

/* On 127.0.0.1 and a port of the system's choice. */
pier_handle streams__udp_open(pier_loop *loop, pier_address *address);

/* Connects to a listener; ends[0] is the accepted one. */
void streams__tcp_connect(pier_loop *loop, pier_handle listener, const pier_address *address, pier_handle ends[2]);

/* Listens on a new name and connects to it; ends[0] is the accepted one. */
void streams__pipe_pair(pier_loop *loop, const pier_pipe_options *options, pier_handle ends[2]);

void streams__close_pair(pier_loop *loop, const pier_handle ends[2]);

/* Writes all of it and reads it at the other end, which is compared. */
void streams__exchange(pier_loop *loop, pier_handle from, pier_handle to, size_t length, uint64_t pattern);

#endif
