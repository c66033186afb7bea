/* Copies a file with several reads and writes in flight at once.
 *
 *     copy_file [--overwrite] SOURCE DESTINATION
 *
 * Eight blocks are on their way at any time, each by itself: a block is read at its offset, written at the same
 * offset, and then takes the next offset that nobody has taken. The order in which they get there does not matter,
 * because every operation says where in the file it works. All callbacks run on the main thread, which drives the
 * loop.
 */
#include "options.h"
#include "pier.h"
#include "terminal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCKS 8
#define BLOCK_BYTES ((size_t)256 * 1024)

struct copy;

struct block {
  struct copy *copy;
  uint64_t offset;
  size_t length; /* how many bytes of the file this block is to carry */
  size_t filled; /* how many of them are read */
  char *bytes;
};

struct copy {
  pier_loop *loop;
  const char *source_name;
  const char *destination_name;
  pier_handle source;
  pier_handle destination;
  pier_timer progress;
  uint64_t size_bytes;
  uint64_t taken_bytes;  /* handed to blocks */
  uint64_t copied_bytes; /* written */
  unsigned busy;         /* blocks that have something to do */
  int status;            /* the first failure */
  struct block blocks[BLOCKS];
};

static void on_read(const pier_result *result);

/* The first failure is the one to be told; the blocks that are still under way find it and stop. */
static void copy_fail(struct copy *copy, int status, const char *what, const char *name) {
  if (copy->status == PIER_OK) {
    copy->status = status;
    fprintf(stderr, "%s '%s': %s\n", what, name, pier_error_text(status));
  }
}

static void on_progress(pier_loop *loop, pier_timer timer, void *context) {
  const struct copy *copy = context;
  double percent = copy->size_bytes > 0 ? 100.0 * (double)copy->copied_bytes / (double)copy->size_bytes : 100.0;

  (void)loop;
  (void)timer;
  fprintf(stderr, "\r%3.0f %% of %" PRIu64 " MiB", percent, copy->size_bytes >> 20);
}

/* Ends what keeps the loop alive. An id that is 0, because opening failed, is no handle and no timer: that is only
 * a status. */
static void copy_end(struct copy *copy) {
  if (pier_timer_stop(copy->progress) == PIER_OK) {
    on_progress(copy->loop, copy->progress, copy);
    fprintf(stderr, "\n");
  }
  pier_close(copy->source, NULL, NULL);
  pier_close(copy->destination, NULL, NULL);
}

static void block_end(struct block *block) {
  block->copy->busy--;
  if (block->copy->busy == 0) {
    copy_end(block->copy);
  }
}

static void block_fail(struct block *block, int status, const char *what, const char *name) {
  copy_fail(block->copy, status, what, name);
  block_end(block);
}

static void block_read(struct block *block) {
  struct copy *copy = block->copy;

  if (pier_read_at(copy->source, block->bytes + block->filled, block->length - block->filled,
                   (int64_t)(block->offset + block->filled), PIER_NO_DEADLINE, on_read, block) == 0) {
    block_fail(block, PIER_ENOMEM, "cannot read", copy->source_name);
  }
}

/* Gives a block its next piece of the file, if there is one. */
static void block_next(struct block *block) {
  struct copy *copy = block->copy;
  uint64_t left_bytes = copy->size_bytes - copy->taken_bytes;

  if (copy->status != PIER_OK || left_bytes == 0) {
    block_end(block);
    return;
  }
  block->offset = copy->taken_bytes;
  block->length = left_bytes < BLOCK_BYTES ? (size_t)left_bytes : BLOCK_BYTES;
  block->filled = 0;
  copy->taken_bytes += block->length;
  block_read(block);
}

static void on_written(const pier_result *result) {
  struct block *block = result->context;
  struct copy *copy = block->copy;

  if (result->status != PIER_OK) {
    block_fail(block, result->status, "cannot write", copy->destination_name);
    return;
  }
  copy->copied_bytes += result->bytes;
  block_next(block);
}

static void on_read(const pier_result *result) {
  struct block *block = result->context;
  struct copy *copy = block->copy;

  if (result->status != PIER_OK) {
    block_fail(block, result->status, "cannot read", copy->source_name);
    return;
  }
  if (result->bytes == 0) {
    block_fail(block, PIER_EIO, "has become shorter meanwhile", copy->source_name);
    return;
  }
  block->filled += result->bytes;
  if (block->filled < block->length) {
    block_read(block); /* a read may bring less than was asked for */
  } else if (pier_write_at(copy->destination, block->bytes, block->length, (int64_t)block->offset, PIER_NO_DEADLINE,
                           on_written, block) == 0) {
    block_fail(block, PIER_ENOMEM, "cannot write", copy->destination_name);
  }
}

/* The destination has its length now: a disk without room for it has said so, and an older, longer file is cut. */
static void on_sized(const pier_result *result) {
  struct copy *copy = result->context;

  if (result->status != PIER_OK) {
    copy_fail(copy, result->status, "cannot set the size of", copy->destination_name);
    copy_end(copy);
    return;
  }
  copy->busy = BLOCKS;
  for (int i = 0; i < BLOCKS; i++) {
    block_next(&copy->blocks[i]);
  }
}

static int copy_open(struct copy *copy, bool overwrite) {
  unsigned flags = PIER_OPEN_WRITE | PIER_OPEN_CREATE | (overwrite ? 0U : (unsigned)PIER_OPEN_EXCLUSIVE);

  int status = pier_file_open_sync(copy->loop, copy->source_name, PIER_OPEN_READ, &copy->source);
  if (status == PIER_OK) {
    status = pier_file_size(copy->source, &copy->size_bytes);
  }
  if (status != PIER_OK) {
    copy_fail(copy, status, "cannot open", copy->source_name);
    return status;
  }
  /* An existing file is not emptied by opening it. Should it be the source by another name, it is copied onto
   * itself unharmed. */
  status = pier_file_open_sync(copy->loop, copy->destination_name, flags, &copy->destination);
  if (status != PIER_OK) {
    copy_fail(copy, status, "cannot create", copy->destination_name);
  }
  return status;
}

static void copy_start(struct copy *copy, bool overwrite, bool progress) {
  if (copy_open(copy, overwrite) != PIER_OK) {
    copy_end(copy);
    return;
  }
  if (progress) {
    copy->progress = pier_timer_start(copy->loop, 0, 100 * PIER_MILLISECOND, on_progress, copy);
  }
  if (pier_file_truncate(copy->destination, copy->size_bytes, PIER_NO_DEADLINE, on_sized, copy) == 0) {
    copy_fail(copy, PIER_ENOMEM, "cannot set the size of", copy->destination_name);
    copy_end(copy);
  }
}

static bool copy_allocate(struct copy *copy) {
  for (int i = 0; i < BLOCKS; i++) {
    copy->blocks[i] = (struct block){.copy = copy, .bytes = malloc(BLOCK_BYTES)};
    if (copy->blocks[i].bytes == NULL) {
      fprintf(stderr, "out of memory\n");
      return false;
    }
  }
  return true;
}

int main(int argc, char **argv) {
  static struct copy copy;
  bool overwrite = false;
  bool progress = false;
  const struct options_entry entries[] = {
      {.name = "--overwrite", .help = "replace DESTINATION if it exists", .given = &overwrite},
      {.name = "--progress", .help = "show progress although standard error is no terminal", .given = &progress},
      {.name = NULL},
  };
  int operand = options_read(argc, argv, entries, "copy_file [options] SOURCE DESTINATION", 2);

  copy.source_name =
      argv[operand]; /* in UTF-8: on Windows that is so for ASCII, and for programs whose manifest asks for it */
  copy.destination_name = argv[operand + 1];
  if (!copy_allocate(&copy)) {
    return EXIT_FAILURE;
  }
  int status = pier_loop_open(NULL, &copy.loop);
  if (status != PIER_OK) {
    fprintf(stderr, "cannot open a loop: %s\n", pier_error_text(status));
    return EXIT_FAILURE;
  }
  copy_start(&copy, overwrite, progress || terminal_on_stderr());
  status = pier_loop_run(copy.loop, PIER_RUN_DEFAULT, PIER_NO_TIMEOUT);
  if (status == PIER_OK) {
    status = pier_loop_close(copy.loop);
  }
  if (status != PIER_OK) {
    fprintf(stderr, "the loop failed: %s\n", pier_error_text(status));
    return EXIT_FAILURE;
  }
  for (int i = 0; i < BLOCKS; i++) {
    free(copy.blocks[i].bytes);
  }
  if (copy.status == PIER_OK) {
    return EXIT_SUCCESS;
  }
  if (!overwrite && copy.destination != 0) {
    remove(copy.destination_name); /* half a copy of one's own is worse than none */
  }
  return EXIT_FAILURE;
}
