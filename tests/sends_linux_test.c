/* Datagrams that follow each other to one address go as one to the system, and arrive as they were: pier_try_send(), poller/sends.h. */
#include "chunks.h"
#include "datagrams.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { COUNT = 64, LENGTH = 100, LENGTH_MAX = 3000, ROUNDS = 60, PEERS = 2 };

/* ---- Somebody who is given runs as the system has them ---- */

typedef struct arrival {
  size_t bytes;
  size_t segment; /* the length of each; 0: it came alone */
} arrival;

static int open_whole(pier_address *address) {
  int on = 1, descriptor = (int)support__native_udp();
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  assert_int_equal(setsockopt(descriptor, IPPROTO_UDP, UDP_GRO, &on, sizeof on), 0);
  assert_int_equal(getsockname(descriptor, (struct sockaddr *)&name, &length), 0);
  assert_status(pier_address_parse("127.0.0.1", ntohs(name.sin_port), address), PIER_OK);
  return descriptor;
}

static arrival take_whole(int descriptor) {
  static char bytes[65536];
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec part = {bytes, sizeof bytes};
  struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
  struct pollfd one = {.fd = descriptor, .events = POLLIN};
  arrival came = {0, 0};
  int segment;
  assert_int_equal(poll(&one, 1, 60000), 1);
  ssize_t received = recvmsg(descriptor, &header, MSG_DONTWAIT);
  assert_true(received >= 0);
  came.bytes = (size_t)received;
  struct cmsghdr *mark = CMSG_FIRSTHDR(&header);
  if (mark && mark->cmsg_level == IPPROTO_UDP && mark->cmsg_type == UDP_GRO) {
    memcpy(&segment, CMSG_DATA(mark), sizeof segment);
    came.segment = (size_t)segment;
  }
  return came;
}

static void assert_whole(int descriptor, size_t bytes, size_t segment) {
  arrival came = take_whole(descriptor);
  if (came.bytes != bytes || came.segment != segment)
    fail_msg("%zu bytes in datagrams of %zu came, and not %zu of %zu", came.bytes, came.segment, bytes, segment);
}

static char zeros[65536];

static void fill(pier_datagram *many, unsigned count, size_t length, const pier_address *to) {
  for (unsigned i = 0; i < count; i++)
    many[i] = (pier_datagram){zeros, length, to};
}

static void send_all(pier_handle from, const pier_datagram *many, unsigned count) {
  size_t sent = 99;
  assert_status(pier_try_send(from, many, count, &sent), PIER_OK);
  assert_int_equal(sent, count);
}

typedef struct whole {
  datagrams pair; /* ends[1] sends */
  int descriptor;
  pier_address address;
} whole;

static whole open_pair(datagrams_sort sort) {
  whole self = {.pair = datagrams__open(sort)};
  self.descriptor = open_whole(&self.address);
  return self;
}

static void close_pair(whole *self) {
  close(self->descriptor);
  datagrams__close(&self->pair);
}

/* Of one length, and a shorter one at the end of each run. What is longer begins another, and one without a byte goes by itself. */
static void a_run_is_one_to_the_system(void **state) {
  (void)state;
  for (datagrams_sort sort = 0; sort < DATAGRAMS_SORTS; sort++) {
    whole self = open_pair(sort);
    pier_datagram many[10];
    fill(many, 10, LENGTH, &self.address);
    send_all(self.pair.ends[1], many, 10);
    assert_whole(self.descriptor, 10 * LENGTH, LENGTH);
    many[3].length = 40;
    many[7].length = 0;
    many[9].length = LENGTH + 1;
    send_all(self.pair.ends[1], many, 10);
    assert_whole(self.descriptor, 3 * LENGTH + 40, LENGTH);
    assert_whole(self.descriptor, 3 * LENGTH, LENGTH);
    assert_whole(self.descriptor, 0, 0);
    assert_whole(self.descriptor, LENGTH, 0);
    assert_whole(self.descriptor, LENGTH + 1, 0);
    close_pair(&self);
  }
}

/* The same address is the same wherever it lies, and the peer's is none. */
static void a_run_has_one_address(void **state) {
  (void)state;
  whole self = open_pair(DATAGRAMS_OWN);
  pier_address twin = self.address, other;
  int second = open_whole(&other);
  pier_datagram many[6];
  fill(many, 6, LENGTH, &self.address);
  many[1].to = &twin;
  many[2].to = many[3].to = &other;
  send_all(self.pair.ends[1], many, 6);
  assert_whole(self.descriptor, 2 * LENGTH, LENGTH);
  assert_whole(self.descriptor, 2 * LENGTH, LENGTH);
  assert_whole(second, 2 * LENGTH, LENGTH);
  assert_status(pier_udp_connect(self.pair.ends[1], &other), PIER_OK);
  many[2].to = many[3].to = many[4].to = NULL;
  send_all(self.pair.ends[1], many, 6);
  assert_whole(self.descriptor, 2 * LENGTH, LENGTH);
  assert_whole(second, 3 * LENGTH, LENGTH);
  assert_whole(self.descriptor, LENGTH, 0);
  close(second);
  close_pair(&self);
}

/* No more than fit into one datagram, and no more than 64. */
static void a_run_has_a_largest_size(void **state) {
  (void)state;
  whole self = open_pair(DATAGRAMS_OWN);
  pier_datagram many[COUNT + 6];
  fill(many, 4, 30000, &self.address);
  send_all(self.pair.ends[1], many, 4);
  assert_whole(self.descriptor, 60000, 30000);
  assert_whole(self.descriptor, 60000, 30000);
  fill(many, COUNT + 6, 10, &self.address);
  send_all(self.pair.ends[1], many, COUNT + 6);
  assert_whole(self.descriptor, COUNT * 10, 10);
  assert_whole(self.descriptor, 60, 10);
  close_pair(&self);
}

/* A socket that makes no checksums cannot have its datagrams cut: they go one by one. */
static void what_is_no_run_goes_one_by_one(void **state) {
  (void)state;
  whole self = open_pair(DATAGRAMS_REGISTERED);
  int on = 1;
  pier_datagram many[5];
  assert_int_equal(setsockopt((int)pier_handle_native(self.pair.ends[1]), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
  for (unsigned round = 0; round < 2; round++) {
    fill(many, 5, LENGTH, &self.address);
    send_all(self.pair.ends[1], many, 5);
    for (unsigned i = 0; i < 5; i++)
      assert_whole(self.descriptor, LENGTH, 0);
  }
  close_pair(&self);
}

/* Only those of that length and longer: others have given no reason. */
static void what_was_refused_is_remembered_by_its_length(void **state) {
  (void)state;
  whole self = open_pair(DATAGRAMS_REGISTERED);
  int on = 1, off = 0, descriptor = (int)pier_handle_native(self.pair.ends[1]);
  pier_datagram many[2];
  assert_int_equal(setsockopt(descriptor, SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
  fill(many, 2, LENGTH, &self.address);
  send_all(self.pair.ends[1], many, 2);
  assert_int_equal(setsockopt(descriptor, SOL_SOCKET, SO_NO_CHECK, &off, sizeof off), 0);
  send_all(self.pair.ends[1], many, 2);
  for (unsigned i = 0; i < 4; i++)
    assert_whole(self.descriptor, LENGTH, 0);
  fill(many, 2, LENGTH - 1, &self.address);
  send_all(self.pair.ends[1], many, 2);
  assert_whole(self.descriptor, 2 * (LENGTH - 1), LENGTH - 1);
  close_pair(&self);
}

/* Whoever has set a length has his datagrams cut to that, as if he sent them himself. */
static void what_the_owner_has_set_is_his(void **state) {
  (void)state;
  whole self = open_pair(DATAGRAMS_KEPT);
  int length = 60;
  pier_datagram many[2];
  assert_int_equal(setsockopt((int)pier_handle_native(self.pair.ends[1]), IPPROTO_UDP, UDP_SEGMENT, &length, sizeof length), 0);
  fill(many, 2, LENGTH, &self.address);
  send_all(self.pair.ends[1], many, 2);
  assert_whole(self.descriptor, LENGTH, 60);
  assert_whole(self.descriptor, LENGTH, 60);
  close_pair(&self);
}

/* What a closed port has answered is told once, and no run takes it for its own. */
static void an_answer_is_told_once(void **state) {
  (void)state;
  datagrams pair = datagrams__open(DATAGRAMS_OWN);
  pier_address closed = datagrams__closed_port(pair.loop);
  pier_datagram many[3];
  size_t sent = 99;
  fill(many, 3, LENGTH, NULL);
  assert_status(pier_udp_connect(pair.ends[1], &closed), PIER_OK);
  for (unsigned round = 0; round < 3; round++) {
    send_all(pair.ends[1], many, 3);
    assert_status(pier_try_send(pair.ends[1], many, 3, &sent), PIER_ECONNREFUSED);
    assert_int_equal(sent, 0);
  }
  datagrams__close(&pair);
}

/* ---- By chance: each arrives whole, in its order, whatever went with it ---- */

typedef struct expected {
  size_t lengths[COUNT];
  unsigned char marks[COUNT];
  unsigned count;
  unsigned next;
  unsigned wrong;
} expected;

static void take_expected(chunks *reader, const pier_result *result) {
  expected *books = reader->context;
  const unsigned char *data = result->data;
  unsigned i = books->next++;
  if (i >= books->count || result->bytes != books->lengths[i]) {
    books->wrong++;
    return;
  }
  for (size_t at = 0; at < result->bytes; at++)
    books->wrong += data[at] != books->marks[i];
}

static size_t any_length(uint64_t *seed, size_t before) {
  switch (support__random(seed) % 8) {
  case 0:
    return 0;
  case 1:
    return 1 + support__random(seed) % LENGTH_MAX;
  case 2:
    return before ? 1 + support__random(seed) % before : LENGTH;
  default:
    return before;
  }
}

static void send_by_chance(pier_handle from, const pier_address *peers, expected *books, uint64_t *seed) {
  static unsigned char bytes[COUNT][LENGTH_MAX];
  pier_datagram many[COUNT];
  size_t length = LENGTH;
  unsigned peer = 0;
  for (unsigned i = 0; i < COUNT; i++) {
    if (support__random(seed) % 4 == 0)
      peer = support__random(seed) % PEERS;
    expected *to = &books[peer];
    length = any_length(seed, length);
    memset(bytes[i], (int)i + 1, length);
    many[i] = (pier_datagram){bytes[i], length, &peers[peer]};
    to->lengths[to->count] = length;
    to->marks[to->count++] = (unsigned char)(i + 1);
  }
  for (size_t done = 0, sent; done < COUNT; done += sent) {
    int status = pier_try_send(from, many + done, COUNT - done, &sent);
    assert_true(status == PIER_OK || status == PIER_EAGAIN);
  }
}

static bool all_came(void *context) {
  const expected *books = context;
  return books[0].next == books[0].count && books[1].next == books[1].count;
}

static void each_arrives_as_it_was(void **state) {
  const char *texts[] = {"127.0.0.1", "::1"};
  uint64_t seed = support__seed();
  (void)state;
  for (unsigned family = 0; family < 2; family++) {
    pier_loop *loop = support__open();
    pier_address any, peers[PEERS];
    pier_handle handles[PEERS + 1];
    expected books[PEERS];
    chunks *readers[PEERS];
    assert_status(pier_address_parse(texts[family], 0, &any), PIER_OK);
    for (unsigned i = 0; i <= PEERS; i++)
      assert_status(pier_udp_open(loop, &any, NULL, &handles[i]), PIER_OK);
    for (unsigned i = 0; i < PEERS; i++) {
      assert_status(pier_udp_local_address(handles[i], &peers[i]), PIER_OK);
      readers[i] = chunks__new(0);
      readers[i]->datagrams = true;
      readers[i]->then = take_expected;
      readers[i]->context = &books[i];
      chunks__read(readers[i], handles[i], PIER_NO_DEADLINE);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
      memset(books, 0, sizeof books);
      send_by_chance(handles[PEERS], peers, books, &seed);
      support__until(loop, all_came, books, "all datagrams");
      assert_int_equal(books[0].wrong + books[1].wrong, 0);
    }
    for (unsigned i = 0; i < PEERS; i++) {
      pier_cancel(atomic_load(&readers[i]->operation));
      await_last(loop, readers[i], PIER_ECANCELED);
    }
    for (unsigned i = 0; i <= PEERS; i++)
      support__close_handle(loop, handles[i]);
    support__close(loop);
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      SUPPORT_TEST(a_run_is_one_to_the_system),
      SUPPORT_TEST(a_run_has_one_address),
      SUPPORT_TEST(a_run_has_a_largest_size),
      SUPPORT_TEST(what_is_no_run_goes_one_by_one),
      SUPPORT_TEST(what_was_refused_is_remembered_by_its_length),
      SUPPORT_TEST(what_the_owner_has_set_is_his),
      SUPPORT_TEST(an_answer_is_told_once),
      SUPPORT_TEST(each_arrives_as_it_was),
  };
  return support__main(argc, argv, "sends_linux", tests, sizeof tests / sizeof tests[0]);
}
