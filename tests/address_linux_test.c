/* Addresses as the system's sockets have them. */
#include "socket.h"

#include "support.h"

#include <netinet/in.h>

/* Of each family, with and without a scope. */
static const char *const texts[] = {"127.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1", "fe80::1%3", "fe80::1%4294967295", "::ffff:192.0.2.1", "1:2:3:4:5:6:7:8"};

static void the_systems_structure_and_back(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct sockaddr_storage storage;
    pier_address address;
    pier_address again;
    assert_status(pier_address_parse(texts[i], 8080, &address), PIER_OK);
    socklen_t length = socket__sockaddr(&address, &storage);
    assert_int_equal(length, address.family == PIER_IPV4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    assert_status(socket__address(&storage, length, &again), PIER_OK);
    assert_memory_equal(&again, &address, sizeof address);
    assert_status(socket__address(&storage, length - 1, &again), PIER_EAFNOSUPPORT);
    assert_int_equal(again.family, PIER_FAMILY_NONE);
  }
}

static void no_family_and_a_foreign_one_are_no_addresses(void **state) {
  (void)state;
  pier_address none = {0};
  struct sockaddr_storage storage = {.ss_family = AF_UNIX};

  assert_status(socket__address(&storage, sizeof storage, &none), PIER_EAFNOSUPPORT);
  assert_int_equal(none.family, PIER_FAMILY_NONE);
  assert_int_equal(socket__sockaddr(&none, &storage), 0);
}

static void families_have_the_systems_numbers(void **state) {
  (void)state;
  int opened;

  assert_int_equal(socket__family(PIER_IPV4), AF_INET);
  assert_int_equal(socket__family(PIER_IPV6), AF_INET6);
  assert_status(socket__open(PIER_IPV4, SOCK_STREAM, false, &opened), PIER_OK);
  assert_int_equal(socket__family_of(opened), PIER_IPV4);
  assert_int_equal(socket__type(opened), SOCK_STREAM);
  support__native_close_socket((pier_native)opened);
  assert_int_equal(socket__type(-1), 0);
  assert_status(socket__open(PIER_FAMILY_NONE, SOCK_STREAM, false, &opened), PIER_EAFNOSUPPORT);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(the_systems_structure_and_back),
      SUPPORT_TEST(no_family_and_a_foreign_one_are_no_addresses),
      SUPPORT_TEST(families_have_the_systems_numbers),
  };
  return support__main(argc, argv, "address_linux", tests, sizeof tests / sizeof tests[0]);
}
