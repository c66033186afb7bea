#include "sync.h"

#include "winsock.h"

/* Each code of Winsock's has one of these bits set; the codes of the socket driver itself have none, and those of other devices
 * only if they are of a vendor's own type. */
#define SYNC_WINSOCK_CODES ((uint32_t)(IOC_VOID | IOC_OUT | IOC_IN))

struct sync_ioctl {
  uint32_t code;
  void *input;
  DWORD input_bytes;
  void *output;
  DWORD output_bytes;
};

/* False if the handle is no socket; nothing was done then. */
static bool sync__socket_ioctl(const struct sync_call *call, const struct sync_ioctl *ioctl, struct sync_outcome *outcome) {
  OVERLAPPED overlapped;
  DWORD bytes = 0;

  /* Asked first, because Winsock passes some codes on to the driver of whatever handle it is given. */
  if ((ioctl->code & SYNC_WINSOCK_CODES) == 0 || GetFileType(call->file) != FILE_TYPE_PIPE || winsock__start() != PIER_OK) {
    return false;
  }
  int type = 0;
  int type_bytes = sizeof type;
  if (getsockopt((SOCKET)call->file, SOL_SOCKET, SO_TYPE, (char *)&type, &type_bytes) != 0) {
    return false;
  }
  sync__prepare(call, &overlapped, 0);
  int failed = WSAIoctl((SOCKET)call->file, ioctl->code, ioctl->input, ioctl->input_bytes, ioctl->output, ioctl->output_bytes, &bytes, &overlapped, NULL);
  *outcome = sync__finish(call, &overlapped, failed != 0 ? (DWORD)WSAGetLastError() : ERROR_SUCCESS);
  if (failed == 0) {
    /* What Winsock answers by itself does not always reach the OVERLAPPED. */
    outcome->bytes = bytes;
  }
  return true;
}

static struct sync_outcome sync__device_ioctl(const struct sync_call *call, const struct sync_ioctl *ioctl) {
  OVERLAPPED overlapped;

  sync__prepare(call, &overlapped, 0);
  BOOL done = DeviceIoControl(call->file, ioctl->code, ioctl->input, ioctl->input_bytes, ioctl->output, ioctl->output_bytes, NULL, &overlapped);
  return sync__finish(call, &overlapped, done ? ERROR_SUCCESS : GetLastError());
}

int pier_sync_ioctl(pier_native native, uint32_t code, const void *input, size_t input_bytes, void *output, size_t output_bytes, uint64_t timeout_ns,
                    pier_sync_result *result) {
  struct sync_call call;
  struct sync_outcome outcome;

  if ((input == NULL && input_bytes > 0) || (output == NULL && output_bytes > 0) || input_bytes > SYNC_CALL_BYTES_MAX ||
      output_bytes > SYNC_CALL_BYTES_MAX) {
    return sync__result(result, PIER_EINVAL, 0, 0, false);
  }
  int status = sync__begin(native, timeout_ns, &call);
  if (status != PIER_OK) {
    return sync__result(result, status, 0, 0, false);
  }
  struct sync_ioctl ioctl = {code, (void *)(uintptr_t)input, (DWORD)input_bytes, output, (DWORD)output_bytes};
  if (!sync__socket_ioctl(&call, &ioctl, &outcome)) {
    outcome = sync__device_ioctl(&call, &ioctl);
  }
  return sync__result(result, outcome.status, outcome.system_code, outcome.bytes, false);
}
