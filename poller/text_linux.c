#include "text.h"

#include <stdbool.h>
#include <string.h>

/* How many bytes the character at `byte` has, 0 if it is none: nothing overlong, no surrogates, nothing above U+10FFFF. The
 * final zero is no continuation byte, so nothing behind it is read. */
static unsigned text__character(const unsigned char *byte) {
  unsigned char first = byte[0];
  unsigned length = first < 0x80 ? 1 : first >= 0xC2 && first < 0xE0 ? 2 : first >= 0xE0 && first < 0xF0 ? 3 : first >= 0xF0 && first < 0xF5 ? 4 : 0;
  for (unsigned i = 1; i < length; i++)
    if ((byte[i] & 0xC0) != 0x80)
      return 0;
  if ((first == 0xE0 && byte[1] < 0xA0) || (first == 0xED && byte[1] >= 0xA0) || (first == 0xF0 && byte[1] < 0x90) ||
      (first == 0xF4 && byte[1] >= 0x90))
    return 0;
  return length;
}

int text__check(const char *utf8, size_t bytes_max) {
  if (!utf8 || !utf8[0])
    return PIER_EINVAL;
  for (const unsigned char *byte = (const unsigned char *)utf8; *byte;) {
    unsigned length = text__character(byte);
    if (!length)
      return PIER_EILSEQ;
    byte += length;
  }
  return strlen(utf8) < bytes_max ? PIER_OK : PIER_ENAMETOOLONG;
}
