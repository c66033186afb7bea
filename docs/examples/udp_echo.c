/* Sends every datagram back to where it came from.
 *
 *     udp_echo --port 7000 --threads 0
 *
 * A few receives wait at once, each with a buffer of its own, so that what comes in a burst finds one ready. The result of a
 * receive says who sent the datagram; the answer goes there from the same buffer, and when it has gone the next receive is
 * made with it. Callbacks of one handle never overlap, whatever --threads says, so the counts need no lock.
 */
#include "options.h"
#include "pier.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RECEIVES 16
#define DATAGRAM_BYTES 2048 /* what is longer comes back cut */

struct server {
  pier_loop *loop;
  pier_handle handle;
  uint64_t answered, cut;
};

struct receive {
  struct server *server;
  char buffer[DATAGRAM_BYTES];
};

static void on_received(const pier_result *result);

static void receive_next(struct receive *receive) {
  if (pier_receive_from(receive->server->handle, receive->buffer, sizeof receive->buffer, PIER_NO_DEADLINE, on_received, receive) == 0) {
    fprintf(stderr, "no operation is left to receive with: one receive fewer waits\n");
  }
}

/* That a datagram could not be sent is the sender's loss, and no reason to stop: he has to reckon with it anyway. */
static void on_sent(const pier_result *result) {
  struct receive *receive = result->context;

  if (result->status == PIER_ECLOSED) {
    return;
  }
  receive->server->answered += result->status == PIER_OK;
  receive_next(receive);
}

static void on_received(const pier_result *result) {
  struct receive *receive = result->context;

  if (result->status == PIER_ECLOSED) {
    return; /* the server is ending */
  }
  receive->server->cut += result->status == PIER_EMSGSIZE;
  if (result->status != PIER_OK && result->status != PIER_EMSGSIZE) {
    fprintf(stderr, "cannot receive: %s\n", pier_error_text(result->status));
    receive_next(receive);
  } else if (pier_send_to(result->handle, receive->buffer, result->bytes, &result->from, PIER_NO_DEADLINE, on_sent, receive) == 0) {
    receive_next(receive);
  }
}

/* Blocks, so it runs on one of the loop's workers. */
static int wait_for_end_of_input(void *context) {
  (void)context;
  while (getchar() != EOF) {
  }
  return PIER_OK;
}

static void on_end_of_input(const pier_result *result) {
  struct server *server = result->context;

  pier_close(server->handle, NULL, NULL);
}

static int server_open(struct server *server, uint16_t port) {
  pier_address address;
  char text[PIER_ADDRESS_TEXT_BYTES];

  int status = pier_address_parse("127.0.0.1", port, &address);
  if (status == PIER_OK) {
    status = pier_udp_open(server->loop, &address, NULL, &server->handle);
  }
  if (status == PIER_OK) {
    status = pier_udp_local_address(server->handle, &address);
  }
  if (status == PIER_OK) {
    status = pier_address_text(&address, text, sizeof text);
  }
  if (status != PIER_OK) {
    fprintf(stderr, "cannot receive on port %u: %s\n", (unsigned)port, pier_error_text(status));
    return status;
  }
  printf("listening on %s\n", text);
  fflush(stdout);
  return PIER_OK;
}

int main(int argc, char **argv) {
  static struct server server;
  static struct receive receives[RECEIVES];
  pier_loop_options options = {.threads = 0};
  unsigned port = 7000;
  bool until_eof = false;
  const struct options_entry entries[] = {
      {.name = "--port", .help = "where to receive; 0: the system's choice", .number = &port, .number_max = 65535},
      {.name = "--threads",
       .help = "threads of the loop's own; 0: the main thread",
       .number = &options.threads,
       .number_max = 64},
      {.name = "--until-eof", .help = "end when standard input ends", .given = &until_eof},
      {.name = NULL},
  };

  options_read(argc, argv, entries, "udp_echo [options]", 0);
  int status = pier_loop_open(&options, &server.loop);
  if (status != PIER_OK) {
    fprintf(stderr, "cannot open a loop: %s\n", pier_error_text(status));
    return EXIT_FAILURE;
  }
  if (server_open(&server, (uint16_t)port) != PIER_OK) {
    return EXIT_FAILURE;
  }
  for (int i = 0; i < RECEIVES; i++) {
    receives[i].server = &server;
    receive_next(&receives[i]);
  }
  if (until_eof && pier_work(server.loop, wait_for_end_of_input, PIER_NO_DEADLINE, on_end_of_input, &server) == 0) {
    fprintf(stderr, "cannot watch standard input\n");
    return EXIT_FAILURE;
  }
  status = pier_loop_run(server.loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT);
  if (status == PIER_OK) {
    status = pier_loop_close(server.loop);
  }
  if (status != PIER_OK) {
    fprintf(stderr, "the loop failed: %s\n", pier_error_text(status));
    return EXIT_FAILURE;
  }
  printf("ended after %" PRIu64 " answers, %" PRIu64 " of them cut\n", server.answered, server.cut);
  return EXIT_SUCCESS;
}
