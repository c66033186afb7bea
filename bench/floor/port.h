/* A completion port and the operations under way on it, with handles in the mode that queues no packet for a call that succeeds at once. */
#ifndef BENCH_FLOOR_PORT_H
#define BENCH_FLOOR_PORT_H

#include "../common/bench.h"

#include <winsock2.h>

#include <windows.h>

struct floor_operation {
  OVERLAPPED overlapped; /* first, so that the packet's pointer is the operation */
  struct floor_operation *next;
  void (*done)(struct floor_operation *operation, bool ok, DWORD bytes);
  bool ok;
  DWORD bytes;
};

struct floor_port {
  HANDLE handle;
  struct floor_operation *ready_first;
  struct floor_operation **ready_last;
  ULONG pending;
  bool stop;
};

void floor_port_open(struct floor_port *port);

/* Puts a handle on the port, in skip mode. */
void floor_port_add(const struct floor_port *port, HANDLE handle);

/* Tells the port how a call that was given &operation->overlapped came out. */
void floor_port_started(struct floor_port *port, struct floor_operation *operation, bool ok, DWORD error, DWORD bytes);

/* Runs operations as they complete until port->stop. */
void floor_port_run(struct floor_port *port);

#endif
