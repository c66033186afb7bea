/* The program of README.md; a test keeps the two equal. */
#include "pier.h"
#include <stdio.h>

static void on_done(const pier_result *result) {
  printf("%s %zu bytes: %s\n", (const char *)result->context, result->bytes, pier_error_text(result->status));
  pier_close(result->handle, NULL, NULL);
}

int main(void) {
  char text[16];
  pier_loop *loop;
  pier_handle ends[2];
  if (pier_loop_open(NULL, &loop) != PIER_OK || pier_pipe_pair(loop, NULL, ends) != PIER_OK)
    return 1;
  pier_read(ends[0], text, sizeof text, pier_deadline_in(PIER_SECOND), on_done, "read");
  pier_write(ends[1], "hello", 5, PIER_NO_DEADLINE, on_done, "wrote");
  pier_loop_run(loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT);
  return pier_loop_close(loop);
}
