#include "text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <windows.h>

#define TEXT_PIPE_PREFIX L"\\\\.\\pipe\\"
#define TEXT_PIPE_PREFIX_UNITS 9
#define TEXT_PIPE_NAME_UNITS_MAX 256

/* Decodes one character and moves on. Returns 0xFFFFFFFF for what is not UTF-8; a zero byte inside a sequence is caught by the
 * check of the continuation bytes, so nothing behind the end is read. */
static uint32_t text__decode(const unsigned char **at) {
  const unsigned char *byte = *at;
  uint32_t character = byte[0];
  uint32_t least;
  unsigned more;

  if (character < 0x80) {
    *at = byte + 1;
    return character;
  }
  if (character >= 0xC2 && character < 0xE0) {
    more = 1;
    least = 0x80;
    character &= 0x1F;
  } else if (character >= 0xE0 && character < 0xF0) {
    more = 2;
    least = 0x800;
    character &= 0x0F;
  } else if (character >= 0xF0 && character < 0xF5) {
    more = 3;
    least = 0x10000;
    character &= 0x07;
  } else {
    return UINT32_MAX;
  }
  for (unsigned i = 1; i <= more; i++) {
    if ((byte[i] & 0xC0) != 0x80) {
      return UINT32_MAX;
    }
    character = character << 6 | (byte[i] & 0x3Fu);
  }
  if (character < least || character > 0x10FFFF || (character >= 0xD800 && character < 0xE000)) {
    return UINT32_MAX;
  }
  *at = byte + more + 1;
  return character;
}

int text__utf16(const char *utf8, wchar_t *buffer, size_t units_max, size_t *units) {
  const unsigned char *at = (const unsigned char *)utf8;
  size_t length = 0;
  bool fits = true;

  if (utf8 == NULL || buffer == NULL || utf8[0] == '\0') {
    return PIER_EINVAL;
  }
  /* Goes on to the end even when it does not fit, so that a wrong text is called wrong however long it is. */
  while (*at != 0) {
    uint32_t character = text__decode(&at);
    size_t needed = character < 0x10000 ? 1 : 2;
    if (character == UINT32_MAX) {
      return PIER_EILSEQ;
    }
    fits = fits && length + needed < units_max;
    if (fits && needed == 1) {
      buffer[length] = (wchar_t)character;
    } else if (fits) {
      buffer[length] = (wchar_t)(0xD800 + ((character - 0x10000) >> 10));
      buffer[length + 1] = (wchar_t)(0xDC00 + ((character - 0x10000) & 0x3FF));
    }
    length += needed;
  }
  if (!fits) {
    return PIER_ENAMETOOLONG;
  }
  buffer[length] = L'\0';
  if (units != NULL) {
    *units = length;
  }
  return PIER_OK;
}

static bool text__slash(wchar_t unit) {
  return unit == L'\\' || unit == L'/';
}

/* Rewrites in place what follows the root: one backslash between the parts, no "." and no "..". It only gets shorter. */
static size_t text__normalise(wchar_t *path, size_t root, size_t length) {
  size_t from = root;
  size_t to = root;

  while (from < length) {
    size_t part = from;
    while (from < length && !text__slash(path[from])) {
      from++;
    }
    size_t part_units = from - part;
    if (part_units == 2 && path[part] == L'.' && path[part + 1] == L'.') {
      while (to > root && path[to - 1] != L'\\') {
        to--;
      }
      /* At the root there is nothing above: the system stays there too. */
      to = to > root ? to - 1 : root;
    } else if (part_units > 0 && !(part_units == 1 && path[part] == L'.')) {
      if (to > root) {
        path[to++] = L'\\';
      }
      memmove(path + to, path + part, part_units * sizeof *path);
      to += part_units;
    }
    from++;
  }
  path[to] = L'\0';
  return to;
}

/* Behind "server" and "share" of \\server\share\rest; ".." does not go above it. */
static size_t text__share_root(const wchar_t *path, size_t length) {
  size_t at = 2;

  for (unsigned parts = 0; parts < 2; parts++) {
    while (at < length && !text__slash(path[at])) {
      at++;
    }
    at = at < length ? at + 1 : at;
  }
  return at;
}

int text__path(const char *utf8, wchar_t *buffer, size_t units_max) {
  size_t length;
  size_t root;
  int status = text__utf16(utf8, buffer, units_max, &length);

  if (status != PIER_OK || length < MAX_PATH) {
    return status;
  }
  const wchar_t *prefix;
  size_t prefix_units;
  size_t dropped_units;
  if (text__slash(buffer[0]) && text__slash(buffer[1]) && buffer[2] != L'?' && buffer[2] != L'.') {
    prefix = L"\\\\?\\UNC";
    prefix_units = 7;
    dropped_units = 1; /* one of the two backslashes stays as the one behind UNC */
    root = text__share_root(buffer, length);
    for (size_t i = 0; i < root; i++) {
      buffer[i] = text__slash(buffer[i]) ? L'\\' : buffer[i];
    }
  } else if (buffer[1] == L':' && text__slash(buffer[2])) {
    prefix = L"\\\\?\\";
    prefix_units = 4;
    dropped_units = 0;
    root = 3;
    buffer[2] = L'\\';
  } else {
    return PIER_OK;
  }
  length = text__normalise(buffer, root, length);
  if (length - dropped_units + prefix_units >= units_max) {
    return PIER_ENAMETOOLONG;
  }
  memmove(buffer + prefix_units, buffer + dropped_units, (length - dropped_units + 1) * sizeof *buffer);
  memcpy(buffer, prefix, prefix_units * sizeof *buffer);
  return PIER_OK;
}

int text__pipe_name(const char *utf8, wchar_t *buffer, size_t units_max) {
  size_t length;
  int status = text__utf16(utf8, buffer, units_max, &length);

  if (status != PIER_OK) {
    return status;
  }
  if (text__slash(buffer[0]) && text__slash(buffer[1])) {
    return PIER_OK;
  }
  if (length > TEXT_PIPE_NAME_UNITS_MAX || length + TEXT_PIPE_PREFIX_UNITS >= units_max) {
    return PIER_ENAMETOOLONG;
  }
  memmove(buffer + TEXT_PIPE_PREFIX_UNITS, buffer, (length + 1) * sizeof *buffer);
  memcpy(buffer, TEXT_PIPE_PREFIX, TEXT_PIPE_PREFIX_UNITS * sizeof *buffer);
  return PIER_OK;
}
