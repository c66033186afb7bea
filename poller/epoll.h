/* What the files of the epoll backend share. */
#ifndef PIER_EPOLL_H
#define PIER_EPOLL_H

#include "port.h"
#include <sys/epoll.h>

/* What is known of a handle's descriptor; in handle->watch, under the lock of its lanes. */
enum epoll_watch {
  WATCH_ADDED = 1,   /* it is in the set */
  WATCH_ROOM = 2,    /* and room to write is watched for as well */
  WATCH_READ = 4,    /* there may be something to read: worth a call */
  WATCH_WRITE = 8,   /* there may be room to write */
  WATCH_TRUSTLESS = 16 /* it has ended or failed, or has urgent data: a short read says nothing about the next one */
};

/* Puts it into the set, for reading and, if asked for, for writing; changes what is watched for. 0 or an errno. Under the lock. */
uint32_t epoll__watch(struct handle *handle, bool room);
void epoll__unwatch(struct handle *handle);

/* Waits for a set; in milliseconds, rounded up, where the kernel has nothing better. */
int epoll__call(int set, struct epoll_event *events, int max, uint64_t timeout_ns);

/* epoll_lane.c: operations. */
enum port_start epoll__submit(struct op *op, struct piece *piece);
void epoll__cancel(struct op *op);
void epoll__resume(struct op *op);
void epoll__end(struct op *op);
bool epoll__cancel_all(struct handle *handle);
/* What the system has said of a handle; stale ids do nothing. */
void epoll__event(struct poller *poller, pier_handle id, uint32_t events);
void epoll__look(struct poller *poller, pier_handle id);

#endif
