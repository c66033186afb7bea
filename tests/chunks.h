/* Somebody who reads with pier_read_multishot() and keeps the books: how often and what he was called, and what must never be. */
#ifndef PIER_TESTS_CHUNKS_H
#define PIER_TESTS_CHUNKS_H

#include "streams.h"

typedef struct chunks chunks;

struct chunks {
  uint64_t pattern;         /* the stream is the test pattern from here on */
  bool datagrams;           /* it is not: what comes is checked by `then` */
  atomic_uint calls;        /* with `more` */
  atomic_uint last_calls;   /* without; the last thing that is written */
  _Atomic size_t bytes;
  atomic_uint wrong;        /* bytes that are not the pattern's, overlaps, calls after the last, results that say two things */
  atomic_bool inside;
  _Atomic uint64_t operation; /* as the callbacks are told */
  pier_result last;
  uint64_t last_at_ns;
  void (*then)(chunks *self, const pier_result *result); /* in each callback with `more`, when it is in the books; null: nothing */
  void *context;
};

chunks *chunks__new(uint64_t pattern);

/* A pier_callback; its context is a chunks. */
void chunks__take(const pier_result *result);

pier_operation chunks__read(chunks *self, pier_handle handle, uint64_t deadline_ns);

void chunks__await_bytes(pier_loop *loop, chunks *self, size_t bytes);

/* Waits for the last callback, and fails unless the books are right. */
void chunks__await_last(pier_loop *loop, chunks *self, int expected, const char *what, const char *file, int line);
#define await_last(loop, self, expected) chunks__await_last(loop, self, expected, #self, __FILE__, __LINE__)

/* Begins to write so many bytes of the pattern; the same, and waits until they are on their way. */
support_outcome *chunks__begin_write(pier_handle to, size_t length, uint64_t pattern);
void chunks__write(pier_loop *loop, pier_handle to, size_t length, uint64_t pattern);

/* Whether pier_read_multishot() takes it. */
bool chunks__fit(streams_sort sort);

/* Whether reads that come later wait for its end. Otherwise they take turns with it. */
bool chunks__come_first(streams_sort sort);

#endif
