#define _POSIX_C_SOURCE 200809L

#include "terminal.h"

#include <unistd.h>

bool terminal_on_stderr(void) {
  return isatty(STDERR_FILENO) != 0;
}
