/* Linux: whether a file is closed by everybody, a ring's table of files among them. */
#ifndef PIER_TESTS_CLOSED_H
#define PIER_TESTS_CLOSED_H

#include "support.h"

/* Nobody has it open: what stands in a ring's table is no descriptor, but the system counts it. It may be a moment late. */
void closed__expect(const char *path);

#endif
