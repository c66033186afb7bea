/** @file pier_address.h
 *  Internet addresses, IPv4 and IPv6, the same on every system. */
#ifndef PIER_ADDRESS_H
#define PIER_ADDRESS_H

#include "pier_error.h"
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The family of an address. */
typedef enum pier_family {
  PIER_FAMILY_NONE = 0, /**< no address */
  PIER_IPV4 = 4,        /**< four bytes */
  PIER_IPV6 = 6         /**< sixteen bytes */
} pier_family;

/** An address and a port. A plain value. */
typedef struct pier_address {
  uint8_t family;    /**< one of #pier_family */
  uint8_t reserved;  /**< 0 */
  uint16_t port;     /**< in the machine's own byte order */
  uint32_t scope;    /**< IPv6 only: the interface of a link-local address */
  uint8_t bytes[16]; /**< in network order; IPv4 uses the first four */
} pier_address;

/** Enough characters for any address that pier_address_text() writes, with port, scope and the final zero. */
#define PIER_ADDRESS_TEXT_BYTES 72

/** Reads a numeric address ("127.0.0.1", "::1", "fe80::1%3") and adds the port; no name is looked up.
 *  #PIER_EINVAL for a null pointer or a text that is no address. Any thread. (RFC 4291; strict dotted quads.) */
PIER_API int pier_address_parse(const char *text, uint16_t port, pier_address *address);

/** Writes an address as "127.0.0.1:80" or "[::1]:80" into `text` of `text_bytes` bytes, with a final zero.
 *  #PIER_EINVAL for a null pointer or no family, #PIER_EMSGSIZE if it does not fit. Any thread. (RFC 5952.) */
PIER_API int pier_address_text(const pier_address *address, char *text, size_t text_bytes);

/** A datagram to be sent (pier_try_send()). */
typedef struct pier_datagram {
  const void *base;       /**< its bytes */
  size_t length;          /**< how many; may be 0 */
  const pier_address *to; /**< where it goes; null: to the peer that the handle is connected to */
} pier_datagram;

#ifdef __cplusplus
}
#endif

#endif
