#include "text.h"

#include <stdbool.h>
#include <stdint.h>
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

/* Most names have no other letters than these: eight of them at a time, the last eight from the end. */
static bool text__is_ascii(const char *text, size_t bytes) {
  uint64_t eight, all = 0;
  if (bytes < sizeof eight)
    return false;
  for (size_t at = 0; at < bytes; at += sizeof eight) {
    memcpy(&eight, text + (at + sizeof eight < bytes ? at : bytes - sizeof eight), sizeof eight);
    all |= eight;
  }
  return !(all & 0x8080808080808080u);
}

static bool text__is_utf8(const char *text) {
  for (const unsigned char *byte = (const unsigned char *)text; *byte;) {
    unsigned length = text__character(byte);
    if (!length)
      return false;
    byte += length;
  }
  return true;
}

int text__check(const char *utf8, size_t bytes_max) {
  if (!utf8 || !utf8[0])
    return PIER_EINVAL;
  size_t bytes = strlen(utf8);
  if (!text__is_ascii(utf8, bytes) && !text__is_utf8(utf8))
    return PIER_EILSEQ;
  return bytes < bytes_max ? PIER_OK : PIER_ENAMETOOLONG;
}
