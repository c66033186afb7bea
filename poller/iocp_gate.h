/* The gate of a registered handle: operations wait there until it is known what the handle is. */
#ifndef PIER_IOCP_GATE_H
#define PIER_IOCP_GATE_H

#include "iocp.h"

/* What the system says of a handle. */
struct register_answer {
  pier_kind kind; /* PIER_KIND_UNKNOWN: nothing that can be served */
  int family;     /* a socket's */
  bool is_socket;
  bool blocks;
  bool modes_known;
  uint32_t modes;
};

/* Asks for it all. Waits while somebody is inside a blocking call on the handle. */
void register__ask(HANDLE native, struct register_answer *answer);
/* Makes it the handle's. A kind that the caller has told stays. */
void register__apply(struct handle *handle, const struct register_answer *answer);

/* Gives a handle a gate, closed. */
int gate__create(struct handle *handle, handle_admit admit);
/* Takes an operation out of those that wait, if it is there. */
bool gate__give_up(struct op *op);
/* The handle is ending: nobody wants an answer any more. True if the system's handle will be closed by who asks. */
bool gate__end(struct handle *handle, bool ours_to_close);

#endif
