#include "pier_address.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Read and written here rather than by the system's inet_pton and inet_ntop: those differ in what they take (leading zeros,
 * scopes) and in how they shorten IPv6, and Windows' need Winsock started first. Strict dotted quads; RFC 4291 in, RFC 5952 out. */

enum { ADDRESS_GROUPS = 8 };

/* Reads a decimal number without sign or leading zeros. Moves `at` on only if it is one, up to `most`. */
static bool address__decimal(const char **at, uint32_t most, uint32_t *value) {
  const char *from = *at;
  uint64_t number = 0;
  unsigned digits = 0;

  while (from[digits] >= '0' && from[digits] <= '9' && digits < 10) {
    number = number * 10 + (uint64_t)(from[digits] - '0');
    digits++;
  }
  if (digits == 0 || number > most || (from[0] == '0' && digits > 1)) {
    return false;
  }
  *value = (uint32_t)number;
  *at = from + digits;
  return true;
}

static bool address__ipv4(const char *text, const char **end, uint8_t bytes[4]) {
  for (unsigned i = 0; i < 4; i++) {
    uint32_t value;
    if (i > 0 && *text++ != '.') {
      return false;
    }
    if (!address__decimal(&text, 255, &value)) {
      return false;
    }
    bytes[i] = (uint8_t)value;
  }
  *end = text;
  return true;
}

static int address__hex_digit(char character) {
  if (character >= '0' && character <= '9') {
    return character - '0';
  }
  if (character >= 'a' && character <= 'f') {
    return character - 'a' + 10;
  }
  if (character >= 'A' && character <= 'F') {
    return character - 'A' + 10;
  }
  return -1;
}

/* One to four hexadecimal digits. */
static bool address__group(const char **at, unsigned *group) {
  unsigned digits = 0;

  *group = 0;
  while (digits < 4 && address__hex_digit((*at)[digits]) >= 0) {
    *group = *group << 4 | (unsigned)address__hex_digit((*at)[digits]);
    digits++;
  }
  *at += digits;
  return digits > 0;
}

/* Reads groups up to the end or to what cannot belong to them. `gap` gets the index of the group before which "::" stood, or -1. */
static bool address__groups(const char **at, uint8_t bytes[16], unsigned *count, int *gap) {
  const char *text = *at;
  bool separator = true; /* a group may follow: at the beginning, or behind a colon */

  *count = 0;
  *gap = -1;
  for (;;) {
    if (text[0] == ':' && text[1] == ':' && *gap < 0 && (*count == 0 || !separator)) {
      *gap = (int)*count;
      text += 2;
      separator = true;
      if (address__hex_digit(*text) < 0) {
        break;
      }
    } else if (text[0] == ':' && !separator) {
      text++;
      separator = true;
    } else if (!separator) {
      break;
    }
    const char *end;
    if (*count <= ADDRESS_GROUPS - 2 && address__ipv4(text, &end, bytes + *count * 2)) {
      *count += 2;
      text = end;
      break;
    }
    unsigned group;
    if (*count == ADDRESS_GROUPS || !address__group(&text, &group)) {
      return false;
    }
    bytes[*count * 2] = (uint8_t)(group >> 8);
    bytes[*count * 2 + 1] = (uint8_t)(group & 0xFF);
    ++*count;
    separator = false;
  }
  *at = text;
  return true;
}

static bool address__ipv6(const char *text, uint8_t bytes[16], uint32_t *scope) {
  uint8_t read[16] = {0};
  unsigned count;
  int gap;

  if (!address__groups(&text, read, &count, &gap) || (gap < 0 ? count != ADDRESS_GROUPS : count == ADDRESS_GROUPS)) {
    return false;
  }
  size_t before = gap < 0 ? 16 : (size_t)gap * 2;
  size_t after = count * 2 - (gap < 0 ? 16 : before);
  memset(bytes, 0, 16);
  memcpy(bytes, read, before);
  memcpy(bytes + 16 - after, read + before, after);
  *scope = 0;
  if (*text == '%') {
    text++;
    if (!address__decimal(&text, UINT32_MAX, scope)) {
      return false;
    }
  }
  return *text == '\0';
}

int pier_address_parse(const char *text, uint16_t port, pier_address *address) {
  pier_address read = {0};
  const char *end;

  if (text == NULL || address == NULL) {
    return PIER_EINVAL;
  }
  if (address__ipv4(text, &end, read.bytes) && *end == '\0') {
    read.family = PIER_IPV4;
  } else if (address__ipv6(text, read.bytes, &read.scope)) {
    read.family = PIER_IPV6;
  } else {
    return PIER_EINVAL;
  }
  read.port = port;
  *address = read;
  return PIER_OK;
}

/* The longest run of two or more zero groups, the first of several: that is where "::" goes. */
static void address__longest_run(const unsigned groups[ADDRESS_GROUPS], unsigned count, unsigned *begin, unsigned *length) {
  *begin = 0;
  *length = 0;
  for (unsigned i = 0; i < count; i++) {
    unsigned run = 0;
    while (i + run < count && groups[i + run] == 0) {
      run++;
    }
    if (run >= 2 && run > *length) {
      *begin = i;
      *length = run;
    }
    i += run;
  }
}

static size_t address__ipv6_text(const pier_address *address, char *text, size_t text_bytes) {
  static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
  const uint8_t *bytes = address->bytes;
  bool dotted = memcmp(bytes, mapped, sizeof mapped) == 0;
  unsigned count = dotted ? 6 : ADDRESS_GROUPS;
  unsigned groups[ADDRESS_GROUPS];
  unsigned begin;
  unsigned length;
  size_t used = 0;

  for (unsigned i = 0; i < ADDRESS_GROUPS; i++) {
    groups[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
  }
  address__longest_run(groups, count, &begin, &length);
  text[used++] = '[';
  for (unsigned i = 0; i < count; i++) {
    if (length > 0 && i == begin) {
      used += (size_t)snprintf(text + used, text_bytes - used, "::");
      i += length - 1;
    } else {
      bool colon = i > 0 && text[used - 1] != ':';
      used += (size_t)snprintf(text + used, text_bytes - used, colon ? ":%x" : "%x", groups[i]);
    }
  }
  if (dotted) {
    used += (size_t)snprintf(text + used, text_bytes - used, ":%u.%u.%u.%u", bytes[12], bytes[13], bytes[14], bytes[15]);
  }
  if (address->scope != 0) {
    used += (size_t)snprintf(text + used, text_bytes - used, "%%%lu", (unsigned long)address->scope);
  }
  used += (size_t)snprintf(text + used, text_bytes - used, "]:%u", (unsigned)address->port);
  return used;
}

int pier_address_text(const pier_address *address, char *text, size_t text_bytes) {
  char whole[PIER_ADDRESS_TEXT_BYTES];
  size_t used;

  if (address == NULL || text == NULL) {
    return PIER_EINVAL;
  }
  if (address->family == PIER_IPV4) {
    const uint8_t *bytes = address->bytes;
    used = (size_t)snprintf(whole, sizeof whole, "%u.%u.%u.%u:%u", bytes[0], bytes[1], bytes[2], bytes[3], (unsigned)address->port);
  } else if (address->family == PIER_IPV6) {
    used = address__ipv6_text(address, whole, sizeof whole);
  } else {
    return PIER_EINVAL;
  }
  if (used + 1 > text_bytes) {
    return PIER_EMSGSIZE;
  }
  memcpy(text, whole, used + 1);
  return PIER_OK;
}
