#include "sync.h"

int pier_sync_pipe_accept(pier_native pipe, uint64_t timeout_ns, pier_sync_result *result) {
  struct sync_call call;
  OVERLAPPED overlapped;
  int status = sync__begin(pipe, timeout_ns, &call);

  if (status != PIER_OK) {
    return sync__result(result, status, 0, 0, false);
  }
  sync__prepare(&call, &overlapped, 0);
  DWORD error = ConnectNamedPipe(call.file, &overlapped) ? ERROR_SUCCESS : GetLastError();
  if (error == ERROR_PIPE_CONNECTED) {
    /* The client was there first, which is all that was asked for; there is no operation behind this error. */
    return sync__result(result, PIER_OK, 0, 0, false);
  }
  struct sync_outcome outcome = sync__finish(&call, &overlapped, error);
  return sync__result(result, outcome.status, outcome.system_code, 0, false);
}
