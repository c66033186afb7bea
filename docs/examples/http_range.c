#include "http_range.h"

/* False for what is no number; one that is too large is as good as the largest. */
static bool range__number(struct http_slice text, uint64_t *number) {
  *number = 0;
  for (size_t i = 0; i < text.length; i++) {
    if (text.at[i] < '0' || text.at[i] > '9') {
      return false;
    }
    uint64_t digit = (uint64_t)(text.at[i] - '0');
    *number = *number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *number * 10 + digit;
  }
  return text.length > 0;
}

/* A range that is not understood, or several at once, may be answered with the whole (RFC 9110, 14.2). */
int http_range_of(struct http_slice value, uint64_t size_bytes, struct http_range *range) {
  struct http_slice unit = http_slice_cut(&value, '=');
  struct http_slice first = http_slice_cut(&value, '-');
  uint64_t from = 0;
  uint64_t to = 0;

  *range = (struct http_range){.offset = 0, .length = size_bytes};
  if (!http_slice_is(unit, "bytes") || first.at + first.length == value.at) {
    return 200; /* "first" ends where the value does: there was no "-" */
  }
  if (first.length == 0) {
    if (!range__number(value, &to)) {
      return 200;
    }
    range->length = to < size_bytes ? to : size_bytes; /* "bytes=-500": the last 500 */
    range->offset = size_bytes - range->length;
    return range->length > 0 ? 206 : 416;
  }
  if (!range__number(first, &from) || (value.length > 0 && !range__number(value, &to))) {
    return 200;
  }
  if (value.length == 0 || to >= size_bytes) {
    to = size_bytes - (size_bytes > 0 ? 1 : 0);
  }
  if (from >= size_bytes) {
    return 416;
  }
  if (to < from) {
    return 200;
  }
  range->offset = from;
  range->length = to - from + 1;
  return 206;
}
