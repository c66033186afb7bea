#include "closed.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void closed__expect(const char *path) {
  int own = open(path, O_RDWR | O_CLOEXEC), leased = -1;
  assert_true(own >= 0);
  for (int i = 0; i < 1000 && leased; i++) {
    leased = fcntl(own, F_SETLEASE, F_WRLCK);
    assert_true(!leased || errno == EAGAIN);
    if (leased)
      usleep(1000);
  }
  assert_int_equal(leased, 0);
  close(own);
}
