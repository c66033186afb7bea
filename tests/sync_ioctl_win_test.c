/* Control codes of Windows on the sync path. */
#include <winsock2.h>
#include <mswsock.h>

#include "sync_native.h"

static void b14_a_long_ioctl_of_a_socket_times_out(void **state) {
  (void)state;
  pier_native socket = sync_native__tcp();
  sync_port *port = sync_native__port(socket);

  uint64_t began_ns = pier_now_ns();
  assert_status(pier_sync_ioctl(socket, (uint32_t)SIO_ADDRESS_LIST_CHANGE, NULL, 0, NULL, 0, 30 * PIER_MILLISECOND, NULL), PIER_ETIMEDOUT);
  assert_true(pier_now_ns() - began_ns >= 30 * PIER_MILLISECOND);
  sync_native__assert_silent(port);
  support__native_close_socket(socket);
  sync_native__close_port(port);
}

static void b14_an_ioctl_of_a_pipe_gives_its_bytes(void **state) {
  (void)state;
  /* FSCTL_PIPE_PEEK: state, bytes available, messages, length of the message, then data. */
  const uint32_t peek = 0x0011400C;
  uint32_t output[8] = {0};
  sync_pair pipe = sync_native__open_pair(false);
  pier_sync_result result;

  sync_native__write_all(pipe.ends[1], "data");
  assert_status(pier_sync_ioctl(pipe.ends[0], peek, NULL, 0, output, 20, PIER_SECOND, &result), PIER_OK);
  assert_int_equal(result.bytes, 20);
  assert_int_equal(output[1], 4);
  assert_memory_equal(&output[4], "data", 4);
  assert_true(pier_sync_ioctl(pipe.ends[0], 0x80001234, NULL, 0, NULL, 0, PIER_SECOND, &result) < 0);
  assert_true(result.system_code != 0);
  sync_native__close_pair(&pipe);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b14_a_long_ioctl_of_a_socket_times_out),
      SUPPORT_TEST(b14_an_ioctl_of_a_pipe_gives_its_bytes),
  };
  return support__main(argc, argv, "sync_ioctl_win", tests, sizeof tests / sizeof tests[0]);
}
