/* An echo server that says what its process holds, for the soak test: handles and memory have to come back to the
 * start.
 *
 *     soak_echo_server --threads N --connections N
 *
 * An empty line on standard input is answered with a report. The line "again" closes the loop, which is reported too,
 * and opens the next one; the end of input ends the server. The connections' memory is taken before the first report
 * and given back after the last one, so that what changes in between is Pier's or the system's.
 */
#include "held.h"
#include "support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCEPTS 64
#define BUFFER_BYTES 4096

struct connection {
  _Atomic uint32_t free_next; /* number + 1 of the next one that is free */
  pier_handle handle;
  char buffer[BUFFER_BYTES];
};

static pier_loop *loop;
static pier_handle listener;
static enum { SAY_MORE, SAY_AGAIN, SAY_END } said; /* on standard input; set by the worker before its callback, which looks */
static struct connection *pool;
static _Atomic uint64_t free_head; /* a count against ABA, then number + 1 */
static atomic_uint connections;
static atomic_uint connections_most; /* at once */
static atomic_uint failures;

static void give_up(const char *what, int status) {
  fprintf(stderr, "%s: %s\n", what, pier_error_text(status));
  exit(EXIT_FAILURE);
}

static void pool_put(struct connection *connection) {
  uint64_t head = atomic_load(&free_head);
  uint64_t next;

  do {
    atomic_store(&connection->free_next, (uint32_t)head);
    next = ((head >> 32) + 1) << 32 | (uint32_t)(connection - pool + 1);
  } while (!atomic_compare_exchange_weak(&free_head, &head, next));
}

static struct connection *pool_take(void) {
  uint64_t head = atomic_load(&free_head);

  for (;;) {
    if ((uint32_t)head == 0) {
      give_up("there are more clients than agreed", PIER_ENOMEM);
    }
    struct connection *connection = &pool[(uint32_t)head - 1];
    uint64_t next = ((head >> 32) + 1) << 32 | atomic_load(&connection->free_next);
    if (atomic_compare_exchange_weak(&free_head, &head, next)) {
      return connection;
    }
  }
}

static void pool_fill(size_t count) {
  pool = calloc(count, sizeof *pool);
  if (pool == NULL) {
    give_up("connections", PIER_ENOMEM);
  }
  for (size_t i = 0; i < count; i++) {
    memset(pool[i].buffer, 1, BUFFER_BYTES); /* touched, so that all of it counts from the start */
    pool_put(&pool[i]);
  }
}

static void report(const char *when) {
  pier_metrics metrics = {.turns = 0};

  if (loop != NULL) {
    pier_loop_metrics(loop, &metrics);
  }
  printf("%s handles=%zu private_kib=%zu slab_bytes=%zu heap_bytes=%zu connections=%u most=%u failures=%u loop_handles=%" PRIu32
         " loop_operations=%" PRIu32 "\n",
         when, support__handle_count(), support__committed_bytes() / 1024, held__slab_bytes(), held__heap_bytes(),
         atomic_load(&connections), atomic_load(&connections_most), atomic_load(&failures), metrics.handles, metrics.operations);
  fflush(stdout);
}

static void on_closed(const pier_result *result) {
  struct connection *connection = result->context;

  pool_put(connection);
  atomic_fetch_sub(&connections, 1);
}

static void connection_end(struct connection *connection) {
  int status = pier_close(connection->handle, on_closed, connection);
  if (status != PIER_OK) {
    give_up("pier_close", status);
  }
}

static void on_read(const pier_result *result);

static void on_written(const pier_result *result) {
  struct connection *connection = result->context;

  if (result->status != PIER_OK) {
    atomic_fetch_add(&failures, 1);
    connection_end(connection);
  } else if (pier_read(result->handle, connection->buffer, BUFFER_BYTES, PIER_NO_DEADLINE, on_read, connection) == 0) {
    give_up("pier_read", PIER_ENOMEM);
  }
}

static void on_read(const pier_result *result) {
  struct connection *connection = result->context;

  if (result->status != PIER_OK || result->end) {
    atomic_fetch_add(&failures, result->status != PIER_OK);
    connection_end(connection);
  } else if (pier_write(result->handle, connection->buffer, result->bytes, PIER_NO_DEADLINE, on_written, connection) ==
             0) {
    give_up("pier_write", PIER_ENOMEM);
  }
}

static void connection_counted(unsigned now) {
  unsigned most = atomic_load(&connections_most);

  while (now > most && !atomic_compare_exchange_weak(&connections_most, &most, now)) {
    /* somebody else has counted meanwhile */
  }
}

static void on_accepted(const pier_result *result) {
  if (result->status == PIER_ECLOSED || result->status == PIER_ECANCELED) {
    return;
  }
  if (result->status != PIER_OK) {
    give_up("pier_tcp_accept", result->status);
  }
  struct connection *connection = pool_take();
  connection->handle = result->opened;
  connection_counted(atomic_fetch_add(&connections, 1) + 1);
  if (pier_read(connection->handle, connection->buffer, BUFFER_BYTES, PIER_NO_DEADLINE, on_read, connection) == 0 ||
      pier_tcp_accept(listener, PIER_NO_DEADLINE, on_accepted, NULL) == 0) {
    give_up("submitting", PIER_ENOMEM);
  }
}

static int read_line(void *context) {
  int first = getchar();
  int last = first;

  (void)context;
  while (last != EOF && last != '\n') {
    last = getchar();
  }
  said = last == EOF ? SAY_END : first == 'a' ? SAY_AGAIN : SAY_MORE;
  return PIER_OK;
}

static void on_line(const pier_result *result) {
  if (said != SAY_MORE) {
    pier_close(listener, NULL, NULL);
    return;
  }
  report("report");
  if (pier_work(result->loop, read_line, PIER_NO_DEADLINE, on_line, NULL) == 0) {
    give_up("pier_work", PIER_ENOMEM);
  }
}

/* Opens a loop, serves for as long as nobody says otherwise, and closes it. */
static void serve(unsigned threads) {
  /* One worker: a second one's stack, started when the first happens to be busy, would look like a leak of 1 MiB. */
  const pier_loop_options options = {.threads = threads, .workers_max = 1};
  pier_address address;
  char text[PIER_ADDRESS_TEXT_BYTES];

  int status = pier_loop_open(&options, &loop);
  if (status != PIER_OK || pier_address_parse("127.0.0.1", 0, &address) != PIER_OK) {
    give_up("pier_loop_open", status);
  }
  status = pier_tcp_listen(loop, &address, NULL, &listener);
  if (status != PIER_OK || pier_tcp_local_address(listener, &address) != PIER_OK) {
    give_up("pier_tcp_listen", status);
  }
  for (int i = 0; i < ACCEPTS; i++) {
    if (pier_tcp_accept(listener, PIER_NO_DEADLINE, on_accepted, NULL) == 0) {
      give_up("pier_tcp_accept", PIER_ENOMEM);
    }
  }
  pier_address_text(&address, text, sizeof text);
  printf("listening on %s\n", text);
  fflush(stdout);
  if (pier_work(loop, read_line, PIER_NO_DEADLINE, on_line, NULL) == 0) {
    give_up("pier_work", PIER_ENOMEM);
  }
  status = pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT);
  if (status == PIER_OK) {
    status = pier_loop_close(loop);
  }
  if (status != PIER_OK) {
    give_up("ending", status);
  }
  loop = NULL;
}

int main(int argc, char **argv) {
  unsigned threads = 0;
  unsigned most = 4096;

  for (int i = 1; i + 1 < argc; i++) {
    if (strcmp(argv[i], "--threads") == 0) {
      threads = (unsigned)strtoul(argv[i + 1], NULL, 10);
    } else if (strcmp(argv[i], "--connections") == 0) {
      most = (unsigned)strtoul(argv[i + 1], NULL, 10);
    }
  }
  pool_fill(most);
  report("start");
  do {
    serve(threads);
    report("closed");
  } while (said == SAY_AGAIN);
  printf("ended after all\n");
  free(pool);
  return EXIT_SUCCESS;
}
