/* What the sync path's tests need of Windows itself: files, pipes and sockets on a port that is somebody else's. */
#ifndef PIER_TESTS_SYNC_NATIVE_H
#define PIER_TESTS_SYNC_NATIVE_H

#include "support.h"

/* A port with the handle on it, which nobody but the test looks at. */
typedef struct sync_port sync_port;
sync_port *sync_native__port(pier_native native);
/* Fails if a packet is waiting there. */
void sync_native__assert_silent(sync_port *port);
void sync_native__close_port(sync_port *port);

/* Opens a file that is there, or creates it; for reading and writing. */
pier_native sync_native__open_file(const char *path, bool overlapped);
uint64_t sync_native__file_position(pier_native file);
void sync_native__seek_file(pier_native file, uint64_t offset);

/* Two ends of a pipe, both overlapped; the first one is on a port, which must be silent when the pair is closed. */
typedef struct sync_pair {
  pier_native ends[2];
  sync_port *port;
} sync_pair;
sync_pair sync_native__open_pair(bool message);
void sync_native__close_pair(sync_pair *pair);

/* Reads with the sync path and compares all that the result says; writes all of a text. */
void sync_native__read_is(pier_native native, size_t asked, int status, const char *bytes, bool end);
void sync_native__write_all(pier_native native, const char *bytes);

/* A server's instance of a pipe, overlapped; and a client of it. */
pier_native sync_native__pipe_server(const char *name);
pier_native sync_native__pipe_client(const char *name);
void sync_native__set_read_mode_byte(pier_native pipe);
/* A pipe as CreatePipe makes it: the reading end first, neither for overlapped I/O. */
void sync_native__anonymous_pipe(pier_native ends[2]);

/* A TCP socket that listens on a free port of 127.0.0.1, and its address; one that is neither bound nor connected. */
pier_native sync_native__listener(pier_address *address);
pier_native sync_native__tcp(void);
/* Has it come from a free port of 127.0.0.1; the ports of its two ends. */
void sync_native__bind(pier_native socket);
uint16_t sync_native__local_port(pier_native socket);
uint16_t sync_native__peer_port(pier_native socket);
void sync_native__end_sending(pier_native socket);
/* A UDP socket that is connected to itself, so that plain reads and writes will do. */
pier_native sync_native__udp_to_itself(void);
/* The control code that tells, in 32 bits, how many bytes a socket has for the reader (FIONREAD). */
extern const uint32_t sync_native__waiting_bytes_code;
/* Closes it so that the peer sees a reset. */
void sync_native__reset(pier_native socket);

void sync_native__write(pier_native end, const void *bytes, size_t length); /* by WriteFile alone: does not use the library */
void sync_native__close(pier_native native);                                /* not for sockets */
void sync_native__sleep_ms(unsigned ms);

#endif
