#include "floor.h"

#include "../common/latency.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ECHO_BYTES_MAX 4096

static int client__open(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int pipe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  bench_check(pipe >= 0, "socket", errno);
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int error = connect(pipe, (const struct sockaddr *)&address, sizeof address);
  bench_check(error == 0, "connect", errno);
  return pipe;
}

/* One blocking client for all servers: what it costs is the same for each of them. */
static uint64_t client__run(int pipe, const struct bench_options *options, uint64_t duration_ms, struct latency *latency) {
  char sent[ECHO_BYTES_MAX] = {0};
  char received[ECHO_BYTES_MAX] = {0};
  size_t length = (size_t)options->block_bytes;
  uint64_t round_trips = 0;
  uint64_t before_ns = bench_clock_ns();
  uint64_t until_ns = before_ns + duration_ms * 1000000;

  while (before_ns < until_ns) {
    memcpy(sent, &round_trips, sizeof round_trips);
    ssize_t bytes = write(pipe, sent, length);
    bench_check(bytes == (ssize_t)length, "write", errno);
    for (size_t have = 0; have < length; have += (size_t)bytes) {
      bytes = read(pipe, received + have, length - have);
      bench_check(bytes > 0, "read", errno);
    }
    bench_check(memcmp(sent, received, length) == 0, "not the message that was sent, number", (long long)round_trips);
    uint64_t after_ns = bench_clock_ns();
    latency_add(latency, after_ns - before_ns);
    before_ns = after_ns;
    round_trips++;
  }
  return round_trips;
}

int floor_pipe_client(const struct bench_options *options, struct bench_result *result) {
  struct latency *latency = bench_allocate(1, sizeof *latency);
  int pipe = client__open(options->path);

  bench_check(options->block_bytes >= 8 && options->block_bytes <= ECHO_BYTES_MAX, "--block is 8 to", ECHO_BYTES_MAX);
  uint64_t warm = client__run(pipe, options, options->warmup, latency);
  memset(latency, 0, sizeof *latency);
  bench_begin(result);
  result->operations = client__run(pipe, options, options->duration_ms, latency);
  bench_end(result);
  result->latency_p50_ns = latency_quantile(latency, 0.5);
  result->latency_p99_ns = latency_quantile(latency, 0.99);
  result->bytes = (result->operations + warm) * options->block_bytes;
  close(pipe);
  bench_release(latency);
  return 0;
}
