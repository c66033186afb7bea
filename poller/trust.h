/* Local stream sockets whose short reads are believed; private to the library.

   A read that was short has emptied its stream, and the call that would say so is spared: what comes later is an event of its own. A local
   socket's read may also end where its peer has put descriptors between the bytes, or at another sender's if the socket is told of
   senders. recvmsg() shows that, and costs a tenth of an echo more than recv(). Hardly any peer does it. So such a stream is read with
   recv() and believed, but not for long: it is noted, and at the next tick all that are noted and wait are asked for what they hold. One that
   was behind goes on then, and is read with recvmsg() for a while, as long as that shows such places. */
#ifndef PIER_TRUST_H
#define PIER_TRUST_H

#include "poller.h"
#include <sys/types.h>

/* How long a stream may be behind, once. */
#define TRUST_TICK_NS (10 * PIER_MILLISECOND)

/* So many can be noted between two ticks; any further one is asked at once. */
#define TRUST_MAX 256u

struct trust {
  struct mutex lock;
  bool armed; /* a tick is to come */
  uint32_t count;
  pier_handle noted[TRUST_MAX];
};

void trust__open(struct trust *trust);
void trust__close(struct trust *trust);

/* recv() of a local stream socket, without waiting. MSG_CTRUNC in *flags: that it was short says nothing. */
ssize_t trust__receive(struct handle *handle, void *buffer, size_t room_bytes, int *flags);

/* Whether it is empty after a read that was short; of any handle but a local stream socket it is. Under the lock of its lanes; with
   io_uring in a turn. */
bool trust__believes(struct handle *handle);

/* The tick: each backend's look() is called for those that are noted. */
void trust__tick(struct poller *poller);

/* For that: whether it holds something. Under the lock of its lanes, with a reader there. */
bool trust__is_behind(struct handle *handle);

#endif
