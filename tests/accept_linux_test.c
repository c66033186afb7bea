/* A connection that comes while an accept is cancelled, where several wait: the system calls one of them, and if that one has ended meanwhile
   another has to be told. */
#include "streams.h"

#include <stdatomic.h>

/* Has the accepts in the kernel, and then neither enters it nor sleeps: what the kernel has for it meanwhile it is given too late. */
typedef struct owner {
  pier_loop *loop;
  support_event *submitted, *end;
  atomic_bool spins;
} owner;

static void submit_and_spin(void *context) {
  owner *self = context;
  for (int i = 0; i < 3; i++)
    pier_loop_run(self->loop, PIER_RUN_NOWAIT, 0);
  support__event_set(self->submitted);
  while (atomic_load(&self->spins))
    continue;
  support__event_wait(self->end, PIER_NO_TIMEOUT); /* what it has in the kernel ends with it */
}

/* Where it listens: a port, or a name. */
typedef struct place {
  bool is_pipe;
  pier_handle listener;
  pier_address address;
  const char *name;
} place;

static void place__listen(place *self, pier_loop *loop, bool is_pipe) {
  *self = (place){.is_pipe = is_pipe, .name = support__pipe_name()};
  if (is_pipe)
    assert_status(pier_pipe_listen(loop, self->name, NULL, &self->listener), PIER_OK);
  else
    self->listener = streams__tcp_listen(loop, &self->address);
}

static pier_operation place__accept(const place *self, support_outcome *accepted) {
  return self->is_pipe ? pier_pipe_accept(self->listener, PIER_NO_DEADLINE, support__take, accepted)
                       : pier_tcp_accept(self->listener, PIER_NO_DEADLINE, support__take, accepted);
}

static support_outcome *place__connect(const place *self, pier_loop *loop) {
  support_outcome *connected = support__outcome();
  pier_operation id = self->is_pipe ? pier_pipe_connect(loop, self->name, NULL, PIER_NO_DEADLINE, support__take, connected)
                                    : pier_tcp_connect(loop, &self->address, NULL, PIER_NO_DEADLINE, support__take, connected);
  assert_true(id != 0);
  return connected;
}

/* One end of it. */
static void await_connection(pier_loop *loop, support_outcome *opened) {
  await_status(loop, opened, PIER_OK);
  support__close_handle(loop, opened->got.opened);
}

/* True if the cancel was in time; the connection is then the other one's. */
static bool cancel_one_of_two(pier_loop *loop, bool is_pipe) {
  place *where = support__alloc(sizeof *where);
  place__listen(where, loop, is_pipe);
  support_outcome *first = support__outcome(), *second = support__outcome();
  owner *other = support__alloc(sizeof *other);
  *other = (owner){.loop = loop, .submitted = support__event_open(), .end = support__event_open(), .spins = true};
  pier_operation id = place__accept(where, first);
  assert_true(id != 0 && place__accept(where, second) != 0);
  support_thread *thread = support__thread_start(submit_and_spin, other);
  support__event_wait(other->submitted, PIER_NO_TIMEOUT);
  support_outcome *connected = place__connect(where, loop);
  pier_cancel(id);
  for (int i = 0; i < 3; i++)
    pier_loop_run(loop, PIER_RUN_NOWAIT, 0);
  atomic_store(&other->spins, false);
  support__await(loop, first);
  bool cancelled = first->got.status == PIER_ECANCELED;
  await_connection(loop, cancelled ? second : first);
  await_connection(loop, connected);
  support__event_set(other->end);
  support__thread_join(thread);
  support__event_close(other->submitted);
  support__event_close(other->end);
  support__close_handle(loop, where->listener);
  if (!cancelled)
    await_status(loop, second, PIER_ECLOSED);
  return cancelled;
}

static void cancel_many_times(bool is_pipe) {
  enum { ROUNDS = 40 };
  pier_loop *loop = support__open();
  unsigned cancelled = 0;
  for (int i = 0; i < ROUNDS; i++)
    cancelled += cancel_one_of_two(loop, is_pipe);
  print_message("%u of %u were cancelled in time\n", cancelled, ROUNDS);
  support__close(loop);
}

static void b31_a_cancelled_accept_keeps_no_connection_from_another(void **state) {
  (void)state;
  cancel_many_times(false);
}

static void b31_a_cancelled_accept_of_a_pipe_keeps_no_client_from_another(void **state) {
  (void)state;
  cancel_many_times(true);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(b31_a_cancelled_accept_keeps_no_connection_from_another),
      SUPPORT_TEST(b31_a_cancelled_accept_of_a_pipe_keeps_no_client_from_another),
  };
  return support__main(argc, argv, "accept_linux", tests, sizeof tests / sizeof tests[0]);
}
