/** @file pier_ioctl.h
 *  Control codes: what the system offers beyond reading and writing. */
#ifndef PIER_IOCTL_H
#define PIER_IOCTL_H

#include "pier_handle.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Sends a control code to a socket, pipe, file or device. Input and output are yours until the callback; either may be null
 *  with length 0. `bytes` is what was written to the output. Long ones (SIO_ADDRESS_LIST_CHANGE) can be cancelled and have a
 *  deadline. 0 for want of a slot. #PIER_EINVAL, #PIER_ECLOSED, and what the system reports. Any thread. (WSAIoctl,
 *  DeviceIoControl.) */
PIER_API pier_operation pier_ioctl(pier_handle handle, uint32_t code, const void *input, size_t input_bytes,
                                   void *output, size_t output_bytes, uint64_t deadline_ns,
                                   pier_callback callback, void *context);

#ifdef __cplusplus
}
#endif

#endif
