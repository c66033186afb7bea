/* Addresses: read from text and written as text. */
#include "support.h"

#include <string.h>

static const struct {
  const char *text;
  uint8_t family;
  uint8_t bytes[16];
  uint32_t scope;
  const char *written; /* with port 80 */
} good[] = {
    {"127.0.0.1", PIER_IPV4, {127, 0, 0, 1}, 0, "127.0.0.1:80"},
    {"0.0.0.0", PIER_IPV4, {0}, 0, "0.0.0.0:80"},
    {"255.255.255.255", PIER_IPV4, {255, 255, 255, 255}, 0, "255.255.255.255:80"},
    {"::", PIER_IPV6, {0}, 0, "[::]:80"},
    {"::1", PIER_IPV6, {[15] = 1}, 0, "[::1]:80"},
    {"1::", PIER_IPV6, {0, 1}, 0, "[1::]:80"},
    {"fe80::1%3", PIER_IPV6, {0xfe, 0x80, [15] = 1}, 3, "[fe80::1%3]:80"},
    {"fe80::1%4294967295", PIER_IPV6, {0xfe, 0x80, [15] = 1}, 4294967295u, "[fe80::1%4294967295]:80"},
    {"2001:DB8::00a0", PIER_IPV6, {0x20, 0x01, 0x0d, 0xb8, [15] = 0xa0}, 0, "[2001:db8::a0]:80"},
    {"1:2:3:4:5:6:7:8", PIER_IPV6, {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}, 0, "[1:2:3:4:5:6:7:8]:80"},
    {"1:2:3:4:5:6:7::", PIER_IPV6, {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 0}, 0, "[1:2:3:4:5:6:7:0]:80"},
    {"::2:3:4:5:6:7:8", PIER_IPV6, {0, 0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}, 0, "[0:2:3:4:5:6:7:8]:80"},
    {"1:0:0:2:0:0:0:3", PIER_IPV6, {0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3}, 0, "[1:0:0:2::3]:80"},
    {"1:0:0:2:3:0:0:4", PIER_IPV6, {0, 1, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 0, 0, 4}, 0, "[1::2:3:0:0:4]:80"},
    {"::ffff:192.0.2.1", PIER_IPV6, {[10] = 0xff, [11] = 0xff, [12] = 192, 0, 2, 1}, 0, "[::ffff:192.0.2.1]:80"},
    {"64:ff9b::192.0.2.33", PIER_IPV6, {0, 0x64, 0xff, 0x9b, [12] = 192, 0, 2, 33}, 0, "[64:ff9b::c000:221]:80"},
    {"1:2:3:4:5:6:1.2.3.4", PIER_IPV6, {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 1, 2, 3, 4}, 0, "[1:2:3:4:5:6:102:304]:80"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%4294967295", PIER_IPV6,
     {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}, 4294967295u,
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:80"},
};

static const char *const bad[] = {
    "", " ", "localhost", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.4 ", " 1.2.3.4", "1.2.3.", ".1.2.3", "01.2.3.4", "1.2.3.4:80", "-1.2.3.4",
    "1..2.3", "0x7f.0.0.1", "1.2.3.99999999999", ":", ":::", "1", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1::", "1::2::3",
    "12345::", "g::", ":1:2:3:4:5:6:7:8", ":1::", "1:2:3:4:5:6:7:", "1:::2", "::1:", "[::1]", "::1%", "::1%eth0", "::1%4294967296", "::1%-1", "1.2.3.4%1",
    "::1.2.3", "::1.2.3.4.5", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", "::ffff:256.1.1.1", "::1 ", "1:2:3:4::5:6:7:8",
};

static void a_numeric_address_is_read(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    pier_address address;
    memset(&address, 0xAA, sizeof address);
    if (pier_address_parse(good[i].text, 80, &address) != PIER_OK) {
      fail_msg("'%s' was refused", good[i].text);
    }
    assert_int_equal(address.family, good[i].family);
    assert_int_equal(address.reserved, 0);
    assert_int_equal(address.port, 80);
    assert_int_equal(address.scope, good[i].scope);
    assert_memory_equal(address.bytes, good[i].bytes, 16);
  }
}

static void what_is_no_numeric_address_is_refused_and_nothing_is_written(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    pier_address address = {.family = 77};
    if (pier_address_parse(bad[i], 80, &address) != PIER_EINVAL || address.family != 77) {
      fail_msg("'%s' was taken", bad[i]);
    }
  }
}

static void an_address_is_written(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    char text[PIER_ADDRESS_TEXT_BYTES];
    pier_address address;
    assert_status(pier_address_parse(good[i].text, 80, &address), PIER_OK);
    assert_status(pier_address_text(&address, text, sizeof text), PIER_OK);
    assert_string_equal(text, good[i].written);
  }
}

static void what_does_not_fit_is_refused_and_nothing_is_written(void **state) {
  (void)state;
  char text[16] = "untouched";
  pier_address address;

  assert_status(pier_address_parse("127.0.0.1", 80, &address), PIER_OK);
  assert_status(pier_address_text(&address, text, 12), PIER_EMSGSIZE);
  assert_status(pier_address_text(&address, text, 0), PIER_EMSGSIZE);
  assert_string_equal(text, "untouched");
  assert_status(pier_address_text(&address, text, 13), PIER_OK);
  assert_string_equal(text, "127.0.0.1:80");
}

static void null_pointers_and_no_family_are_refused(void **state) {
  (void)state;
  char text[PIER_ADDRESS_TEXT_BYTES];
  pier_address address = {0};

  assert_status(pier_address_parse(NULL, 80, &address), PIER_EINVAL);
  assert_status(pier_address_parse("::1", 80, NULL), PIER_EINVAL);
  assert_status(pier_address_text(&address, text, sizeof text), PIER_EINVAL);
  assert_status(pier_address_text(NULL, text, sizeof text), PIER_EINVAL);
  address.family = PIER_IPV4;
  assert_status(pier_address_text(&address, NULL, 10), PIER_EINVAL);
}

/* Text and back, with many random addresses: many zeros among them, as in real ones. */
static void what_is_written_is_read_as_the_same(void **state) {
  (void)state;
  uint64_t seed = support__seed();

  for (unsigned i = 0; i < 20000; i++) {
    pier_address address = {0};
    pier_address again;
    char text[PIER_ADDRESS_TEXT_BYTES];
    address.family = i % 4 == 0 ? PIER_IPV4 : PIER_IPV6;
    address.port = (uint16_t)support__random(&seed);
    for (unsigned j = 0; j < (address.family == PIER_IPV4 ? 4u : 16u); j++) {
      address.bytes[j] = support__random_below(&seed, 3) == 0 ? (uint8_t)support__random(&seed) : 0;
    }
    address.scope = address.family == PIER_IPV6 && i % 8 == 1 ? (uint32_t)support__random(&seed) : 0;
    assert_status(pier_address_text(&address, text, sizeof text), PIER_OK);
    char *end = strrchr(text, ':');
    char *begin = text;
    if (address.family == PIER_IPV6) {
      begin++;
      end--;
    }
    *end = '\0';
    assert_status(pier_address_parse(begin, address.port, &again), PIER_OK);
    assert_memory_equal(&again, &address, sizeof address);
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(a_numeric_address_is_read),
      SUPPORT_TEST(what_is_no_numeric_address_is_refused_and_nothing_is_written),
      SUPPORT_TEST(an_address_is_written),
      SUPPORT_TEST(what_does_not_fit_is_refused_and_nothing_is_written),
      SUPPORT_TEST(null_pointers_and_no_family_are_refused),
      SUPPORT_TEST(what_is_written_is_read_as_the_same),
  };
  return support__main(argc, argv, "address", tests, sizeof tests / sizeof tests[0]);
}
