#include "file_linux.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

/* epoll does not wait for files: they are always ready. A loop must not wait for a disk, though, so the leanest that may stand in a loop is a
 * read that says so if it would wait (RWF_NOWAIT); such a one would go to a thread. With the file in the cache, as here, none does, and a
 * thread for each read would only add two switches to it. What had to wait all the same is counted, to show that this holds. */
void reader__run(struct reader *reader) {
  uint64_t waited = 0;

  bench_begin(reader->result);
  for (uint64_t i = 0; i < reader->operations; i++) {
    size_t slot = (size_t)(i % reader->depth); /* as many buffers as the others have in flight: one would stay in the processor's first cache */
    struct iovec part = {.iov_base = reader__buffer(reader, slot), .iov_len = reader->block_bytes};
    int64_t offset = reader__aim(reader);
    ssize_t bytes = preadv2(reader->file, &part, 1, offset, RWF_NOWAIT);
    if (bytes < 0 && (errno == EAGAIN || errno == EOPNOTSUPP)) {
      waited++;
      bytes = pread(reader->file, part.iov_base, part.iov_len, offset);
    }
    reader__count(reader, slot, bytes);
  }
  bench_end(reader->result);
  bench_extra(reader->result, "waited", (double)waited);
}
