#include "http_request.h"

#include <string.h>

static unsigned char lower(unsigned char c) {
  return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool http_slice_is(struct http_slice slice, const char *text) {
  if (slice.length != strlen(text)) {
    return false;
  }
  for (size_t i = 0; i < slice.length; i++) {
    if (lower((unsigned char)slice.at[i]) != lower((unsigned char)text[i])) {
      return false;
    }
  }
  return true;
}

struct http_slice http_slice_cut(struct http_slice *rest, char separator) {
  struct http_slice front = *rest;
  const char *found = rest->length > 0 ? memchr(rest->at, separator, rest->length) : NULL;

  if (found == NULL) {
    *rest = (struct http_slice){.at = front.at + front.length, .length = 0};
    return front;
  }
  front.length = (size_t)(found - front.at);
  rest->at = found + 1;
  rest->length -= front.length + 1;
  return front;
}

static struct http_slice slice__trim(struct http_slice slice) {
  while (slice.length > 0 && (slice.at[0] == ' ' || slice.at[0] == '\t')) {
    slice.at++;
    slice.length--;
  }
  while (slice.length > 0 && (slice.at[slice.length - 1] == ' ' || slice.at[slice.length - 1] == '\t')) {
    slice.length--;
  }
  return slice;
}

/* A name of a method or a header field (RFC 9110, 5.6.2: token). */
static bool slice__is_token(struct http_slice slice) {
  for (size_t i = 0; i < slice.length; i++) {
    char c = slice.at[i];
    bool letter_or_digit = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter_or_digit && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL)) {
      return false;
    }
  }
  return slice.length > 0;
}

/* Nothing below a space except the tab, so no NUL and no lone CR that others might take for an end of line. */
static bool slice__is_text(struct http_slice slice) {
  for (size_t i = 0; i < slice.length; i++) {
    unsigned char c = (unsigned char)slice.at[i];
    if ((c < ' ' && c != '\t') || c == 0x7f) {
      return false;
    }
  }
  return true;
}

/* Takes a line off the front, without its LF or CR LF. */
static bool slice__line(struct http_slice *rest, struct http_slice *line) {
  if (rest->length == 0 || memchr(rest->at, '\n', rest->length) == NULL) {
    return false;
  }
  *line = http_slice_cut(rest, '\n');
  if (line->length > 0 && line->at[line->length - 1] == '\r') {
    line->length--;
  }
  return true;
}

static int request__first_line(struct http_request *request, struct http_slice line) {
  struct http_slice method = http_slice_cut(&line, ' ');
  struct http_slice target = http_slice_cut(&line, ' ');

  if (!slice__is_token(method) || target.length == 0 || memchr(target.at, '\t', target.length) != NULL) {
    return 400;
  }
  if (line.length != 8 || memcmp(line.at, "HTTP/", 5) != 0 || line.at[5] < '0' || line.at[5] > '9' ||
      line.at[6] != '.' || line.at[7] < '0' || line.at[7] > '9') {
    return 400;
  }
  if (line.at[5] != '1') {
    return 505;
  }
  if (target.length > HTTP_TARGET_BYTES_MAX) {
    return 414;
  }
  /* Methods are told apart by case (RFC 9110, 9.1). */
  if (method.length == 3 && memcmp(method.at, "GET", 3) == 0) {
    request->method = HTTP_METHOD_GET;
  } else if (method.length == 4 && memcmp(method.at, "HEAD", 4) == 0) {
    request->method = HTTP_METHOD_HEAD;
  } else {
    request->method = HTTP_METHOD_OTHER;
  }
  request->target = target;
  request->version_1_0 = line.at[7] == '0';
  request->keep_alive = !request->version_1_0;
  return 200;
}

static void request__connection(struct http_request *request, struct http_slice value) {
  while (value.length > 0) {
    struct http_slice word = slice__trim(http_slice_cut(&value, ','));
    if (http_slice_is(word, "close")) {
      request->keep_alive = false;
    } else if (http_slice_is(word, "keep-alive") && request->version_1_0) {
      request->keep_alive = true;
    }
  }
}

/* What else a header says is of no interest to this server. */
struct request__seen {
  unsigned hosts;
  bool if_range;
};

static int request__field(struct http_request *request, struct http_slice line, struct request__seen *seen) {
  struct http_slice name = http_slice_cut(&line, ':');
  struct http_slice value = slice__trim(line);

  /* A name with a space before its colon, or a line that begins with one, is read differently by different programs. */
  if (!slice__is_token(name) || name.at + name.length == line.at) {
    return 400;
  }
  if (http_slice_is(name, "Host")) {
    seen->hosts++;
  } else if (http_slice_is(name, "Connection")) {
    request__connection(request, value);
  } else if (http_slice_is(name, "Transfer-Encoding")) {
    request->has_body = true;
  } else if (http_slice_is(name, "Content-Length")) {
    for (size_t i = 0; i < value.length; i++) {
      if (value.at[i] < '0' || value.at[i] > '9') {
        return 400;
      }
      request->has_body = request->has_body || value.at[i] != '0';
    }
    return value.length > 0 ? 200 : 400;
  } else if (http_slice_is(name, "Range")) {
    request->range = value;
  } else if (http_slice_is(name, "If-Range")) {
    seen->if_range = true;
  }
  return 200;
}

/* What the part of a head that has come so far deserves: 0 as long as it may still become a request. */
static int request__unfinished(struct http_slice line, size_t taken_bytes, bool first_line) {
  if (line.length > 0 && line.at[line.length - 1] == '\r') {
    line.length--;
  }
  if (!slice__is_text(line)) {
    return 400;
  }
  if (taken_bytes >= HTTP_HEAD_BYTES_MAX) {
    return first_line ? 414 : 431;
  }
  return 0;
}

int http_request_parse(const char *text, size_t length, struct http_request *request, size_t *consumed_bytes) {
  struct http_slice rest = {.at = text, .length = length};
  struct http_slice line = {.at = text, .length = 0};
  struct request__seen seen = {.hosts = 0, .if_range = false};
  bool first_line = true;

  *request = (struct http_request){.method = HTTP_METHOD_OTHER, .target = line, .range = line};
  while (slice__line(&rest, &line)) {
    int status = 200;
    if (first_line && line.length == 0) {
      continue; /* some clients send an empty line too many after a body (RFC 9112, 2.2) */
    }
    if (line.length == 0) {
      *consumed_bytes = (size_t)(rest.at - text);
      if (*consumed_bytes > HTTP_HEAD_BYTES_MAX) {
        return 431;
      }
      if (seen.if_range) {
        request->range.length = 0; /* no response carries a validator, so none can match */
      }
      return seen.hosts == 1 || (seen.hosts == 0 && request->version_1_0) ? 200 : 400;
    }
    if (!slice__is_text(line)) {
      return 400;
    }
    status = first_line ? request__first_line(request, line) : request__field(request, line, &seen);
    if (status != 200) {
      return status;
    }
    first_line = false;
  }
  return request__unfinished(rest, length, first_line);
}
