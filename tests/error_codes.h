/* For each status the system's codes that it stands for, written down once more as plain numbers: error_codes_win.c,
 * error_codes_linux.c. */
#ifndef PIER_TESTS_ERROR_CODES_H
#define PIER_TESTS_ERROR_CODES_H

#include "pier_error.h"

struct error_codes {
  int status;
  uint32_t codes[40]; /* 0 ends them */
};

/* PIER_OK ends them. */
extern const struct error_codes error_codes[];

#endif
