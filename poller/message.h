/* Messages over a SOCK_SEQPACKET socket, with the semantics of a message pipe: one that is longer than the buffer gives its first
   bytes, and the next read goes on with it; one without a byte is told apart from the end.

   The system throws away what did not fit. So a message is looked at behind a cursor that the socket keeps (SO_PEEK_OFF), and taken
   out when it has been seen to its end; the credentials that come with every message (SO_PASSCRED), and never with the end, tell
   an empty one from it. */
#ifndef PIER_MESSAGE_H
#define PIER_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct message {
  uint32_t code;  /* an errno, 0 for success; EMSGSIZE: it goes on; EAGAIN: there is none */
  uint32_t bytes;
  bool end;       /* the other end is closed, and all has been read */
};

/* Puts the socket in that mode, once. */
void message__prepare(int descriptor);

/* Never waits. */
struct message message__receive(int descriptor, struct iovec *parts, unsigned count);

/* Never waits either. One that is larger than the system allows so far has it allow more. */
struct message message__send(int descriptor, struct iovec *parts, unsigned count);

#endif
