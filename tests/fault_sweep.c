#include "fault_sweep.h"

enum { SWEEP_MAX = 3000, LENGTH = 3000 };

bool fault__fine(int status) {
  assert_true(status == PIER_OK || fault__struck() > 0);
  assert_true(status <= 0 && status != PIER_EUNKNOWN);
  return status == PIER_OK;
}

bool fault__ends_fine(pier_loop *loop, pier_operation operation, support_outcome *outcome) {
  if (operation)
    support__await(loop, outcome);
  else
    assert_true(fault__struck() > 0);
  return operation && fault__fine(outcome->got.status);
}

void fault__close_if_open(pier_loop *loop, pier_handle handle) {
  if (handle)
    support__close_handle(loop, handle);
}

/* The scene on a loop of its own, which is left as it was found. */
static void fault__play(fault_scene scene) {
  const pier_loop_options options = {.threads = support__threads()};
  pier_loop *loop = NULL;
  if (!fault__fine(pier_loop_open(&options, &loop))) {
    assert_null(loop);
    return;
  }
  scene(loop);
  assert_status(pier_loop_run(loop, PIER_RUN_DEFAULT, 10 * PIER_SECOND), PIER_OK);
  pier_metrics metrics = support__metrics(loop);
  assert_int_equal(metrics.submitted, metrics.completed);
  assert_status(pier_loop_close(loop), PIER_OK);
}

typedef struct fault_holdings {
  size_t held, handles;
} fault_holdings;

static fault_holdings fault__count(void) {
  return (fault_holdings){fault__held(), support__handle_count()};
}

/* Threads of the system's, and what they hold, may go a little later. */
static bool fault__gave_back(void *context) {
  const fault_holdings *before = context;
  fault_holdings now = fault__count();
  return now.held <= before->held && now.handles <= before->handles;
}

void fault__sweep(fault_scene scene) {
  unsigned nth = 0;
  bool struck = true;
  fault__clear();
  fault__play(scene); /* what is made once for the whole process is made now, and stays */
  for (; struck && nth < SWEEP_MAX; nth++) {
    fault_holdings before = fault__count();
    fault__fail_nth(nth);
    fault__play(scene);
    struck = fault__struck() > 0;
    fault__clear();
    support__until(NULL, fault__gave_back, &before, "memory and handles to be given back");
  }
  print_message("%u calls failed in turn\n", nth - 1);
  assert_false(struck);
}

void fault__exchange(pier_loop *loop, pier_handle from, pier_handle to) {
  unsigned char *sent = support__alloc(LENGTH), *got = support__alloc(LENGTH);
  support_outcome *written = support__outcome();
  const pier_buffer parts[2] = {{sent, 1000}, {sent + 1000, LENGTH - 1000}};
  support__fill(sent, LENGTH, 0);
  pier_operation operation = pier_writev(from, parts, 2, pier_deadline_in(60 * PIER_SECOND), support__take, written);
  bool whole = fault__ends_fine(loop, operation, written);
  if (whole)
    assert_int_equal(written->got.bytes, LENGTH);
  else
    support__close_handle(loop, from);
  bool good = true;
  for (size_t have = 0; good && have < LENGTH;) {
    support_outcome *read = support__outcome();
    operation = pier_read(to, got + have, LENGTH - have, pier_deadline_in(60 * PIER_SECOND), support__take, read);
    good = fault__ends_fine(loop, operation, read) && !read->got.end;
    if (good)
      have += read->got.bytes;
    assert_true(!good || !whole || have < LENGTH || support__filled(got, LENGTH, 0));
  }
  if (whole)
    support__close_handle(loop, from);
  support__close_handle(loop, to);
}
