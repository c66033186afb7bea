/* Reads and writes of every form: what a call was given, before anything is believed of it, and its way to an operation. */
#ifndef PIER_IO_REQUEST_H
#define PIER_IO_REQUEST_H

#include "loop.h"
#include "pier_io.h"

struct io_request {
  enum op_code code;
  bool vectored;            /* otherwise there is one part: `one` */
  bool positioned;          /* at `offset` */
  bool addressed;           /* a datagram: to `to`, or from whoever sent it */
  const pier_buffer *parts;
  size_t count;
  pier_buffer one;
  int64_t offset;
  const pier_address *to;
  uint64_t deadline_ns;
};

pier_operation io__submit(pier_handle id, const struct io_request *request, pier_callback callback, void *context);

/* What could not be decided about an operation when it was submitted, because nobody knew yet what its handle is (OP_GATED).
   PIER_OK, or the status that it is refused with. */
int io__admit(struct op *op);

#endif
