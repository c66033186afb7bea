#include "socket.h"
#include "sync_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A connect that must not block, on a socket that does: it is made non-blocking for as long as the call takes. Nobody else uses a
   socket that is not connected. */
static int sync__start_connect(const struct sync_call *call, const struct sockaddr *address, socklen_t length) {
  int flags = fcntl(call->descriptor, F_GETFL);
  bool blocks = flags >= 0 && !(flags & O_NONBLOCK) && !call->patient;
  if (blocks)
    fcntl(call->descriptor, F_SETFL, flags | O_NONBLOCK);
  int code = connect(call->descriptor, address, length) ? errno : 0;
  if (blocks)
    fcntl(call->descriptor, F_SETFL, flags);
  return code;
}

static int sync__connect(const struct sync_call *call, const pier_address *address, uint32_t *code) {
  struct sockaddr_storage storage;
  int failure = 0;
  socklen_t length = socket__sockaddr(address, &storage);
  *code = (uint32_t)sync__start_connect(call, (const struct sockaddr *)&storage, length);
  if (*code == EINPROGRESS || *code == EINTR || *code == EALREADY) {
    int status = sync__await(call, SYNC_WRITE);
    if (status != PIER_OK) {
      /* Given up: what came of it later would be a surprise to the socket's owner. */
      struct sockaddr none = {.sa_family = AF_UNSPEC};
      (void)connect(call->descriptor, &none, sizeof none);
      *code = ETIMEDOUT;
      return status;
    }
    length = sizeof failure;
    *code = getsockopt(call->descriptor, SOL_SOCKET, SO_ERROR, &failure, &length) ? (uint32_t)errno : (uint32_t)failure;
  }
  return pier_error_from_system(*code);
}

int pier_sync_connect(pier_native native, const pier_address *address, uint64_t timeout_ns, pier_sync_result *result) {
  struct sync_call call;
  uint32_t code = 0;
  if (!address || (address->family != PIER_IPV4 && address->family != PIER_IPV6))
    return sync__result(result, PIER_EINVAL, 0, 0, false);
  int status = sync__begin(native, timeout_ns, &call);
  if (status == PIER_OK && socket__family_of(call.descriptor) == PIER_FAMILY_NONE)
    status = PIER_EBADF;
  if (status == PIER_OK && socket__family_of(call.descriptor) != address->family)
    status = PIER_EAFNOSUPPORT;
  if (status == PIER_OK)
    status = sync__connect(&call, address, &code);
  return sync__result(result, status, code, 0, false);
}

/* Waits for a client and takes him; one that went away meanwhile is none of the caller's business. */
static int sync__accept(const struct sync_call *call, int *accepted, uint32_t *code) {
  for (;;) {
    /* A listener that blocks would not keep the time. */
    int status = call->patient ? PIER_OK : sync__await(call, SYNC_READ);
    if (status != PIER_OK)
      return status;
    *accepted = accept4(call->descriptor, NULL, NULL, SOCK_CLOEXEC);
    if (*accepted >= 0)
      return PIER_OK;
    *code = (uint32_t)errno;
    if (errno == EAGAIN && call->patient)
      status = sync__await(call, SYNC_READ);
    if (status != PIER_OK || (*code != EAGAIN && *code != EINTR && *code != ECONNABORTED && *code != EPROTO))
      return status != PIER_OK ? status : pier_error_from_system(*code);
  }
}

int pier_sync_accept(pier_native listener, uint64_t timeout_ns, pier_native *accepted, pier_sync_result *result) {
  struct sync_call call;
  uint32_t code = 0;
  int descriptor = -1;
  if (!accepted)
    return sync__result(result, PIER_EINVAL, 0, 0, false);
  *accepted = PIER_NATIVE_NONE;
  int status = sync__begin(listener, timeout_ns, &call);
  if (status == PIER_OK && !socket__type(call.descriptor))
    status = PIER_EBADF;
  if (status == PIER_OK)
    status = sync__accept(&call, &descriptor, &code);
  if (status == PIER_OK)
    *accepted = (pier_native)descriptor;
  return sync__result(result, status, code, 0, false);
}

/* As on an instance of a named pipe, the descriptor itself becomes the connection: it listens no longer. Whoever wants to serve more than
   one client uses pier_sync_accept(). */
static int sync__become_connection(const struct sync_call *call, uint32_t *code) {
  int listens = 0, connection = -1;
  socklen_t length = sizeof listens;
  if (getsockopt(call->descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length))
    return PIER_EBADF;
  if (!listens)
    return PIER_OK; /* it is one already */
  int status = sync__accept(call, &connection, code);
  if (status != PIER_OK)
    return status;
  if (dup3(connection, call->descriptor, O_CLOEXEC) < 0) {
    *code = (uint32_t)errno;
    status = socket__last();
  }
  close(connection);
  return status;
}

int pier_sync_pipe_accept(pier_native pipe, uint64_t timeout_ns, pier_sync_result *result) {
  struct sync_call call;
  uint32_t code = 0;
  int status = sync__begin(pipe, timeout_ns, &call);
  if (status == PIER_OK)
    status = sync__become_connection(&call, &code);
  return sync__result(result, status, code, 0, false);
}

int pier_sync_ioctl(pier_native native, uint32_t code, const void *input, size_t input_bytes, void *output, size_t output_bytes,
                    uint64_t timeout_ns, pier_sync_result *result) {
  struct sync_call call;
  if ((!input && input_bytes) || (!output && output_bytes) || input_bytes > SYNC_CALL_BYTES_MAX || output_bytes > SYNC_CALL_BYTES_MAX)
    return sync__result(result, PIER_EINVAL, 0, 0, false);
  int status = sync__begin(native, timeout_ns, &call);
  if (status != PIER_OK)
    return sync__result(result, status, 0, 0, false);
  for (size_t i = 0; i < input_bytes && i < output_bytes; i++)
    ((char *)output)[i] = ((const char *)input)[i];
  void *argument = output_bytes ? output : (void *)(uintptr_t)input;
  int failed;
  do
    failed = ioctl(call.descriptor, code, argument) < 0;
  while (failed && errno == EINTR);
  uint32_t system_code = failed ? (uint32_t)errno : 0;
  return sync__result(result, pier_error_from_system(system_code), system_code, failed ? 0 : output_bytes, false);
}
