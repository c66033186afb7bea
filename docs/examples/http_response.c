#include "http_response.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The callers keep HTTP_RESPONSE_BYTES_MAX free, and no response is longer. */
static void output__text(struct http_output *output, const char *format, ...) {
  va_list arguments;

  va_start(arguments, format);
  int length = vsnprintf(output->bytes + output->length, sizeof output->bytes - output->length, format, arguments);
  va_end(arguments);
  if (length > 0 && (size_t)length < sizeof output->bytes - output->length) {
    output->length += (size_t)length;
  }
}

static const char *status__name(int status) {
  static const struct {
    int status;
    const char *name;
  } names[] = {
      {200, "OK"},
      {206, "Partial Content"},
      {301, "Moved Permanently"},
      {400, "Bad Request"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {416, "Range Not Satisfiable"},
      {431, "Request Header Fields Too Large"},
      {503, "Service Unavailable"},
      {505, "HTTP Version Not Supported"},
  };

  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (names[i].status == status) {
      return names[i].name;
    }
  }
  return "Internal Server Error";
}

/* A version 1.1 client takes an open connection for granted, one of 1.0 a closed one. */
static const char *reply__connection(struct http_reply reply) {
  if (!reply.keep_alive) {
    return "Connection: close\r\n";
  }
  return reply.version_1_0 ? "Connection: keep-alive\r\n" : "";
}

static void output__head(struct http_output *output, struct http_reply reply, int status, const char *type,
                         uint64_t length_bytes) {
  output__text(output, "HTTP/1.1 %d %s\r\nServer: pier\r\nContent-Type: %s\r\nContent-Length: %" PRIu64 "\r\n%s",
               status, status__name(status), type, length_bytes, reply__connection(reply));
}

void http_response_hello(struct http_output *output, struct http_reply reply) {
  static const char usual[] =
      "HTTP/1.1 200 OK\r\nServer: pier\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n"
      "Hello, World!";

  /* The answer that is given a million times is not put together a million times. */
  if (reply.keep_alive && !reply.version_1_0 && !reply.head_only) {
    memcpy(output->bytes + output->length, usual, sizeof usual - 1);
    output->length += sizeof usual - 1;
    return;
  }
  output__head(output, reply, 200, "text/plain", 13);
  output__text(output, "\r\n%s", reply.head_only ? "" : "Hello, World!");
}

void http_response_status(struct http_output *output, struct http_reply reply, int status, struct http_slice path) {
  const char *name = status__name(status);

  output__head(output, reply, status, "text/plain", strlen(name) + 1);
  if (status == 301) {
    output__text(output, "Location: %.*s/\r\n", (int)path.length, path.at);
  } else if (status == 405) {
    output__text(output, "Allow: GET, HEAD\r\n");
  }
  output__text(output, "\r\n");
  if (!reply.head_only) {
    output__text(output, "%s\n", name);
  }
}

void http_response_no_range(struct http_output *output, struct http_reply reply, uint64_t size_bytes) {
  output__head(output, reply, 416, "text/plain", 0);
  output__text(output, "Content-Range: bytes */%" PRIu64 "\r\n\r\n", size_bytes);
}

static const char *type__of(const char *name) {
  static const char *const types[][2] = {
      {"html", "text/html; charset=utf-8"},
      {"txt", "text/plain; charset=utf-8"},
      {"css", "text/css; charset=utf-8"},
      {"js", "text/javascript; charset=utf-8"},
      {"json", "application/json"},
      {"svg", "image/svg+xml"},
      {"png", "image/png"},
      {"jpg", "image/jpeg"},
      {"gif", "image/gif"},
      {"pdf", "application/pdf"},
      {"wasm", "application/wasm"},
  };
  const char *dot = strrchr(name, '.');

  for (size_t i = 0; dot != NULL && i < sizeof types / sizeof types[0]; i++) {
    if (http_slice_is((struct http_slice){.at = dot + 1, .length = strlen(dot + 1)}, types[i][0])) {
      return types[i][1];
    }
  }
  return "application/octet-stream";
}

void http_response_file(struct http_output *output, struct http_reply reply, int status, const char *name,
                        uint64_t size_bytes, struct http_range range) {
  output__head(output, reply, status, type__of(name), range.length);
  if (status == 206) {
    output__text(output, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", range.offset,
                 range.offset + range.length - 1, size_bytes);
  }
  output__text(output, "Accept-Ranges: bytes\r\n\r\n");
}
