/* Two UDP handles that know each other's address, in each state that such a handle can be in. */
#ifndef PIER_TESTS_DATAGRAMS_H
#define PIER_TESTS_DATAGRAMS_H

#include "streams.h"

typedef enum datagrams_sort {
  DATAGRAMS_OWN,        /* opened by Pier */
  DATAGRAMS_REGISTERED, /* opened by the test, on Pier's port */
  DATAGRAMS_KEPT,       /* the same, never on the port: the event path */
  DATAGRAMS_SORTS
} datagrams_sort;

typedef struct datagrams {
  pier_loop *loop;
  pier_handle ends[2];
  pier_address addresses[2];
} datagrams;

datagrams datagrams__open(datagrams_sort sort);
void datagrams__close(datagrams *pair);

/* A port of 127.0.0.1 that nobody has any more. */
pier_address datagrams__closed_port(pier_loop *loop);

support_outcome *datagrams__receive(pier_handle handle, void *buffer, size_t length);
support_outcome *datagrams__receivev(pier_handle handle, const pier_buffer *parts, size_t count);
/* Sends, and waits until it is sent whole. */
support_outcome *datagrams__send(pier_loop *loop, pier_handle handle, const void *bytes, size_t length, const pier_address *to);

bool datagrams__same(const pier_address *a, const pier_address *b);
void datagrams__assert_from(const support_outcome *received, const pier_address *sender);

#endif
