/* Names: from the UTF-8 of the interface to what the system takes; private to the library. */
#ifndef PIER_POLLER_TEXT_H
#define PIER_POLLER_TEXT_H

#include "pier_error.h"
#include <stddef.h>
#include <wchar.h>

/* The most UTF-16 units of a path, the final zero included, and of a pipe's name with its \\.\pipe\ before it. */
#define TEXT_PATH_UNITS_MAX 32768
#define TEXT_PIPE_UNITS_MAX 266

/* UTF-8 to UTF-16 with a final zero. Strict: no overlong forms, no surrogates, nothing above U+10FFFF (PIER_EILSEQ).
 * PIER_EINVAL for a null pointer or an empty text, PIER_ENAMETOOLONG if it does not fit into `units_max`. `units`, if not null, gets
 * the length without the zero. On failure the buffer holds nothing of use. */
int text__utf16(const char *utf8, wchar_t *buffer, size_t units_max, size_t *units);

/* A path for CreateFileW. An absolute one that MAX_PATH cannot hold gets \\?\ (\\?\UNC\) before it, and, as the system does not
 * look at such a path any more, backslashes, and no "." or ".." in it. Everything else, device names included, stays as it is. */
int text__path(const char *utf8, wchar_t *buffer, size_t units_max);

/* A pipe's name, with \\.\pipe\ before it unless it has it, or another machine's, already. At most 256 units behind it. */
int text__pipe_name(const char *utf8, wchar_t *buffer, size_t units_max);

/* Where names are bytes: whether this one is UTF-8, not empty, and with its final zero at most so long. PIER_OK, PIER_EINVAL, PIER_EILSEQ,
 * PIER_ENAMETOOLONG. */
int text__check(const char *utf8, size_t bytes_max);

#endif
