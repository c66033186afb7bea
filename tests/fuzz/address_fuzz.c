/* Texts: addresses are read as the system's own inet_pton() reads them, what is written is read as the same, and names are UTF-8
 * exactly if decoding and encoding them again gives the same bytes. */
#include "pier_address.h"
#include "text.h"

#include "fuzz.h"

#include <arpa/inet.h>
#include <string.h>

#define TEXT_BYTES_MAX 256

static void check_written(const pier_address *address) {
  char text[PIER_ADDRESS_TEXT_BYTES];
  char small[PIER_ADDRESS_TEXT_BYTES];
  pier_address again;

  memset(text, '!', sizeof text);
  FUZZ_CHECK(pier_address_text(address, text, sizeof text) == PIER_OK);
  size_t length = strlen(text);
  FUZZ_CHECK(pier_address_text(address, small, length + 1) == PIER_OK && strcmp(small, text) == 0);
  FUZZ_CHECK(pier_address_text(address, small, length) == PIER_EMSGSIZE);
  char *colon = strrchr(text, ':');
  FUZZ_CHECK(colon && (unsigned)atoi(colon + 1) == address->port);
  *colon = '\0';
  char *begin = text;
  if (address->family == PIER_IPV6) {
    FUZZ_CHECK(text[0] == '[' && colon[-1] == ']');
    colon[-1] = '\0';
    begin++;
  }
  FUZZ_CHECK(pier_address_parse(begin, address->port, &again) == PIER_OK);
  FUZZ_CHECK(memcmp(&again, address, sizeof again) == 0);
}

static void check_parsed(const char *text) {
  unsigned char bytes[16] = {0};
  pier_address address = {.family = 77};

  int status = pier_address_parse(text, 4711, &address);
  FUZZ_CHECK(status == PIER_OK || status == PIER_EINVAL);
  if (status != PIER_OK)
    FUZZ_CHECK(address.family == 77); /* untouched */
  else
    check_written(&address);
  if (strchr(text, '%'))
    return; /* inet_pton() takes no scope */
  bool four = inet_pton(AF_INET, text, bytes) == 1;
  bool six = !four && inet_pton(AF_INET6, text, bytes) == 1;
  FUZZ_CHECK((status == PIER_OK) == (four || six));
  if (four || six)
    FUZZ_CHECK(address.family == (four ? PIER_IPV4 : PIER_IPV6) && memcmp(address.bytes, bytes, 16) == 0);
}

static size_t encode(uint32_t point, unsigned char bytes[4]) {
  static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
  size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;

  for (size_t i = length; i-- > 1; point >>= 6)
    bytes[i] = (unsigned char)(0x80 | (point & 0x3F));
  bytes[0] = (unsigned char)(marks[length] | point);
  return length;
}

/* Another way to know: take the bits of as many bytes as the first one says, and see whether they encode to the same. */
static bool is_utf8(const char *text) {
  const unsigned char *at = (const unsigned char *)text;
  unsigned char again[4];

  while (*at) {
    size_t length = *at < 0x80 ? 1 : *at >= 0xF0 ? 4 : *at >= 0xE0 ? 3 : 2;
    uint32_t point = length == 1 ? *at : *at & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
      if (!at[i])
        return false;
      point = point << 6 | (at[i] & 0x3Fu);
    }
    if (point > 0x10FFFF || (point >= 0xD800 && point < 0xE000) || encode(point, again) != length || memcmp(again, at, length) != 0)
      return false;
    at += length;
  }
  return true;
}

static void check_name(const char *text) {
  size_t length = strlen(text);

  int status = text__check(text, length + 1);
  FUZZ_CHECK(status == (length == 0 ? PIER_EINVAL : is_utf8(text) ? PIER_OK : PIER_EILSEQ));
  if (status == PIER_OK)
    FUZZ_CHECK(text__check(text, length) == PIER_ENAMETOOLONG);
}

static void check_value(struct fuzz_input input) {
  pier_address address = {.family = fuzz__byte(&input) % 2 ? PIER_IPV4 : PIER_IPV6};

  address.port = (uint16_t)fuzz__number(&input, 2);
  for (unsigned i = 0; i < (address.family == PIER_IPV4 ? 4u : 16u); i++)
    address.bytes[i] = fuzz__byte(&input);
  if (address.family == PIER_IPV6)
    address.scope = (uint32_t)fuzz__number(&input, 4);
  check_written(&address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
  char text[TEXT_BYTES_MAX];

  if (length >= sizeof text)
    length = sizeof text - 1;
  if (length)
    memcpy(text, data, length);
  text[length] = '\0';
  check_parsed(text);
  check_name(text);
  check_value((struct fuzz_input){data, data + length});
  return 0;
}
