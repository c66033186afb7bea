/* What the fuzz targets share: the input, taken byte by byte, and checks that end the program.
 *
 * A target is one function that libFuzzer calls with each input; replay.c calls it with files instead. */
#ifndef PIER_TESTS_FUZZ_H
#define PIER_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

struct fuzz_input {
  const uint8_t *at;
  const uint8_t *end;
};

static inline bool fuzz__ended(const struct fuzz_input *input) {
  return input->at == input->end;
}

/* Zero behind the end, so that a short input is a whole one. */
static inline uint8_t fuzz__byte(struct fuzz_input *input) {
  return input->at < input->end ? *input->at++ : 0;
}

static inline uint64_t fuzz__number(struct fuzz_input *input, unsigned bytes) {
  uint64_t number = 0;
  for (unsigned i = 0; i < bytes; i++)
    number = number << 8 | fuzz__byte(input);
  return number;
}

static inline unsigned fuzz__below(struct fuzz_input *input, unsigned limit) {
  return fuzz__byte(input) % limit;
}

/* An assertion that stays in every build: a fuzzer without it finds only crashes. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz__fail(#condition, __FILE__, __LINE__))

static inline void fuzz__fail(const char *condition, const char *file, int line) {
  fprintf(stderr, "%s:%d: %s does not hold\n", file, line, condition);
  abort();
}

#endif
