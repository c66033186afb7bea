/* What keeps reading, and what writes without an operation. */
#include "calls.h"

/* The sanitizer says so if they are not all there. */
static void touch(const unsigned char *bytes, size_t length) {
  volatile unsigned all = 0;
  for (size_t i = 0; i < length; i++)
    all = all + bytes[i];
}

static void on_chunk(const pier_result *result) {
  struct submit *submit = result->context;

  if (!result->more) {
    FUZZ_CHECK(!result->data && !result->bytes);
    calls__on_done(result);
    return;
  }
  FUZZ_CHECK(calls__submitting == 0);
  FUZZ_CHECK(atomic_load(&submit->calls) == 0);
  FUZZ_CHECK(result->status == PIER_OK && result->data && !result->end && !result->opened);
  FUZZ_CHECK(world.pooled || result->operation == atomic_load(&submit->id));
  touch(result->data, result->bytes);
  if (submit->acts && !atomic_load(&world.ending)) {
    calls__inside++;
    calls__step();
    calls__inside--;
  }
}

void calls__keep_reading(void) {
  pier_handle handle = calls__handle();
  struct submit *submit = calls__submit(calls__length(), true);
  uint64_t deadline_ns = calls__deadline();

  if (submit)
    calls__submitted(submit, pier_read_multishot(handle, deadline_ns, on_chunk, submit));
}

void calls__try(void) {
  pier_handle handle = calls__handle();
  struct submit *submit = calls__submit(calls__length(), false);
  size_t written = 0;

  (void)calls__deadline();
  if (!submit)
    return;
  int status = pier_try_write(handle, submit->buffer + GUARD_BYTES, submit->length, &written);
  FUZZ_CHECK(status <= 0 && status >= PIER_EUNKNOWN);
  FUZZ_CHECK(written <= submit->length && (status == PIER_OK || written == 0));
  calls__submitted(submit, 0);
}
