/* Datagrams that are sent here and now, many with one call. Those that follow each other to one address and are of one length (the last
   may be shorter) are a run: it goes through the network's code as one large datagram that is cut at the end of the way (UDP_SEGMENT). */
#ifndef PIER_SENDS_H
#define PIER_SENDS_H

#include "poller.h"

/* Sends as many as go without waiting and says how many. A failure (an errno) is told only if nothing went; EAGAIN: none can without waiting.
   Under the lanes' lock. */
int sends__all(struct handle *handle, const pier_datagram *datagrams, size_t count, size_t *sent_count);

#endif
