#include "http_path.h"

#include <string.h>

struct http_slice http_path_of(struct http_slice target) {
  struct http_slice path = http_slice_cut(&target, '?');
  struct http_slice scheme = path;

  scheme.length = scheme.length < 7 ? scheme.length : 7;
  if (http_slice_is(scheme, "http://")) {
    /* The form that proxies use; every server has to take it (RFC 9112, 3.2.2). */
    path.at += 7;
    path.length -= 7;
    const char *slash = path.length > 0 ? memchr(path.at, '/', path.length) : NULL;
    if (slash == NULL) {
      return (struct http_slice){.at = "/", .length = 1};
    }
    path.length -= (size_t)(slash - path.at);
    path.at = slash;
  }
  if (path.length > 0 && path.at[0] != '/') {
    path.length = 0;
  }
  return path;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes "%41" at the front of a slice, or takes one plain character. -1 for a percent sign with no hexadecimal
 * number. */
static int path__character(struct http_slice *rest) {
  if (rest->at[0] != '%') {
    int plain = (unsigned char)rest->at[0];
    rest->at++;
    rest->length--;
    return plain;
  }
  if (rest->length < 3 || hex_digit(rest->at[1]) < 0 || hex_digit(rest->at[2]) < 0) {
    return -1;
  }
  int decoded = hex_digit(rest->at[1]) * 16 + hex_digit(rest->at[2]);
  rest->at += 3;
  rest->length -= 3;
  return decoded;
}

/* Windows opens a device for these names in every folder, with any extension. */
static bool path__is_device(struct http_slice segment) {
  static const char *const devices[] = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"};
  struct http_slice base = http_slice_cut(&segment, '.');

  while (base.length > 0 && base.at[base.length - 1] == ' ') {
    base.length--;
  }
  for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
    if (http_slice_is(base, devices[i])) {
      return true;
    }
  }
  if (base.length < 4) {
    return false;
  }
  /* COM1, LPT9, and the digits 1 to 3 written high, which are two bytes of UTF-8. */
  struct http_slice port = {.at = base.at, .length = 3};
  struct http_slice number = {.at = base.at + 3, .length = base.length - 3};
  bool plain = number.length == 1 && number.at[0] >= '0' && number.at[0] <= '9';
  bool high = number.length == 2 && (memcmp(number.at, "\xc2\xb9", 2) == 0 || memcmp(number.at, "\xc2\xb2", 2) == 0 ||
                                     memcmp(number.at, "\xc2\xb3", 2) == 0);
  return (http_slice_is(port, "COM") || http_slice_is(port, "LPT")) && (plain || high);
}

/* The rules of Windows are kept on every system, so that a folder is served alike everywhere. */
static bool path__is_allowed(struct http_slice segment) {
  if (segment.length == 0 || segment.at[0] == '.') {
    return false; /* "//", "..", and what is hidden, such as .git */
  }
  char last = segment.at[segment.length - 1];
  if (last == '.' || last == ' ') {
    return false; /* Windows drops these: "secret." would be another name for "secret" */
  }
  for (size_t i = 0; i < segment.length; i++) {
    unsigned char c = (unsigned char)segment.at[i];
    /* A backslash is a separator, a colon begins a drive letter or a stream, and a NUL would end the name early. */
    if (c < ' ' || c == 0x7f || strchr("\\:*?\"<>|/", c) != NULL) {
      return false;
    }
    /* "GIT~1" can be the short name of ".git". */
    if (c == '~' && i + 1 < segment.length && segment.at[i + 1] >= '0' && segment.at[i + 1] <= '9') {
      return false;
    }
  }
  return !path__is_device(segment);
}

/* Decodes up to the next slash into `name`. What is decoded is judged afterwards and whole: "%2e%2e" is ".." by
 * then, and "%2f" is a slash inside a segment, which no name has. */
static int path__segment(struct http_slice *rest, char *name, size_t name_bytes, size_t *length) {
  struct http_slice encoded = http_slice_cut(rest, '/');

  *length = 0;
  while (encoded.length > 0) {
    int character = path__character(&encoded);
    if (character <= 0) {
      return 400;
    }
    if (*length == name_bytes) {
      return 414;
    }
    name[(*length)++] = (char)character;
  }
  return path__is_allowed((struct http_slice){.at = name, .length = *length}) ? 200 : 403;
}

int http_path_resolve(const char *root, struct http_slice path, char *name, size_t name_bytes) {
  static const char index_name[] = "index.html";
  size_t used = strlen(root);

  if (path.length == 0) {
    return 400;
  }
  if (used + 1 + sizeof index_name > name_bytes) {
    return 414;
  }
  memcpy(name, root, used);
  /* Each turn begins with a slash behind it. Room for the index and the final zero is kept all the time. */
  bool is_folder = path.at[path.length - 1] == '/';
  path.at++;
  path.length--;
  while (path.length > 0) {
    size_t length = 0;
    name[used++] = '/';
    if (used + 1 + sizeof index_name > name_bytes) {
      return 414;
    }
    int status = path__segment(&path, name + used, name_bytes - used - 1 - sizeof index_name, &length);
    if (status != 200) {
      return status;
    }
    used += length;
  }
  if (is_folder) {
    name[used++] = '/';
    memcpy(name + used, index_name, sizeof index_name);
  } else {
    name[used] = '\0';
  }
  return 200;
}
