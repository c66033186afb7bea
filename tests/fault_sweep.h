/* A scene from the life of a loop, again and again, and each time one call more goes well before one fails. Whatever fails, there is
 * a status that says so, one callback for each operation, and in the end nothing is left of memory, handles and threads. */
#ifndef PIER_TESTS_FAULT_SWEEP_H
#define PIER_TESTS_FAULT_SWEEP_H

#include "fault.h"

typedef void (*fault_scene)(pier_loop *loop);

/* The scene once for every call that it makes, which fails then. */
void fault__sweep(fault_scene scene);

/* What a scene says of a status: it may be a failure once something has been made to fail. Gives whether it is none. */
bool fault__fine(int status);

/* The same for a submit and its callback, which is waited for. */
bool fault__ends_fine(pier_loop *loop, pier_operation operation, support_outcome *outcome);

/* Some thousand bytes from one end to the other; then both are closed. Who cannot write closes first, so that nobody waits for him. */
void fault__exchange(pier_loop *loop, pier_handle from, pier_handle to);

void fault__close_if_open(pier_loop *loop, pier_handle handle);

#define FAULT_SWEEP(scene)                                                                                             \
  static void every_call_may_fail_in_##scene(void **state) {                                                           \
    (void)state;                                                                                                       \
    fault__sweep(scene##_scene);                                                                                       \
  }

#endif
