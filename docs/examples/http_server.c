/* Serves the files below a folder, and "Hello, World!" as /plaintext, over HTTP/1.1.
 *
 *     http_server --port 8080 --threads 2 --root public
 *
 * Here is the server itself; echo_server.c explains how it works without a lock. The other files, from bottom to top:
 *
 *   http_request     reads the head of a request          http_response    writes the head of an answer
 *   http_path        which file a request means           http_range       which part of it
 *   http_stream      sends a file, reading ahead          http_connection  one client, from first byte to last
 */
#include "http_connection.h"
#include "options.h"
#include "pier.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define ACCEPTS 32 /* accepts that wait at once, so that a burst of clients finds one ready */

struct server {
  struct http_settings settings;
  pier_handle listener;
  struct http_connection *all;             /* only the listener's callbacks touch this ... */
  struct http_connection *spare;           /* ... and this */
  _Atomic(struct http_connection *) ended; /* connections that may be used again */
};

static void on_accepted(const pier_result *result);

static void on_connection_ended(struct http_connection *connection) {
  struct server *server = connection->owner;
  struct http_connection *first = atomic_load(&server->ended);

  do {
    connection->next = first;
  } while (!atomic_compare_exchange_weak(&server->ended, &first, connection));
}

static struct http_connection *server_connection(struct server *server) {
  struct http_connection *connection = NULL;

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
    connection->settings = &server->settings;
    connection->ended = on_connection_ended;
    connection->owner = server;
    connection->stream = NULL;
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
    fprintf(stderr, "cannot accept: %s\n", pier_error_text(result->status));
    pier_timer_start(server->settings.loop, 100 * PIER_MILLISECOND, 0, on_retry, server);
    return;
  }
  struct http_connection *connection = server_connection(server);
  if (connection == NULL) {
    pier_close(result->opened, NULL, NULL);
  } else {
    connection->socket = result->opened;
    http_connection_start(connection);
  }
  server_accept(server);
}

static void on_listener_closed(const pier_result *result) {
  struct server *server = result->context;

  for (struct http_connection *connection = server->all; connection != NULL; connection = connection->older) {
    pier_close(connection->socket, NULL, NULL);
  }
}

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
    status = pier_tcp_listen(server->settings.loop, &address, NULL, &server->listener);
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

static int server_close(struct server *server) {
  pier_metrics metrics;

  pier_loop_metrics(server->settings.loop, &metrics);
  int status = pier_loop_close(server->settings.loop);
  if (status != PIER_OK) {
    fprintf(stderr, "cannot close the loop: %s\n", pier_error_text(status));
    return EXIT_FAILURE;
  }
  printf("ended after %" PRIu64 " operations\n", metrics.completed);
  while (server->all != NULL) {
    struct http_connection *connection = server->all;
    server->all = connection->older;
    free(connection->stream);
    free(connection);
  }
  return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
  static struct server server = {.settings = {.root = "."}};
  pier_loop_options options = {.threads = 0};
  unsigned port = 8080;
  unsigned idle_seconds = 30;
  bool until_eof = false;
  const struct options_entry entries[] = {
      {.name = "--port", .help = "where to listen; 0: the system's choice", .number = &port, .number_max = 65535},
      {.name = "--threads",
       .help = "threads of the loop's own; 0: the main thread",
       .number = &options.threads,
       .number_max = 64},
      {.name = "--root", .help = "the folder to serve", .text = &server.settings.root},
      {.name = "--idle-seconds",
       .help = "how long a client may keep silent",
       .number = &idle_seconds,
       .number_max = 86400},
      {.name = "--until-eof", .help = "end when standard input ends", .given = &until_eof},
      {.name = NULL},
  };

  options_read(argc, argv, entries, "http_server [options]", 0);
  server.settings.idle_ns = idle_seconds * PIER_SECOND;
  int status = pier_loop_open(&options, &server.settings.loop);
  if (status != PIER_OK) {
    fprintf(stderr, "cannot open a loop: %s\n", pier_error_text(status));
    return EXIT_FAILURE;
  }
  if (server_listen(&server, (uint16_t)port) != PIER_OK) {
    return EXIT_FAILURE;
  }
  if (until_eof &&
      pier_work(server.settings.loop, wait_for_end_of_input, PIER_NO_DEADLINE, on_end_of_input, &server) == 0) {
    fprintf(stderr, "cannot watch standard input\n");
    return EXIT_FAILURE;
  }
  status = pier_loop_run(server.settings.loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT);
  if (status != PIER_OK) {
    fprintf(stderr, "the loop failed: %s\n", pier_error_text(status));
    return EXIT_FAILURE;
  }
  return server_close(&server);
}
