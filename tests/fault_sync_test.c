/* The sync path when the system interrupts, cuts short, puts off or refuses. */
#include "fault.h"
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LENGTH = 3000, CUT = 100, EVERY = 1000000, ENDS = 5 };

static const uint64_t timeouts_ns[] = {PIER_NO_TIMEOUT, 20 * PIER_SECOND};

/* One pair of each sort that the sync path knows, ends[1] for writing. Null: there are no more. */
static const char *open_ends(int sort, pier_native ends[2]) {
  static const char *const names[ENDS] = {"TCP", "local stream", "message pipe", "fifo", "datagrams"};
  int natives[2];
  switch (sort) {
  case 0:
    support__native_tcp_pair(ends);
    break;
  case 1:
  case 2:
    support__native_pipe_pair(sort == 2, false, false, ends);
    break;
  case 3:
    assert_int_equal(pipe2(natives, O_CLOEXEC), 0);
    ends[0] = (pier_native)natives[0];
    ends[1] = (pier_native)natives[1];
    break;
  case 4:
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, natives), 0);
    ends[0] = (pier_native)natives[0];
    ends[1] = (pier_native)natives[1];
    break;
  default:
    return NULL;
  }
  return names[sort];
}

static void close_ends(const pier_native ends[2]) {
  close((int)ends[0]);
  close((int)ends[1]);
}

/* What was written comes, in as many reads as it takes. */
static void pass(const pier_native ends[2], size_t length, uint64_t timeout_ns) {
  unsigned char sent[LENGTH], got[LENGTH];
  pier_sync_result result;
  support__fill(sent, length, 0);
  assert_status(pier_sync_write(ends[1], sent, length, timeout_ns, &result), PIER_OK);
  assert_int_equal(result.bytes, length);
  for (size_t have = 0; have < length; have += result.bytes) {
    assert_status(pier_sync_read(ends[0], got + have, length - have, timeout_ns, &result), PIER_OK);
    assert_true(result.bytes > 0 && !result.end);
  }
  assert_true(support__filled(got, length, 0));
}

static void interrupted_calls_are_made_again(void **state) {
  (void)state;
  pier_native ends[2];
  for (int sort = 0; open_ends(sort, ends); sort++) {
    for (int patient = 0; patient < 2; patient++) {
      fault__clear();
      for (fault_call call = FAULT_RECEIVE; call <= FAULT_WRITE; call++)
        fault__fail(call, 0, 3, EINTR);
      pass(ends, 100, timeouts_ns[patient]);
      assert_int_equal(fault__struck(), 6);
      fault__clear();
    }
    close_ends(ends);
  }
}

/* Not messages: those go whole. */
static void short_transfers_go_on(void **state) {
  (void)state;
  pier_native ends[2];
  for (int sort = 0; open_ends(sort, ends); sort++) {
    for (int patient = 0; patient < 2 && sort != 2 && sort != 4; patient++) {
      fault__clear();
      for (fault_call call = FAULT_RECEIVE; call <= FAULT_WRITE; call++)
        fault__cut(call, 0, EVERY, CUT);
      pass(ends, LENGTH, timeouts_ns[patient]);
      assert_true(fault__struck() >= 2 * LENGTH / CUT);
      fault__clear();
    }
    close_ends(ends);
  }
}

/* "Would wait" although it said that it was ready, and waiting that a signal ends. */
static void what_is_put_off_is_waited_for(void **state) {
  (void)state;
  pier_native ends[2];
  for (int sort = 0; open_ends(sort, ends); sort++) {
    fault__clear();
    for (fault_call call = FAULT_RECEIVE; call <= FAULT_WRITE; call++)
      fault__fail(call, 0, 1, EAGAIN);
    fault__fail(FAULT_WAIT, 0, 2, EINTR);
    pass(ends, 100, timeouts_ns[1]);
    assert_int_equal(fault__struck(), 4);
    fault__clear();
    close_ends(ends);
  }
}

static void a_wait_that_fails_is_told(void **state) {
  (void)state;
  pier_native ends[2];
  pier_sync_result result;
  char byte;
  support__native_pipe_pair(false, true, true, ends);
  fault__clear();
  fault__fail(FAULT_WAIT, 0, 1, ENOMEM);
  assert_status(pier_sync_read(ends[0], &byte, 1, timeouts_ns[1], &result), PIER_ENOMEM);
  fault__fail(FAULT_WAIT, 0, 1, ENOMEM);
  assert_status(pier_sync_read(ends[0], &byte, 0, timeouts_ns[1], &result), PIER_ENOMEM);
  fault__clear();
  close_ends(ends);
}

static void files_are_read_and_written_in_short_steps(void **state) {
  (void)state;
  unsigned char bytes[LENGTH], got[LENGTH];
  pier_sync_result result;
  int file = open(support__temp_path(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const pier_buffer parts[2] = {{got, 10}, {got + 10, LENGTH - 10}};
  assert_true(file >= 0);
  support__fill(bytes, LENGTH, 0);
  fault__clear();
  fault__cut(FAULT_WRITE, 0, EVERY, CUT);
  assert_status(pier_sync_write_at((pier_native)file, bytes, LENGTH, 0, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, LENGTH);
  assert_status(pier_sync_write((pier_native)file, bytes, LENGTH, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, LENGTH);
  /* The quick way gives up when it is short, and the usual one begins again. */
  fault__cut(FAULT_READ, 0, 1, CUT);
  assert_status(pier_sync_read_at((pier_native)file, got, LENGTH, 0, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, LENGTH);
  assert_true(support__filled(got, LENGTH, 0));
  fault__fail(FAULT_READ, 0, 2, EINTR);
  assert_status(pier_sync_readv((pier_native)file, parts, 2, 0, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, LENGTH);
  fault__fail(FAULT_READ, 0, 2, EIO);
  assert_status(pier_sync_read_at((pier_native)file, got, LENGTH, 0, PIER_NO_TIMEOUT, &result), PIER_EIO);
  assert_int_equal(result.system_code, EIO);
  fault__cut(FAULT_WRITE, 0, 1, CUT);
  fault__fail(FAULT_STAT, 0, 1, EIO);
  assert_status(pier_sync_write((pier_native)file, bytes, LENGTH, PIER_NO_TIMEOUT, &result), PIER_EBADF);
  fault__clear();
  close(file);
}

/* What was moved before the failure is told beside it. */
static void a_write_that_breaks_off_says_how_far_it_came(void **state) {
  (void)state;
  unsigned char bytes[LENGTH] = {0};
  pier_sync_result result;
  pier_native ends[2];
  support__native_pipe_pair(false, false, false, ends);
  fault__clear();
  const pier_buffer parts[2] = {{bytes, 10}, {bytes + 10, LENGTH - 10}};
  fault__cut(FAULT_SEND, 0, 1, 100);
  fault__fail(FAULT_WAIT, 0, 1, EIO);
  assert_status(pier_sync_writev(ends[1], parts, 2, -1, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(result.bytes, LENGTH);
  fault__clear();
  fault__fail(FAULT_SEND, 0, 1, EPIPE);
  assert_status(pier_sync_writev(ends[1], parts, 2, -1, PIER_NO_TIMEOUT, &result), PIER_EPIPE);
  assert_int_equal(result.bytes, 0);
  assert_int_equal(result.system_code, EPIPE);
  fault__clear();
  close_ends(ends);
}

/* ---- Connections ---- */

static int open_listener(pier_address *address) {
  struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof local;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&local, length), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&local, &length), 0);
  assert_int_equal(listen(listener, 8), 0);
  assert_status(pier_address_parse("127.0.0.1", ntohs(local.sin_port), address), PIER_OK);
  return listener;
}

/* Clients that went away and signals are no reason to give up an accept. */
static void an_accept_goes_on_after_what_is_none_of_its_business(void **state) {
  (void)state;
  static const int codes[] = {EINTR, ECONNABORTED, EPROTO, EAGAIN};
  pier_address address;
  pier_native accepted;
  pier_sync_result result;
  int listener = open_listener(&address);
  for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    for (int patient = 0; patient < 2; patient++) {
      int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      assert_status(pier_sync_connect((pier_native)client, &address, timeouts_ns[patient], &result), PIER_OK);
      fault__clear();
      fault__fail(FAULT_ACCEPT, 0, 2, codes[i]);
      assert_status(pier_sync_accept((pier_native)listener, timeouts_ns[patient], &accepted, &result), PIER_OK);
      assert_int_equal(fault__struck(), 2);
      close((int)accepted);
      close(client);
    }
  }
  fault__fail(FAULT_ACCEPT, 0, 1, EMFILE);
  assert_status(pier_sync_accept((pier_native)listener, PIER_NO_TIMEOUT, &accepted, &result), PIER_EMFILE);
  assert_true(accepted == PIER_NATIVE_NONE && result.system_code == EMFILE);
  fault__fail(FAULT_OPTION, 0, EVERY, ENOBUFS);
  assert_status(pier_sync_accept((pier_native)listener, PIER_NO_TIMEOUT, &accepted, &result), PIER_EBADF);
  fault__clear();
  close(listener);
}

static void a_connect_that_fails_says_why(void **state) {
  (void)state;
  pier_address address;
  pier_sync_result result;
  int listener = open_listener(&address);
  for (int patient = 0; patient < 2; patient++) {
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fault__clear();
    fault__fail(FAULT_CONNECT, 0, 1, EADDRNOTAVAIL);
    assert_status(pier_sync_connect((pier_native)client, &address, timeouts_ns[patient], &result), PIER_EADDRNOTAVAIL);
    assert_int_equal(result.system_code, EADDRNOTAVAIL);
    /* Under way, and the wait for its end fails, or its result cannot be had. */
    fault__fail(FAULT_CONNECT, 0, 1, EINPROGRESS);
    fault__fail(FAULT_WAIT, 0, 1, ENOMEM);
    assert_status(pier_sync_connect((pier_native)client, &address, timeouts_ns[patient], &result), PIER_ENOMEM);
    fault__clear();
    assert_status(pier_sync_connect((pier_native)client, &address, timeouts_ns[patient], &result), PIER_OK);
    close(client);
  }
  close(listener);
}

/* ---- A pipe's instance that becomes its connection ---- */

static int open_local_listener(const char *path, int *client) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(listener, 1), 0);
  *client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(*client, (struct sockaddr *)&address, sizeof address), 0);
  return listener;
}

static void a_pipe_that_cannot_become_a_connection_leaves_nothing_open(void **state) {
  (void)state;
  pier_sync_result result;
  int client;
  int listener = open_local_listener(support__temp_path(), &client);
  size_t handles = support__handle_count();
  fault__clear();
  fault__fail(FAULT_DUPLICATE, 0, 1, EMFILE);
  assert_status(pier_sync_pipe_accept((pier_native)listener, PIER_NO_TIMEOUT, &result), PIER_EMFILE);
  assert_int_equal(result.system_code, EMFILE);
  assert_int_equal(support__handle_count(), handles);
  fault__fail(FAULT_ACCEPT, 0, 1, ENFILE);
  assert_status(pier_sync_pipe_accept((pier_native)listener, PIER_NO_TIMEOUT, &result), PIER_EMFILE);
  fault__fail(FAULT_OPTION, 2, 1, ENOBUFS); /* after the two that say what it is */
  assert_status(pier_sync_pipe_accept((pier_native)listener, PIER_NO_TIMEOUT, &result), PIER_EBADF);
  fault__clear();
  close(client);
  close(listener);
}

static void a_control_code_is_sent_again_after_a_signal(void **state) {
  (void)state;
  pier_native ends[2];
  pier_sync_result result;
  int waiting = 0;
  support__native_pipe_pair(false, false, false, ends);
  assert_int_equal(write((int)ends[1], "abc", 3), 3);
  fault__clear();
  fault__fail(FAULT_CONTROL, 0, 2, EINTR);
  assert_status(pier_sync_ioctl(ends[0], FIONREAD, NULL, 0, &waiting, sizeof waiting, PIER_NO_TIMEOUT, &result), PIER_OK);
  assert_int_equal(waiting, 3);
  assert_int_equal(result.bytes, sizeof waiting);
  fault__fail(FAULT_CONTROL, 0, 1, EIO);
  assert_status(pier_sync_ioctl(ends[0], FIONREAD, NULL, 0, &waiting, sizeof waiting, PIER_NO_TIMEOUT, &result), PIER_EIO);
  assert_int_equal(result.bytes, 0);
  fault__clear();
  close_ends(ends);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      FAULT_TEST(interrupted_calls_are_made_again),
      FAULT_TEST(short_transfers_go_on),
      FAULT_TEST(what_is_put_off_is_waited_for),
      FAULT_TEST(a_wait_that_fails_is_told),
      FAULT_TEST(files_are_read_and_written_in_short_steps),
      FAULT_TEST(a_write_that_breaks_off_says_how_far_it_came),
      FAULT_TEST(an_accept_goes_on_after_what_is_none_of_its_business),
      FAULT_TEST(a_connect_that_fails_says_why),
      FAULT_TEST(a_pipe_that_cannot_become_a_connection_leaves_nothing_open),
      FAULT_TEST(a_control_code_is_sent_again_after_a_signal),
  };
  return support__main(argc, argv, "fault_sync", tests, sizeof tests / sizeof tests[0]);
}
