/* Whether somebody is watching. C has no question for it, and every system asks it differently. */
#ifndef EXAMPLES_TERMINAL_H
#define EXAMPLES_TERMINAL_H

#include <stdbool.h>

/* Whether standard error is a terminal. */
bool terminal_on_stderr(void);

#endif
