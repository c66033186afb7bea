/* Addresses as Winsock has them, and its providers. */
#include "winsock.h"

#include "support.h"

/* Of each family, with and without a scope. */
static const char *const texts[] = {"127.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1", "fe80::1%3", "fe80::1%4294967295", "::ffff:192.0.2.1", "1:2:3:4:5:6:7:8"};

static void the_systems_structure_and_back(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct sockaddr_storage storage;
    pier_address address;
    pier_address again;
    assert_status(pier_address_parse(texts[i], 8080, &address), PIER_OK);
    int length = winsock__sockaddr(&address, &storage);
    assert_int_equal(length, address.family == PIER_IPV4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    assert_status(winsock__address((struct sockaddr *)&storage, length, &again), PIER_OK);
    assert_memory_equal(&again, &address, sizeof address);
    assert_status(winsock__address((struct sockaddr *)&storage, length - 1, &again), PIER_EAFNOSUPPORT);
    assert_int_equal(again.family, PIER_FAMILY_NONE);
  }
  pier_address none = {0};
  struct sockaddr_storage storage;
  assert_int_equal(winsock__sockaddr(&none, &storage), 0);
}

static void a_provider_has_its_functions_and_is_fetched_once(void **state) {
  (void)state;
  const struct winsock_provider *own;
  const struct winsock_provider *of_socket;
  SOCKET socket;

  assert_status(winsock__provider_of(AF_INET, SOCK_STREAM, &own), PIER_OK);
  assert_status(winsock__open(PIER_IPV4, SOCK_STREAM, &socket), PIER_OK);
  assert_status(winsock__provider(socket, &of_socket), PIER_OK);
  assert_ptr_equal(own, of_socket);
  assert_true(winsock__ifs_handles(socket) == own->ifs_handles);
  assert_int_equal(own->family, AF_INET);
  assert_true(own->accept_ex != NULL && own->connect_ex != NULL && own->get_accept_ex_sockaddrs != NULL && own->disconnect_ex != NULL);
  closesocket(socket);
  assert_status(winsock__provider_of(AF_INET, SOCK_DGRAM, &of_socket), PIER_OK);
  assert_true(of_socket != own && of_socket->recv_msg != NULL);
  assert_status(winsock__provider((SOCKET)0x7770, &of_socket), PIER_EBADF);
  assert_status(winsock__provider_of(AF_UNSPEC, SOCK_STREAM, &of_socket), PIER_EAFNOSUPPORT);
  assert_status(winsock__open(PIER_FAMILY_NONE, SOCK_STREAM, &socket), PIER_EAFNOSUPPORT);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(the_systems_structure_and_back),
      SUPPORT_TEST(a_provider_has_its_functions_and_is_fetched_once),
  };
  return support__main(argc, argv, "address_win", tests, sizeof tests / sizeof tests[0]);
}
