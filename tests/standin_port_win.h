/* Stands in for class 61 (FileReplaceCompletionInformation), which takes a handle off its port, where the system has none; and for the
 * association that may follow. */
#ifndef PIER_TESTS_STANDIN_PORT_WIN_H
#define PIER_TESTS_STANDIN_PORT_WIN_H

#include "standin_win.h"

#include "support.h"

#define STANDIN_PORT_REFUSED ((NTSTATUS)0xC000000D)   /* STATUS_INVALID_PARAMETER: it is on no port */
#define STANDIN_PORT_IN_FLIGHT ((NTSTATUS)0xC0000001) /* STATUS_UNSUCCESSFUL: somebody's call is in flight */

struct standin_port {
  bool real;        /* the system has the class: its own answers are passed on */
  NTSTATUS refuses; /* with this, unless it is 0 */
  DWORD declines;   /* an association, with this error, unless it is 0 */
  bool moves;       /* a file's handle is really on no port afterwards */
  atomic_uint calls;        /* of class 61 */
  atomic_uint associations; /* those that were granted */
  atomic_uint wrong;        /* calls that did not ask as documented */
  _Atomic(HANDLE) file;     /* of the last one */
  support_event *entered, *go_on; /* both or none: holds the call */
};
extern struct standin_port standin_port;

/* A loop with all that stood in for, and says whether it is; and its end. */
pier_loop *standin_port__open(void);
void standin_port__close(pier_loop *loop);

/* A cmocka teardown: the system's table comes back also after a failed case. */
int standin_port__end(void **state);

/* What class 61 does to a file's handle, by its owner's own hand: it is on no port afterwards. */
bool standin_port__take_off(HANDLE file);

#endif
