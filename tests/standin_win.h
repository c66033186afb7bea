/* Stands in for functions of ntdll that the system lacks, and keeps their documented contracts. */
#ifndef PIER_TESTS_STANDIN_WIN_H
#define PIER_TESTS_STANDIN_WIN_H

#include <winsock2.h>

#include <windows.h>

#include "nt.h"

#include <stdbool.h>

/* The table that the run is about, to be changed at will and given to nt__replace(): the system's own, with the wait-completion
 * packets as PIER_PACKETS says. Unset: as the system has them. "other": stood in for where it has none, missing where it has them. */
struct nt_table *standin__table(void);

/* The same with packets in any case: real ones where there are any. */
struct nt_table *standin__table_with_packets(void);

/* Whether the system itself has them. */
bool standin__has_packets(void);

/* Has the run's own table used again, and says once which packets those are. */
void standin__begin(void);

#endif
