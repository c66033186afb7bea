/* Sends back whatever comes, on any number of TCP connections.
 *
 *     echo_server --port 7000 --threads 0
 *
 * With --threads 0 the main thread drives the loop; with --threads N the loop's own N threads do. The program is the
 * same and has no lock, because it leans on three promises of Pier's:
 *   - callbacks of one handle never overlap, so a connection needs no protection from itself, and what only the
 *     listener's callbacks touch needs none at all;
 *   - every operation has exactly one callback, so a connection always knows that it will be heard from again;
 *   - the id of a closed handle stays recognisable, so closing something that is closed already does no harm.
 */
#include "options.h"
#include "pier.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define ACCEPTS 16 /* accepts that wait at once, so that a burst of clients finds one ready */
#define BUFFER_BYTES 16384

struct server;

struct connection {
  struct server *server;
  struct connection *older; /* in the list of all there ever were */
  struct connection *next;  /* in the list of those that may be used again */
  pier_handle handle;
  char buffer[BUFFER_BYTES];
};

struct server {
  pier_loop *loop;
  pier_handle listener;
  struct connection *all;             /* only the listener's callbacks touch this ... */
  struct connection *spare;           /* ... and this */
  _Atomic(struct connection *) ended; /* connections put themselves here when they are closed */
};

static void on_read(const pier_result *result);
static void on_accepted(const pier_result *result);

static void on_closed(const pier_result *result) {
  struct connection *connection = result->context;
  struct connection *first = atomic_load(&connection->server->ended);

  do {
    connection->next = first;
  } while (!atomic_compare_exchange_weak(&connection->server->ended, &first, connection));
}

/* Where a server that ends has closed the handle first, this close fails. The connection is then not used again,
 * which is just right, and its memory is in the list of all. */
static void connection_end(struct connection *connection) {
  pier_close(connection->handle, on_closed, connection);
}

static void connection_read(struct connection *connection) {
  if (pier_read(connection->handle, connection->buffer, BUFFER_BYTES, PIER_NO_DEADLINE, on_read, connection) == 0) {
    connection_end(connection);
  }
}

/* Nothing is read before everything is written: a client that does not read its echo stops being read from. */
static void on_written(const pier_result *result) {
  struct connection *connection = result->context;

  if (result->status != PIER_OK) {
    connection_end(connection);
    return;
  }
  connection_read(connection);
}

static void on_read(const pier_result *result) {
  struct connection *connection = result->context;

  if (result->status != PIER_OK || result->end) {
    connection_end(connection);
    return;
  }
  if (pier_write(connection->handle, connection->buffer, result->bytes, PIER_NO_DEADLINE, on_written, connection) ==
      0) {
    connection_end(connection);
  }
}

/* Runs in the listener's callbacks only. All that have ended are taken at once: had this to take them one by one,
 * another thread could take and give back the first one in between. */
static struct connection *server_connection(struct server *server) {
  struct connection *connection = NULL;

  if (server->spare == NULL) {
    server->spare = atomic_exchange(&server->ended, NULL);
  }
  if (server->spare != NULL) {
    connection = server->spare;
    server->spare = connection->next;
    return connection;
  }
  connection = malloc(sizeof *connection);
  if (connection != NULL) {
    connection->server = server;
    connection->older = server->all;
    server->all = connection;
  }
  return connection;
}

static void server_accept(struct server *server) {
  if (pier_tcp_accept(server->listener, PIER_NO_DEADLINE, on_accepted, server) == 0) {
    fprintf(stderr, "no operation is left to accept with: one client fewer is waited for\n");
  }
}

static void on_retry(pier_loop *loop, pier_timer timer, void *context) {
  (void)loop;
  (void)timer;
  server_accept(context);
}

static void on_accepted(const pier_result *result) {
  struct server *server = result->context;

  if (result->status == PIER_ECLOSED || result->status == PIER_ECANCELED) {
    return; /* the server is ending */
  }
  if (result->status != PIER_OK) {
    /* Out of sockets, most likely. At once it would fail again; connections that end give some back. */
    fprintf(stderr, "cannot accept: %s\n", pier_error_text(result->status));
    pier_timer_start(server->loop, 100 * PIER_MILLISECOND, 0, on_retry, server);
    return;
  }
  struct connection *connection = server_connection(server);
  if (connection == NULL) {
    pier_close(result->opened, NULL, NULL);
  } else {
    connection->handle = result->opened;
    connection_read(connection);
  }
  server_accept(server);
}

/* The last callback of the listener, so the list of all can grow no more. */
static void on_listener_closed(const pier_result *result) {
  struct server *server = result->context;

  for (struct connection *connection = server->all; connection != NULL; connection = connection->older) {
    pier_close(connection->handle, NULL, NULL);
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

  pier_close(server->listener, on_listener_closed, server);
}

static int server_listen(struct server *server, uint16_t port) {
  pier_address address;
  char text[PIER_ADDRESS_TEXT_BYTES];

  int status = pier_address_parse("127.0.0.1", port, &address);
  if (status == PIER_OK) {
    status = pier_tcp_listen(server->loop, &address, NULL, &server->listener);
  }
  if (status == PIER_OK) {
    status = pier_tcp_local_address(server->listener, &address);
  }
  if (status == PIER_OK) {
    status = pier_address_text(&address, text, sizeof text);
  }
  if (status != PIER_OK) {
    fprintf(stderr, "cannot listen on port %u: %s\n", (unsigned)port, pier_error_text(status));
    return status;
  }
  printf("listening on %s\n", text);
  fflush(stdout);
  for (int i = 0; i < ACCEPTS; i++) {
    server_accept(server);
  }
  return PIER_OK;
}

/* The loop refuses to close while anything of it is alive, so an exit code of 0 says that nothing was left behind. */
static int server_close(struct server *server) {
  pier_metrics metrics;

  pier_loop_metrics(server->loop, &metrics);
  int status = pier_loop_close(server->loop);
  if (status != PIER_OK) {
    fprintf(stderr, "cannot close the loop: %s\n", pier_error_text(status));
    return EXIT_FAILURE;
  }
  printf("ended after %" PRIu64 " operations\n", metrics.completed);
  while (server->all != NULL) {
    struct connection *connection = server->all;
    server->all = connection->older;
    free(connection);
  }
  return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
  static struct server server;
  pier_loop_options options = {.threads = 0};
  unsigned port = 7000;
  bool until_eof = false;
  const struct options_entry entries[] = {
      {.name = "--port", .help = "where to listen; 0: the system's choice", .number = &port, .number_max = 65535},
      {.name = "--threads",
       .help = "threads of the loop's own; 0: the main thread",
       .number = &options.threads,
       .number_max = 64},
      {.name = "--until-eof", .help = "end when standard input ends", .given = &until_eof},
      {.name = NULL},
  };

  options_read(argc, argv, entries, "echo_server [options]", 0);
  int status = pier_loop_open(&options, &server.loop);
  if (status != PIER_OK) {
    fprintf(stderr, "cannot open a loop: %s\n", pier_error_text(status));
    return EXIT_FAILURE;
  }
  if (server_listen(&server, (uint16_t)port) != PIER_OK) {
    return EXIT_FAILURE;
  }
  if (until_eof && pier_work(server.loop, wait_for_end_of_input, PIER_NO_DEADLINE, on_end_of_input, &server) == 0) {
    fprintf(stderr, "cannot watch standard input\n");
    return EXIT_FAILURE;
  }
  /* Drives the loop, or waits while its own threads do. Comes back when nothing is left to wait for. */
  status = pier_loop_run(server.loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT);
  if (status != PIER_OK) {
    fprintf(stderr, "the loop failed: %s\n", pier_error_text(status));
    return EXIT_FAILURE;
  }
  return server_close(&server);
}
