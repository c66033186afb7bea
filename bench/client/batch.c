/* The receiver of tcp_write_batch: looks at every byte, and closes after the last. */
#include "client.h"

#include "socket.h"

#include "../common/records.h"

#define BUFFER_BYTES 65536

int client_tcp_batch(const struct bench_options *options, struct bench_result *result) {
  char *buffer = bench_allocate(1, BUFFER_BYTES);
  client_socket socket = client_connect(options);
  size_t got;

  bench_begin(result);
  while ((got = client_receive(socket, buffer, BUFFER_BYTES)) > 0) {
    bench_records_check(options, result->bytes, buffer, got);
    result->bytes += got;
  }
  bench_end(result);
  result->operations = result->bytes / options->block_bytes;
  client_close(socket);
  bench_release(buffer);
  return 0;
}
