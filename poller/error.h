/* Statuses from what the system says; private to the library. */
#ifndef PIER_POLLER_ERROR_H
#define PIER_POLLER_ERROR_H

#include "pier_error.h"
#include <stdbool.h>
#include <stddef.h>

/* One line of the system's table. */
struct error_mapping {
  uint32_t system_code;
  int status;
};

/* The status for an NTSTATUS, as found in OVERLAPPED.Internal or on a completion port: take the lower 32 bits, Wine leaves
 * garbage above them. `system_code`, if not null, gets the Win32 or Winsock code, 0 for success. STATUS_PENDING is PIER_EAGAIN. */
int error__from_ntstatus(uint32_t ntstatus, uint32_t *system_code);

/* Whether this code, when a read brings it, is the end of the file or stream and so a success with 0 bytes. */
bool error__is_end(uint32_t system_code);

/* The system's whole table, sorted by code without a double: what pier_error_from_system() looks in. */
const struct error_mapping *error__mappings(size_t *count);

#endif
