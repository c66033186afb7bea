#include "terminal.h"

#include <io.h>
#include <stdio.h>

bool terminal_on_stderr(void) {
  return _isatty(_fileno(stderr)) != 0;
}
