/* Runs a Pier loop inside a host that has an epoll set and waits on it.
 *
 * The host has a set, descriptors of its own in it and a thread that waits there. Pier's loop is one descriptor more:
 * readable when something has completed. The host waits no longer than Pier's next timer, and calls
 * pier_loop_dispatch() after each wait, which runs the callbacks that are due. The host stays in charge of its thread:
 * Pier starts none for this, and waits for nothing.
 *
 * Here Pier sends ten messages there and back through a pair of pipe ends and has a timer, while the host counts what
 * it is told through an eventfd of its own, some of it by another thread.
 */
#include "pier.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_MAX 16
#define MESSAGES 10
#define HOST_EVENTS 5

struct host {
  int set;
  int own;         /* an eventfd of the host's */
  uint64_t events; /* what it has counted */
};

struct talk {
  pier_loop *loop;
  pier_handle ends[2];
  char buffers[2][16];
  unsigned messages;
  unsigned ticks;
  int status;
};

static void check(bool ok, const char *what) {
  if (!ok) {
    fprintf(stderr, "failed: %s (%s)\n", what, strerror(errno));
    exit(EXIT_FAILURE);
  }
}

static void talk_end(struct talk *talk, int status) {
  talk->status = status;
  pier_close(talk->ends[0], NULL, NULL);
  pier_close(talk->ends[1], NULL, NULL);
}

static void on_asked(const pier_result *result);
static void on_answered(const pier_result *result);

/* One end asks ... */
static void talk_ask(struct talk *talk) {
  if (pier_read(talk->ends[1], talk->buffers[1], sizeof talk->buffers[1], PIER_NO_DEADLINE, on_asked, talk) == 0 ||
      pier_read(talk->ends[0], talk->buffers[0], sizeof talk->buffers[0], PIER_NO_DEADLINE, on_answered, talk) == 0 ||
      pier_write(talk->ends[0], "ping", 4, PIER_NO_DEADLINE, NULL, NULL) == 0) {
    talk_end(talk, PIER_ENOMEM);
  }
}

/* ... the other one answers ... */
static void on_asked(const pier_result *result) {
  struct talk *talk = result->context;

  if (result->status == PIER_OK && pier_write(talk->ends[1], "pong", 4, PIER_NO_DEADLINE, NULL, NULL) == 0) {
    talk_end(talk, PIER_ENOMEM);
  }
}

/* ... and all over again. */
static void on_answered(const pier_result *result) {
  struct talk *talk = result->context;

  if (result->status != PIER_OK || result->bytes != 4 || memcmp(talk->buffers[0], "pong", 4) != 0) {
    talk_end(talk, result->status != PIER_OK ? result->status : PIER_EIO);
    return;
  }
  talk->messages++;
  if (talk->messages == MESSAGES) {
    talk_end(talk, PIER_OK);
    return;
  }
  talk_ask(talk);
}

static void on_tick(pier_loop *loop, pier_timer timer, void *context) {
  struct talk *talk = context;

  (void)loop;
  (void)timer;
  talk->ticks++;
}

static void host_watch(const struct host *host, int descriptor) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};

  check(epoll_ctl(host->set, EPOLL_CTL_ADD, descriptor, &event) == 0, "epoll_ctl");
}

/* One turn of the host's own loop. */
static void host_turn(struct host *host, pier_loop *loop) {
  struct epoll_event events[EVENTS_MAX];
  uint64_t timeout_ns = pier_loop_timeout_ns(loop);
  uint64_t timeout_ms = timeout_ns / PIER_MILLISECOND + (timeout_ns % PIER_MILLISECOND != 0);
  int wait_ms = timeout_ms < INT32_MAX ? (int)timeout_ms : -1; /* rounded up, or the wait would end before the timer */
  eventfd_t told;
  size_t none = 0;

  int count = epoll_wait(host->set, events, EVENTS_MAX, wait_ms);
  check(count >= 0 || errno == EINTR, "epoll_wait");
  for (int i = 0; i < count; i++) {
    if (events[i].data.fd == host->own) {
      check(eventfd_read(host->own, &told) == 0, "eventfd_read");
      host->events += told;
    }
  }
  /* Whether Pier's descriptor was among them or the time was up: a timer may be due either way. */
  check(pier_loop_dispatch(loop, NULL, &none) == PIER_OK, "pier_loop_dispatch");
}

static void *tell_host(void *context) {
  const struct host *host = context;

  for (int i = 0; i < HOST_EVENTS; i++) {
    check(eventfd_write(host->own, 1) == 0, "eventfd_write");
  }
  return NULL;
}

int main(void) {
  static struct talk talk;
  struct host host = {.set = epoll_create1(EPOLL_CLOEXEC), .own = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  pthread_t thread;

  check(host.set >= 0 && host.own >= 0, "the host's descriptors");
  check(pier_loop_open(NULL, &talk.loop) == PIER_OK, "pier_loop_open");
  host_watch(&host, host.own);
  host_watch(&host, (int)pier_loop_native(talk.loop));
  check(pier_pipe_pair(talk.loop, NULL, talk.ends) == PIER_OK, "pier_pipe_pair");
  check(pier_timer_start(talk.loop, 5 * PIER_MILLISECOND, 0, on_tick, &talk) != 0, "pier_timer_start");
  talk_ask(&talk);
  check(pthread_create(&thread, NULL, tell_host, &host) == 0, "pthread_create");

  while (pier_loop_alive(talk.loop) > 0 || host.events < HOST_EVENTS) {
    host_turn(&host, talk.loop);
  }
  pthread_join(thread, NULL);
  printf("Pier: %u messages there and back, %u timer\n", talk.messages, talk.ticks);
  printf("the host: %u events of its own\n", (unsigned)host.events);
  check(talk.status == PIER_OK && talk.messages == MESSAGES && talk.ticks == 1, "Pier's part");

  /* The set outlives the loop. */
  check(pier_loop_close(talk.loop) == PIER_OK, "pier_loop_close");
  check(eventfd_write(host.own, 1) == 0, "eventfd_write");
  struct epoll_event event;
  check(epoll_wait(host.set, &event, 1, 1000) == 1 && event.data.fd == host.own, "the set goes on working");
  printf("the host's set goes on working without Pier\n");
  close(host.own);
  close(host.set);
  return EXIT_SUCCESS;
}
